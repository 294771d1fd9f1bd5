"""Supervised separation of a number of sources that is not known."""

import torch
import torch.nn.functional as F

from speechbrain_ext.losses.assignment import SILENT
from speechbrain_ext.losses.pit import align, best_permutation
from speechbrain_ext.losses.si_sdr import (
    decibels,
    energy,
    in_full_precision,
    without_autocast,
)


def padded_snr(
    *,
    estimates: torch.Tensor,
    references: torch.Tensor,
    mixture: torch.Tensor,
    snr_max: float = 30.0,
    silent_snr_max: float = 20.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Thresholded SNR of outputs against references, some of them silent.

    Every output gets a reference of its own so that the mean is highest. With
    tau = 10^(-snr_max / 10), the value of an active reference y is::

        10 log10(|y|^2 / (|y - e|^2 + tau |y|^2))

    and of a silent one, which has no ratio of its own, that of the mixture x::

        10 log10(|x|^2 / (|e|^2 + tau_0 |x|^2))

    so that an output with nothing to hold learns to be silent. Source: the
    supervised loss of the baseline of FUSS (S. Wisdom et al., "What's all the
    FUSS about free universal sound separation data?", ICASSP 2021, arXiv
    2011.00803, and its official code). Ours: a reference 60 dB below the
    mixture is silent, as in `mixit`. A lower threshold for silence (tau_0 =
    10^(-silent_snr_max / 10)) keeps a network from preferring to leave
    outputs silent before it can separate; its value is a choice.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, M, time).
    references : torch.Tensor
        Shape (batch, S, time), S at most M; silent ones are added.
    mixture : torch.Tensor
        Shape (batch, time).
    snr_max : float
        SNR at which the value of an active reference saturates, in dB.
    silent_snr_max : float
        The same for a silent one.

    Returns
    -------
    value : torch.Tensor
        Shape (batch,), in dB, higher is better: the mean over all outputs.
    permutation : torch.Tensor
        Shape (batch, M): `estimates[b, permutation[b, s]]` belongs to
        reference s.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are more references than outputs.

    Example
    -------
    >>> references = torch.randn(1, 2, 800)
    >>> estimates = torch.stack(
    ...     (0 * references[:, 0], references[:, 1], references[:, 0]), 1
    ... )
    >>> value, permutation = padded_snr(
    ...     estimates=estimates,
    ...     references=references,
    ...     mixture=references.sum(1),
    ... )
    >>> round(value.item(), 1), permutation.tolist()
    (26.7, [[2, 1, 0]])
    """
    _check_shapes(estimates, references, mixture)
    missing = estimates.shape[1] - references.shape[1]
    with without_autocast(estimates):
        estimates, references, mixture = in_full_precision(
            estimates, F.pad(references, (0, 0, 0, missing)), mixture
        )
        power = energy(references)
        whole = energy(mixture).unsqueeze(-1)
        active = power > SILENT * whole
        power = torch.where(active, power, whole)
        tau, silent_tau = (10 ** (-x / 10) for x in (snr_max, silent_snr_max))
        least = power * torch.where(active, tau, silent_tau)
        with torch.no_grad():
            # the error of every pair, (batch, references, estimates)
            products = references @ estimates.mT
            errors = energy(references).unsqueeze(-1) - 2 * products
            errors = errors + energy(estimates).unsqueeze(-2)
            scores = power.unsqueeze(-1)
            errors = errors.clamp(min=0) + least.unsqueeze(-1)
            permutation = best_permutation(decibels(scores, errors, scores))
        aligned = align(estimates, permutation)
        error = F.mse_loss(aligned, references, reduction="none").sum(dim=-1)
        return decibels(power, error + least, power).mean(dim=-1), permutation


def _check_shapes(
    estimates: torch.Tensor, references: torch.Tensor, mixture: torch.Tensor
) -> None:
    """Raise ValueError unless they are (B, M, T), (B, S, T) and (B, T)."""
    shape, target = tuple(estimates.shape), tuple(references.shape)
    fits = len(shape) == len(target) == 3 and shape[::2] == target[::2]
    if not fits or tuple(mixture.shape) != shape[::2] or target[1] > shape[1]:
        raise ValueError(
            f"estimates {shape}, references {target} and mixture "
            f"{tuple(mixture.shape)} must be (batch, M, time), (batch, S, "
            "time) with S at most M, and (batch, time)"
        )
