"""Run a recipe in two processes, and keep what each of them has trained."""

import multiprocessing
import os
import socket
import sys

import torch

WORLD_SIZE = 2


def train_in_processes(hparams_file, words, folder):
    """Train in processes that import everything once; load their parameters.

    Arguments
    ---------
    hparams_file : str or Path
        As for `launch`.
    words : list of str
        Its options.
    folder : Path
        Where parameters may be kept.

    Returns
    -------
    parameters : list of dict
        Of each process, after the training.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["speechbrain_ext.services.launcher"])
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    processes = [
        context.Process(
            target=_train, args=(rank, port, hparams_file, words, folder)
        )
        for rank in range(WORLD_SIZE)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
    assert [process.exitcode for process in processes] == [0] * WORLD_SIZE
    return [
        torch.load(folder / f"rank{rank}.pt", weights_only=True)
        for rank in range(WORLD_SIZE)
    ]


def _train(rank, port, hparams_file, words, folder):
    """Be one of the processes; there is neither a test nor a page."""
    import speechbrain as sb

    from speechbrain_ext.services.launcher import launch

    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": WORLD_SIZE}
    names |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in names.items()}
    torch.set_num_threads(1)
    fit = sb.Brain.fit

    def fit_and_save(brain, *loaders):
        fit(brain, *loaders)
        torch.save(brain.modules.state_dict(), folder / f"rank{rank}.pt")
        torch.distributed.destroy_process_group()
        sys.exit()

    sb.Brain.fit = fit_and_save
    launch(hparams_file, words)
