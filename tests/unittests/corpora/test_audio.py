"""Tests of the conversion to a manifest."""

import contextlib
import csv
import logging
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from processes import Script

from speechbrain_ext import outputs
from speechbrain_ext.corpora import audio
from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.dataio.recordings import read_recordings


def convert(candidates, folder, *, sample_rate=8000, skipped=()):
    return convert_all(
        candidates,
        folder,
        sample_rate=sample_rate,
        minimum_seconds=1.0,
        skipped=skipped,
    )


def candidate(path, identity=None, kind="noise", **fields):
    return Candidate(str(path), identity or path.stem, kind, "train", **fields)


def reasons(folder):
    with open(folder / "skipped.csv", newline="", encoding="utf-8") as file:
        return {row["id"]: row["reason"] for row in csv.DictReader(file)}


def snapshot(folder):
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def three(tmp_path, write_tone):
    return [
        candidate(write_tone(tmp_path / "in" / f"{name}.flac"))
        for name in "abc"
    ]


def test_every_field_arrives(tmp_path, write_tone):
    path = write_tone(tmp_path / "x.flac", rate=16000, seconds=1.5)
    given = Candidate(
        source_path=str(path),
        id="deep/er/x",
        kind="speech",
        split="user_valid",
        speaker="s1",
        sex="F",
        label="l",
        text="t",
        source="o",
        license="c",
    )
    (row,) = read_recordings(convert([given], tmp_path / "out"))
    for name in "id kind split speaker sex label text source license".split():
        assert getattr(row, name) == getattr(given, name)
    assert (row.samples, row.sample_rate) == (12000, 8000)
    assert row.path == str(tmp_path / "out/audio/deep/er/x.wav")
    info = soundfile.info(row.path)
    assert (info.format, info.subtype) == ("WAV", "PCM_16")
    assert (info.channels, info.samplerate, info.frames) == (1, 8000, 12000)


def test_only_a_mono_pcm16_wav_at_the_rate_stays_in_place(tmp_path, write_tone):
    right = write_tone(tmp_path / "right.wav", rate=8000)
    others = [
        write_tone(tmp_path / "rate.wav", rate=16000),
        write_tone(tmp_path / "float.wav", rate=8000, subtype="FLOAT"),
        write_tone(tmp_path / "other.flac", rate=8000),
        tmp_path / "stereo.wav",
    ]
    wave = np.random.default_rng(0).uniform(-1, 1, (9000, 2))
    soundfile.write(others[-1], wave, 8000)
    rows = read_recordings(
        convert(map(candidate, [right, *others]), tmp_path / "out")
    )
    paths = {row.id: row.path for row in rows}
    assert paths.pop("right") == str(right)
    assert len(paths) == 4
    for name, path in paths.items():
        assert path == str(tmp_path / "out" / "audio" / f"{name}.wav")
    stereo, _ = soundfile.read(paths["stereo"])
    np.testing.assert_allclose(stereo, wave.mean(axis=1), atol=1e-4)


def test_samples_of_16_bits_pass_unchanged(tmp_path):
    steps = np.random.default_rng(0).integers(-32768, 32768, 9000, np.int16)
    steps[:2] = -32768, 32767
    soundfile.write(tmp_path / "x.flac", steps, 8000)
    (row,) = read_recordings(
        convert([candidate(tmp_path / "x.flac")], tmp_path)
    )
    np.testing.assert_array_equal(
        soundfile.read(row.path, dtype="int16")[0], steps
    )


@pytest.mark.parametrize(
    "format, subtype",
    [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("WAV", "FLOAT")],
    ids=["in-place", "converted", "float"],
)
def test_an_offset_does_not_count_in_the_level(tmp_path, format, subtype):
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
    path = tmp_path / "in" / f"a.{format.lower()}"
    path.parent.mkdir()
    soundfile.write(path, noise + 0.5, 8000, subtype=subtype)
    before = path.read_bytes()
    manifest = convert([candidate(path, "a")], tmp_path / "out")
    [row] = read_recordings(manifest)
    samples, _ = soundfile.read(row.path)
    assert abs(samples.mean()) < 1 / 32768
    assert samples.std() == pytest.approx(noise.std(), rel=1e-3)
    assert path.read_bytes() == before


