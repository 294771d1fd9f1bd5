"""The benchmarks run; what they measure is not judged here."""

import importlib.util
import re
import sys

import pytest
from commands import ROOT, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "script, options, expected",
    [
        ("pit.py", ["--quick"], "ratio"),
        ("mixing.py", ["--seconds", "0.05", "--rounds", "1"], "SpeechBrain"),
        ("training_step.py", ["--quick"], "ratio"),
        ("sepformer.py", ["--quick", "--pairs", "2"], "times as fast"),
        ("estimator.py", ["--quick"], "times real time"),
        ("long_recordings.py", ["--quick"], "peak memory"),
        (
            "mixit.py",
            "--ours --samples 800 --rounds 1 --outputs 2".split(),
            "exact/least_squares",
        ),
    ],
)
def test_a_benchmark_prints_its_table(script, options, expected):
    output = run([sys.executable, ROOT / "benchmarks" / script, *options])
    assert expected in output
    rows = [line for line in output.splitlines() if re.search(r"\d\.\d", line)]
    assert rows, output


def test_mixit_says_how_to_get_its_peer():
    if importlib.util.find_spec("asteroid"):
        pytest.skip("Asteroid is installed")
    script = ROOT / "benchmarks/mixit.py"
    output = run([sys.executable, script, "--samples", "800"], expect=1)
    assert "--target PEER asteroid==0.7.0" in output
    assert "--ours" in output
