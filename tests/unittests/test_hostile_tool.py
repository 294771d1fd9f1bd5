"""tools/try_hostile.py: what gets through is told, not passed over."""

import importlib
import os
import signal
import time

import pytest
import try_hostile
from hostile.case import Case, Result


def nothing(place):
    """Make no files."""


def accept(place):
    return Result(True)


def refuse(place):
    raise ValueError("table.csv: holds no rows")


def refuse_with_codes(place):
    raise ValueError("\x1b[2J.csv: holds no rows")


def refuse_at_length(place):
    raise ValueError("holds no rows " * 1000)


def lose(place):
    return Result(False, lost="2 good files")


def hang(place):
    time.sleep(60)


def be_killed(place):
    os.kill(os.getpid(), signal.SIGKILL)


def raise_key_error(place):
    raise KeyError("path")


def take_memory(place):
    try:
        bytearray(3_000_000_000)
    except MemoryError as error:
        raise ValueError("caught, but it was asked for") from error


def run_code(place):
    os.system("true")
    raise ValueError("refused in the end")


def import_bait(place):
    importlib.import_module("canary_module")

    raise ValueError("refused in the end")


def overwrite(place):
    (place.outside / "mine" / "take.flac").write_bytes(b"overwritten")
    raise ValueError("refused in the end")


def write_elsewhere(place):
    os.makedirs(place.outside / "new")
    raise ValueError("refused in the end")


def link_out(place):
    (place.out / "link").symlink_to(place.outside)
    return Result(True)


def write_formula(place):
    (place.out / "a.csv").write_text("path\n=1+1\n")
    return Result(True)


def print_codes(place):
    print("\x1b[2J")
    raise ValueError("refused in the end")


ENDS = {
    accept: "THROUGH",
    refuse: "refused",
    refuse_with_codes: "THROUGH",
    refuse_at_length: "THROUGH",
    lose: "LOST",
    hang: "HUNG",
    be_killed: "CRASHED",
    raise_key_error: "CRASHED",
    take_memory: "CRASHED",
    run_code: "THROUGH",
    import_bait: "THROUGH",
    overwrite: "THROUGH",
    write_elsewhere: "THROUGH",
    link_out: "THROUGH",
    write_formula: "THROUGH",
    print_codes: "THROUGH",
}


@pytest.mark.slow
@pytest.mark.parametrize("run", ENDS, ids=lambda run: run.__name__)
def test_ends(run, tmp_path):
    expect = "either" if run in (link_out, write_formula) else "refused"
    case = Case(run.__name__, "planted", nothing, run, expect)
    seconds = 1 if run is hang else 60
    verdict = try_hostile.judge(case, tmp_path / "case", seconds=seconds)
    assert verdict.outcome == ENDS[run], verdict
    assert not (tmp_path / "case").exists()


def test_harmless_must_be_taken(tmp_path):
    case = Case("refused", "planted", nothing, refuse, "loaded")
    assert try_hostile.judge(case, tmp_path / "case").outcome == "LOST"


@pytest.mark.slow
def test_status_tells_whether_something_got_through(monkeypatch, capsys):
    cases = [Case("a", "planted", nothing, refuse)]
    monkeypatch.setattr(try_hostile, "all_cases", lambda: cases)
    assert try_hostile.main([]) == 0
    cases.append(Case("b", "planted", nothing, accept))
    assert try_hostile.main([]) == 1
    assert "THROUGH  planted: b" in capsys.readouterr().out
    assert try_hostile.main(["--only", "a"]) == 1
    assert try_hostile.main(["--list"]) == 0


@pytest.mark.slow
def test_a_case_of_every_kind_ends_well(tmp_path):
    first = {case.kind: case for case in reversed(try_hostile.all_cases())}
    assert {"table", "tree", "in a tree", "audio file"} <= first.keys()
    ends = {
        kind: try_hostile.judge(case, tmp_path / "case", seconds=60)
        for kind, case in first.items()
    }
    assert not {k: v for k, v in ends.items() if v.outcome in try_hostile.BAD}


def test_there_are_enough_cases():
    cases = try_hostile.all_cases()
    names = {(case.kind, case.name) for case in cases}
    assert len(names) == len(cases) > 500
    assert {"loaded", "refused", "either"} == {case.expect for case in cases}
