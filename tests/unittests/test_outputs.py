"""Folders we write: what is ours may be replaced, everything else stays."""

import os
import shutil

import pytest

from speechbrain_ext.outputs import (
    MARK,
    is_output,
    made_of,
    mark_folder,
    read_mark,
    remove_outputs,
    require_free,
    written,
)

MADE = "separate"


def write(path, text="ours", **options):
    with written(path, "separate", **options) as partial:
        partial.write_text(text)


def test_what_was_written_may_be_replaced(tmp_path):
    path = tmp_path / "out/talk_source1.wav"
    write(path, "first")
    require_free([(path, MADE)])
    write(path, "second")
    assert path.read_text() == "second"
    assert is_output(path)
    assert sorted(os.listdir(path.parent)) == [MARK, path.name]


@pytest.mark.parametrize("name", ["meeting_source3.wav", "a b.csv", "été.wav"])
def test_a_file_of_the_user_stays(tmp_path, name):
    path = tmp_path / name
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        require_free([(tmp_path / "new.wav", MADE), (path, MADE)])
    with pytest.raises(FileExistsError):
        write(path)
    remove_outputs([path], MADE)
    assert path.read_text() == "mine"
    write(path, overwrite=True)
    assert path.read_text() == "ours"


def test_an_output_that_was_changed_is_the_users(tmp_path):
    path = tmp_path / "talk_enhanced.wav"
    write(path)
    path.write_text("edited by hand")
    assert not is_output(path)
    remove_outputs([path], MADE)
    with pytest.raises(FileExistsError):
        write(path)
    assert path.read_text() == "edited by hand"


def test_a_link_that_leads_nowhere_is_not_replaced(tmp_path):
    path = tmp_path / "talk_enhanced.wav"
    path.symlink_to(tmp_path / "disk that is not mounted")
    with pytest.raises(FileExistsError):
        require_free([(path, MADE)])
    assert path.is_symlink()


def test_outputs_are_removed(tmp_path):
    path = tmp_path / "talk_source3.wav"
    write(path)
    remove_outputs([path, tmp_path / "missing.wav"], MADE)
    assert not path.exists()
    require_free([(path, MADE)])


def test_two_results_of_one_name_are_told(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    for other in ("talk.wav", "new/../talk.wav", "link/talk.wav"):
        with pytest.raises(ValueError, match="two results"):
            require_free(
                [(tmp_path / "talk.wav", MADE), (tmp_path / other, MADE)]
            )


@pytest.mark.parametrize(
    "maker, source",
    [
        ("separate", "day2/talk.wav"),
        ("enhance", "day1/talk.wav"),
        ("score", ""),
    ],
    ids=["recording", "command", "table"],
)
def test_what_something_else_made_stays(tmp_path, maker, source):
    path = tmp_path / "out/talk_source1.wav"
    write(path, "first", source="day1/talk.wav")
    with pytest.raises(FileExistsError, match="made by separate of day1"):
        with written(path, maker, source=source):
            pass
    remove_outputs([path], made_of(maker, source))
    assert path.read_text() == "first"
    write(path, "second", source="day1/talk.wav")
    assert path.read_text() == "second"


def test_a_copy_of_an_output_is_an_output(tmp_path):
    write(tmp_path / "out/talk_source1.wav")
    for name in os.listdir(tmp_path / "out"):
        (tmp_path / "copy").mkdir(exist_ok=True)
        shutil.copyfile(tmp_path / "out" / name, tmp_path / "copy" / name)
    path = tmp_path / "copy/talk_source1.wav"
    os.utime(path, ns=(1, 1))
    assert is_output(path)
    path.write_text("edit")  # as long as before
    assert not is_output(path)


def test_a_kill_before_the_name_is_given_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "out/talk_source1.wav"
    write(path, "first")
    with monkeypatch.context() as killed:
        killed.setattr(os, "replace", lambda *paths: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write(path, "second, longer")
    assert is_output(path)
    write(path, "third")
    assert path.read_text() == "third"


def test_a_line_that_was_cut_off_does_not_hide_the_next(tmp_path):
    write(tmp_path / "out/a.wav")
    with open(tmp_path / "out" / MARK, "ab") as file:
        file.write(b'{"name": "b.wav", "ma')
    write(tmp_path / "out/c.wav")
    assert is_output(tmp_path / "out/c.wav")


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.wav"
    write(path, "first")
    with pytest.raises(RuntimeError):
        with written(path, "separate") as partial:
            partial.write_text("half")
            raise RuntimeError
    assert path.read_text() == "first"
    assert is_output(path)
    assert len(os.listdir(tmp_path)) == 2


def test_a_folder_with_files_is_not_ours_as_a_whole(tmp_path):
    (tmp_path / "talk.wav").write_text("mine")
    write(tmp_path / "talk_source1.wav")
    assert read_mark(tmp_path).whole is False
    write(tmp_path / "new/talk_source1.wav")
    assert read_mark(tmp_path / "new").whole is True


def test_a_table_does_not_make_its_folder_ours(tmp_path):
    write(tmp_path / "new/scores.csv", whole=False)
    assert read_mark(tmp_path / "new").whole is False
    assert is_output(tmp_path / "new/scores.csv")


def test_the_first_mark_stays(tmp_path):
    mark_folder(tmp_path / "out", "train")
    mark_folder(tmp_path / "out", "separate")
    assert read_mark(tmp_path / "out").maker == "train"


@pytest.mark.parametrize(
    "line",
    [b"", b"no JSON", b"[1, 2]", b'{"name": "a"}', b"\xff\xfe", b"null", b"3"],
    ids=["empty", "text", "list", "half", "bytes", "null", "number"],
)
def test_a_damaged_mark_is_read_as_far_as_it_goes(tmp_path, line):
    write(tmp_path / "out/a.wav")
    with open(tmp_path / "out" / MARK, "ab") as file:
        file.write(line + b"\n")
    write(tmp_path / "out/b.wav")
    assert read_mark(tmp_path / "out").files.keys() == {"a.wav", "b.wav"}


def test_names_that_are_not_text(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9_source1.wav")
    write(path)
    assert is_output(path)
    write(path)


def test_the_longest_name_that_the_system_takes(tmp_path):
    path = tmp_path / ("a" * 251 + ".wav")
    write(path)
    assert is_output(path)
