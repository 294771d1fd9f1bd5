import itertools
import math

import pytest
import torch
from mixit_signals import SOLVERS, brute_force, outputs
from torch.utils._python_dispatch import TorchDispatchMode

from speechbrain_ext.losses import check_least_squares, mixit, remix


@pytest.mark.parametrize("sources", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("noise", [0.3, 2.0])
@pytest.mark.parametrize("snr_max", [10.0, 30.0])
def test_brute_force_agrees(sources, noise, snr_max):
    estimates, mixtures, _ = outputs(
        sources, noise=noise, residue=0.5, dtype=torch.float64
    )
    signals = estimates.requires_grad_(), mixtures.requires_grad_()
    loss, assignment = mixit(
        estimates=estimates, mixtures=mixtures, snr_max=snr_max
    )
    expected, best = brute_force(*signals, snr_max=snr_max)
    assert torch.equal(assignment, best)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-6)
    gradients = torch.autograd.grad(loss.sum(), signals)
    oracles = torch.autograd.grad(expected.sum(), signals)
    torch.testing.assert_close(gradients, oracles)


@pytest.mark.parametrize("sources", [2, 5])
def test_float32_is_as_good_as_its_rounding(sources):
    estimates, mixtures, _ = outputs(sources, samples=8000)
    estimates.requires_grad_()
    loss, assignment = mixit(estimates=estimates, mixtures=mixtures)
    (gradient,) = torch.autograd.grad(loss.sum(), estimates)
    expected, best = brute_force(estimates.double(), mixtures.double())
    (oracle,) = torch.autograd.grad(expected.sum(), estimates)
    assert torch.equal(assignment, best.float())
    torch.testing.assert_close(loss.double(), expected, rtol=0, atol=2e-5)
    assert (gradient - oracle).abs().max() < 1e-5 * oracle.abs().max()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("sources", [1, 2, 3, 4, 8, 11, 16])
def test_a_planted_assignment_comes_back(solver, sources):
    # With noise on both sides nothing is saturated.
    estimates, mixtures, planted = outputs(
        sources, batch=4, noise=0.1, residue=0.1
    )
    loss, assignment = mixit(
        estimates=estimates, mixtures=mixtures, solver=solver
    )
    assert loss.shape == (4,)
    assert assignment.dtype == torch.float32
    assert torch.equal(assignment, planted)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("snr_max", [10.0, 30.0])
def test_perfect_estimates_reach_the_threshold(solver, snr_max):
    sources = torch.randn(2, 4, 100)
    assignment = torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 0]]).expand(2, 2, 4)
    loss, found = mixit(
        estimates=sources,
        mixtures=remix(sources, assignment),
        solver=solver,
        snr_max=snr_max,
    )
    assert torch.equal(found, assignment)
    torch.testing.assert_close(loss, torch.full((2,), -snr_max))


@pytest.mark.parametrize("solver", SOLVERS)
def test_without_a_threshold_perfect_estimates_stay_finite(solver):
    estimates, mixtures, planted = outputs(6, noise=0.0)
    estimates.requires_grad_()
    loss, assignment = mixit(
        estimates=estimates, mixtures=mixtures, solver=solver, snr_max=math.inf
    )
    loss.sum().backward()
    assert torch.equal(assignment, planted)
    assert loss.isfinite().all() and (loss < -120).all()
    assert estimates.grad.isfinite().all()


def test_the_sum_of_squared_errors_is_not_what_is_minimised(orthogonal):
    u, v = orthogonal(2)
    mixtures = torch.stack((u, 0.1 * v)).unsqueeze(0)
    estimates = (0.05 * u + 0.1 * v).view(1, 1, -1)
    loss, assignment = mixit(estimates=estimates, mixtures=mixtures)
    # In the first mixture it would lower the sum, from 1.0025 to 0.9225.
    assert assignment.tolist() == [[[0], [1]]]
    expected = 5 * math.log10((1 + 1e-3) * (0.25 + 1e-3))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_quiet_sources_beside_loud_ones_are_not_lost(orthogonal):
    # 55 dB below: one float32 product over all samples would lose them.
    signals = orthogonal(6, samples=20000, dtype=torch.float32)
    sources = signals * torch.tensor([[1.0]] * 4 + [[10 ** (-55 / 20)]] * 2)
    estimates = (sources + 0.1 * sources.roll(1, -1)).repeat(2, 1, 1)
    mixtures = torch.stack((sources[:4].sum(0), sources[4:].sum(0)))
    mixtures = mixtures.repeat(2, 1, 1)
    for solver in SOLVERS:
        _, assignment = mixit(
            estimates=estimates, mixtures=mixtures, solver=solver
        )
        expected = torch.tensor([0.0, 0, 0, 0, 1, 1]).expand(2, 6)
        assert torch.equal(assignment[:, 1], expected)


