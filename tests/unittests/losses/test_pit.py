import functools
import itertools

import pytest
import torch
from speechbrain.nnet.losses import get_si_snr_with_pitwrapper

from speechbrain_ext.losses import (
    align,
    pit,
    scer,
    si_sdr,
    snr,
    thresholded_snr,
)


def negative_error(*, estimate, target):
    """A metric that pit does not know."""
    return -(estimate - target).square().mean(dim=-1)


METRICS = [
    si_sdr,
    functools.partial(si_sdr, zero_mean=False),
    snr,
    thresholded_snr,
    functools.partial(thresholded_snr, snr_max=5.0),
    negative_error,
]


def planted(sources, *, batch=6, samples=400, noise=0.3, seed=0, **options):
    """Targets, noisy estimates of them out of order, and the permutation."""
    generator = torch.Generator().manual_seed(seed)
    draw = functools.partial(torch.randn, generator=generator, **options)
    targets = draw(batch, sources, samples)
    order = torch.rand(batch, sources, generator=generator).argsort(dim=-1)
    estimates = align(targets, order)
    estimates = estimates + noise * draw(batch, sources, samples)
    return estimates, targets, order.argsort(dim=-1)


def brute_force(metric, estimates, targets):
    """One example at a time, one pair at a time."""
    best = []
    for estimate, target in zip(estimates, targets, strict=True):
        pairs = [
            [metric(estimate=e, target=t) for e in estimate] for t in target
        ]
        scores = {
            order: torch.stack(
                [pairs[s][e] for s, e in enumerate(order)]
            ).mean()
            for order in itertools.permutations(range(len(target)))
        }
        order = max(scores, key=scores.get)
        best.append((scores[order], torch.tensor(order)))
    return (torch.stack(x) for x in zip(*best, strict=True))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sources", [1, 2, 3, 4, 5, 6, 9])
def test_a_planted_permutation_is_found(metric, sources):
    estimates, targets, order = planted(sources)
    value, permutation = pit(metric, estimates=estimates, targets=targets)
    assert torch.equal(permutation, order)
    assert permutation.dtype == torch.int64
    aligned = align(estimates, permutation)
    expected = metric(estimate=aligned, target=targets).mean(dim=-1)
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sources", [2, 3, 4, 5, 6])
def test_brute_force_agrees_where_nothing_is_clear(metric, sources):
    # So much noise that the best assignment is rarely the planted one.
    estimates, targets, order = planted(
        sources, batch=3, samples=30, noise=5.0, dtype=torch.float64
    )
    value, permutation = pit(metric, estimates=estimates, targets=targets)
    best, best_order = brute_force(metric, estimates, targets)
    assert torch.equal(permutation, best_order)
    assert sources < 4 or not torch.equal(permutation, order)
    torch.testing.assert_close(value, best)


@pytest.mark.parametrize("sources", [2, 3, 4])
@pytest.mark.parametrize("noise", [0.01, 0.3, 3.0])
def test_speechbrain_agrees(sources, noise):
    estimates, targets, _ = planted(sources, batch=3, samples=8000, noise=noise)
    # No signal of the field is without offset; both remove it.
    estimates, targets = estimates + 0.3, targets - 0.1
    estimates.requires_grad_()
    value, _ = pit(si_sdr, estimates=estimates, targets=targets)
    (gradient,) = torch.autograd.grad(-value.mean(), estimates)
    swapped = targets.transpose(1, 2), (estimates * 1.0).transpose(1, 2)
    loss = get_si_snr_with_pitwrapper(*swapped)
    (oracle,) = torch.autograd.grad(loss.mean(), estimates)
    torch.testing.assert_close(-value, loss, rtol=0, atol=5e-5)
    torch.testing.assert_close(gradient, oracle, rtol=0, atol=2e-5)
    # At this length the gradient itself is not much more than that.
    assert (gradient - oracle).abs().max() < 1e-4 * oracle.abs().max()


@pytest.mark.parametrize("sources", [3, 5])
def test_any_leading_axes(sources):
    estimates, targets, order = planted(sources)
    shape = (2, 3, sources, 400)
    value, permutation = pit(
        si_sdr, estimates=estimates.view(shape), targets=targets.view(shape)
    )
    assert value.shape == (2, 3)
    assert torch.equal(permutation, order.view(2, 3, sources))
    one, permutation = pit(si_sdr, estimates=estimates[4], targets=targets[4])
    assert one.shape == ()
    assert torch.equal(permutation, order[4])
    torch.testing.assert_close(one, value[1, 1])


