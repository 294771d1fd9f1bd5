import csv
import errno
import os

import pytest

from speechbrain_ext.console import describe_error
from speechbrain_ext.files import naming, replaced, write_csv


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), replaced(path) as partial:
        partial.write_text("ha")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_the_folder_is_made_and_no_partial_file_stays(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with replaced(path) as partial:
        partial.write_text("whole")
        assert partial.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_what_the_full_disk_fails_to_hold_is_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(OSError) as error, replaced(path) as partial:
        partial.write_text("ha")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    told = describe_error(error.value)
    assert str(path) in told and "Free some space" in told
    assert path.read_text() == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_that_names_its_file_keeps_it(tmp_path):
    with pytest.raises(OSError, match="other"), naming(tmp_path / "a.txt"):
        open(tmp_path / "other")


@pytest.mark.parametrize(
    "cell",
    ["a\rb", "a\nb", "a\r\nb", 'a "b", c', " a ", "é", "\udce9"],
    ids=["return", "newline", "both", "quotes", "spaces", "utf8", "bytes"],
)
def test_a_table_gives_back_what_was_written(tmp_path, cell):
    write_csv(tmp_path / "a.csv", [{"name": cell, "n": 1}, {"name": "b"}])
    with open(
        tmp_path / "a.csv",
        newline="",
        encoding="utf-8",
        errors="surrogateescape",
    ) as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"name": cell, "n": "1"}, {"name": "b", "n": ""}]


@pytest.mark.parametrize(
    "cell, written",
    [
        ("=1+1", "'=1+1"),
        ("+cmd|a", "'+cmd|a"),
        ("@sum", "'@sum"),
        ("-a", "'-a"),
        ("-3.5", "-3.5"),
        ("+1e-4", "+1e-4"),
        ("a=b", "a=b"),
    ],
    ids=["equals", "plus", "at", "minus", "number", "exponent", "inside"],
)
def test_no_cell_is_a_formula(tmp_path, cell, written):
    write_csv(tmp_path / "a.csv", [{"name": cell}])
    assert (tmp_path / "a.csv").read_text() == f"name\n{written}\n"
