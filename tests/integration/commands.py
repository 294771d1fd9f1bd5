"""The command line that users type, and options that make it short."""

import csv
import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from checkout import ROOT

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


def kill_at(step, command, history, **environment):
    """Start a command, and kill it once its history has come to a step."""
    process = subprocess.Popen(
        [str(part) for part in command],
        env=environment_for(**environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < deadline:
        if history.exists() and step_of(history) >= step:
            process.kill()
            break
        time.sleep(0.01)
    else:
        process.kill()
        raise AssertionError(f"it ended, or hung, before step {step}")
    assert process.wait() == -signal.SIGKILL


def step_of(history):
    """The last step in a history.csv."""
    lines = history.read_text().splitlines()
    return int(lines[-1].split(",")[0]) if len(lines) > 1 else 0


def row_arguments(row, trees, **options):
    """The arguments of a row of the table: its file, options and flags."""
    flags = row["test_debug_flags"].replace("tests/tmp", str(trees))
    command = train_command(ROOT / row["Hparam_file"], **options)
    words = [str(word) for word in command[2:]]
    return [*words, "--noprogressbar", *shlex.split(flags)]


def run_rows(folder, rows):
    """Run the first row by the launcher, the others in one process.

    Their arguments are given; the output of each is returned.
    """
    (folder / "commands.json").write_text(json.dumps(rows[1:]))
    many = [sys.executable, Path(__file__).with_name("many.py")]
    output = run([sys.executable, ROOT / "train.py", *rows[0]])
    others = run([*many, folder / "commands.json"])
    return [output, *others.split("\f")[1:]]


def mistake_in(recipe, arguments):
    """The mistake that ends a recipe; its class is the reader's business."""
    words = [str(word) for word in arguments]
    with pytest.raises((Exception, SystemExit)) as raised:
        if recipe is launch:
            launch(words[0], words[1:])
        else:
            recipe.main(words)
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


def worker_command(hparams_file, folder, processes=1, **options):
    """The worker that trains, and saves what every rank holds in a folder."""
    options = {"output_folder": folder / "out", **options}
    command = train_command(hparams_file, **options)
    command[1] = Path(__file__).with_name("worker.py")
    command.insert(2, folder)
    return with_processes(command, processes)


def load_rank(folder, rank=0):
    """What a rank of the worker held."""
    return torch.load(folder / f"rank{rank}.pt", weights_only=True)


def assert_equal(first, second):
    """Compare two state dicts, bit by bit."""
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def import_from(recipe, name):
    """Import a module of a recipe; others' modules have the same names."""
    names = {path.stem for path in recipe.glob("*.py")}
    before = {key: sys.modules.pop(key) for key in names & set(sys.modules)}
    sys.path.insert(0, str(recipe))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)
        for key in names:
            sys.modules.pop(key, None)
        sys.modules.update(before)


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
