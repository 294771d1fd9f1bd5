"""Signal-to-consistency-error ratio: whether two estimates agree."""

import torch

from speechbrain_ext.losses.si_sdr import (
    LOWEST_RATIO,
    SILENCE,
    TINY,
    check_lengths,
    energy,
    in_full_precision,
    inner_product,
    remove_mean,
    without_autocast,
)

SCALES = ("target", "least_squares", "none")
# An estimate less correlated with its target than this (an SI-SDR of -20 dB)
# is scaled as if it had this correlation.
LEAST_CORRELATION = 0.1


def scer(
    *,
    first: torch.Tensor,
    second: torch.Tensor,
    target: torch.Tensor,
    scale: str = "target",
    floor: float = 1e-3,
    zero_mean: bool = True,
) -> torch.Tensor:
    """Signal-to-consistency-error ratio of two estimates of one source.

    With d the difference of the two scaled estimates and y the target, it is::

        10 log10(|y|^2 / (|d|^2 + floor |y|^2))

    In ring mixing the target stands in two mixtures. What its two estimates
    have in common, its speech and what they keep of its own noise, cancels in
    d; what they keep of the other sources' noises is left. Source, known from
    a summary only: Maciejewski & Cornell, "Ring mixing with auxiliary
    signal-to-consistency-error ratio loss for unsupervised denoising in speech
    separation", arXiv 2604.08415. Scale, floor and guards are derived here.

    Unscaled, the ratio rewards an estimate for shrinking, and most of all for
    silence. So an estimate e is scaled, with gradient, as SI-SDR does::

        e' = e |y|^2 / max(<e, y>, 0.1 |e| |y|)

    whose projection on y is y itself. Neither this nor SI-SDR changes with
    the level of e, so their sum gains nothing from it. The guard is relative
    to ``|e|``: one relative to ``|y|`` alone would leave a quiet estimate
    unscaled, and reward it again. Where the guard acts (an estimate all but
    uncorrelated with y, opposite to it, or silent) the projection falls short
    of y, and that shortfall counts as a part of d, orthogonal to the rest:
    silence has 0 dB, opposite estimates less, and ``|e'| <= 10 |y|`` bounds
    the gradient to that of a correlation of 0.1.

    Arguments
    ---------
    first : torch.Tensor
        Estimate from the first mixture, shape (..., time).
    second : torch.Tensor
        Estimate from the second mixture, shape (..., time).
    target : torch.Tensor
        The source itself, noise and all, shape (..., time).
    scale : str
        "target": each estimate by its own factor, as above.
        "least_squares": both by one factor, ``|y|^2`` over the mean of
        ``<e, y>``, so that a difference in level counts as inconsistent; its
        inverse is the gain at which y fits the two estimates best in the
        least-squares sense. (Fitting the estimates to y instead would scale
        poor estimates towards silence, which a weight above 1 then prefers.)
        "none": unscaled; for comparison, it collapses.
    floor : float
        Error, relative to the target's energy, below which consistency is no
        longer rewarded; 1e-3 caps the value at 30 dB. Positive.
    zero_mean : bool
        Whether the mean over time is removed first. Use the same as for
        `si_sdr`: an offset that SI-SDR does not see must not change the scale.

    Returns
    -------
    value : torch.Tensor
        Shape (...,), in dB, higher is more consistent, at most
        -10 log10(floor). A silent target has -80 dB and no gradient.

    Raises
    ------
    ValueError
        If `scale` is unknown, `floor` is not positive, or the signals differ
        in length or do not broadcast.

    Example
    -------
    >>> target = torch.tensor([1.0, -1.0, 1.0, -1.0])
    >>> noise = torch.tensor([1.0, 1.0, -1.0, -1.0])
    >>> scer(first=target + 0.3 * noise, second=5 * target, target=target)
    tensor(10.4096)
    """
    if scale not in SCALES:
        raise ValueError(f"scale is {scale!r}; it must be one of {SCALES}")
    if not floor > 0:
        raise ValueError(f"floor is {floor}; it must be positive, e.g. 1e-3")
    check_lengths(first=first, second=second, target=target)
    first, second, target = in_full_precision(first, second, target)
    with without_autocast(target):
        if zero_mean:
            first, second = remove_mean(first), remove_mean(second)
            target = remove_mean(target)
        power = energy(target)
        if scale == "none":
            error = energy(first - second)
        else:
            error = _scaled_error(first, second, target, power, scale)
        ratio = power / (error + floor * power + TINY)
        return 10 * torch.log10(ratio + LOWEST_RATIO)


def _scaled_error(
    first: torch.Tensor,
    second: torch.Tensor,
    target: torch.Tensor,
    power: torch.Tensor,
    scale: str,
) -> torch.Tensor:
    """Return the energy of the scaled difference and of the shortfall."""
    first_product = inner_product(first, target)
    second_product = inner_product(second, target)
    first_level, second_level = energy(first), energy(second)
    if scale == "target":
        first_gain = _gain(first_product, first_level, power)
        second_gain = _gain(second_product, second_level, power)
    else:
        product = (first_product + second_product) / 2
        level = (first_level + second_level) / 2
        first_gain = second_gain = _gain(product, level, power)
    first = first_gain.unsqueeze(-1) * first
    second = second_gain.unsqueeze(-1) * second
    projection = first_gain * first_product + second_gain * second_product
    shortfall = 1 - projection / (2 * power + TINY)
    return energy(first - second) + shortfall.square() * power


def _gain(
    product: torch.Tensor, level: torch.Tensor, power: torch.Tensor
) -> torch.Tensor:
    """Return the factor for an estimate, given <e, y>, |e|^2 and |y|^2."""
    silence = SILENCE * power
    guard = LEAST_CORRELATION * ((level + silence) * power + TINY).sqrt()
    return power / torch.maximum(product, guard)
