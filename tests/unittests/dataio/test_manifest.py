"""Tests of the manifest."""

import os
import re

import numpy as np
import pytest
import soundfile

from speechbrain_ext.dataio.manifest import write_manifest, write_table
from speechbrain_ext.dataio.recordings import (
    COLUMNS,
    Recording,
    read_recordings,
)


def recording(identity, path="/elsewhere/a.wav", **fields):
    values = {"samples": 8000, "sample_rate": 16000}
    values |= {"kind": "speech", "split": "train", "speaker": "s1"} | fields
    return Recording(identity, str(path), **values)


def test_columns_are_the_agreed_ones():
    assert ",".join(COLUMNS) == (
        "ID,duration,wav,samples,sample_rate,kind,split,spk_id,sex,label,"
        "text,source,license"
    )


def test_round_trip_keeps_every_field_and_sorts_by_id(tmp_path):
    first = recording(
        "b", sex="F", text='quotes ", commas\nand lines, ü', license="x, y"
    )
    second = recording(
        "a", kind="noise", split="user_test", speaker="", label="rain"
    )
    path = tmp_path / "new" / "manifest.csv"
    write_manifest(path, [first, second])
    assert read_recordings(path) == [second, first]
    assert read_recordings(path)[1].seconds == 0.5


def test_paths_below_the_folder_move_with_it(tmp_path):
    old = tmp_path / "old"
    write_manifest(
        old / "manifest.csv",
        [
            recording("in", old / "audio" / "x.wav"),
            recording("out", tmp_path / "old_but_not_below.wav"),
        ],
    )
    old.rename(tmp_path / "new")
    inside, outside = read_recordings(tmp_path / "new" / "manifest.csv")
    assert inside.path == str(tmp_path / "new" / "audio" / "x.wav")
    assert outside.path == str(tmp_path / "old_but_not_below.wav")


def test_relative_argument_gives_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_manifest("manifest.csv", [recording("a", "x.wav")])
    assert read_recordings("manifest.csv")[0].path == str(tmp_path / "x.wav")


def test_filters(tmp_path):
    path = tmp_path / "manifest.csv"
    rows = [
        recording("a", kind="noise"),
        recording("b"),
        recording("c", split="valid"),
    ]
    write_manifest(path, rows)
    assert [r.id for r in read_recordings(path, kind="speech")] == ["b", "c"]
    assert [r.id for r in read_recordings(path, split="train")] == ["a", "b"]
    assert [
        r.id for r in read_recordings(path, kind="speech", split="train")
    ] == ["b"]
    with pytest.raises(
        ValueError,
        match="kind=noise and split=test; it has "
        "noise/train, speech/train, speech/valid",
    ):
        read_recordings(path, kind="noise", split="test")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no table .*gone.csv"):
        read_recordings(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    "text", ["", "path,speaker\n/a.wav,s1\n", "ID,duration\na,1.0\n"]
)
def test_wrong_columns(tmp_path, text):
    path = tmp_path / "manifest.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="has the columns .* is missing"):
        read_recordings(path)


@pytest.mark.parametrize(
    "row, message",
    [
        ("b,x.wav,8,16000", "line 3: 4 cells; there must be 13"),
        (
            "b,0.5,x.wav,8.5,16000,speech,train,s,F,,,,",
            "samples is '8.5'",
        ),
        ("b,0.5,x.wav,8,,speech,train,s,F,,,,", "line 3: sample_rate is ''"),
        (
            "b,0.5,x.wav,0,16000,speech,train,s,F,,,,",
            "samples is 0; .*least 1",
        ),
        ("b,0.5,x.wav,8,16000,song,train,s,F,,,,", "line 3: kind is 'song'"),
        ("b,0.5,x.wav,8,16000,speech,dev,s,F,,,,", "line 3: split is 'dev'"),
        ("b,0.5,x.wav,8,16000,speech,test,s,f,,,,", "line 3: sex is 'f'"),
        ("b,0.5,,8,16000,speech,test,s,F,,,,", "line 3: path is empty"),
        (
            "a,0.5,x.wav,8,16000,speech,train,s,F,,,,",
            "the id 'a' .*twice",
        ),
    ],
)
def test_bad_rows_are_named(tmp_path, row, message):
    path = tmp_path / "manifest.csv"
    write_manifest(path, [recording("a")])
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(ValueError, match=message):
        read_recordings(path)


def test_duplicate_ids_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="'a' is given to /x.wav and to /y"):
        write_manifest(
            tmp_path / "manifest.csv",
            [recording("a", "/x.wav"), recording("a", "/y.wav")],
        )
    assert os.listdir(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    write_table(path, ["x"], [[1]])

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(path, ["x"], [[2]])
    assert path.read_text() == "x\n1\n"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_an_unchanged_table_is_not_written(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, ["x"], [[1]])
    before = path.stat()
    write_table(path, ["x"], [[1]])
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    write_table(path, ["x"], [[2]])
    assert path.read_text() == "x\n2\n"


@pytest.mark.parametrize(
    "text",
    ["a\rb", "\r", "=1+1", "'=1", "\udcff", "x" * 200_000, 'q"\n,\r\n'],
    ids="return bare formula quoted bytes long mixed".split(),
)
def test_any_text_comes_back(tmp_path, text):
    row = recording("a", "/data/\udcfe.wav", text=text, speaker=text)
    path = tmp_path / "manifest.csv"
    write_manifest(path, [row])
    assert read_recordings(path) == [row]
    assert b"=" not in re.findall(rb"(?:^|,|\n)([=+@-])", path.read_bytes())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("speech", "test"), r"Set test_split to .*--test_split=valid"),
        (("speech", "valid"), None),
        (("noise", "valid"), r"valid_split \(or valid_noise_split\) to one"),
        (("rir", "train"), None),
        (("speech", "user_test"), None),
    ],
    ids=["test", "there", "noise", "kind", "user"],
)
def test_the_option_of_a_split_is_named(tmp_path, asked, message):
    path = tmp_path / "manifest.csv"
    rows = [
        recording("a"),
        recording("b", split="valid"),
        recording("c", kind="noise"),
    ]
    write_manifest(path, rows)
    kind, split = asked
    if asked == ("speech", "valid"):
        assert read_recordings(path, kind=kind, split=split) == [rows[1]]
        return
    with pytest.raises(ValueError) as error:
        read_recordings(path, kind=kind, split=split)
    if message:
        assert re.search(message, str(error.value))
    else:
        assert "Set " not in str(error.value)


def test_a_csv_as_speechbrain_has_it_is_read(tmp_path):
    for name, frames in (("a", 800), ("b", 1600)):
        soundfile.write(tmp_path / f"{name}.flac", np.zeros(frames), 16000)
    (tmp_path / "csv").mkdir()
    path = tmp_path / "csv" / "train.csv"
    path.write_text(
        "ID,duration,wav,spk_id,wrd\n"
        "x,0.05,$data_root/a.flac,ann,hi\ny,0.1,../b.flac,bob,there\n"
    )
    found = read_recordings(path, kind="speech", split="train", root=tmp_path)
    assert [(r.id, r.samples, r.sample_rate, r.speaker) for r in found] == [
        ("x", 800, 16000, "ann"),
        ("y", 1600, 16000, "bob"),
    ]
    (tmp_path / "b.flac").write_bytes(b"no audio")
    with pytest.raises(ValueError, match=r"line 3: .*b\.flac cannot be read"):
        read_recordings(path, root=tmp_path)
    (tmp_path / "b.flac").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.flac"):
        read_recordings(path, root=tmp_path)