# Types and manners -----------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("solver", SOLVERS)
def test_half_precision_is_computed_in_float32(solver, dtype):
    # Energies of int16-like levels overflow float16; in bfloat16 the best
    # and the second best assignment of some examples would tie.
    estimates, mixtures, _ = outputs(6, batch=64, samples=500, noise=4.0)
    estimates = (300 * estimates).to(dtype).requires_grad_()
    mixtures = (300 * mixtures).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, assignment = mixit(
            estimates=estimates, mixtures=mixtures, solver=solver
        )
        assert remix(estimates, assignment).dtype == torch.float32
    exact, best = mixit(
        estimates=estimates.double(), mixtures=mixtures.double(), solver=solver
    )
    assert loss.dtype == assignment.dtype == torch.float32
    assert torch.equal(assignment.double(), best)
    torch.testing.assert_close(loss.double(), exact, rtol=0, atol=1e-4)
    loss.sum().backward()
    assert estimates.grad.dtype == dtype
    assert estimates.grad.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients_in_float64(solver):
    estimates, mixtures, _ = outputs(
        3, batch=2, samples=12, noise=1.0, dtype=torch.float64
    )
    signals = estimates.requires_grad_(), mixtures.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e, x: mixit(estimates=e, mixtures=x, solver=solver)[0], signals
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_inputs_are_left_alone_and_nothing_waits(solver, operators):
    estimates, mixtures, _ = outputs(6)
    before = estimates.clone(), mixtures.clone()
    estimates.requires_grad_()
    with operators() as log:
        loss, assignment = mixit(
            estimates=estimates, mixtures=mixtures, solver=solver
        )
        loss.sum().backward()
        remix(estimates, assignment)
    assert torch.equal(estimates, before[0])
    assert torch.equal(mixtures, before[1])
    assert not assignment.requires_grad
    assert 20 < len(log.names) < 400
    assert not log.synchronizing


class LargestOutput(TorchDispatchMode):
    """Remember the size in bytes of the largest tensor that is made."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            size = result.numel() * result.element_size()
            self.largest = max(self.largest, size)
        return result


@pytest.mark.parametrize("solver", SOLVERS)
def test_nothing_larger_than_the_estimates_is_made(solver):
    estimates, mixtures, _ = outputs(12, batch=1, samples=30000)
    estimates.requires_grad_()
    with LargestOutput() as log:
        loss, _ = mixit(estimates=estimates, mixtures=mixtures, solver=solver)
        loss.sum().backward()
    # The gradient itself is as large.
    assert log.largest == estimates.numel() * estimates.element_size()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_bad_sample_spoils_its_own_example_only(solver, bad):
    estimates, mixtures, planted = outputs(4, batch=5)
    estimates[2, 1, 7] = bad
    loss, assignment = mixit(
        estimates=estimates, mixtures=mixtures, solver=solver
    )
    assert not loss[2].isfinite()
    assert torch.equal(assignment[2].sum(dim=0), torch.ones(4))
    others = [0, 1, 3, 4]
    assert torch.equal(assignment[others], planted[others])
    assert loss[others].isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.filterwarnings("ignore:Dynamo detected a call")
def test_the_loss_compiles_to_one_graph(solver):
    def loss(estimates, mixtures):
        value, assignment = mixit(
            estimates=estimates, mixtures=mixtures, solver=solver
        )
        return value.mean(), assignment

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    estimates, mixtures, _ = outputs(4, noise=2.0)
    estimates.requires_grad_()
    for function in (loss, compiled):
        value, assignment = function(estimates, mixtures)
        gradient = torch.autograd.grad(value, estimates)[0]
        if function is loss:
            expected = value, assignment, gradient
    torch.testing.assert_close((value, assignment, gradient), expected)


def test_remix_sums_what_belongs_together():
    estimates, _, assignment = outputs(5, dtype=torch.float64)
    mixtures = remix(estimates, assignment.float())
    for b, n in itertools.product(range(3), range(2)):
        belongs = assignment[b, n].bool()
        expected = estimates[b, belongs].sum(dim=0)
        torch.testing.assert_close(mixtures[b, n], expected)


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 4, 9), (2, 3, 9)),
        ((2, 4, 9), (2, 2, 8)),
        ((2, 4, 9), (1, 2, 9)),
        ((2, 0, 9), (2, 2, 9)),
        ((4, 9), (2, 9)),
    ],
)
def test_shapes_that_do_not_fit_are_named(shapes):
    estimates, mixtures = (torch.zeros(shape) for shape in shapes)
    named = r"estimates \(.*9\) and mixtures \(.*\) must be \(batch, sources"
    with pytest.raises(ValueError, match=named):
        mixit(estimates=estimates, mixtures=mixtures)


def test_mistakes_are_named():
    estimates, mixtures, planted = outputs(17, batch=1, noise=0.0)
    named = r"solver='best' is not one of \['exact', 'least_squares', '"
    with pytest.raises(ValueError, match=named):
        mixit(estimates=estimates, mixtures=mixtures, solver="best")
    named = r"2\^17 assignments of 17 .*exact_limit=16 .*'least_squares_flip'"
    with pytest.raises(ValueError, match=named):
        mixit(estimates=estimates, mixtures=mixtures)
    _, assignment = mixit(
        estimates=estimates, mixtures=mixtures, exact_limit=17
    )
    assert torch.equal(assignment, planted)


def test_least_squares_is_compared_with_the_exact_assignment():
    # outputs that are still mixed: least squares is often wrong
    estimates, mixtures, _ = outputs(6, batch=16, noise=1.5, residue=0.5)
    signals = {"estimates": estimates, "mixtures": mixtures, "snr_max": 20.0}
    exact, least_squares = (
        mixit(**signals, solver=solver)[0]
        for solver in ("exact", "least_squares")
    )
    found = check_least_squares(**signals)
    wrong = sum(least_squares > exact + 1e-3).item() / 16
    assert 0 < wrong < 1 and found["least_squares_missed"].item() == wrong
    assert found["least_squares_cost_db"] == (least_squares - exact).mean()
