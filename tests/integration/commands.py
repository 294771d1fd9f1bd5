"""The command line that users type, and options that make it short."""

import contextlib
import csv
import importlib
import inspect
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkout import ROOT
from pictures import spare_drawing
from speechbrain.utils import logger as sb_logger

from speechbrain_ext.services.launcher import launch

HPARAMS = ROOT / "recipes/WHAMandWHAMR/ring_separation/hparams"


# of the test that runs: set by conftest.py
marked_slow = False


def environment_for(**environment):
    """The environment of a command that a slow test starts."""
    assert marked_slow, "it starts a command: mark the test slow"
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": str(ROOT),
        **environment,
    }


def run(command, expect=0, **environment):
    """Run a command as a user would; returns its output."""
    result = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        env=environment_for(**environment),
    )
    if expect is not None:
        assert result.returncode == expect, result.stdout[-6000:]
    return result.stdout


def row_arguments(row, trees, **options):
    """The arguments of a row of the table: its file, options and flags."""
    flags = row["test_debug_flags"].replace("tests/tmp", str(trees))
    command = train_command(ROOT / row["Hparam_file"], **options)
    words = [str(word) for word in command[2:]]
    return [*words, "--noprogressbar", *shlex.split(flags)]


def launch_here(hparams_file, *words, **options):
    """Launch a recipe in this process; return what it prints.

    What takes longer than a tiny training is spared: importing everything,
    SpeechBrain's listing of all packages, drawing the plots.
    """
    words = [*words, *(f"--{key}={value}" for key, value in options.items())]
    output = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        modules_of(Path(hparams_file).resolve().parents[1]),
        contextlib.redirect_stdout(output),
    ):
        patch.setattr(sb_logger, "get_environment_description", lambda: "none")
        spare_drawing(patch)
        try:
            launch(hparams_file, words)
        finally:
            # it remembers that the recipe's file was the main module
            inspect.modulesbyfile.clear()
            inspect._filesbymodname.clear()
    return output.getvalue()


def mistake_in(hparams_file, *words, **options):
    """The mistake that ends a recipe; its class is the reader's business."""
    with pytest.raises((Exception, SystemExit)) as raised:
        launch_here(hparams_file, *words, **options)
    return str(raised.value)


def table_rows(task):
    """The rows of tests/recipes.csv of the recipe in a folder of this name."""
    with open(ROOT / "tests/recipes.csv", newline="") as table:
        rows = list(csv.DictReader(table))
    return [r for r in rows if Path(r["Script_file"]).parent.name == task]


def train_command(hparams_file, **options):
    """`python train.py FILE --key=value ...`."""
    return [
        sys.executable,
        ROOT / "train.py",
        hparams_file,
        *(f"--{key}={value}" for key, value in options.items()),
    ]


def with_processes(command, processes):
    """`python SCRIPT ...`, in several processes of torchrun."""
    if processes == 1:
        return command
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={processes}",
        "--master-port=0",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=127.0.0.1:0",
        *command[1:],
    ]


def assert_equal(first, second):
    """Compare two state dicts, bit by bit."""
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@contextlib.contextmanager
def modules_of(recipe):
    """Import modules of a recipe first; others' have the same names."""
    path, names = sys.path[:], {path.stem for path in recipe.glob("*.py")}
    before = {key: sys.modules.pop(key) for key in names & set(sys.modules)}
    sys.path.insert(0, str(recipe))
    try:
        yield
    finally:
        sys.path[:] = path
        for key in names:
            sys.modules.pop(key, None)
        sys.modules.update(before)


def import_from(recipe, name):
    """Import a module of a recipe."""
    with modules_of(recipe):
        return importlib.import_module(name)


SMALL = {
    "batch_size": 4,
    "segment_seconds": 0.5,
    "test_segment_seconds": 0.5,
    "number_of_epochs": 2,
    "batches_per_epoch": 3,
    "valid_batches": 1,
    "test_batches": 1,
    "log_interval": 1,
    "num_workers": 0,
    "examples": 1,
    "metrics": "[si_sdr]",
}
