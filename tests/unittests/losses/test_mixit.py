import functools
import itertools
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from speechbrain_ext.losses import mixit, remix

SOLVERS = ["exact", "least_squares", "least_squares_flip"]


def outputs(
    sources, *, batch=3, samples=200, noise=0.3, residue=0.0, **options
):
    """Noisy estimates, two mixtures of them, and the planted assignment.

    The residue is what the mixtures hold besides: all too easy without.
    """
    generator = torch.Generator().manual_seed(sources)
    draw = functools.partial(torch.randn, generator=generator, **options)
    clean = draw(batch, sources, samples)
    second = torch.rand(batch, sources, generator=generator) > 0.5
    if sources > 1:  # both mixtures hold something
        second[:, 0] = ~second[:, -1]
    planted = torch.stack((~second, second), dim=1).to(clean.dtype)
    mixtures = planted @ clean + residue * draw(batch, 2, samples)
    return clean + noise * draw(clean.shape), mixtures, planted


def loss_of(estimates, mixtures, assignment, snr_max=30.0):
    """The loss of one example, as the paper has it."""
    power = mixtures.square().sum(-1)
    error = (mixtures - assignment @ estimates).square().sum(-1)
    ratio = (error + 10 ** (-snr_max / 10) * power) / power
    return 10 * torch.log10(ratio).mean()


def brute_force(estimates, mixtures, **options):
    """One example and one assignment at a time, in lexicographic order."""
    best = []
    for pair in zip(estimates, mixtures, strict=True):
        losses = {}
        for second in itertools.product((0.0, 1.0), repeat=len(pair[0])):
            row = pair[1].new_tensor(second)
            assignment = torch.stack((1 - row, row))
            losses[second] = loss_of(*pair, assignment, **options), assignment
        best.append(min(losses.values(), key=lambda found: found[0]))
    return (torch.stack(x) for x in zip(*best, strict=True))


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


# Ties ------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_silent_estimates_go_to_the_first_mixture(solver):
    estimates, mixtures, planted = outputs(4)
    silent = torch.zeros_like(estimates)
    estimates = torch.cat((estimates, silent), dim=1).requires_grad_()
    loss, assignment = mixit(
        estimates=estimates, mixtures=mixtures, solver=solver
    )
    loss.sum().backward()
    assert torch.equal(assignment[..., :4], planted)
    assert assignment[:, 0, 4:].all() and not assignment[:, 1, 4:].any()
    assert estimates.grad.isfinite().all()
    loss, assignment = mixit(estimates=silent, mixtures=mixtures, solver=solver)
    assert assignment[:, 0].all()
    expected = torch.full((3,), 10 * math.log10(1 + 1e-3))
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("sources", [2, 3, 5, 8])
def test_ties_are_broken_by_order_whatever_the_neighbours(sources):
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


# Types and manners -----------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("solver", SOLVERS)
def test_half_precision_is_computed_in_float32(solver, dtype):
    # Energies of int16-like levels overflow float16; in bfloat16 the best
    # and the second best assignment of some examples would tie.
    estimates, mixtures, _ = outputs(5, batch=6, samples=3000, noise=4.0)
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
    assert not log.synchronising


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