def test_a_room_response_keeps_its_mean(tmp_path):
    path = tmp_path / "room.wav"
    soundfile.write(path, np.exp(-np.arange(800) / 100), 8000)
    manifest = convert([candidate(path, "a", kind="rir")], tmp_path / "out")
    assert read_recordings(manifest)[0].path == str(path)


def test_what_is_averaged_or_raised_is_said(tmp_path, write_tone, caplog):
    caplog.set_level(logging.INFO)
    stereo = np.random.default_rng(0).uniform(-1, 1, (9000, 2))
    soundfile.write(tmp_path / "s.wav", stereo, 8000)
    low = write_tone(tmp_path / "low.wav", rate=4000, seconds=2)
    convert([candidate(tmp_path / "s.wav"), candidate(low)], tmp_path / "out")
    assert "1 files: mean of their channels" in caplog.text
    assert "1 files have a lower rate than 8000 Hz" in caplog.text


def test_every_bad_input_is_listed(tmp_path, write_tone, caplog):
    source = tmp_path / "in"
    good = write_tone(source / "good.flac")
    nan = np.full(9000, 0.1)
    nan[5000] = np.nan
    soundfile.write(source / "nan.wav", nan, 8000, "FLOAT")
    soundfile.write(source / "silent.wav", np.zeros(9000), 8000)
    write_tone(source / "short.flac", seconds=0.9)
    cut = write_tone(source / "cut.wav")
    cut.write_bytes(cut.read_bytes()[:-2000])
    (source / "empty.wav").touch()
    (source / "text.mp3").write_text("no audio " * 100)
    (source / "folder.wav").mkdir()
    (source / "link.wav").symlink_to(source / "nowhere.wav")
    write_tone(source / "less.flac", seconds=3.0)
    candidates = [
        candidate(path, seconds=5.0 if path.stem == "less" else 0.0)
        for path in sorted(source.iterdir())
    ]
    manifest = convert(
        candidates, tmp_path / "out", skipped=[("ours", "/o.wav", "no speaker")]
    )
    assert [row.path for row in read_recordings(manifest)] == [
        str(tmp_path / "out" / "audio" / "good.wav")
    ]
    expected = {
        "nan": "not finite",
        "silent": "silent",
        "short": "too short: 0.90 s, less than 1 s",
        "cut": "truncated",
        "empty": "empty file",
        "text": "cannot be decoded",
        "folder": "is a folder",
        "link": "cannot be read: No such file",
        "less": "truncated: 3.00 s where 5.00 s",
        "ours": "no speaker",
    }
    listed = reasons(tmp_path / "out")
    assert listed.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in listed[name]
    warnings = [r for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "10 of 11 files are not usable" in warnings[0].message
    assert "cut.wav (truncated" in warnings[0].message
    assert good.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path, three):
    os.chmod(three[0].source_path, 0)
    assert len(read_recordings(convert(three, tmp_path / "out"))) == 2
    assert "Permission denied" in reasons(tmp_path / "out")["a"]
    os.chmod(three[0].source_path, 0o600)
    assert len(read_recordings(convert(three, tmp_path / "out"))) == 3


def test_an_unreadable_file_is_tried_again(tmp_path, three, monkeypatch):
    """Reading fails while decoding, as without permission."""
    decode = audio.decode

    def refuse(path, **kwargs):
        if path == three[0].source_path:
            raise PermissionError(13, "Permission denied", path)
        return decode(path, **kwargs)

    monkeypatch.setattr(audio, "decode", refuse)
    assert len(read_recordings(convert(three, tmp_path / "out"))) == 2
    assert "Permission denied" in reasons(tmp_path / "out")["a"]
    monkeypatch.undo()
    assert len(read_recordings(convert(three, tmp_path / "out"))) == 3


