"""Ties, silence and levels: where MixIT has to choose what is right."""

import math

import pytest
import torch
from mixit_signals import SOLVERS, brute_force, outputs

from speechbrain_ext.losses import mixit

# Ties ------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("level", [0.0, 1e-7])
def test_silent_estimates_go_to_the_first_mixture(solver, level):
    estimates, mixtures, planted = outputs(4)
    silent = level * estimates.roll(1, -1)
    estimates = torch.cat((estimates, silent), dim=1).requires_grad_()
    loss, assignment = mixit(
        estimates=estimates, mixtures=mixtures, solver=solver
    )
    loss.sum().backward()
    assert torch.equal(assignment[..., :4], planted)
    assert assignment[:, 0, 4:].all() and not assignment[:, 1, 4:].any()
    assert estimates.grad.isfinite().all()
    if level and solver != "exact":
        return  # least squares does not see the level of all estimates
    loss, assignment = mixit(estimates=silent, mixtures=mixtures, solver=solver)
    assert assignment[:, 0].all()
    expected = torch.full((3,), 10 * math.log10(1 + 1e-3))
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("sources", [2, 3, 5, 8])
def test_ties_are_broken_by_order_whatever_the_neighbors(sources):
    estimates, mixtures, _ = outputs(sources, batch=7, noise=1.0, residue=1.0)
    # Every estimate twice, so that swapping two of them changes nothing.
    estimates = estimates.repeat_interleave(2, dim=1)
    loss, assignment = mixit(estimates=estimates, mixtures=mixtures)
    first, second = assignment[:, 1].view(7, sources, 2).unbind(dim=-1)
    assert (first <= second).all()
    assert (first < second).any()
    for b in range(7):
        one = mixit(
            estimates=estimates[b : b + 1], mixtures=mixtures[b : b + 1]
        )
        assert torch.equal(one[1][0], assignment[b])
        torch.testing.assert_close(one[0][0], loss[b])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("sources", [2, 7])
def test_more_estimates_than_samples(solver, sources):
    estimates, mixtures, _ = outputs(
        sources, samples=2, residue=1.0, dtype=torch.float64
    )
    estimates.requires_grad_()
    loss, assignment = mixit(
        estimates=estimates, mixtures=mixtures, solver=solver
    )
    loss.sum().backward()
    assert torch.equal(assignment.sum(dim=1), torch.ones(3, sources).double())
    assert estimates.grad.isfinite().all()
    best, _ = brute_force(estimates, mixtures)
    if solver == "exact":  # but for ties
        torch.testing.assert_close(loss, best, rtol=0, atol=3e-5)
    assert (loss > best - 1e-5).all()


# Silence ---------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("which", [0, 1])
def test_a_silent_mixture_is_measured_by_the_other(orthogonal, solver, which):
    u, v = orthogonal(2)
    mixtures = torch.stack((u, 0 * u)[:: 1 - 2 * which]).unsqueeze(0)
    estimates = torch.stack((u, 0.5 * v)).unsqueeze(0).requires_grad_()
    loss, assignment = mixit(
        estimates=estimates, mixtures=mixtures, solver=solver
    )
    # The stray 0.5 v costs the same in either mixture: a tie.
    assert assignment[0, :, 0].tolist() == [1 - which, which]
    assert assignment[0, :, 1].tolist() == [1, 0]
    expected = (10 * math.log10(0.25 + 1e-3) - 30) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-5)
    loss.sum().backward()
    # The slope of 10 log10(|0.5 v|^2 + 1e-3) / 2: silence pays.
    slope = 10 / math.log(10) * 0.5 / (0.25 + 1e-3)
    torch.testing.assert_close(estimates.grad[0, 1], slope * v)


@pytest.mark.parametrize("level, own", [(-59, True), (-61, False)])
def test_a_mixture_is_silent_60_db_below(orthogonal, level, own):
    u, v, w = orthogonal(3)
    quiet = 10 ** (level / 20)
    mixtures = torch.stack((u, quiet * v)).unsqueeze(0)
    estimates = torch.stack((u, quiet * (v + 0.1 * w))).unsqueeze(0)
    loss, assignment = mixit(estimates=estimates, mixtures=mixtures)
    assert assignment.tolist() == [[[1, 0], [0, 1]]]
    power = quiet**2 if own else 1 + quiet**2
    ratio = (0.1 * quiet) ** 2 / power + 1e-3
    expected = (10 * math.log10(ratio) - 30) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("level", [0.0, 1e-8, 1.0])
def test_two_silent_mixtures_are_finite_and_move_nothing(solver, level):
    estimates, mixtures, _ = outputs(3)
    estimates = (level * estimates).requires_grad_()
    loss, assignment = mixit(
        estimates=estimates, mixtures=0 * mixtures, solver=solver
    )
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.full((3,), 80.0))
    assert assignment.sum(dim=1).eq(1).all()
    assert not estimates.grad.any()


@pytest.mark.parametrize("level", [1e-9, 1e-5, 1e-3, 1e6])
def test_any_level_keeps_value_and_gradient_finite(level):
    estimates, mixtures, planted = outputs(4)
    leaf = (level * estimates).requires_grad_()
    loss, assignment = mixit(estimates=leaf, mixtures=level * mixtures)
    loss.sum().backward()
    assert loss.isfinite().all() and leaf.grad.isfinite().all()
    if level >= 1e-5:
        loud, _ = mixit(estimates=estimates, mixtures=mixtures)
        torch.testing.assert_close(loss, loud, rtol=0, atol=1e-4)
        assert torch.equal(assignment, planted)
