"""Penalties that keep a separator from spreading one sound over its outputs.

MixIT does not mind when a source comes out in several parts, as long as all
of them can be assigned to its mixture. These are added to it, with a weight.
"""

import torch

from speechbrain_ext.losses.si_sdr import (
    SILENCE,
    TINY,
    energy,
    in_full_precision,
    without_autocast,
)

FORMS = ("mixture", "norm")


def sparsity(
    *,
    estimates: torch.Tensor,
    mixture: torch.Tensor,
    form: str = "mixture",
) -> torch.Tensor:
    """Sum of the levels of the outputs, lower when fewer are active.

    With r_m the RMS of output m, over all of the signal::

        "mixture":  (1 / M) sum r_m / RMS of the mixture
        "norm":     (1 / M) sum r_m / sqrt(sum r_m^2).

    Source: Wisdom et al., "Sparse, efficient, and semantic mixture invariant
    training", WASPAA 2021, arXiv 2106.00847, of which two public versions
    disagree: these are both. K equally loud, uncorrelated outputs of M that
    make up the mixture have sqrt(K) / M under either. K equal copies of one
    sound, 1 / K of it each, have sqrt(K) / M under "norm" but 1 / M, as little
    as a single output, under "mixture", which therefore lets a separator
    spread a sound over its outputs in copies. "mixture" also falls with the
    level of the outputs, so it pulls at the level of the estimates unless
    they are made to sum to the mixture; "norm" does not depend on any level.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, M, time).
    mixture : torch.Tensor
        What they were made from, shape (batch, time).
    form : str
        "mixture" or "norm".

    Returns
    -------
    penalty : torch.Tensor
        Shape (batch,), without a unit, at least 0; "norm" lies between 1 / M
        and 1 / sqrt(M). An output 160 dB below the mixture is silent: it has
        no gradient. Neither has any output of a silent mixture under
        "mixture", where the penalty is 0.

    Raises
    ------
    ValueError
        If the form is unknown or the shapes do not fit.

    Example
    -------
    >>> one = torch.tensor([1.0, -1.0])
    >>> estimates = torch.stack((2 * one, 0 * one, 0 * one)).unsqueeze(0)
    >>> sparsity(estimates=estimates, mixture=2 * one.unsqueeze(0))
    tensor([0.3333])
    """
    if form not in FORMS:
        raise ValueError(f"form={form!r} is not one of {FORMS}")
    _check_shapes(estimates, mixture)
    estimates, mixture = in_full_precision(estimates, mixture)
    with without_autocast(estimates):
        power = energy(mixture) / mixture.shape[-1]
        powers = energy(estimates) / estimates.shape[-1]
        # The root has no slope at 0: clamp before.
        least = (SILENCE * power + TINY).unsqueeze(-1)
        levels = torch.maximum(powers, least).sqrt()
        if form == "mixture":
            return _relative(levels.mean(dim=-1), power, 0.5)
        return levels.mean(dim=-1) / levels.norm(dim=-1)


def covariance(
    *, estimates: torch.Tensor, mixture: torch.Tensor
) -> torch.Tensor:
    """Mean absolute covariance of different outputs.

    With C the covariance matrix of the outputs over time, it is::

        sum over i != j of |C_ij| / (M (M - 1) times the mixture's mean power)

    Reconstructed: Wisdom et al., "Sparse, efficient, and semantic mixture
    invariant training", WASPAA 2021, arXiv 2106.00847, name a penalty of the
    covariances, the form is ours.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, M, time). Their means are removed.
    mixture : torch.Tensor
        Shape (batch, time).

    Returns
    -------
    penalty : torch.Tensor
        Shape (batch,), without a unit, at least 0. 0 without gradient for a
        single output or a silent mixture.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Example
    -------
    >>> one = torch.tensor([1.0, -1.0])
    >>> estimates = torch.stack((one, -3 * one)).unsqueeze(0)
    >>> covariance(estimates=estimates, mixture=2 * one.unsqueeze(0))
    tensor([0.7500])
    """
    _check_shapes(estimates, mixture)
    estimates, mixture = in_full_precision(estimates, mixture)
    time, sources = estimates.shape[-1], estimates.shape[1]
    with without_autocast(estimates):
        power = energy(mixture) / time
        means = estimates.mean(dim=-1)
        products = means.unsqueeze(-1) * means.unsqueeze(-2)
        matrix = estimates @ estimates.mT / time - products
        different = matrix.triu(diagonal=1).abs().sum(dim=(-2, -1))
        pairs = max(1, sources * (sources - 1) // 2)
        return _relative(different / pairs, power, 1.0)


def _relative(
    value: torch.Tensor, power: torch.Tensor, exponent: float
) -> torch.Tensor:
    """Divide by power^exponent; 0 without gradient if that is silent."""
    active = power > TINY
    return active * value / torch.where(active, power, 1.0).pow(exponent)


def _check_shapes(estimates: torch.Tensor, mixture: torch.Tensor) -> None:
    """Raise ValueError unless they are (B, M, T) and (B, T)."""
    shape, expected = tuple(estimates.shape), tuple(mixture.shape)
    if len(shape) != 3 or expected != (shape[0], shape[2]):
        raise ValueError(
            f"estimates {shape} and mixture {expected} must be (batch, "
            "sources, time) and (batch, time) with one batch and one time; "
            "cut or pad the signals to one length"
        )
