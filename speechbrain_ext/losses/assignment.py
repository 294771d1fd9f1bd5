"""Which estimate belongs to which of two mixtures, from inner products alone.

The thresholded SNRs of an assignment depend on nothing but the inner products
of the estimates e and the two mixtures x. With b_n[m] = 1 where estimate m is
given to mixture n, else 0, G = e e^T and C = x e^T, the energy of an error is

    |x_n - b_n e|^2 = |x_n|^2 - 2 C_n b_n + b_n^T G b_n,

so that a search handles matrices of M x M instead of signals. Derived here.
Only where the estimates sum to x_1 + x_2 (mixture consistency) are the two
errors equal. Otherwise the sum of their logarithms, which MixIT asks for, has
another minimum than the sum of their energies.

All of it is without gradient and outside autocast, and nothing waits for the
device. Long inner products are summed in float64 from short ones, which are
in float32 on CPUs (relative rounding 1e-7, measured) and in float64 on GPUs,
where float32 may be set to mean TF32. Equally good assignments, those within
float32 rounding of the loss, are told apart by order: the first wins, in the
order of b_2 as a binary number whose highest digit is the first estimate.
"""

import dataclasses

import torch

from speechbrain_ext.losses.si_sdr import LOWEST_RATIO, SILENCE, TINY

# Samples whose inner products are formed at a time.
BLOCK = 8192
# Added to the diagonal of the least-squares equations, relative to its mean:
# equal or silent estimates have no other unique solution. Above rounding.
RIDGE = 1e-5
# What differs by less, relatively, counts as equal (4e-5 dB in a score).
EQUAL = 1e-5
# A mixture weaker than this, relative to both together, is silent: 60 dB.
SILENT = 1e-6


