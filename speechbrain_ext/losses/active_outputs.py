"""Which outputs of a separator hold a source, where no reference tells."""

from typing import NamedTuple

import torch

# An output that moves less about its mean is silent, whatever the others are.
SILENT_RMS = 1e-8
# A signal whose power about its mean is smaller than this, relative to its
# power, is a constant: rounding to float32 alone moves it that much.
LEAST_MOVEMENT = 1e-12


class ActiveOutputs(NamedTuple):
    """What is in the outputs of a separator.

    Arguments
    ---------
    order : torch.Tensor
        Shape (..., outputs), int64: the outputs, the loudest first.
    active : torch.Tensor
        Shape (..., outputs), bool: for each output, in its own place,
        whether it is active.
    """

    order: torch.Tensor
    active: torch.Tensor


def active_outputs(
    *, estimates: torch.Tensor, threshold_db: float = 30.0
) -> ActiveOutputs:
    """Tell the outputs that hold a source from those that hold next to none.

    An output is active if its mean power is at most `threshold_db` below that
    of the loudest one. The official rule of MixIT's evaluation (20 dB below
    the weakest reference) needs references; this one was chosen for this
    project. 30 dB is the widest range of levels in FUSS, whose foregrounds
    lie between 5 dB below and 25 dB above the background. Mean powers are
    about the mean of a signal, an offset being no sound, and of the whole
    recording: a sound that is heard in a hundredth of it is 20 dB
    weaker by that alone, so take more for long recordings of rare sounds.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (..., outputs, time), at levels that can be compared: those of a
        separator under mixture consistency. (Levels matched to the mixture
        cannot be: a faint copy of the mixture is raised to its level.)
    threshold_db : float
        At least 0.

    Returns
    -------
    found : ActiveOutputs
        None are active where all are silent.

    Raises
    ------
    ValueError
        If the threshold is negative or estimates have fewer than two axes.

    Example
    -------
    >>> tone = torch.tensor([1.0, -1.0, 1.0, -1.0])
    >>> found = active_outputs(
    ...     estimates=torch.stack((0.001 * tone, 0.1 * tone, tone))
    ... )
    >>> found.order.tolist(), found.active.tolist()
    ([2, 1, 0], [False, True, True])
    """
    if estimates.ndim < 2 or not estimates.shape[-1]:
        raise ValueError(
            f"estimates {tuple(estimates.shape)} must be (..., outputs, time), "
            "with at least one sample"
        )
    estimates = estimates.detach().double()
    power = estimates.var(dim=-1, correction=0)
    constant = power <= LEAST_MOVEMENT * estimates.square().mean(dim=-1)
    return active_levels(
        rms=power.masked_fill(constant, 0).sqrt(), threshold_db=threshold_db
    )


def active_levels(
    *, rms: torch.Tensor, threshold_db: float = 30.0
) -> ActiveOutputs:
    """Do as `active_outputs`, by levels that are known already.

    Arguments
    ---------
    rms : torch.Tensor
        Shape (..., outputs): root mean squares about the mean.
    threshold_db : float
        At least 0.

    Returns
    -------
    found : ActiveOutputs

    Raises
    ------
    ValueError
        If the threshold is negative.
    """
    if not threshold_db >= 0:
        raise ValueError(
            f"threshold_db={threshold_db}; it is how far an output may lie "
            "below the loudest one, at least 0 dB"
        )
    lowest = rms.amax(dim=-1, keepdim=True) * 10 ** (-threshold_db / 20)
    return ActiveOutputs(
        order=rms.argsort(dim=-1, descending=True, stable=True),
        active=(rms >= lowest) & (rms > SILENT_RMS),
    )
