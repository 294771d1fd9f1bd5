"""Whether a row of benchmarks/RESULTS.md is called met is decided right."""

import importlib.util

import pytest
from checkout import ROOT

SPEC = importlib.util.spec_from_file_location(
    "rows", ROOT / "benchmarks/rows.py"
)
rows = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(rows)
FASTER = rows.Row("speed", "pit", "ratio", "at least", 5, "ms", "peer_ms")
LEANER = rows.Row("memory", "pit", "ratio", "at most", 0.6)


def result(**figures):
    return {"figures": figures, "output": "", "seconds": 1}


@pytest.mark.parametrize(
    "row, ratio, verdict",
    [
        (FASTER, 5.1, "met"),
        (FASTER, 5, "met"),
        (FASTER, 4.99, "not met"),
        (FASTER, 0, "not met"),
        (FASTER, float("nan"), "not met"),
        (LEANER, 0.6, "met"),
        (LEANER, 0.61, "not met"),
        (LEANER, 0, "met"),
        (LEANER._replace(target=0), 0, "met"),
        (LEANER._replace(sign=""), 9, "no target"),
    ],
    ids=[
        *("faster", "as_fast", "a_little_slower", "zero", "no_number"),
        *("as_lean", "fatter", "nothing", "nothing_at_most_nothing", "none"),
    ],
)
def test_a_figure_is_held_against_its_target(row, ratio, verdict):
    assert rows.judge(row, result(ratio=ratio), []) == verdict


@pytest.mark.parametrize("passed, verdict", [(True, "met"), (False, "not met")])
def test_tests_are_met_where_they_pass(passed, verdict):
    row = rows.Row("it works", "tests/test_it.py")
    assert rows.judge(row, result(passed=passed), []) == verdict


@pytest.mark.parametrize(
    "row, found, lacking, reason",
    [
        (FASTER, None, [], "not run"),
        (FASTER, {"figures": None}, [], "the script failed"),
        (FASTER, result(), [], "the run gave no figure"),
        (FASTER._replace(needs="GPU"), result(), ["GPU"], "there is no GPU"),
        (FASTER._replace(why="it trains"), result(ratio=9), [], "it trains"),
    ],
    ids=["not_run", "failed", "no_figure", "lacking", "never"],
)
def test_what_was_not_measured_has_a_reason(row, found, lacking, reason):
    verdict = rows.judge(row, found, lacking)
    assert verdict == f"not measured here ({reason})"
    line = rows.make_line(row, {"pit": found} if found else {}, lacking)
    assert f"| {verdict} |" in line


def test_what_is_there_is_judged_although_it_may_be_missing_elsewhere():
    row = FASTER._replace(needs="GPU")
    assert rows.judge(row, result(ratio=9), ["asteroid"]) == "met"


def test_a_line_shows_figures_ratio_and_target():
    found = result(ratio=8.0, ms=2.0, peer_ms=16.0)
    cells = rows.make_line(FASTER, {"pit": found}, []).strip("| ").split(" | ")
    assert cells[1:] == [*("2", "16", "0.125", "at least 5", "met", "`pit.py`")]
    # where the figure is the peer's over ours, so is the ratio
    row = FASTER._replace(figure="times_as_fast")
    found = result(times_as_fast=8.1, ms=2.0, peer_ms=16.0)
    assert "| 8.1 | at least 5 | met |" in rows.make_line(
        row, {"pit": found}, []
    )


def test_every_row_is_of_a_script_or_of_files_that_are_there():
    for row in rows.ROWS:
        if row.by in rows.SCRIPTS:
            assert (ROOT / f"benchmarks/{row.by}.py").is_file()
        else:
            files = [word for word in row.by.split() if "/" in word]
            assert files and all((ROOT / file).is_file() for file in files)
        assert row.sign in ("", *rows.SIGNS)
        assert row.needs in ("", *rows.MISSING)