def test_a_full_disk_is_an_error_and_not_a_skip(tmp_path, three, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device", "x.partial")

    monkeypatch.setattr(soundfile, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        convert(three, tmp_path / "out")


def test_room_responses_may_be_short(tmp_path, write_tone):
    path = write_tone(tmp_path / "x.wav", seconds=0.3)
    manifest = convert([candidate(path, kind="rir")], tmp_path / "out")
    assert read_recordings(manifest)[0].seconds == pytest.approx(0.3)


def test_a_second_call_writes_nothing(tmp_path, three):
    out = tmp_path / "out"
    soundfile.write(tmp_path / "bad.wav", np.zeros(9000), 8000)
    three.append(candidate(tmp_path / "bad.wav"))
    convert(three, out)
    before = snapshot(out)
    assert convert(three, out) == out / "manifest.csv"
    assert snapshot(out) == before


DIES = """
import os, pickle, sys
from speechbrain_ext import outputs
from speechbrain_ext.corpora import audio

candidates, out, fatal = pickle.load(sys.stdin.buffer)
decode = audio.decode

def die(path, **kwargs):
    if path == fatal:
        os._exit(9)
    return decode(path, **kwargs)

audio.decode = die
audio.convert_all(candidates, out, sample_rate=8000, minimum_seconds=1.0)
"""


@pytest.mark.slow
def test_a_killed_conversion_goes_on(tmp_path, three, monkeypatch):
    """A preparation dies at its third file."""
    out = tmp_path / "out"
    decode = audio.decode
    child = Script(DIES)
    child.stdin.buffer.write(pickle.dumps((three, out, three[2].source_path)))
    child.communicate()
    assert child.returncode == 9
    assert not (out / "manifest.csv").exists()
    before = snapshot(out / "audio")
    decoded = []

    def counted(path, **kwargs):
        decoded.append(path)
        return decode(path, **kwargs)

    monkeypatch.setattr(audio, "decode", counted)
    assert len(read_recordings(convert(three, out))) == 3
    assert decoded == [three[2].source_path]
    changed = before.items() ^ snapshot(out / "audio").items()
    assert {path.name for path, _ in changed} == {"c.wav"}


def test_killed_in_the_middle_of_writing(tmp_path, three):
    """A kill leaves half a line in the journal and a partial file."""
    out = tmp_path / "out"
    convert(three, out)
    journal = out / audio.JOURNAL
    journal.write_bytes(journal.read_bytes()[:-30])
    (out / "audio" / "c.wav").rename(out / "audio" / ".c.wav.77.partial")
    (out / "manifest.csv").unlink()
    convert(three, out)
    whole = {path.name for path in (out / "audio").glob("[!.]*")}
    assert whole == {"a.wav", "b.wav", "c.wav"}
    before = snapshot(out)
    convert(three, out)
    assert snapshot(out) == before


def test_an_interrupted_write_leaves_no_file(tmp_path, three, monkeypatch):
    monkeypatch.setattr(
        os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        audio.write_wav(tmp_path / "out" / "a.wav", np.zeros(9), 8000)
    assert os.listdir(tmp_path / "out") == []


def test_another_rate_needs_another_folder(tmp_path, three):
    out = tmp_path / "out"
    convert(three, out)
    before = snapshot(out)
    with pytest.raises(
        ValueError, match="from sample_rate=8000; now it is sample_rate=4000"
    ):
        convert(three, out, sample_rate=4000)
    assert snapshot(out) == before


def test_only_what_changed_is_converted_again(tmp_path, three, write_tone):
    out = tmp_path / "out"
    convert(three, out)
    before = snapshot(out / "audio")
    write_tone(tmp_path / "in" / "a.flac", seconds=2.0)
    (out / "audio" / "b.wav").write_bytes(b"RIFF")
    rows = read_recordings(convert(three, out))
    after = snapshot(out / "audio")
    changed = {path.name for path in after if after[path] != before[path]}
    assert changed == {"a.wav", "b.wav"}
    assert [row.seconds for row in rows] == pytest.approx([2.0, 1.2, 1.2])
    assert [soundfile.info(row.path).duration for row in rows] == (
        pytest.approx([2.0, 1.2, 1.2])
    )


def test_new_fields_need_no_conversion(tmp_path, three):
    out = tmp_path / "out"
    convert(three, out)
    before = snapshot(out / "audio")
    moved = [replace(item, split="valid") for item in three]
    rows = read_recordings(convert(moved, out), split="valid")
    assert len(rows) == 3
    assert snapshot(out / "audio") == before


def test_nothing_usable(tmp_path, three):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(9000), 8000)
    with pytest.raises(
        ValueError, match="none of the 1 speech files is usable: .*silent.wav"
    ):
        convert([*three, candidate(silent, kind="speech")], tmp_path / "out")
    assert "silent" in reasons(tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.csv").exists()
    with pytest.raises(ValueError, match="nothing usable .*no audio files"):
        convert([], tmp_path / "out")


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ("../x", "x"),
        ("/x", "x"),
        ("a/../../x", "a/x"),
        ("//proc/self/cwd/mine/take", "proc/self/cwd/mine/take"),
        ("a//x/.", "a/x"),
        ("", "unnamed"),
        ("..", "unnamed"),
    ],
    ids=["up", "root", "inside", "two-slashes", "empty", "nothing", "dots"],
)
def test_ids_never_lead_out_of_the_folder(
    tmp_path, write_tone, identity, expected
):
    given = Candidate(
        str(write_tone(tmp_path / "x.flac")), identity, "noise", "train"
    )
    (row,) = read_recordings(convert([given], tmp_path / "out"))
    assert row.id == expected
    assert row.path == str(tmp_path / "out" / "audio" / f"{expected}.wav")
    assert os.path.isfile(row.path)


@pytest.mark.parametrize(
    "name",
    ["x\ny", "x\x1b[2Jy", "x\0y", "x\udcffy", "C:", "a\\b", "ü" * 126],
    ids="newline escape nul bytes drive backslash long".split(),
)
def test_ids_are_made_of_names_that_every_system_takes(name):
    first, second = (
        Candidate("/x.wav", f"speech/{part}/1", "speech", "train").id
        for part in (name, f"{name}2")
    )
    assert first != second
    folder, part, last = first.split("/")
    assert (folder, last) == ("speech", "1")
    assert part.isprintable() and "\\" not in part and part != name
    assert len(os.fsencode(f"{part}.wav")) <= 255


def test_a_long_path_is_a_short_id():
    one, other = (
        Candidate("/x.wav", "speech/" * 1000 + end, "noise", "train").id
        for end in "ab"
    )
    assert one != other and len(one) < 100


def test_ids_that_stand_twice_are_listed(tmp_path, three, write_tone):
    other = candidate(write_tone(tmp_path / "other.flac"), "b")
    rows = read_recordings(convert([*three, three[0], other], tmp_path / "out"))
    assert [row.id for row in rows] == ["a", "b", "c"]
    found = reasons(tmp_path / "out")
    assert found == {
        "a": "is listed twice",
        "b": f"has the id of {three[1].source_path}",
    }


def test_a_source_is_never_overwritten(tmp_path, write_tone):
    path = write_tone(tmp_path / "audio" / "x.wav", rate=16000)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="holds audio, and no prepared.json"):
        convert([candidate(path)], tmp_path)
    assert path.read_bytes() == before


