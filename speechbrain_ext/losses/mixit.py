"""Mixture-invariant training: separation learned from mixtures of mixtures."""

import torch
import torch.nn.functional as F

from speechbrain_ext.losses.assignment import (
    Problem,
    least_squares,
    least_squares_flip,
    reference_power,
    try_all,
)
from speechbrain_ext.losses.si_sdr import (
    decibels,
    energy,
    in_full_precision,
    without_autocast,
)

SOLVERS = {
    "exact": try_all,
    "least_squares": least_squares,
    "least_squares_flip": least_squares_flip,
}

# The most estimates of which all assignments are tried, unless told otherwise.
EXACT_LIMIT = 16
# A loss that is higher by less, in dB, counts as the same: rounding.
SAME_DB = 1e-3


def mixit(
    *,
    estimates: torch.Tensor,
    mixtures: torch.Tensor,
    solver: str = "exact",
    snr_max: float = 30.0,
    exact_limit: int = EXACT_LIMIT,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Assign estimates to two mixtures so that the loss is lowest.

    With A in {0, 1}^(2 x M) whose columns sum to one, e the estimates made
    from x1 + x2 and tau = 10^(-snr_max / 10), the loss is the negative
    thresholded SNR in dB::

        min over A of the mean over n of
            10 log10((|x_n - [A e]_n|^2 + tau |x_n|^2) / |x_n|^2).

    Source: Wisdom et al., "Unsupervised sound separation using mixture
    invariant training", NeurIPS 2020, arXiv 2006.12701. The least-squares
    solver is that of Wisdom et al., "Sparse, efficient, and semantic mixture
    invariant training", WASPAA 2021, arXiv 2106.00847, as public code has it;
    its ridge is ours.

    A is chosen without gradient from inner products (`assignment` says how;
    derived by us): the exact minimum costs hardly more than least squares.
    The loss is then computed in the time domain for the chosen A, since
    inner products would round it. A weaker mixture counts as much as the
    louder one. One that is silent (60 dB below both together) is measured by
    the power of both instead of its own, by our choice: what is given to it
    costs 0 dB if it is as loud as everything, -`snr_max` if it is silent.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, M, time), M at least 1. In float16 or bfloat16 they are
        computed with in float32.
    mixtures : torch.Tensor
        Shape (batch, 2, time).
    solver : str
        "exact": the best of all 2^M assignments.
        "least_squares": the paper's approximation. It is often wrong as long
        as the outputs are still mixed.
        "least_squares_flip": the same, then improved by moving one estimate
        at a time until no move helps (derived by us).
    snr_max : float
        SNR at which the loss saturates, in dB; may be infinite.
    exact_limit : int
        The largest M that "exact" accepts. Time and memory double with each
        estimate (measured at 20, for a batch of four on one core: 0.2 s and
        75 MiB).

    Returns
    -------
    loss : torch.Tensor
        Shape (batch,), in dB, lower is better, between -`snr_max` and 80. If
        both mixtures are silent it is 80 and has no gradient.
    assignment : torch.Tensor
        Shape (batch, 2, M), of the loss's type: 1 where an estimate belongs to
        a mixture, else 0. Of equally good assignments it is the first in
        lexicographic order: a silent estimate goes to the first mixture.

    Raises
    ------
    ValueError
        If the solver is unknown, the shapes do not fit, or M exceeds
        `exact_limit` with the exact solver.

    Example
    -------
    >>> sources = torch.randn(1, 4, 800)
    >>> mixtures = torch.stack(
    ...     (sources[:, 0] + sources[:, 2], sources[:, 1] + sources[:, 3]), 1
    ... )
    >>> loss, assignment = mixit(estimates=sources, mixtures=mixtures)
    >>> round(loss.item())
    -30
    >>> assignment
    tensor([[[1., 0., 1., 0.],
             [0., 1., 0., 1.]]])
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver={solver!r} is not one of {list(SOLVERS)}")
    _check_shapes(estimates, mixtures)
    sources = estimates.shape[1]
    if solver == "exact" and sources > exact_limit:
        raise ValueError(
            f"solver='exact' would try 2^{sources} assignments of {sources} "
            f"estimates, more than exact_limit={exact_limit} allows; use "
            "solver='least_squares_flip' or 'least_squares', or raise "
            "exact_limit (time and memory double with each estimate)"
        )
    tau = 10 ** (-snr_max / 10)
    with without_autocast(estimates):
        with torch.no_grad():
            problem = Problem.of(estimates, mixtures, tau)
            second = SOLVERS[solver](problem)
        estimates, mixtures = in_full_precision(estimates, mixtures)
        assignment = torch.stack((1 - second, second), 1).to(estimates.dtype)
        sums = remix(estimates, assignment)
        error = F.mse_loss(sums, mixtures, reduction="none").sum(dim=-1)
        power = reference_power(energy(mixtures))
        value = decibels(power, torch.add(error, power, alpha=tau), power)
        return -value.mean(dim=-1), assignment


def remix(estimates: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
    """Sum the estimates that belong to each mixture.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, M, time).
    assignment : torch.Tensor
        Shape (batch, 2, M), from `mixit`.

    Returns
    -------
    mixtures : torch.Tensor
        Shape (batch, 2, time), float32 for half precision. The products are
        exact unless TF32 is turned on (`torch.backends.cuda.matmul`).

    Example
    -------
    >>> estimates = torch.tensor([[[1.0], [2.0], [4.0]]])
    >>> assignment = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])
    >>> remix(estimates, assignment)
    tensor([[[5.],
             [2.]]])
    """
    (estimates,) = in_full_precision(estimates)
    with without_autocast(estimates):
        return assignment.to(estimates.dtype) @ estimates


@torch.no_grad()
def check_least_squares(
    *,
    estimates: torch.Tensor,
    mixtures: torch.Tensor,
    snr_max: float = 30.0,
) -> dict[str, torch.Tensor]:
    """Compare the least-squares assignment with the exact one.

    Arguments
    ---------
    estimates, mixtures, snr_max
        See `mixit`.

    Returns
    -------
    figures : dict
        "least_squares_missed": ratio of the examples where least squares
        chose a worse assignment; "least_squares_cost_db": by how much its
        loss is higher, on average over all examples.

    Example
    -------
    >>> sources = torch.eye(4).unsqueeze(0)
    >>> mixtures = sources.unflatten(1, (2, 2)).sum(2)
    >>> check_least_squares(estimates=sources, mixtures=mixtures)
    {'least_squares_missed': tensor(0.), 'least_squares_cost_db': tensor(0.)}
    """
    exact, found = (
        mixit(
            estimates=estimates,
            mixtures=mixtures,
            solver=solver,
            snr_max=snr_max,
        )[0]
        for solver in ("exact", "least_squares")
    )
    cost = found - exact
    return {
        "least_squares_missed": (cost > SAME_DB).float().mean(),
        "least_squares_cost_db": cost.mean(),
    }


def _check_shapes(estimates: torch.Tensor, mixtures: torch.Tensor) -> None:
    """Raise ValueError unless they are (B, M, T) and (B, 2, T)."""
    shape, expected = tuple(estimates.shape), tuple(mixtures.shape)
    fits = len(shape) == 3 and shape[1] > 0
    if not fits or expected != (shape[0], 2, shape[2]):
        raise ValueError(
            f"estimates {shape} and mixtures {expected} must be (batch, "
            "sources, time) and (batch, 2, time) with one batch and one time; "
            "cut or pad the signals to one length"
        )
