"""Waveforms as modules take them: checked, at their rate, on their device."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import nn

from speechbrain_ext.corpora.decoding import resampled
from speechbrain_ext.losses import align, pit

# name of a precision to what is computed in, where that is not float32
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def join(first: torch.Tensor | None, second: torch.Tensor) -> torch.Tensor:
    """Put two blocks behind each other; there may be no first."""
    return second if first is None else torch.cat((first, second), -1)


def check_waveforms(waveforms: torch.Tensor) -> None:
    """Refuse what is no batch of recordings.

    Arguments
    ---------
    waveforms : torch.Tensor
        To be of shape (batch, time).

    Raises
    ------
    ValueError
        If the shape is another, or samples are not finite.

    Example
    -------
    >>> check_waveforms(torch.zeros(2, 8000))
    """
    if waveforms.ndim != 2 or 0 in waveforms.shape:
        raise ValueError(
            f"waveforms of shape {tuple(waveforms.shape)}; they must be "
            "(batch, time), with at least one sample"
        )
    if not torch.isfinite(waveforms).all():
        raise ValueError(
            "waveforms: some samples are NaN or infinite; repair the "
            "recording first"
        )


def check_output(output: object, shape: tuple[int | None, ...]) -> None:
    """Refuse what a module gives in place of what it is to give.

    Arguments
    ---------
    output : object
        What it gives.
    shape : tuple of int or None
        To be its shape; None where it may have any size above 0.

    Raises
    ------
    ValueError
        If it is no tensor of real numbers, has another shape, or holds
        numbers that are not finite.

    Example
    -------
    >>> check_output(torch.zeros(1, 2, 7990), (1, None, 8000))
    Traceback (most recent call last):
    ValueError: the module gives the shape (1, 2, 7990) instead of (1, any,
    8000); ...
    """
    if not (torch.is_tensor(output) and output.is_floating_point()):
        raise ValueError(
            f"the module gives {type(output).__name__} "
            f"{getattr(output, 'dtype', '')} instead of a tensor of real "
            "numbers; wrap it so that it gives one"
        )
    wanted = tuple("any" if size is None else size for size in shape)
    fits = output.ndim == len(shape) and all(
        found == size if size is not None else found > 0
        for found, size in zip(output.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"the module gives the shape {tuple(output.shape)} instead of "
            f"({', '.join(map(str, wanted))}); let it cut or pad what it gives"
        )
    if not torch.isfinite(output).all():
        raise ValueError(
            "the module gives numbers that are NaN or infinite; it is "
            "damaged, or its precision is too low"
        )


def move_module(
    module: nn.Module, device: str | torch.device | None
) -> nn.Module:
    """Move a module to where it is to compute.

    Arguments
    ---------
    module : torch.nn.Module
        What computes.
    device : str or torch.device or None
        See `find_device`; None leaves it where it is.

    Returns
    -------
    module : torch.nn.Module

    Raises
    ------
    ValueError
        If there is no such device, or it computes nothing.

    Example
    -------
    >>> move_module(nn.Linear(2, 2), "cuda:99")
    Traceback (most recent call last):
    ValueError: device='cuda:99' cannot be used: ...
    """
    return module if device is None else module.to(find_device(device))


def find_device(device: str | torch.device) -> torch.device:
    """Find a device to compute on.

    Arguments
    ---------
    device : str or torch.device
        Such as cpu, cuda, cuda:1 or mps; auto is the first of cuda, mps and
        cpu that is there.

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        If there is no such device, or it computes nothing.

    Example
    -------
    >>> find_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        there = {
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available(),
        }
        device = next((name for name in there if there[name]), "cpu")
    try:
        found = torch.device(device)
        if found.type == "meta":
            raise RuntimeError("it has shapes only; choose cpu or cuda")
        torch.zeros(1, device=found)
    except (
        *(RuntimeError, AssertionError, NotImplementedError),
        *(ImportError, TypeError, ValueError, AttributeError),
    ) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"device={str(device)!r} cannot be used: {reason}"
        ) from error
    return found


def check_precision(precision: str) -> str:
    """Give the name of a precision, or refuse it."""
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision={precision!r} is none of {', '.join(PRECISIONS)}"
        )
    return precision


def in_precision(module: nn.Module, precision: str) -> AbstractContextManager:
    """Let a module compute in a precision, where its operations have it.

    Arguments
    ---------
    module : torch.nn.Module
        Its weights stay as they are.
    precision : str
        A name of `PRECISIONS`; fp32 leaves all as it is.

    Returns
    -------
    context : context manager
        `torch.autocast`, on the module's device.

    Example
    -------
    >>> module = nn.Linear(2, 2)
    >>> with in_precision(module, "bf16"):
    ...     module(torch.zeros(1, 2)).dtype
    torch.bfloat16
    """
    if PRECISIONS[precision] is None:
        return nullcontext()
    weights = next(module.parameters(), torch.empty(0))
    return torch.autocast(weights.device.type, PRECISIONS[precision])


def fit(signals: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """Bring signals to the device and the precision of a module."""
    for parameter in module.parameters():
        if parameter.is_floating_point():
            return signals.to(parameter.device, parameter.dtype)
    return signals


def change_rate(
    waveforms: torch.Tensor, rate: int, wanted: int
) -> torch.Tensor:
    """Resample waveforms one by one, in memory that does not grow.

    Arguments
    ---------
    waveforms : torch.Tensor
        Shape (..., time).
    rate, wanted : int
        In Hz.

    Returns
    -------
    resampled : torch.Tensor
        Shape (..., ceil(time * wanted / rate)).

    Example
    -------
    >>> change_rate(torch.zeros(2, 3, 441), 44100, 8000).shape
    torch.Size([2, 3, 80])
    """
    if rate == wanted:
        return waveforms
    rows = [
        np.concatenate(list(resampled([row], rate, wanted)))
        for row in waveforms.flatten(0, -2).cpu().numpy()
    ]
    return torch.from_numpy(np.stack(rows)).view(*waveforms.shape[:-1], -1)


def reorder(piece: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Put the sources of a chunk into the order of the chunk before.

    Arguments
    ---------
    piece : torch.Tensor
        Shape (batch, sources, time).
    before : torch.Tensor
        Shape (batch, sources, shared): what was separated already of its
        first samples.

    Returns
    -------
    reordered : torch.Tensor
        Shape (batch, sources, time).

    Example
    -------
    >>> piece = torch.tensor([[[1.0, 2.0, 3.0], [0.0, -5.0, 0.0]]])
    >>> reorder(piece, torch.tensor([[[0.0, -4.0], [1.0, 1.0]]]))[0, 0]
    tensor([ 0., -5.,  0.])
    """
    _, permutation = pit(
        _agreement, estimates=piece[..., : before.shape[-1]], targets=before
    )
    return align(piece, permutation)


def _agreement(*, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Inner product: loud parts decide, and silence decides nothing."""
    return (estimate * target).sum(-1)
