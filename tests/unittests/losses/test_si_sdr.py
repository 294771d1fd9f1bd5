import functools
import math

import fast_bss_eval
import pytest
import torch
from tolerances import tolerance

from speechbrain_ext.losses import si_sdr, snr, thresholded_snr

METRICS = [si_sdr, snr, thresholded_snr]


def noisy(*shape, level=0.3, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(*shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return (target + level * noise).to(dtype), target.to(dtype)


@pytest.mark.parametrize("decibels", [-30.0, 0.0, 12.5, 40.0])
@pytest.mark.parametrize("gain", [-2.0, 1e-3, 1.0, 50.0])
def test_si_sdr_of_orthogonal_noise_is_known(orthogonal, decibels, gain):
    target, noise = orthogonal(2)
    estimate = gain * (target + 10 ** (-decibels / 20) * noise)
    value = si_sdr(estimate=estimate, target=target)
    assert value.item() == pytest.approx(decibels, abs=5e-5)


@pytest.mark.parametrize("level", [0.01, 0.3, 10.0])
@pytest.mark.parametrize("zero_mean", [True, False])
def test_si_sdr_agrees_with_fast_bss_eval(level, zero_mean):
    estimate, target = noisy(4, 3, 8000, level=level)
    estimate = estimate + 0.1
    target = target - 0.2
    value = si_sdr(estimate=estimate, target=target, zero_mean=zero_mean)
    oracle = fast_bss_eval.si_sdr_loss(
        estimate.double(), target.double(), zero_mean=zero_mean
    )
    rounding = 10 / math.log(10) * tolerance(terms=8000)  # in dB
    torch.testing.assert_close(value.double(), -oracle, rtol=0, atol=rounding)


def test_mean_is_removed_only_when_asked(orthogonal):
    target, noise = orthogonal(2)
    estimate = target + 0.1 * noise
    ignored = si_sdr(estimate=estimate + 3, target=target + 1)
    counted = si_sdr(estimate=estimate + 3, target=target, zero_mean=False)
    assert ignored.item() == pytest.approx(20, abs=5e-5)
    # |3|^2 over 400 samples joins the error of 0.01.
    expected = -10 * math.log10(0.01 + 9 * 400)
    assert counted.item() == pytest.approx(expected, abs=1e-3)


def test_snr_sees_the_level_and_the_noise(orthogonal):
    target, noise = orthogonal(2)
    value = snr(estimate=0.9 * target + 0.2 * noise, target=target)
    assert value.item() == pytest.approx(-10 * math.log10(0.05), abs=5e-5)
    silent = snr(estimate=torch.zeros(400), target=target)
    assert silent.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("snr_max", [10.0, 30.0])
def test_thresholded_snr_saturates(orthogonal, snr_max):
    target, noise = orthogonal(2)
    tau = 10 ** (-snr_max / 10)
    at = functools.partial(thresholded_snr, target=target, snr_max=snr_max)
    assert at(estimate=target).item() == pytest.approx(snr_max, abs=1e-4)
    value = at(estimate=target + 0.5 * noise).item()
    assert value == pytest.approx(-10 * math.log10(0.25 + tau), abs=5e-5)


def test_the_threshold_is_30_db_unless_told(orthogonal):
    target = orthogonal(1)
    value = thresholded_snr(estimate=target, target=target)
    assert value.item() == pytest.approx(30, abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_leading_axes_broadcast(metric):
    estimate, target = noisy(2, 1, 3, 200)
    pairs = metric(estimate=estimate.transpose(1, 2), target=target)
    assert pairs.shape == (2, 3, 3)
    for i in range(3):
        for j in range(3):
            one = metric(estimate=estimate[1, 0, i], target=target[1, 0, j])
            assert one.shape == ()
            torch.testing.assert_close(pairs[1, i, j], one)


@pytest.mark.parametrize("metric", METRICS)
def test_broadcast_gradients_are_summed(metric):
    estimate, target = noisy(3, 64, dtype=torch.float64)
    one = estimate[:1].clone().requires_grad_()
    metric(estimate=one, target=target).sum().backward()
    three = estimate[:1].repeat(3, 1).requires_grad_()
    metric(estimate=three, target=target).sum().backward()
    torch.testing.assert_close(one.grad, three.grad.sum(0, keepdim=True))


@pytest.mark.parametrize(
    "metric", [*METRICS, functools.partial(si_sdr, zero_mean=False)]
)
def test_gradients_and_values_in_float64(metric):
    estimate, target = noisy(2, 3, 20, dtype=torch.float64)
    signals = (estimate + 0.5).requires_grad_(), target.requires_grad_()
    assert metric(estimate=estimate, target=target).dtype == torch.float64
    assert torch.autograd.gradcheck(
        lambda e, t: metric(estimate=e, target=t), signals
    )


def test_a_second_derivative_is_refused_not_wrong():
    estimate, target = noisy(100)
    estimate.requires_grad_()
    value = si_sdr(estimate=estimate, target=target)
    (gradient,) = torch.autograd.grad(value, estimate, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("metric", METRICS)
def test_half_precision_is_computed_in_float32(metric, dtype):
    # Energies of int16-like levels overflow float16.
    estimate, target = (300 * x for x in noisy(2, 8000))
    estimate, target = estimate.to(dtype), target.to(dtype)
    estimate.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = metric(estimate=estimate, target=target)
    exact = metric(estimate=estimate.double(), target=target.double())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=0, atol=5e-5)
    value.sum().backward()
    assert estimate.grad.dtype == dtype
    assert estimate.grad.isfinite().all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("silent", ["estimate", "target", "both"])
def test_silence_is_finite_and_moves_nothing_it_should_not(metric, silent):
    estimate, target = noisy(2, 500)
    estimate = estimate * (silent == "target")
    target = target * (silent == "estimate")
    estimate.requires_grad_()
    value = metric(estimate=estimate, target=target)
    value.sum().backward()
    assert estimate.grad.isfinite().all()
    if silent == "estimate" and metric is not si_sdr:
        torch.testing.assert_close(value, torch.zeros(2), rtol=0, atol=5e-3)
    else:
        torch.testing.assert_close(value, torch.full((2,), -80.0))
        assert not estimate.grad.any()


@pytest.mark.parametrize("level", [1e-30, 1e-12, 1e-9, 1e-5, 1e-3, 1e6])
def test_any_level_keeps_value_and_gradient_finite(level):
    estimate, target = noisy(2, 500)
    estimate = (level * estimate).requires_grad_()
    value = si_sdr(estimate=estimate, target=target)
    value.sum().backward()
    assert value.isfinite().all()
    assert estimate.grad.isfinite().all()
    if level >= 1e-5:
        loud = si_sdr(estimate=estimate / level, target=target)
        torch.testing.assert_close(value, loud, rtol=0, atol=5e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_a_perfect_estimate_is_finite(metric):
    _, target = noisy(2, 500)
    estimate = target.clone().requires_grad_()
    value = metric(estimate=estimate, target=target)
    value.sum().backward()
    assert (value > 29.9).all() and value.isfinite().all()
    assert estimate.grad.isfinite().all()


@pytest.mark.parametrize("metric", METRICS)
def test_inputs_are_left_alone_and_nothing_waits(metric, operators):
    estimate, target = noisy(2, 3, 100)
    before = estimate.clone(), target.clone()
    leaf = estimate.requires_grad_()
    with operators() as log:
        metric(estimate=leaf, target=target).sum().backward()
    assert torch.equal(estimate, before[0])
    assert torch.equal(target, before[1])
    assert log.names and not log.synchronizing


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shapes", [((2, 9), (2, 8)), ((2, 9), (3, 9))])
def test_shapes_that_do_not_fit_are_named(metric, shapes):
    estimate, target = (torch.zeros(shape) for shape in shapes)
    named = r"estimate \(2, 9\), target \(\d, \d\).*cut or pad"
    with pytest.raises(ValueError, match=named):
        metric(estimate=estimate, target=target)
