"""Every process collects the same tests, and calls them by words."""

import os
import re
import shutil
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


def file_of(name):
    return name.partition("::")[0]


@pytest.mark.slow
def test_every_process_collects_the_same_words(tmp_path, collected):
    """With xdist each worker collects, at another time and hash seed."""
    others = collect(tmp_path, PYTHONHASHSEED="2", LC_ALL="C")
    here = set(collected)
    assert here - set(others) == set()
    # in the same order; some files, in another order, may have been asked for
    common = [name for name in others if name in here]
    assert sorted(common, key=file_of) == sorted(collected, key=file_of)
    word = re.compile(r"[A-Za-z0-9_./:=+-]+(\[[A-Za-z0-9_.=+-]+\])?")
    assert [name for name in others if not word.fullmatch(name)] == []


SHARED = """
import random
import numpy
import pytest
import torch


def draw():
    return torch.rand(1).item(), random.random(), numpy.random.rand()


@pytest.fixture(scope="module")
def shared():
    return draw()


def test_before(shared):
    print("before", draw())


def test_after(shared):
    print("shared", shared)
    print("after", draw())
"""
# one process for both: most of the time is importing
TWICE = """
import sys
import pytest

for tests in ("test_shared.py", "test_shared.py::test_after"):
    if pytest.main([*{options}, tests]):
        sys.exit(1)
"""


@pytest.mark.slow
def test_what_tests_draw_does_not_depend_on_which_is_first(tmp_path):
    """A fixture for several tests is made by whichever test a worker gets."""
    (tmp_path / "test_shared.py").write_text(SHARED)
    shutil.copy(ROOT / "conftest.py", tmp_path)

    options = [
        *("-sq", "-p", "no:randomly", "-p", "no:cacheprovider"),
        *("--override-ini=addopts=", f"--rootdir={tmp_path}"),
        f"--basetemp={tmp_path / 'base'}",
        *("-c", str(ROOT / "pyproject.toml")),
    ]
    result = subprocess.run(
        [sys.executable, "-c", TWICE.format(options=options)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    drawn = re.findall(r"(before|shared|after) (\(.*\))", result.stdout)
    both, alone = drawn[:3], drawn[3:]
    assert len(set(both)) == 3
    assert alone == both[1:]
