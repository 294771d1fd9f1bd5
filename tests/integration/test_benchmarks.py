"""The benchmarks run; what they measure is not judged here."""

import re
import sys

import pytest
from commands import ROOT, run


@pytest.mark.parametrize(
    "script, options, expected",
    [
        ("pit.py", ["--quick"], "ratio"),
        ("mixing.py", ["--seconds", "0.05", "--rounds", "1"], "SpeechBrain"),
        ("training_step.py", ["--quick"], "ratio"),
        ("estimator.py", ["--quick"], "times real time"),
    ],
)
def test_a_benchmark_prints_its_table(script, options, expected):
    output = run([sys.executable, ROOT / "benchmarks" / script, *options])
    assert expected in output
    rows = [line for line in output.splitlines() if re.search(r"\d\.\d", line)]
    assert rows, output
