"""Folders we write: what is ours may be replaced, everything else stays."""

import os

import pytest

from speechbrain_ext.outputs import (
    MARK,
    is_output,
    mark_folder,
    read_mark,
    remove_outputs,
    require_free,
    written,
)


def write(path, text="ours", **options):
    with written(path, "separate", **options) as partial:
        partial.write_text(text)


def test_what_was_written_may_be_replaced(tmp_path):
    path = tmp_path / "out/talk_source1.wav"
    write(path, "first")
    require_free([path])
    write(path, "second")
    assert path.read_text() == "second"
    assert is_output(path)
    assert sorted(os.listdir(path.parent)) == [MARK, path.name]


@pytest.mark.parametrize("name", ["meeting_source3.wav", "a b.csv", "été.wav"])
def test_a_file_of_the_user_stays(tmp_path, name):
    path = tmp_path / name
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        require_free([tmp_path / "new.wav", path])
    with pytest.raises(FileExistsError):
        write(path)
    remove_outputs([path])
    assert path.read_text() == "mine"
    write(path, overwrite=True)
    assert path.read_text() == "ours"


def test_an_output_that_was_changed_is_the_users(tmp_path):
    path = tmp_path / "talk_enhanced.wav"
    write(path)
    path.write_text("edited by hand")
    assert not is_output(path)
    remove_outputs([path])
    with pytest.raises(FileExistsError):
        write(path)
    assert path.read_text() == "edited by hand"


def test_a_link_that_leads_nowhere_is_not_replaced(tmp_path):
    path = tmp_path / "talk_enhanced.wav"
    path.symlink_to(tmp_path / "disk that is not mounted")
    with pytest.raises(FileExistsError):
        require_free([path])
    assert path.is_symlink()


def test_outputs_are_removed(tmp_path):
    path = tmp_path / "talk_source3.wav"
    write(path)
    remove_outputs([path, tmp_path / "missing.wav"])
    assert not path.exists()
    require_free([path])


def test_two_results_of_one_name_are_told(tmp_path):
    with pytest.raises(ValueError, match="two results"):
        require_free([tmp_path / "talk.wav", tmp_path / "talk.wav"])


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