def test_align_puts_every_signal_in_its_place():
    signals = torch.randn(2, 3, 4, 5)
    permutation = torch.tensor([[[2, 0, 3, 1]] * 3, [[1, 3, 0, 2]] * 3])
    aligned = align(signals, permutation)
    for b, c, s in itertools.product(range(2), range(3), range(4)):
        expected = signals[b, c, permutation[b, c, s]]
        assert torch.equal(aligned[b, c, s], expected)
    back = align(aligned, permutation.argsort(dim=-1))
    assert torch.equal(back, signals)


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_gradients_in_float64(metric):
    estimates, targets, _ = planted(3, batch=2, samples=12, dtype=torch.float64)
    signals = estimates.requires_grad_(), targets.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e, t: pit(metric, estimates=e, targets=t)[0], signals
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("metric", [si_sdr, snr, thresholded_snr])
def test_half_precision_is_computed_in_float32(metric, dtype):
    # Under bfloat16 the wrong pairs would tie with the right ones.
    estimates, targets, order = planted(4, noise=0.1)
    targets = targets[:, :1] + 0.003 * targets
    estimates = align(targets, order.argsort(dim=-1)) + 1e-4 * estimates
    estimates = (300 * estimates).to(dtype).requires_grad_()
    targets = (300 * targets).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, permutation = pit(metric, estimates=estimates, targets=targets)
    exact, best = pit(
        metric, estimates=estimates.double(), targets=targets.double()
    )
    assert value.dtype == torch.float32
    assert torch.equal(permutation, best)
    torch.testing.assert_close(value.double(), exact, rtol=0, atol=1e-3)
    value.sum().backward()
    assert estimates.grad.isfinite().all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sources", [3, 5])
@pytest.mark.parametrize("silent", ["estimates", "targets", "both"])
def test_silence_gives_a_permutation_and_finite_gradients(
    metric, sources, silent
):
    estimates, targets, _ = planted(sources)
    estimates = estimates * (silent == "targets")
    targets = targets * (silent == "estimates")
    estimates.requires_grad_()
    value, permutation = pit(metric, estimates=estimates, targets=targets)
    value.sum().backward()
    everyone = torch.arange(sources).expand(6, sources)
    assert torch.equal(permutation.sort(dim=-1).values, everyone)
    assert value.isfinite().all()
    assert estimates.grad.isfinite().all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sources", [3, 5])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_bad_sample_spoils_its_own_example_only(metric, sources, bad):
    estimates, targets, order = planted(sources)
    estimates[2, 1, 7] = bad
    value, permutation = pit(metric, estimates=estimates, targets=targets)
    everyone = torch.arange(sources)
    assert torch.equal(permutation[2].sort().values, everyone)
    others = [0, 1, 3, 4, 5]
    # Infinite noise is an honest -80 dB, nothing else may look normal.
    assert not value[2].isfinite() or (
        bad == torch.inf and value[2] < value[others].min() - 10
    )
    assert torch.equal(permutation[others], order[others])
    assert value[others].isfinite().all()


def test_nothing_waits_for_the_device_and_calls_are_few(operators):
    estimates, targets, _ = planted(4, batch=32)
    pit(si_sdr, estimates=estimates, targets=targets)
    estimates.requires_grad_()
    before = estimates.detach().clone(), targets.clone()
    with operators() as log:
        value, permutation = pit(si_sdr, estimates=estimates, targets=targets)
        value.sum().backward()
        align(estimates, permutation)
    assert not log.synchronizing
    assert 20 < len(log.names) < 300
    assert torch.equal(estimates, before[0])
    assert torch.equal(targets, before[1])


def test_the_profiler_counts_under_300_calls():
    estimates, targets, _ = planted(4, batch=32)
    pit(si_sdr, estimates=estimates, targets=targets)
    estimates.requires_grad_()
    with torch.profiler.profile(acc_events=True) as profiler:
        value, _ = pit(si_sdr, estimates=estimates, targets=targets)
        (-value.mean()).backward()
    calls = [e.count for e in profiler.key_averages() if "aten::" in e.key]
    assert 50 < sum(calls) < 300


def test_all_pairs_of_our_metrics_cost_one_matrix_product(operators):
    estimates, targets, _ = planted(4, batch=2)
    for metric in METRICS:
        with operators() as log:
            pit(metric, estimates=estimates, targets=targets)
        products = sum(name.startswith("aten.bmm") for name in log.names)
        assert products == (0 if metric is negative_error else 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Dynamo detected a call")
def test_the_losses_compile_to_one_graph():
    def loss(estimates, targets):
        value, permutation = pit(si_sdr, estimates=estimates, targets=targets)
        aligned = align(estimates, permutation)
        second = aligned[:, 1].roll(1, 0)
        same = scer(first=aligned[:, 0], second=second, target=targets[:, 0])
        return (value + same).mean()

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    estimates, targets, _ = planted(2)
    estimates.requires_grad_()
    for function in (loss, compiled):
        value = function(estimates, targets)
        gradient = torch.autograd.grad(value, estimates)[0]
        if function is loss:
            expected = value, gradient
    torch.testing.assert_close((value, gradient), expected)


@pytest.mark.parametrize(
    "shapes", [((2, 3, 9), (2, 2, 9)), ((2, 3, 8), (2, 3, 9)), ((9,), (9,))]
)
def test_shapes_that_do_not_fit_are_named(shapes):
    estimates, targets = (torch.zeros(shape) for shape in shapes)
    named = r"estimates \(.*9\) must have one shape|targets \(9,\) must"
    with pytest.raises(ValueError, match=named):
        pit(si_sdr, estimates=estimates, targets=targets)