def test_files_that_were_not_made_here_are_never_overwritten(tmp_path, three):
    """Someone's file is put where the next conversion would be written."""
    out = tmp_path / "out"
    convert(three[:1], out)
    mine = out / "audio" / "b.wav"
    mine.write_bytes(b"mine")
    for _ in range(2):
        rows = read_recordings(convert(three, out))
        assert [row.id for row in rows] == ["a", "c"]
        assert "b.wav is there already" in reasons(out)["b"]
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize("place", ["audio", "audio/deep"])
def test_links_do_not_lead_conversions_outside(tmp_path, three, place):
    out = tmp_path / "out"
    inner = replace(three[1], id="deep/b")
    convert([three[0], inner], out)
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(out / place)
    (out / place).symlink_to(tmp_path / "elsewhere")
    with contextlib.suppress(ValueError):  # nothing at all may be usable
        convert([three[0], inner], out)
    assert os.listdir(tmp_path / "elsewhere") in ([], [outputs.MARK])
    assert "written outside of" in reasons(out)["deep/b"]


def test_a_folder_where_a_file_should_be_costs_one_item(tmp_path, three):
    out = tmp_path / "out"
    inner = replace(three[1], id="a.wav/b")
    rows = read_recordings(convert([three[0], inner, three[2]], out))
    assert [row.id for row in rows] == ["a", "c"]
    assert "a.wav/b" in reasons(out)


