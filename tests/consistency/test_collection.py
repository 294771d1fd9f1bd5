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


@pytest.mark.slow
def test_every_process_collects_the_same_words(tmp_path, collected):
    """With xdist each worker collects, at another time and hash seed."""
    others = collect(tmp_path, PYTHONHASHSEED="2", LC_ALL="C")
    here = set(collected)
    assert here - set(others) == set()
    # in the same order; a part of the tests may have been asked for
    assert [name for name in others if name in here] == collected
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


@pytest.mark.slow
def test_what_tests_draw_does_not_depend_on_which_is_first(tmp_path):
    """A fixture for several tests is made by whichever test a worker gets."""
    (tmp_path / "test_shared.py").write_text(SHARED)
    shutil.copy(ROOT / "conftest.py", tmp_path)

    def run(*tests):
        result = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-sq"),
                *("-p", "no:randomly", "-p", "no:cacheprovider"),
                *("--override-ini=addopts=", "-c", ROOT / "pyproject.toml"),
                *("--rootdir", tmp_path, *tests),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout[-3000:]
        return re.findall(r"(before|shared|after) (\(.*\))", result.stdout)

    both = run("test_shared.py")
    alone = run("test_shared.py::test_after")
    assert len(set(both)) == 3
    assert alone == both[1:]
