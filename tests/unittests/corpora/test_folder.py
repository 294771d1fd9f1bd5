"""Tests of preparing anyone's own recordings."""

import csv
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from processes import Script
from trees import make_folder

from speechbrain_ext.corpora.folder import prepare
from speechbrain_ext.dataio.recordings import read_recordings
from speechbrain_ext.outputs import read_mark


def skipped(folder):
    with open(folder / "skipped.csv", newline="", encoding="utf-8") as file:
        return {row["id"]: row["reason"] for row in csv.DictReader(file)}


def write_csv(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line.strip() for line in text.split("\n")))
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Make six speakers in four formats and at three rates."""
    return make_folder(tmp_path_factory.mktemp("original"), "abcdef")


@pytest.fixture
def tree(original, tmp_path):
    return shutil.copytree(original, tmp_path / "data")


def test_a_tree_of_speakers(tmp_path, tree):
    manifest = prepare(tree, tmp_path / "out", sample_rate=8000)
    assert manifest == tmp_path / "out" / "manifest.csv"
    rows = read_recordings(manifest)
    assert Counter(row.speaker for row in rows) == dict.fromkeys("abcdef", 2)
    assert {row.sample_rate for row in rows} == {8000}
    assert Counter(row.split for row in rows) == {
        "train": 8,
        "valid": 2,
        "test": 2,
    }
    where = {row.speaker: row.split for row in rows}
    assert all(where[row.speaker] == row.split for row in rows)
    for row in rows:
        info = soundfile.info(row.path)
        assert (info.samplerate, info.channels) == (8000, 1)
        assert info.frames == row.samples
    assert "speech/a/session/1" in {row.id for row in rows}


def test_a_second_call_writes_nothing(tmp_path, tree):
    def snapshot():
        return {
            path: path.stat().st_mtime_ns
            for path in (tmp_path / "out").rglob("*")
        }

    prepare(tree, tmp_path / "out")
    before = snapshot()
    prepare(tree, tmp_path / "out")
    assert snapshot() == before


def test_the_seed_divides_otherwise(tmp_path, tree):
    def division(seed):
        out = tmp_path / f"out{seed}"
        rows = read_recordings(prepare(tree, out, seed=seed))
        return {row.id: row.split for row in rows}

    assert len({str(division(seed)) for seed in range(4)}) > 1
    assert division(0) == division(0)


def test_a_tree_with_splits(tmp_path, write_tone, caplog):
    data = tmp_path / "data"
    for name in ("train/a/1", "train/b/1", "valid/c/1", "valid/a/2"):
        write_tone(data / f"{name}.wav")
    write_tone(data / "other" / "d" / "1.wav")
    write_tone(data / "train" / "lost.wav")
    rows = read_recordings(prepare(data, tmp_path / "out"))
    assert [(row.split, row.speaker) for row in rows] == [
        ("train", "a"),
        ("train", "b"),
        ("train", "lost"),
        ("valid", "a"),
        ("valid", "c"),
    ]
    reasons = skipped(tmp_path / "out")
    assert "lies outside train" in reasons["speech/other/d/1"]
    assert "lost" not in str(reasons)
    assert "1 speakers stand in more than one split: a" in caplog.text


TREES = {
    "any-case": (
        ["Train/ann/1", "DEV/bob/1", "Eval/cy/1"],
        {"ann": "train", "bob": "valid", "cy": "test"},
    ),
    "synonyms": (
        ["train/ann/1", "val/bob/1", "validation/cy/1"],
        {"ann": "train", "bob": "valid", "cy": "valid"},
    ),
    "a-split-alone": (
        ["test/ann/1", "test/bob/1", "test/bob/2"],
        {"ann": "test", "bob": "test"},
    ),
    "recordings-in-splits": (
        ["train/ann", "train/bob", "valid/cy"],
        {"ann": "train", "bob": "train", "cy": "valid"},
    ),
    "a-speaker-in-a-split": (
        ["train/test/1", "valid/bob/1"],
        {"test": "train", "bob": "valid"},
    ),
}


@pytest.mark.parametrize(("names", "expected"), TREES.values(), ids=[*TREES])
def test_names_of_splits_in_trees(
    tmp_path, write_tone, caplog, names, expected
):
    caplog.set_level("INFO")
    for name in names:
        write_tone(tmp_path / "data" / f"{name}.wav")
    rows = read_recordings(prepare(tmp_path / "data", tmp_path / "out"))
    assert {row.speaker: row.split for row in rows} == expected
    assert "understood as splits: " in caplog.text


@pytest.mark.parametrize(
    "names",
    [
        ["test/1", "ann/1", "bob/1"],
        ["test/monday/1", "ann/monday/1", "dev/monday/1"],
        ["train/monday/1", "ann/monday/1", "bob/monday/1"],
        ["Test/1", "Test/2"],
    ],
    ids=["test", "test-and-dev", "train", "alone"],
)
def test_a_speaker_may_be_called_like_a_split(
    tmp_path, write_tone, caplog, names
):
    for name in names:
        write_tone(tmp_path / "data" / f"{name}.wav")
    rows = read_recordings(prepare(tmp_path / "data", tmp_path / "out"))
    assert {row.speaker for row in rows} == {n.split("/")[0] for n in names}
    assert "taken for a speaker" in caplog.text


def test_a_tree_without_test_is_told_the_option(tmp_path, write_tone, caplog):
    for name in ("train/a/1", "valid/b/1"):
        write_tone(tmp_path / "data" / f"{name}.wav")
    manifest = prepare(tmp_path / "data", tmp_path / "out")
    assert "no split test" in caplog.text
    assert "--test_split=valid" in caplog.text
    with pytest.raises(ValueError, match=r"test_split.*--test_split=valid"):
        read_recordings(manifest, kind="speech", split="test")


def test_a_flat_folder_is_a_speaker_for_each_file(tmp_path, write_tone, caplog):
    caplog.set_level("INFO")
    for name in "abcde":
        write_tone(tmp_path / "data" / f"{name}.wav")
    rows = read_recordings(prepare(tmp_path / "data", tmp_path / "out"))
    assert {row.speaker for row in rows} == set("abcde")
    assert {row.split for row in rows} == {"train", "valid", "test"}
    assert "5 files lie in no speaker's folder; each counts" in caplog.text


def test_few_speakers_are_divided_by_file(tmp_path, write_tone, caplog):
    for number in range(5):
        write_tone(tmp_path / "data" / "only" / f"{number}.wav")
    rows = read_recordings(prepare(tmp_path / "data", tmp_path / "out"))
    assert Counter(row.split for row in rows) == {
        "train": 3,
        "valid": 1,
        "test": 1,
    }
    assert "1 speakers are too few" in caplog.text


def test_noises_events_and_rooms(tmp_path, tree, write_tone):
    for number in range(3):
        write_tone(tree / "noise" / "rain" / f"{number}.wav")
    write_tone(tmp_path / "events" / "train" / "bell" / "1.ogg")
    write_tone(tmp_path / "events" / "valid" / "2.ogg")
    write_tone(tmp_path / "rooms" / "hall" / "1.wav", seconds=0.2)
    manifest = prepare(
        tree,
        tmp_path / "out",
        noise_folder=tree / "noise",
        event_folder=tmp_path / "events",
        rir_folder=tmp_path / "rooms",
    )
    rows = [row for row in read_recordings(manifest) if row.kind != "speech"]
    assert "noise" not in {r.speaker for r in read_recordings(manifest)}
    assert {(row.id, row.kind, row.label, row.speaker) for row in rows} == {
        ("noise/rain/0", "noise", "rain", ""),
        ("noise/rain/1", "noise", "rain", ""),
        ("noise/rain/2", "noise", "rain", ""),
        ("event/train/bell/1", "event", "bell", ""),
        ("event/valid/2", "event", "", ""),
        ("rir/hall/1", "rir", "", ""),
    }
    splits = {row.id: row.split for row in rows}
    assert {splits[f"noise/rain/{n}"] for n in range(3)} == {
        "train",
        "valid",
        "test",
    }
    assert splits["event/train/bell/1"] == "train"
    assert splits["event/valid/2"] == "valid"


def test_the_same_name_in_two_formats(tmp_path, write_tone):
    write_tone(tmp_path / "data" / "a" / "1.wav")
    write_tone(tmp_path / "data" / "a" / "1.flac")
    rows = read_recordings(prepare(tmp_path / "data", tmp_path / "out"))
    assert len({row.path for row in rows}) == 2


def test_output_below_the_data_is_not_data(tmp_path, tree):
    out = tree / "prepared"
    first = read_recordings(prepare(tree, out, sample_rate=8000))
    assert read_recordings(prepare(tree, out, sample_rate=8000)) == first


def test_a_table_with_path_and_speaker(tmp_path, write_tone):
    for number in range(6):
        write_tone(tmp_path / "data" / "wavs" / f"{number}.wav")
    outside = write_tone(tmp_path / "outside.wav")
    lines = [f"wavs/{number}.wav,s{number}" for number in range(6)]
    lines += [f"{outside},s6", "../outside.wav,s7"]
    table = write_csv(
        tmp_path / "data" / "list.csv", "path,speaker\n" + "\n".join(lines)
    )
    rows = read_recordings(prepare(table, tmp_path / "out"))
    assert {row.speaker for row in rows} == {f"s{n}" for n in range(7)}
    assert {row.split for row in rows} == {"train", "valid", "test"}
    assert set(skipped(tmp_path / "out").values()) == {"is listed twice"}


def test_a_table_with_every_column(tmp_path, write_tone):
    for name in ("a/1.ogg", "a/2.ogg", "b/1.ogg", "rain.flac", "dog.flac"):
        write_tone(tmp_path / "data" / name)
    write_tone(tmp_path / "data" / "room.wav", seconds=0.2)
    for number in range(10):
        write_tone(tmp_path / "data" / "c" / f"{number}.wav")
    table = write_csv(
        tmp_path / "data" / "manifest.csv",
        """path,seconds,kind,split,speaker,sex,text,source,licence,x
        a/1.ogg,1.2,speech,train,sa,female,hello,Mine,CC0,1
        b/1.ogg,1.2,speech,dev,sb,M,,Mine,CC0,1
        rain.flac,1.2,noise,train,,,rain,Mine,CC0,
        dog.flac,1.2,event,valid,,,dog-bark,Mine,CC0,
        room.wav,0.2,rir,test,,,RT60 0.3 s,Mine,CC0,
        a/2.ogg,1.2,meeting,test,,,,Mine,CC0,
        a/2.ogg,1.2,speech,backup,sa,,,Mine,CC0,
        a/2.ogg,1.2,speech,,sa,,,Mine,CC0,
        a/2.ogg,1.2,speech,train,,,,Mine,CC0,
        a/2.ogg,long,speech,train,sa,,,Mine,CC0,
        gone.ogg,1.2,speech,train,sa,,,Mine,CC0,
        """
        + "\n".join(f"c/{n}.wav,,speech,user,sc,F,,,," for n in range(10)),
    )
    manifest = prepare(table.parent, tmp_path / "out", sample_rate=8000)
    rows = {row.id: row for row in read_recordings(manifest)}
    a = rows["a/1"]
    assert (a.speaker, a.sex, a.text, a.source, a.license, a.split) == (
        ("sa", "F", "hello", "Mine", "CC0", "train")
    )
    assert (rows["b/1"].split, rows["b/1"].sex) == ("valid", "M")
    assert (rows["rain"].label, rows["rain"].text) == ("rain", "")
    assert (rows["dog"].kind, rows["dog"].label) == ("event", "dog-bark")
    assert (rows["room"].label, rows["room"].text) == ("", "RT60 0.3 s")
    assert Counter(
        row.split for row in rows.values() if row.speaker == "sc"
    ) == {"user_train": 8, "user_valid": 1, "user_test": 1}
    with open(tmp_path / "out" / "skipped.csv", encoding="utf-8") as file:
        text = file.read()
    for reason in (
        "is of the kind 'meeting', not one of speech, noise, event, rir",
        "is in the split 'backup', not one of train",
        "has no split, while other rows of the kind speech have one",
        "has no speaker",
        "has 'long' seconds, which is no number",
        "gone.ogg,cannot be read: No such file",
    ):
        assert reason in text
    assert len(text.splitlines()) == 7


def test_a_prepared_folder_can_be_prepared_again(tmp_path, tree):
    prepare(tree, tmp_path / "first", sample_rate=16000)
    rows = read_recordings(
        prepare(tmp_path / "first", tmp_path / "second", sample_rate=8000)
    )
    assert len(rows) == 12
    old = read_recordings(tmp_path / "first" / "manifest.csv")
    assert {(row.speaker, row.split) for row in rows} == {
        (row.speaker, row.split) for row in old
    }


def test_include(tmp_path, tree):
    rows = read_recordings(
        prepare(tree, tmp_path / "out", include=["a/*", "?/session/1.*"])
    )
    assert {row.id for row in rows} == {"speech/a/2"} | {
        f"speech/{speaker}/session/1" for speaker in "abcdef"
    }
    with pytest.raises(ValueError, match="include: no path matches 'z/.*a/2"):
        prepare(tree, tmp_path / "other", include=["a/*", "z/*"])
    with pytest.raises(ValueError, match="must be a list of patterns"):
        prepare(tree, tmp_path / "other", include="a/*")


def test_include_of_a_table(tmp_path, write_tone):
    for name in ("x/1.wav", "y/1.wav", "z/1.wav"):
        write_tone(tmp_path / "data" / name)
    write_csv(
        tmp_path / "data" / "manifest.csv",
        """path,kind,split,speaker
        x/1.wav,speech,train,a
        y/1.wav,speech,train,b
        z/1.wav,meeting,train,c""",
    )
    manifest = prepare(tmp_path / "data", tmp_path / "out", include=["x/*"])
    assert [row.id for row in read_recordings(manifest)] == ["x/1"]
    assert skipped(tmp_path / "out") == {}


def test_bad_recordings_are_listed_and_the_rest_is_used(tmp_path, tree):
    nan = np.full(20000, np.nan)
    soundfile.write(tree / "a" / "nan.wav", nan, 16000, "FLOAT")
    (tree / "b" / "empty.flac").touch()
    rows = read_recordings(prepare(tree, tmp_path / "out"))
    assert len(rows) == 12
    reasons = skipped(tmp_path / "out")
    assert reasons.keys() == {"speech/a/nan", "speech/b/empty"}


@pytest.mark.parametrize(
    "argument", ["data_folder", "noise_folder", "rir_folder", "event_folder"]
)
def test_missing_and_empty_folders(tmp_path, tree, argument):
    (tmp_path / "empty").mkdir()
    for folder, error, message in (
        ("gone", FileNotFoundError, "there is no folder .*gone"),
        ("empty", ValueError, "there are no audio files in .*empty"),
    ):
        arguments = {"data_folder": tree, argument: tmp_path / folder}
        with pytest.raises(error, match=f"{argument}: {message}"):
            prepare(**arguments, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_and_wrong_tables(tmp_path):
    with pytest.raises(FileNotFoundError, match="data_folder: .*no file"):
        prepare(tmp_path / "gone.csv", tmp_path / "out")
    table = write_csv(tmp_path / "t.csv", "file,speaker\na.wav,a")
    with pytest.raises(ValueError, match="no column 'path'; .*file, speaker"):
        prepare(table, tmp_path / "out")
    table = write_csv(tmp_path / "t.csv", "path,speaker\ngone.wav,a")
    with pytest.raises(ValueError, match="none of the 1 speech files"):
        prepare(table, tmp_path / "out")
    table = write_csv(tmp_path / "t.csv", "path,speaker")
    with pytest.raises(ValueError, match="nothing usable"):
        prepare(table, tmp_path / "out")


def test_a_second_user_replaces_nothing(tmp_path):
    """The recordings of two people are prepared into one folder."""
    ann = make_folder(tmp_path / "ann", "ab")
    bob = make_folder(tmp_path / "bob", "cd")
    manifest = prepare(ann, tmp_path / "out")
    before = {p: p.read_bytes() for p in manifest.parent.rglob("*.*")}
    message = r"out holds data prepared from data_folder='.*ann'; now it is "
    with pytest.raises(ValueError, match=message + "data_folder='.*bob'"):
        prepare(bob, tmp_path / "out")
    assert {p: p.read_bytes() for p in manifest.parent.rglob("*.*")} == before


@pytest.mark.parametrize(
    "options",
    [
        *({"sample_rate": 8000}, {"seed": 1}, {"include": ["*"]}),
        *({"test_share": 0.2}, {"minimum_seconds": 0.5}),
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_options_replace_nothing(tmp_path, tree, options):
    prepare(tree, tmp_path / "out")
    (name,) = options
    with pytest.raises(ValueError, match=f"from {name}=.*; now it is {name}="):
        prepare(tree, tmp_path / "out", **options)


def test_one_folder_by_another_name_is_the_same(tmp_path, tree, monkeypatch):
    manifest = prepare(tree, tmp_path / "out")
    (tmp_path / "link").symlink_to(tree)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("link", "data", "./data/../data", "~/data"):
        assert prepare(name, "~/out") == manifest


@pytest.mark.parametrize(
    "argument", ["data_folder", "folder", "noise_folder", "rir_folder"]
)
@pytest.mark.parametrize(
    "empty", ["", " ", Path("")], ids=["empty", "blank", "path"]
)
def test_an_empty_path_is_not_the_current_folder(
    tmp_path, tree, monkeypatch, argument, empty
):
    monkeypatch.chdir(tree)
    arguments = {"data_folder": tree, "folder": tmp_path / "out"}
    with pytest.raises(ValueError, match=f"^{argument} is empty; give a path"):
        prepare(**arguments | {argument: empty})


def test_someones_manifest_is_not_replaced(tmp_path, tree):
    (tmp_path / "out").mkdir()
    mine = write_csv(tmp_path / "out" / "manifest.csv", "path,speaker")
    with pytest.raises(ValueError, match="out holds manifest.csv, and no pre"):
        prepare(tree, tmp_path / "out")
    assert mine.read_text() == "path,speaker"


def test_a_target_never_lies_outside(tmp_path, write_tone, monkeypatch):
    """A row that led a conversion to overwrite a recording beside it."""
    mine = write_tone(tmp_path / "work" / "mine" / "take.flac")
    monkeypatch.chdir(tmp_path / "work")
    before = mine.read_bytes()
    rows = [
        *("//proc/self/cwd/mine/take.flac", "../work/mine/./take.flac"),
        *("/proc/self/cwd/../work/mine/take.flac", str(mine)),
    ]
    lines = "".join(f"\n{row},s{n}" for n, row in enumerate(rows))
    table = write_csv(tmp_path / "t" / "list.csv", "path,speaker" + lines)
    manifest = prepare(table, tmp_path / "out", sample_rate=8000)
    for row in read_recordings(manifest):
        assert Path(row.path).is_relative_to(tmp_path / "out" / "audio")
        assert Path(row.path).resolve() == Path(row.path)
    assert mine.read_bytes() == before
    assert os.listdir(mine.parent) == ["take.flac"]


BY_TWO = """
import sys
from speechbrain_ext.corpora.folder import prepare
print(prepare(sys.argv[1], sys.argv[2], sample_rate=8000).read_bytes())
"""


@pytest.mark.slow
def test_two_processes_share_one_preparation(tmp_path, tree):
    both = [Script(BY_TWO, tree, tmp_path / "out") for _ in range(2)]
    printed = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert printed[0] == printed[1] != ""
    journal = (tmp_path / "out" / "conversion.jsonl").read_text()
    assert journal.count('"reason"') == 12  # each file once


def test_prepared_folders_are_marked(tmp_path, tree):
    prepare(tree, tree / "results" / "prepared")
    for name in ("", "audio"):
        mark = read_mark(tree / "results" / "prepared" / name)
        assert mark.whole and mark.maker == "prepare"


def test_a_sex_that_is_not_understood_is_told(tmp_path, tree, caplog):
    paths = sorted(path for path in tree.rglob("*") if path.is_file())
    text = "path,speaker,sex\n" + "".join(
        f"{path.relative_to(tree)},{number},{sex}\n"
        for number, (path, sex) in enumerate(
            zip(paths, ["weiblich", "x", "Female", "", "m"], strict=False)
        )
    )
    table = tree / "list.csv"
    table.write_text(text)
    rows = read_recordings(prepare(table, tmp_path / "out"))
    assert sorted(row.sex for row in rows) == ["", "", "", "F", "M"]
    (told,) = [line for line in caplog.messages if "sex" in line]
    assert "2 rows" in told and "'weiblich'" in told


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
@pytest.mark.parametrize("form", ["tree", "table"])
def test_a_file_of_several_names_counts_once(tmp_path, write_tone, form, link):
    first = write_tone(tmp_path / "data" / "ann" / "1.wav")
    for number, name in enumerate(("bob", "cat"), start=2):
        write_tone(tmp_path / "data" / name / f"{number}.wav", level=0.1)
    again = tmp_path / "data" / "dan" / "1.wav"
    again.parent.mkdir()
    getattr(again, link)(first)
    data = tmp_path / "data"
    if form == "table":
        names = ("ann/1", "bob/2", "cat/3", "dan/1")
        rows = "".join(f"\n{name}.wav,{name[:3]}" for name in names)
        data = write_csv(data / "list.csv", f"path,speaker{rows}")
    rows = read_recordings(prepare(data, tmp_path / "out"))
    assert {row.speaker for row in rows} == {"ann", "bob", "cat"}
    (reason,) = skipped(tmp_path / "out").values()
    assert reason == f"is the same file as {first}"


@pytest.mark.parametrize("form", ["tree", "table"])
def test_a_name_in_two_spellings_is_one_speaker(tmp_path, write_tone, form):
    names = ["caf\u00e9", "cafe\u0301", "ann", "ann "]
    paths = [
        write_tone(tmp_path / "data" / name / f"{number}.wav")
        for number, name in enumerate(names)
    ]
    data = tmp_path / "data"
    if form == "table":
        rows = "".join(
            f"\n{path},{name}" for path, name in zip(paths, names, strict=True)
        )
        data = tmp_path / "list.csv"
        data.write_text(f"path,speaker{rows}", encoding="utf-8")
    rows = read_recordings(prepare(data, tmp_path / "out"))
    assert Counter(row.speaker for row in rows) == {"caf\u00e9": 2, "ann": 2}
