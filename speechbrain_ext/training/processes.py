"""What every training script does about processes and logs."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from speechbrain.core import RunOptions
from speechbrain.utils.distributed import (
    ddp_init_group,
    if_main_process,
    main_process_only,
)
from speechbrain.utils.train_logger import TensorboardLogger, TrainLogger

from speechbrain_ext.console import describe_error


def join_processes(run_opts: RunOptions) -> RunOptions:
    """Join the other processes of torchrun, if there are any.

    Arguments
    ---------
    run_opts : RunOptions
        From `speechbrain.parse_arguments`.

    Returns
    -------
    run_opts : RunOptions
        On CPUs with gloo: SpeechBrain's default, nccl, needs a GPU for every
        process.
    """
    if run_opts.device == "cpu" or not torch.cuda.is_available():
        run_opts = dataclasses.replace(run_opts, distributed_backend="gloo")
        run_opts.overridden_args.add("distributed_backend")
    ddp_init_group(run_opts)
    return run_opts


def is_bfloat16_fast(device: str | torch.device | None = None) -> bool:
    """Tell whether bfloat16 pays: CPUs without it emulate it, slowly.

    Arguments
    ---------
    device : str or torch.device, optional
        By default a GPU if there is one.

    Returns
    -------
    fast : bool

    Example
    -------
    >>> is_bfloat16_fast("cpu") in (True, False)
    True
    """
    name = "cuda" if device is None else torch.device(device).type
    if name != "cpu" and torch.cuda.is_available():
        return True
    found = torch.cpu.get_capabilities()
    return any(there for name, there in found.items() if "bf16" in name)


def rank_and_size() -> tuple[int, int]:
    """Tell the number of this process, and how many there are.

    Example
    -------
    >>> rank_and_size()
    (0, 1)
    """
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def run_on_main(
    function: Callable, args: Sequence = (), kwargs: Mapping | None = None
) -> object:
    """Run a function on the main process, while the others wait.

    As SpeechBrain's function of this name, but an error there ends all of
    them: the others would otherwise wait for ever.

    Arguments
    ---------
    function : Callable
        What is run.
    args, kwargs : sequence, Mapping
        Its arguments.

    Returns
    -------
    result : object
        Of the function, on all processes.

    Raises
    ------
    Exception
        What the function raised; a RuntimeError of the same text on the other
        processes.

    Example
    -------
    >>> run_on_main(max, [2, 3])
    3
    """
    kwargs = kwargs or {}
    if not torch.distributed.is_initialized():
        return function(*args, **kwargs)
    raised = []

    @main_process_only
    def run():
        try:
            return function(*args, **kwargs), None
        except Exception as error:
            raised.append(error)
            return None, describe_error(error)

    result, reason = run()
    if reason is not None:
        raise raised[0] if raised else RuntimeError(reason)
    return result


def leave_processes() -> None:
    """Leave the group that `join_processes` joined, if there is one."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def log_row(
    row: Mapping, *, text_log: TrainLogger, tensorboard: TensorboardLogger
) -> None:
    """Write a row of a history into the text log and into TensorBoard.

    Every process must call it: SpeechBrain's loggers meet inside.

    Arguments
    ---------
    row : Mapping
        "step", "stage", and values.
    text_log : TrainLogger
        Gets a line.
    tensorboard : TensorboardLogger
        Gets a point for each value, named "stage/value".
    """
    values = {k: v for k, v in row.items() if k not in ("step", "stage")}
    stage = row["stage"]
    text_log.log_stats({"step": row["step"]}, **{f"{stage}_stats": values})
    if if_main_process():
        for name, value in values.items():
            tensorboard.writer.add_scalar(f"{stage}/{name}", value, row["step"])
