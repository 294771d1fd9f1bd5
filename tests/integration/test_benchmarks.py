"""The benchmarks run, and hand over what they print."""

import importlib.util
import json
import re
import sys

import pytest
from commands import ROOT, run

pytestmark = pytest.mark.slow


def long(*values):
    """Mark a benchmark that takes long even as a smoke test."""
    return pytest.param(*values, marks=pytest.mark.exhaustive)


PAIRS = ["--pairs", "2"]
RATE = "training, ours, float32, batch 16"
LEAN = "training_float32_memory_ratio"


@pytest.mark.parametrize(
    "script, options, expected, figure",
    [
        ("pit", [], "ratio", "times_as_fast"),
        long("mixing", [], "SpeechBrain", "slowest"),
        long("mixit", ["--ours"], "exact/least_squares", None),
        ("branches", [], "library", "recipe_files"),
        long("training_step", [], "ratio", "BandSeparator_ratio"),
        long("sepformer", PAIRS, "times as fast", LEAN),
        long("estimator", [], "times real time", RATE),
        long("long_recordings", [], "peak memory", "peak_gb"),
        long("processes", [], "mixtures a second", "two_over_one"),
        long("inference", [], "in one piece", "longest_over_shortest"),
    ],
    ids=[
        *("pit", "mixing", "mixit", "branches", "training_step", "sepformer"),
        *("estimator", "long_recordings", "processes", "inference"),
    ],
)
def test_a_benchmark_prints_its_table(
    script, options, expected, figure, tmp_path
):
    path = tmp_path / "figures.json"
    command = [sys.executable, ROOT / f"benchmarks/{script}.py", "--quick"]
    output = run([*command, f"--json={path}", *options])
    assert expected in output
    rows = [line for line in output.splitlines() if re.search(r"\d", line)]
    assert rows, output
    figures = json.loads(path.read_text())
    assert figure is None or figures[figure] > 0


def test_all_are_run_into_one_page(tmp_path):
    page = tmp_path / "RESULTS.md"
    command = [sys.executable, ROOT / "benchmarks/run.py", "--quick"]
    output = run([*command, "--only", "branches", "--output", page])
    assert "[1/1] branches" in output
    text = page.read_text()
    assert "A smoke test" in text
    lines = [line for line in text.splitlines() if "`branches.py`" in line]
    stored = json.loads(page.with_suffix(".json").read_text())
    files = stored["results"]["branches"]["figures"]["recipe_files"]
    assert f"| {files} |  |  | at most 14 | met |" in lines[0]
    assert "not measured here (not run)" in text
    # what a page shows of a script is what the script printed
    assert stored["results"]["branches"]["output"].strip() in text


def test_mixit_says_how_to_get_its_peer():
    if importlib.util.find_spec("asteroid"):
        pytest.skip("Asteroid is installed")
    script = ROOT / "benchmarks/mixit.py"
    output = run([sys.executable, script, "--samples", "800"], expect=1)
    assert "--target PEER asteroid==0.7.0" in output
    assert "--ours" in output


@pytest.mark.exhaustive
def test_networks_are_trained_at_equal_cost(recordings, tmp_path):
    folder, figures = tmp_path / "networks", tmp_path / "figures.json"
    words = [recordings, "--quick", "--include", "*", "--only", "recurrent"]
    words += ["--folder", folder, f"--json={figures}"]
    command = [sys.executable, ROOT / "benchmarks/networks.py", *words]
    output = run(command)
    (row,) = [line for line in output.splitlines() if "| recurrent |" in line]
    gain = json.loads(figures.read_text())["recurrent_si_sdri"]
    assert f"| {gain:.2f} dB |" in row
    assert (folder / "networks.png").stat().st_size > 0
    # nothing is trained twice
    history = folder / "recurrent/history.csv"
    before = history.stat().st_mtime_ns
    assert row in run(command)
    assert history.stat().st_mtime_ns == before


@pytest.mark.exhaustive
def test_adaptation_is_measured(recordings, tmp_path):
    folder, figures = tmp_path / "adaptation", tmp_path / "figures.json"
    words = [recordings, "--quick", "--include", "*", "--speakers", "4"]
    words += ["--folder", folder, f"--json={figures}"]
    output = run([sys.executable, ROOT / "benchmarks/adaptation.py", *words])
    found = json.loads(figures.read_text())
    arms = ("adapted", "adapted without SCER", "from nothing")
    assert [*found] == [
        "not adapted, 0 speakers",
        *(f"{arm}, 4 speakers" for arm in arms),
    ]
    for name, gain in found.items():
        arm = name.partition(",")[0]
        assert re.search(rf"\| {arm} \|.*\| {gain:.2f} dB \|", output)
    assert (folder / "adaptation.png").stat().st_size > 0


@pytest.mark.exhaustive
def test_unseen_voices_are_separated(recordings, tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, ROOT / "benchmarks/unseen_voices.py"]
    words = [recordings, "--quick", "--split", "train", f"--json={figures}"]
    output = run([*command, *words])
    found = json.loads(figures.read_text())
    assert {name.split(", ")[1] for name in found} == {
        *("a woman and a man", "two of one sex"),
    }
    for name, gain in found.items():
        *_, kind, measure = map(re.escape, name.split(", "))
        shown = re.escape(f"{gain:+.2f} ±")
        row = rf"\| {kind} \| \d+ \| {measure} \|.*\| {shown}"
        assert re.search(row, output)


@pytest.mark.exhaustive
def test_natural_noise_is_measured(recordings, tmp_path):
    pytest.importorskip("speechmos")
    figures = tmp_path / "figures.json"
    command = [sys.executable, ROOT / "benchmarks/natural_noise.py"]
    words = [recordings, "--quick", "--split", "train", f"--json={figures}"]
    output = run([*command, *words])
    found = json.loads(figures.read_text())
    for score in ("overall", "speech", "background"):
        assert f"| {score} |" in output
    assert len(found) % 3 == 0 and found
    for name, change in found.items():
        assert f"| {change:+.2f} ± " in output, name
