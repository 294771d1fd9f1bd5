"""What befalls long runs: lost processes, checkpoints and memory."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import (
    HPARAMS,
    SMALL,
    assert_equal,
    environment_for,
    train_command,
    with_processes,
)
from workers import kill_at, start, step_of, train

FILE = HPARAMS / "ablation_real.yaml"


@pytest.fixture
def options(recordings, prepared, tmp_path):
    """Of 80 steps, with a checkpoint every third one."""
    return {
        **SMALL,
        "separator": "{channels: 8, hidden: 8, blocks: 2}",
        "precision": "fp32",
        "data_folder": recordings,
        "include": "['*']",
        "prepared_folder": prepared / "accidents",
        "output_folder": tmp_path / "out",
        "batches_per_epoch": 40,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
    }


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_no_more_than_its_steps(options, tmp_path):
    (whole,) = train(tmp_path, FILE, **options)
    options["output_folder"] = tmp_path / "parts"
    history = tmp_path / "parts/history.csv"
    kill_at(50, history, tmp_path, FILE, **options)
    checkpoints = sorted(tmp_path.glob("parts/save/CKPT*/CKPT.yaml"))
    newest = max(checkpoints, key=lambda path: path.stat().st_mtime).parent
    assert len(checkpoints) > 1
    with open(newest / "separator.ckpt", "r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) // 2)
    (parts,) = train(tmp_path, FILE, **options)
    assert f"{newest}: separator.ckpt" in (tmp_path / "rank0.log").read_text()
    assert_equal(whole["parameters"], parts["parameters"])
    other = tmp_path / "out/history.csv"
    assert history.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_a_killed_rank_ends_the_others(options):
    options["number_of_epochs"] = 1000
    history = options["output_folder"] / "history.csv"
    agent = subprocess.Popen(
        [
            str(word)
            for word in with_processes(train_command(FILE, **options), 2)
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment_for(),
    )
    try:
        wait_for_step(3, history, agent)
        ranks = {rank_of(child): child for child in children_of(agent.pid)}
        os.kill(ranks[1], signal.SIGKILL)
        assert agent.wait(60) != 0
        assert not Path(f"/proc/{ranks[0]}").exists()
    finally:
        agent.kill()
    # it was not ended because it had come to its end
    assert step_of(history) < 40_000


def wait_for_step(step, history, process):
    """Wait until a run has come to a step."""
    deadline = time.monotonic() + 200
    while not history.exists() or step_of(history) < step:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def children_of(number):
    """The processes that a process has started."""
    path = Path(f"/proc/{number}/task/{number}/children")
    return [int(word) for word in path.read_text().split()]


def rank_of(number):
    """The rank that torchrun gave to a process."""
    words = Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
    values = dict(word.split(b"=", 1) for word in words if b"=" in word)
    return int(values.get(b"RANK", -1))


@pytest.mark.slow
def test_too_little_memory_names_the_options_to_lower(options):
    options["segment_seconds"] = 20_000
    command = [str(word) for word in train_command(FILE, **options)]
    # in kB; what Python and PyTorch need for themselves is half of it
    words = ["bash", "-c", 'ulimit -v 8000000; exec "$@"', "bash", *command]
    ended = subprocess.run(
        words, capture_output=True, text=True, env=environment_for()
    )
    assert ended.returncode == 1, ended.stderr[-3000:]
    assert "--batch_size (now 4)" in ended.stderr
    assert "--segment_seconds (now 20000" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.exhaustive
def test_killed_at_20_random_moments(options, tmp_path, record_property):
    """Also while a checkpoint is written: there is one of every step."""
    options["ckpt_interval_steps"] = 1
    (whole,) = train(tmp_path, FILE, **options)
    options["output_folder"] = tmp_path / "parts"
    history = tmp_path / "parts/history.csv"
    moments = random.Random(0)
    kills = cut_off = 0
    while kills < 20:
        before = step_of(history) if history.exists() else 0
        (process,) = start(tmp_path, FILE, **options)
        while process.is_alive() and not (
            history.exists() and step_of(history) > before
        ):
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            break
        kills += 1
        pending = tmp_path.glob("parts/save/CKPT*/CKPT.yaml.pending")
        cut_off += len(list(pending))
    assert kills == 20, f"it ended after {kills} kills"
    (parts,) = train(tmp_path, FILE, **options)
    record_property("kills", kills)
    record_property("in a checkpoint", cut_off)
    assert_equal(whole["parameters"], parts["parameters"])
    other = tmp_path / "out/history.csv"
    assert history.read_bytes() == other.read_bytes()
