"""Permutation-invariant training: which estimate belongs to which target."""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from speechbrain_ext.losses.si_sdr import (
    pairwise_si_sdr,
    pairwise_snr,
    si_sdr,
    snr,
    thresholded_snr,
)

# The most sources for which every permutation is tried.
EXHAUSTIVE_SOURCES = 4
# How to find all pairs of a metric faster than by calling it on all pairs.
_PAIRWISE = {
    si_sdr: pairwise_si_sdr,
    snr: pairwise_snr,
    thresholded_snr: functools.partial(pairwise_snr, snr_max=30.0),
}


def pit(
    metric: Callable[..., torch.Tensor],
    *,
    estimates: torch.Tensor,
    targets: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Assign estimates to targets so that the mean of a metric is highest.

    The assignment is chosen without gradient from the metric of all pairs;
    the metric is then computed once more, with gradient, for the chosen pairs
    only. Source: Kolbaek et al., "Multitalker speech separation with
    utterance-level permutation invariant training", IEEE/ACM TASLP 2017,
    arXiv 1703.06284.

    Up to four sources every permutation is tried, on the device and without
    waiting for it. Above, the Hungarian method runs on the host (one
    synchronization a call).

    Arguments
    ---------
    metric : Callable
        Called as `metric(estimate=, target=)` with signals (..., time) whose
        leading axes broadcast; returns (...,), higher is better. All pairs
        cost one matrix product for `si_sdr`, `snr` and `thresholded_snr`, or
        a `functools.partial` of them with keywords; any other metric is
        called on all pairs.
    estimates : torch.Tensor
        Shape (..., sources, time), usually (batch, sources, time).
    targets : torch.Tensor
        Same shape.

    Returns
    -------
    value : torch.Tensor
        Shape (...,): the mean over the sources of the best assignment.
    permutation : torch.Tensor
        Shape (..., sources), int64: `estimates[b, permutation[b, s]]` belongs
        to `targets[b, s]`. See `align`.

    Raises
    ------
    ValueError
        If the shapes differ or have fewer than two axes.

    Example
    -------
    >>> targets = torch.randn(2, 3, 800)
    >>> estimates = targets[:, [2, 0, 1]] + 0.1 * torch.randn(2, 3, 800)
    >>> value, permutation = pit(si_sdr, estimates=estimates, targets=targets)
    >>> permutation
    tensor([[1, 2, 0],
            [1, 2, 0]])
    """
    if estimates.shape != targets.shape or estimates.dim() < 2:
        raise ValueError(
            f"estimates {tuple(estimates.shape)} and targets "
            f"{tuple(targets.shape)} must have one shape (..., sources, time)"
        )
    with torch.no_grad():
        permutation = best_permutation(_all_pairs(metric, estimates, targets))
    # Reordering the targets instead of the estimates costs no gradient.
    targets = align(targets, permutation.argsort(dim=-1))
    value = metric(estimate=estimates, target=targets).mean(dim=-1)
    return value, permutation


def align(signals: torch.Tensor, permutation: torch.Tensor) -> torch.Tensor:
    """Reorder estimates as their targets are ordered.

    Arguments
    ---------
    signals : torch.Tensor
        Shape (..., sources, time), of any type.
    permutation : torch.Tensor
        Shape (..., sources), from `pit`.

    Returns
    -------
    aligned : torch.Tensor
        Shape (..., sources, time), a copy: source s of example b is
        `signals[b, permutation[b, s]]`.

    Example
    -------
    >>> signals = torch.tensor([[[1.0], [2.0], [3.0]]])
    >>> align(signals, torch.tensor([[2, 0, 1]])).flatten()
    tensor([3., 1., 2.])
    """
    sources = permutation.shape[-1]
    order = permutation.reshape(-1, sources)
    start = torch.arange(0, order.numel(), sources, device=order.device)
    rows = (order + start.unsqueeze(-1)).flatten()
    flat = signals.flatten(0, -2).index_select(0, rows)
    return flat.reshape(signals.shape)


def best_permutation(values: torch.Tensor) -> torch.Tensor:
    """Find the permutation with the highest sum.

    Arguments
    ---------
    values : torch.Tensor
        Of all pairs, shape (..., targets, estimates), as many of both.

    Returns
    -------
    permutation : torch.Tensor
        Shape (..., targets), as from `pit`.

    Example
    -------
    >>> best_permutation(torch.tensor([[1.0, 9.0], [2.0, 9.5]]))
    tensor([1, 0])
    """
    if values.shape[-1] <= EXHAUSTIVE_SOURCES:
        return _try_all(values)
    return _hungarian(values)


def _all_pairs(
    metric: Callable[..., torch.Tensor],
    estimates: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """Return the metric of all pairs, (..., of targets, of estimates)."""
    function, options = metric, {}
    if isinstance(metric, functools.partial) and not metric.args:
        function, options = metric.func, metric.keywords
    if function in _PAIRWISE:
        pairwise = _PAIRWISE[function]
        return pairwise(estimates=estimates, targets=targets, **options)
    return metric(
        estimate=estimates.unsqueeze(-3), target=targets.unsqueeze(-2)
    )


def _try_all(values: torch.Tensor) -> torch.Tensor:
    """Return the best permutation by trying all, without synchronization."""
    choices, cells = _permutations(values.shape[-1], values.device)
    total = values.flatten(-2)[..., cells].sum(dim=-1)
    return choices[total.argmax(dim=-1)]


@functools.cache
def _permutations(
    sources: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all permutations, and where each has its cells in the matrix.

    Kept, because a copy from the host to a device waits for the device.
    """
    table = list(itertools.permutations(range(sources)))
    choices = torch.tensor(table, device=device)
    rows = sources * torch.arange(sources, device=device)
    return choices, choices + rows


def _hungarian(values: torch.Tensor) -> torch.Tensor:
    """Return the best permutation by the Hungarian method, on the host."""
    # The method refuses what is not finite; the value will show it.
    finite = values.nan_to_num(nan=0.0, posinf=1e30, neginf=-1e30)
    matrices = finite.reshape(-1, *values.shape[-2:]).cpu().numpy()
    chosen = [linear_sum_assignment(m, maximize=True)[1] for m in matrices]
    permutation = torch.from_numpy(np.stack(chosen)).to(values.device)
    return permutation.reshape(values.shape[:-1])
