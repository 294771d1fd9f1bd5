"""Every process collects the same tests, and calls them by words."""

import os
import re
import subprocess
import sys

import pytest
from checkout import ROOT


def collect(folder, **environment):
    """The ids of all tests, as a new process in this folder collects them."""
    options = "--collect-only --override-ini=addopts= --import-mode=importlib"
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *options.split()),
            *("--strict-markers", "--rootdir", ROOT, "-qp", "no:cacheprovider"),
            *("--doctest-modules", ROOT / "tests", ROOT / "speechbrain_ext"),
            *("-p", "no:randomly", "-c", ROOT / "pyproject.toml"),
            *("-m", "exhaustive or not exhaustive"),
        ],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    ids = [line for line in result.stdout.splitlines() if "::" in line]
    assert len(ids) > 1000
    return ids


@pytest.mark.slow
def test_every_process_collects_the_same_words(tmp_path):
    """With xdist each worker collects, at another time and hash seed."""
    first = collect(ROOT, PYTHONHASHSEED="1", LC_ALL="C.UTF-8")
    # seconds later: that is what collecting takes
    second = collect(tmp_path, PYTHONHASHSEED="2", LC_ALL="C")
    assert set(first) ^ set(second) == set()
    assert first == second  # in the same order
    word = re.compile(r"[A-Za-z0-9_./:=+-]+(\[[A-Za-z0-9_.=+-]+\])?")
    assert [name for name in first if not word.fullmatch(name)] == []
