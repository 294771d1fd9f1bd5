"""Waveforms as modules take them: checked, at their rate, on their device."""

import numpy as np
import torch
from torch import nn

from speechbrain_ext.corpora.decoding import resampled
from speechbrain_ext.losses import align, pit


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
        Such as "cpu" or "cuda:0"; None leaves it where it is.

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
    if device is None:
        return module
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it has shapes only; choose cpu or cuda")
        return module.to(device)
    except (
        *(RuntimeError, AssertionError, NotImplementedError),
        *(ImportError, TypeError, ValueError, AttributeError),
    ) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"device={str(device)!r} cannot be used: {reason}"
        ) from error


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