def reference_power(power: torch.Tensor) -> torch.Tensor:
    """Say by which power the error of each mixture is measured.

    By the mixture's own, unless it is silent (60 dB below both together):
    there everything would be infinitely wrong, and nothing would keep outputs
    from being left to it. By the power of both then, as the official code of
    FUSS does for silent references in its supervised loss.

    Arguments
    ---------
    power : torch.Tensor
        Shape (batch, 2): energies of the mixtures.

    Returns
    -------
    reference : torch.Tensor
        Same shape. 0 only where both are.

    Example
    -------
    >>> reference_power(torch.tensor([[3.0, 1.0], [2.0, 0.0]]))
    tensor([[3., 1.],
            [2., 2.]])
    """
    both = power.sum(dim=-1, keepdim=True)
    return torch.where(power > SILENT * both, power, both)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What the assignments of a batch are judged by.

    Arguments
    ---------
    gram : torch.Tensor
        G, shape (batch, M, M), float64.
    cross : torch.Tensor
        C, shape (batch, 2, M).
    power : torch.Tensor
        Energies of the mixtures, shape (batch, 2).
    tau : float
        Share of the power that is added to an error.

    Example
    -------
    >>> signals = torch.eye(3).unsqueeze(0)
    >>> problem = Problem.of(signals, signals[:, :2], tau=1e-3)
    >>> try_all(problem)
    tensor([[0, 1, 0]])
    """

    gram: torch.Tensor
    cross: torch.Tensor
    power: torch.Tensor
    tau: float

    @classmethod
    def of(
        cls, estimates: torch.Tensor, mixtures: torch.Tensor, tau: float
    ) -> "Problem":
        """Form the inner products of (batch, M or 2, time)."""
        power = _inner_products(mixtures, mixtures)
        return cls(
            gram=_inner_products(estimates, estimates),
            cross=_inner_products(mixtures, estimates),
            power=power.diagonal(dim1=-2, dim2=-1),
            tau=tau,
        )

    def change(self, subsets: torch.Tensor, part: slice) -> torch.Tensor:
        """Return what estimates add to the energies of the errors.

        `subsets` (..., 2, N, k) holds N choices of b_1 and of b_2 for the k
        estimates of `part`; the result is (batch, 2, N).
        """
        gram = self.gram[:, part, part].unsqueeze(1)
        linear = self.cross[..., part].unsqueeze(-2)
        return ((subsets @ gram - 2 * linear) * subsets).sum(dim=-1)

    def score(self, errors: torch.Tensor) -> torch.Tensor:
        """Turn energies of errors (batch, 2, N) into scores (batch, N).

        The product of two ratios; its logarithm is the sum of the SNRs, with
        the bounds that `decibels` sets. The errors are used up: for all of 16
        estimates, fresh memory would take longer than the arithmetic.
        """
        power = reference_power(self.power).unsqueeze(-1)
        least = (self.tau + SILENCE) * power + TINY
        distortions = errors.clamp_(min=0).add_(least)
        ratios = torch.div(power, distortions, out=errors).add_(LOWEST_RATIO)
        return ratios[:, 0].mul_(ratios[:, 1])


def try_all(problem: Problem) -> torch.Tensor:
    """Find the best of all 2^M assignments.

    The estimates are parted into two halves. The subsets of a half are few
    (2^(M/2)), and the energies of all pairs of them are one matrix product
    and two sums.

    Arguments
    ---------
    problem : Problem
        Of M estimates.

    Returns
    -------
    second : torch.Tensor
        b_2, shape (batch, M), int64.
    """
    sources = problem.gram.shape[-1]
    half = (sources + 1) // 2
    parts = slice(None, half), slice(half, None)
    high, low = (
        _subsets(number, problem.gram) for number in (half, sources - half)
    )
    between = problem.gram[:, parts[0], parts[1]].unsqueeze(1)
    errors = (2 * high @ between) @ low.mT
    rows = problem.change(high, parts[0]) + problem.power.unsqueeze(-1)
    errors += rows.unsqueeze(-1)
    errors += problem.change(low, parts[1]).unsqueeze(-2)
    best = _first_best(problem.score(errors.flatten(2)))
    return _digits(best, sources)


def least_squares(problem: Problem) -> torch.Tensor:
    """Solve for real weights, and give each estimate to its larger one.

    The weights W (2 x M) minimize |x - W e|^2: (G + ridge) W^T = C^T. The
    projection to an assignment gives each estimate to exactly one mixture: to
    the first unless the other weight is larger by more than rounding.

    Arguments
    ---------
    problem : Problem
        Of M estimates.

    Returns
    -------
    second : torch.Tensor
        As from `try_all`.
    """
    power = problem.gram.diagonal(dim1=-2, dim2=-1)
    ridge = RIDGE * power.mean(dim=-1, keepdim=True) + TINY
    matrix = problem.gram + ridge.expand_as(power).diag_embed()
    # Unlike `solve`, this does not wait for the device to look for errors.
    weights, _ = torch.linalg.solve_ex(matrix, problem.cross.mT)
    first, second = weights.unbind(dim=-1)
    least = EQUAL * problem.power.sum(dim=-1, keepdim=True).sqrt()
    return ((second - first) * power.sqrt() > least).long()


def least_squares_flip(problem: Problem) -> torch.Tensor:
    """Improve on least squares by moving one estimate at a time.

    Each round makes the one move that raises the score most, if any does.
    There are M rounds, a number that does not have to be asked of the device
    (random problems of up to 16 estimates took at most 12 moves, 6 on
    average).

    Arguments
    ---------
    problem : Problem
        Of M estimates.

    Returns
    -------
    second : torch.Tensor
        As from `try_all`; its score is never below that of `least_squares`.
    """
    second = least_squares(problem)
    sources = second.shape[-1]
    # The state itself comes first: a move has to be better than that.
    moves = torch.eye(sources + 1, dtype=torch.int64, device=second.device)
    moves = moves[:, 1:]
    for _ in range(sources):
        subsets = _both(second.unsqueeze(-2) ^ moves, problem.gram)
        errors = problem.change(subsets, slice(None))
        scores = problem.score(errors + problem.power.unsqueeze(-1))
        second = second ^ moves[_first_best(scores)]
    return second


def _inner_products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return first second^T (batch, i, j) of (batch, i or j, time)."""
    dtype = torch.float64 if first.is_cuda else torch.float32
    for signals in (first, second):
        dtype = torch.promote_types(dtype, signals.dtype)
    blocks = zip(first.split(BLOCK, -1), second.split(BLOCK, -1), strict=True)
    products = [a.to(dtype) @ b.to(dtype).mT for a, b in blocks]
    return torch.stack(products).sum(dim=0, dtype=torch.float64)


def _subsets(number: int, like: torch.Tensor) -> torch.Tensor:
    """Return all choices of b_1 and b_2, (2, 2^number, number)."""
    indices = torch.arange(2**number, device=like.device)
    return _both(_digits(indices, number), like)


def _both(second: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return b_1 and b_2 (..., 2, N, k) from b_2 (..., N, k)."""
    return torch.stack((1 - second, second), dim=-3).to(like.dtype)


def _digits(indices: torch.Tensor, number: int) -> torch.Tensor:
    """Return the binary digits of indices (N,), highest first, (N, number)."""
    places = torch.arange(number - 1, -1, -1, device=indices.device)
    return (indices.unsqueeze(-1) >> places) & 1


def _first_best(scores: torch.Tensor) -> torch.Tensor:
    """Return the first index (batch,) of a highest score of (batch, N)."""
    best = scores.amax(dim=-1, keepdim=True)
    return (scores >= (1 - EQUAL) * best).view(torch.uint8).argmax(dim=-1)
