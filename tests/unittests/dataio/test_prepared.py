"""Tests of folders that belong to what was prepared into them."""

import errno
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes import Script

from speechbrain_ext.dataio import prepared
from speechbrain_ext.dataio.prepared import (
    IDENTITY,
    PreparedFolder,
    absolute_path,
    leads_outside,
    locked,
)
from speechbrain_ext.outputs import read_mark

ANN = {"data_folder": "/ann", "sample_rate": 8000}


def make(folder, made_from=ANN):
    with PreparedFolder(folder, made_from).taken():
        Path(folder, "manifest.csv").write_text("rows")


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_what_it_is_made_from_is_known_before_anything_is_written(tmp_path):
    folder = PreparedFolder(tmp_path / "new", ANN)
    assert not (tmp_path / "new").exists()
    with folder.taken(), folder.taken():
        found = json.loads((tmp_path / "new" / IDENTITY).read_text())
        assert found.items() >= ANN.items()
        assert read_mark(folder).whole


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"data_folder": "/bob"}, "data_folder='/ann'; now it is data_folder="),
        ({"sample_rate": 16000}, "sample_rate=8000; now it is sample_rate=16"),
        ({"include": ["a"]}, r"include=None; now it is include=\['a'\]"),
        ({"splits": {"train": ("a",)}}, "splits=None; now it is splits="),
    ],
    ids=["data", "rate", "list", "mapping"],
)
def test_another_thing_is_refused_and_nothing_changes(tmp_path, other, message):
    make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        make(tmp_path, ANN | other)
    assert str(tmp_path) in str(error.value)
    assert "choose another prepared_folder" in str(error.value)
    assert contents(tmp_path) == before
    make(tmp_path)


@pytest.mark.parametrize("name", ["manifest.csv", "audio", "conversion.jsonl"])
@pytest.mark.parametrize("identity", [None, "{", "[]"], ids=["no", "cut", "x"])
def test_what_nothing_is_known_of_is_foreign(tmp_path, name, identity):
    (tmp_path / name).mkdir()
    if identity:
        (tmp_path / IDENTITY).write_text(identity)
    with pytest.raises(ValueError, match=f"holds {name}, and no {IDENTITY}"):
        make(tmp_path)


def test_a_preparation_that_never_began_does_not_count(tmp_path):
    with PreparedFolder(tmp_path, ANN).taken():
        pass
    make(tmp_path, {"data_folder": "/bob"})
    with pytest.raises(ValueError, match="now it is data_folder='/ann'"):
        make(tmp_path)


def test_names_that_are_not_utf8(tmp_path):
    make(tmp_path, {"data_folder": "/\udcff"})
    make(tmp_path, {"data_folder": "/\udcff"})
    with pytest.raises(ValueError, match="now it is"):
        make(tmp_path, {"data_folder": "/\udcfe"})


WAITS = """
import sys
from speechbrain_ext.dataio.prepared import PreparedFolder
try:
    with PreparedFolder(sys.argv[1], {"data_folder": sys.argv[2]}).taken():
        print("alone", flush=True)
        sys.stdin.read()
        open(sys.argv[1] + "/manifest.csv", "w").close()
except ValueError as error:
    print(error, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "expected"),
    [("/ann", "alone"), ("/bob", "prepared from data_folder='/ann'; now")],
    ids=["same", "other"],
)
def test_a_second_process_waits_and_is_then_judged(tmp_path, data, expected):
    first = Script(WAITS, tmp_path, "/ann")
    assert first.stdout.readline() == "alone\n"
    second = Script(WAITS, tmp_path, data)
    assert "another process works in" in second.stderr.readline()
    first.communicate()
    said, _ = second.communicate()
    assert expected in said
    assert first.returncode == second.returncode == 0


def test_folders_can_be_locked_without_a_file(tmp_path):
    inside = []

    def work(number):
        with locked(tmp_path):
            inside.append(number)
            assert inside == [number]
            inside.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(20)))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("fault", ["no locks", "no fcntl", "no file"])
def test_without_locks_work_goes_on(tmp_path, monkeypatch, caplog, fault):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    path = tmp_path / "lock"
    if fault == "no locks":
        monkeypatch.setattr(prepared.fcntl, "flock", fail)
    elif fault == "no fcntl":
        monkeypatch.setattr(prepared, "fcntl", None)
    else:
        path = tmp_path / "nowhere" / "lock"
    caplog.set_level(logging.WARNING)
    with locked(path):
        pass
    assert "cannot be locked" in caplog.text


def test_home_and_relative_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in ("~/a", "a", "./b/../a", Path("a"), tmp_path / "a"):
        assert absolute_path(path, argument="x") == tmp_path / "a"
    for path in (".", "~"):
        assert absolute_path(path, argument="x") == tmp_path


@pytest.mark.parametrize(
    ("path", "message"),
    [
        *(("", "is empty"), (" ", "is empty"), (Path(""), "is empty")),
        *((None, "is empty"), (3, "is 3; it must be"), ("a\0", "a NUL")),
    ],
    ids="empty blank path none number nul".split(),
)
def test_what_is_no_path_names_its_argument(path, message):
    with pytest.raises(ValueError, match=f"^rir_folder .*{message}"):
        absolute_path(path, argument="rir_folder")


def test_links_are_followed_to_where_a_file_would_be(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in")
    for name in ("a", "b/a", "self/a", "link/../in/a"):
        assert not leads_outside(f"{tmp_path}/in/{name}", tmp_path / "in")
    for name in ("../a", "link/a", "/a", "../in2/a"):
        path = os.path.join(tmp_path, "in", name)
        assert leads_outside(path, tmp_path / "in")
