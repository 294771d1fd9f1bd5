"""Train recipes in processes of their own, and load what each has trained."""

import os
import signal
import socket
import sys
import time
import types

import commands
import speechbrain as sb
import torch
from processes import context

SIGNALS = ("speech", "sources")
# a recipe that trains different things calls what it trains the network
NAMES = ("network", "joint", "separator", "estimator")


def start(
    folder, hparams_file, *words, processes=1, poison=None, fits=1, **options
):
    """Start to train, in one process or several.

    Arguments
    ---------
    folder : Path
        Where each leaves what it holds and says.
    hparams_file : Path
        Of a recipe.
    *words : str
        Options of the recipe.
    processes : int
        How many train together.
    poison : int, optional
        The step at which the last process finds NaN in its batch.
    fits : int
        How many stages to train. There is neither a test nor a page.
    **options
        More options of the recipe.

    Returns
    -------
    started : list of Process
    """
    assert commands.marked_slow, "it trains: mark the test slow"
    folder.mkdir(exist_ok=True)
    words = [*words, *(f"--{key}={value}" for key, value in options.items())]
    ranks = [{}]
    if processes > 1:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        ranks = [
            {
                **{"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes},
                **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
            }
            for rank in range(processes)
        ]
    started = [
        context().Process(
            target=work,
            args=(folder, hparams_file, words, rank, poison, fits),
        )
        for rank in ranks
    ]
    for process in started:
        process.start()
    return started


def train(folder, *arguments, **options):
    """Start to train, wait, and load what each process holds."""
    started = start(folder, *arguments, **options)
    for rank, process in enumerate(started):
        process.join(600)
        said = (folder / f"rank{rank}.log").read_text()
        assert process.exitcode == 0, said[-6000:]
    return [
        torch.load(folder / f"rank{rank}.pt", weights_only=True)
        for rank in range(len(started))
    ]


def kill_at(step, history, *arguments, **options):
    """Start to train, and kill it once its history has come to a step."""
    (process,) = start(*arguments, **options)
    deadline = time.monotonic() + 200
    while process.is_alive() and time.monotonic() < deadline:
        if history.exists() and step_of(history) >= step:
            process.kill()
            break
        time.sleep(0.01)
    else:
        process.kill()
        raise AssertionError(f"it ended, or hung, before step {step}")
    process.join()
    assert process.exitcode == -signal.SIGKILL


def step_of(history):
    """The last step in a history.csv."""
    lines = history.read_text().splitlines()
    return int(lines[-1].split(",")[0]) if len(lines) > 1 else 0


def work(folder, hparams_file, words, rank, poison, fits):
    """Be one of the processes: launch, and save what is trained."""
    from speechbrain_ext.services.launcher import launch, leave_processes

    number = rank.get("RANK", 0)
    with open(folder / f"rank{number}.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ |= {name: str(value) for name, value in rank.items()}
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    sb.utils.logger.get_environment_description = lambda: "none"
    last = number == rank.get("WORLD_SIZE", 1) - 1
    fit, batches, fitted = sb.Brain.fit, [], []

    def compute_forward(brain, batch, stage):
        if stage == sb.Stage.TRAIN:
            batches.append(list(batch.get("id", ())))
        if brain.optimizer_step == poison and last:
            batch = {
                key: value * float("nan") if key in SIGNALS else value
                for key, value in batch.items()
            }
        return type(brain).compute_forward(brain, batch, stage)

    def fit_and_save(brain, *loaders, **keywords):
        brain.compute_forward = types.MethodType(compute_forward, brain)
        fit(brain, *loaders, **keywords)
        trained = next(
            brain.modules[name] for name in NAMES if name in brain.modules
        )
        wrapper = torch.nn.parallel.DistributedDataParallel
        state = {
            "parameters": getattr(trained, "module", trained).state_dict(),
            "optimizer_step": brain.optimizer_step,
            "batches": batches,
            "skipped_steps": brain.skipped_steps,
            "wrapped": isinstance(trained, wrapper),
        }
        torch.save(state, folder / f"rank{number}.pt")
        fitted.append(state["optimizer_step"])
        if len(fitted) == fits:
            leave_processes()
            sys.exit()

    sb.Brain.fit = fit_and_save
    launch(hparams_file, words)
