"""Commands end readably, and one bad item does not end the others."""

import errno
import os

import pytest

from speechbrain_ext.console import (
    Failures,
    Parser,
    describe_error,
    printable,
    readable_errors,
)


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J", "a\rb", "\x00", "\u202egpj.exe", "\x9b31m", "\ud800", "\u200b"],
    ids=["escape", "return", "nul", "bidi", "csi", "surrogate", "zero-width"],
)
def test_nothing_that_a_terminal_obeys_is_printed(text):
    shown = printable(f"name {text} end")
    assert shown.isprintable()
    shown.encode()  # can be written
    assert shown.startswith("name ") and shown.endswith(" end")


def test_ordinary_text_stays():
    text = "Sprecherin_ä 東京 «été»\nsecond line"
    assert printable(text) == text


@pytest.mark.parametrize("longest", [10, 11, 500])
def test_long_text_keeps_both_ends(longest):
    shown = printable("b" + "x" * 10**6 + "e", longest)
    assert len(shown) == longest
    assert shown[0] == "b" and shown[-1] == "e"


def parser():
    parser = Parser(prog="enhance")
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--folder")
    commands = parser.add_argument_group()
    commands.add_argument("--number", type=int)
    return parser


@pytest.mark.parametrize(
    "words",
    [[""], ["a.wav", " "], ["a.wav", "--folder="], ["a.wav", "--folder", ""]],
    ids=["first", "second", "equals", "option"],
)
def test_empty_arguments_are_refused(words, capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(words)
    assert stop.value.code == 1
    assert "is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [[], ["a", "--number=b"], ["a", "--unknown"]],
    ids=["missing", "type", "unknown"],
)
def test_mistakes_end_with_status_1(words):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(words)
    assert stop.value.code == 1


@pytest.mark.parametrize(
    "error, words",
    [
        (
            ValueError("sample_rate: 0 is too low"),
            ["sample_rate: 0 is too low"],
        ),
        (
            OSError(errno.ENOSPC, "No space left", "a.wav"),
            ["a.wav", "Free some space"],
        ),
        (FileNotFoundError("there is no file a"), ["there is no file a"]),
        (FileNotFoundError(2, "No such file", "a.wav"), ["a.wav: No such"]),
        (KeyError("snr"), ["KeyError", "'snr'", "--traceback"]),
        (ValueError(), ["ValueError", "--traceback"]),
    ],
    ids=["value", "full-disk", "ours", "system", "fault", "nothing-said"],
)
def test_errors_are_a_paragraph(error, words, capsys):
    with pytest.raises(SystemExit) as stop:
        with readable_errors([]):
            raise error
    said = capsys.readouterr().err
    assert stop.value.code == 1
    assert "Traceback" not in said
    assert all(word in said for word in words)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EROFS, "choose a folder that can be written to"),
        (errno.EACCES, "choose a folder that can be written to"),
        (errno.ENOENT, ""),
    ],
    ids="full quota read_only denied absent".split(),
)
def test_what_helps_depends_on_what_the_disk_says(number, advice, tmp_path):
    error = OSError(number, os.strerror(number), str(tmp_path / "a.wav"))
    said = describe_error(error)
    assert advice in said
    assert ("Free some space" in said) is (advice == "Free some space")
    assert said.count("choose") == bool(advice)
    own = f"{os.strerror(number)}; choose another folder"
    assert describe_error(OSError(number, own, "a")) == f"a: {own}"


def test_a_file_that_cannot_be_read_is_not_to_be_written(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    said = describe_error(PermissionError(errno.EACCES, "denied", str(path)))
    assert "can be read" in said and "written" not in said


def test_the_traceback_is_there_for_who_asks(capsys):
    with pytest.raises(SystemExit):
        with readable_errors(["a.wav", "--traceback"]):
            raise ValueError("here")
    said = capsys.readouterr().err
    assert "Traceback" in said and "here" in said


def test_exits_pass_through():
    with pytest.raises(SystemExit) as stop:
        with readable_errors([]):
            raise SystemExit(2)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    "error",
    [ValueError("silent"), FileNotFoundError(2, "gone", "b"), MemoryError()],
    ids=["value", "vanished", "memory"],
)
def test_one_bad_item_does_not_end_the_rest(error, capsys):
    failures, done = Failures(), []
    for name in ("a.wav", "b.wav", "c.wav"):
        with failures.item(name):
            if name == "b.wav":
                raise error
            done.append(name)
    assert done == ["a.wav", "c.wav"]
    with pytest.raises(SystemExit) as stop:
        failures.finish(len(done))
    assert stop.value.code == 2
    assert "2 done, 1 skipped" in capsys.readouterr().err


def test_a_failed_item_is_one_line_of_the_list(capsys):
    failures = Failures()
    name = "a.wav\n  b.wav: holds no samples"
    with failures.item(name):
        raise ValueError(f"{name}: cannot be read")
    with pytest.raises(SystemExit):
        failures.finish(0)
    assert len(capsys.readouterr().err.splitlines()) == 3  # one is empty
    assert printable(name, lines=False).isprintable()


def test_a_full_disk_ends_all():
    failures = Failures()
    with pytest.raises(OSError):
        with failures.item("a.wav"):
            raise OSError(errno.ENOSPC, "No space left", "a.wav")


def test_nothing_failed():
    Failures().finish(3)


def test_what_speaks_for_itself_is_not_explained():
    assert describe_error(ValueError(" a: b ")) == "a: b"