def test_what_is_no_file_is_listed_at_once(tmp_path, three):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    names = ["pipe.wav", "folder.wav", "nul\0.wav", "a" * 300 + ".wav"]
    more = [
        Candidate(str(tmp_path / name), str(n), "noise", "train")
        for n, name in enumerate([*names, "/dev/zero"])
    ]
    rows = read_recordings(convert([*three, *more], tmp_path / "out"))
    assert len(rows) == 3
    found = reasons(tmp_path / "out")
    assert found.keys() == set("01234")
    assert "pipe" in found["0"] and "folder" in found["1"]
    assert "null" in found["2"] and "too long" in found["3"]


def test_names_that_are_not_utf8(tmp_path, write_tone, three):
    folder = os.fsencode(tmp_path)
    good, bad = (os.fsdecode(folder + b"/\xff%d.flac" % n) for n in (1, 2))
    shutil.copy(three[0].source_path, good)
    open(bad, "wb").close()
    more = [
        Candidate(path, path[-7:-5], "noise", "train") for path in (good, bad)
    ]
    out = tmp_path / "out"
    for _ in range(2):
        rows = read_recordings(convert([*three, *more], out))
    assert len(rows) == 4
    assert all(row.id.isprintable() for row in rows)
    assert os.fsencode(bad) in (out / "skipped.csv").read_bytes()


def test_a_good_wav_of_such_a_name_stays_in_place(tmp_path, write_tone):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\r\n.wav")
    shutil.copy(write_tone(tmp_path / "a.wav", rate=8000), path)
    given = Candidate(path, "x", "noise", "train")
    (row,) = read_recordings(convert([given], tmp_path / "out"))
    assert row.path == path


def test_the_list_of_skipped_files_can_be_opened_by_people(tmp_path, three):
    names = ["=1+1.wav", "@x.wav", "-a" * 5000 + ".wav", "\x1b[2J.wav"]
    more = [Candidate(name, name, "noise", "train") for name in names]
    out = tmp_path / "out"
    convert([*three, *more], out, skipped=[("x", "+y", "say \x1b[2J")])
    text = (out / "skipped.csv").read_text()
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert not [c for c in cells if c.startswith(("=", "+", "-", "@"))]
    assert max(map(len, cells)) < 10_000
    assert "say \\x1b[2J" in cells


@pytest.mark.parametrize("error", [ValueError, RuntimeError, MemoryError])
def test_any_failure_of_decoding_costs_one_item(
    tmp_path, three, monkeypatch, error
):
    decode = audio.decode

    def fail(path, **kwargs):
        if path == three[1].source_path:
            raise error("no good")
        return decode(path, **kwargs)

    monkeypatch.setattr(audio, "decode", fail)
    rows = read_recordings(convert(three, tmp_path / "out"))
    assert [row.id for row in rows] == ["a", "c"]
    assert reasons(tmp_path / "out") == {"b": "no good"}


def replace_audio(path):
    """Put other audio of the same size and length there."""
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples[::-1].copy(), rate)


@pytest.mark.parametrize(
    "damage",
    [replace_audio, Path.unlink, lambda path: path.write_bytes(b"R")],
    ids=["replaced", "removed", "cut"],
)
def test_prepared_audio_is_verified(tmp_path, three, damage, caplog):
    out = tmp_path / "out"
    convert(three, out)
    before = (out / "audio" / "b.wav").read_bytes()
    damage(out / "audio" / "b.wav")
    caplog.clear()
    convert(three, out)
    assert (out / "audio" / "b.wav").read_bytes() == before
    assert "b.wav is not as it was prepared" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        '{"id": []}',
        '{"id": "a"}',
        "\xff\0",
        '{"id": "a", "reason": ""}',
    ],
    ids="cut list number unhashable begun bytes partial".split(),
)
def test_any_line_of_the_journal_is_survived(tmp_path, three, line):
    out = tmp_path / "out"
    convert(three, out)
    with open(out / audio.JOURNAL, "a", encoding="latin-1") as file:
        file.write(line + "\n")
    assert len(read_recordings(convert(three, out))) == 3


def test_a_rate_that_is_none(tmp_path, three):
    with pytest.raises(ValueError, match="sample_rate is 0"):
        convert(three, tmp_path, sample_rate=0)
