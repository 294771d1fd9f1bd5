"""How the solvers of MixIT compare; their values are tested with the loss."""

import pytest
import torch

from speechbrain_ext.losses import mixit
from speechbrain_ext.losses.assignment import (
    Problem,
    least_squares,
    least_squares_flip,
    try_all,
)


def muddled(sources, *, batch=64, samples=50, seed=0, consistent=False):
    """Outputs that are still mixtures themselves, and two mixtures."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    signals = draw(batch, sources, samples)
    mixtures = signals.unflatten(1, (2, sources // 2)).sum(dim=2)
    estimates = draw(batch, sources, sources) @ signals
    if consistent:
        missing = mixtures.sum(dim=1) - estimates.sum(dim=1)
        estimates = estimates + missing.unsqueeze(1) / sources
    return estimates, mixtures


def problem_of(estimates, mixtures):
    return Problem.of(estimates, mixtures, tau=1e-3)


def score_of(problem, second):
    b = torch.stack((1 - second, second), dim=1).double()
    quadratic = torch.einsum("bni,bij,bnj->bn", b, problem.gram, b)
    linear = torch.einsum("bni,bni->bn", b, problem.cross)
    errors = problem.power + quadratic - 2 * linear
    return problem.score(errors.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.parametrize("sources", [2, 4, 8])
def test_flips_are_never_worse_than_least_squares(sources, consistent):
    signals = muddled(sources, consistent=consistent)
    names = ("least_squares", "least_squares_flip", "exact")
    plain, flipped, exact = (
        mixit(estimates=signals[0], mixtures=signals[1], solver=name)[0]
        for name in names
    )
    assert (flipped <= plain + 1e-6).all()
    assert (exact <= flipped + 1e-6).all()
    # There was something to win, and flips do not win all of it.
    assert (flipped < plain - 0.1).any()
    assert sources == 2 or (exact < flipped - 0.1).any()


@pytest.mark.parametrize("sources", [2, 4, 8])
def test_least_squares_is_right_for_clean_outputs(sources):
    generator = torch.Generator().manual_seed(sources)
    signals = torch.randn(64, sources, 500, generator=generator)
    mixtures = signals.unflatten(1, (2, sources // 2)).sum(dim=2)
    leak = 0.03 * torch.randn(64, sources, sources, generator=generator)
    problem = problem_of(signals + leak @ signals, mixtures)
    second = least_squares(problem)
    planted = (torch.arange(sources) >= sources // 2).long().expand(64, -1)
    assert torch.equal(second, planted)
    assert torch.equal(second, try_all(problem))


@pytest.mark.parametrize("sources", [3, 6, 10])
def test_no_single_flip_is_left_that_helps(sources):
    generator = torch.Generator().manual_seed(sources)
    estimates = torch.randn(200, sources, 30, generator=generator).double()
    mixtures = torch.randn(200, 2, 30, generator=generator).double()
    problem = problem_of(estimates, mixtures)
    second = least_squares_flip(problem)
    score = score_of(problem, second)
    for m in range(sources):
        moved = second.clone()
        moved[:, m] = 1 - moved[:, m]
        assert (score_of(problem, moved) <= (1 + 2e-5) * score).all()
    plain = score_of(problem, least_squares(problem))
    assert (score > (1 + 1e-3) * plain).any()


@pytest.mark.parametrize("sources", [1, 2, 5, 6])
def test_scores_are_those_of_the_signals(sources):
    generator = torch.Generator().manual_seed(sources)
    estimates = torch.randn(4, sources, 30000, generator=generator)
    mixtures = torch.randn(4, 2, 30000, generator=generator)
    problem = problem_of(estimates, mixtures)
    for second in (try_all(problem), least_squares(problem)):
        assignment = torch.stack((1 - second, second), dim=1).double()
        rest = mixtures - assignment @ estimates.double()
        power = mixtures.double().square().sum(dim=-1)
        error = rest.square().sum(dim=-1)
        expected = (power / (error + 1e-3 * power)).prod(dim=-1)
        score = score_of(problem, second)
        torch.testing.assert_close(score, expected, rtol=1e-5, atol=0)


def test_long_inner_products_are_not_rounded_away():
    # Whole numbers: a float32 holds every sum of 8192 products of them, in
    # whatever order they are added, but not the sum of all.
    generator = torch.Generator().manual_seed(0)
    signals = torch.randint(45, (1, 6, 400000), generator=generator).float()
    problem = problem_of(signals[:, :4], signals[:, 4:])
    exact = signals.double() @ signals.double().mT
    assert not torch.equal(exact.float().double(), exact)
    assert torch.equal(problem.gram, exact[:, :4, :4])
    assert torch.equal(problem.cross, exact[:, 4:, :4])
    power = exact[:, 4:, 4:].diagonal(dim1=-2, dim2=-1)
    assert torch.equal(problem.power, power)
