import functools
import math

import pytest
import torch

from speechbrain_ext.losses import scer, si_sdr

SCALES = ["target", "least_squares", "none"]
SCALED = ["target", "least_squares"]


def two_estimates(*, seed=0, noise=0.3, shape=(4, 800), dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    draw = functools.partial(
        torch.randn, shape, generator=generator, dtype=torch.float64
    )
    target = draw()
    first, second = target + noise * draw(), target + noise * draw()
    return {
        "first": first.to(dtype),
        "second": second.to(dtype),
        "target": target.to(dtype),
    }


def changed(signals, **factors):
    return {k: x * factors.get(k, 1.0) for k, x in signals.items()}


def loss(signals, *, weight=1.0, **options):
    """The total loss of ring mixing, PIT aside, per example."""
    quality = sum(
        si_sdr(estimate=signals[k], target=signals["target"])
        for k in ("first", "second")
    )
    return -quality / 2 - weight * scer(**signals, **options)


@pytest.mark.parametrize("scale", SCALES)
def test_value_of_orthogonal_noise_is_known(orthogonal, scale):
    target, a, b = orthogonal(3)
    first, second = target + 0.2 * a, target + 0.5 * b
    value = scer(first=first, second=second, target=target, scale=scale)
    expected = -10 * math.log10(0.2**2 + 0.5**2 + 1e-3)
    assert value.item() == pytest.approx(expected, abs=5e-5)


def test_each_scale_treats_levels_as_documented(orthogonal):
    target, a, b = orthogonal(3)
    signals = {"first": 3 * target + a, "second": target + b, "target": target}

    def expected(error):
        return pytest.approx(-10 * math.log10(error + 1e-3), abs=5e-5)

    assert scer(**signals).item() == expected(1 / 9 + 1)
    assert scer(**signals, scale="none").item() == expected(4 + 1 + 1)
    # The mean projection is 2, so both are halved.
    value = scer(**signals, scale="least_squares").item()
    assert value == expected((4 + 1 + 1) / 4)


@pytest.mark.parametrize("floor", [1e-2, 1e-3])
@pytest.mark.parametrize("scale", SCALES)
def test_the_floor_caps_the_value(floor, scale):
    target = two_estimates()["target"]
    value = scer(
        first=target, second=target, target=target, scale=scale, floor=floor
    )
    torch.testing.assert_close(
        value, torch.full((4,), -10 * math.log10(floor)), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("scale", SCALED)
@pytest.mark.parametrize("level", [1e-6, 1e-3, 0.1, 1e4])
def test_the_level_of_the_estimates_earns_nothing(scale, level):
    signals = two_estimates(dtype=torch.float64)
    value = scer(**signals, scale=scale)
    scaled = changed(signals, first=level, second=level)
    torch.testing.assert_close(
        scer(**scaled, scale=scale), value, rtol=0, atol=1e-4
    )


def test_by_default_each_level_is_free():
    signals = two_estimates(dtype=torch.float64)
    scaled = changed(signals, first=0.1, second=20.0)
    torch.testing.assert_close(scer(**scaled), scer(**signals))
    both = scer(**scaled, scale="least_squares")
    assert (both < scer(**signals, scale="least_squares") - 5).all()


@pytest.mark.parametrize("scale", SCALED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("silent", ["both", "first", "second"])
def test_a_silent_estimate_earns_nothing(scale, dtype, silent):
    signals = two_estimates(dtype=dtype)
    names = ("first", "second") if silent == "both" else (silent,)
    signals = changed(signals, **dict.fromkeys(names, 0.0))
    signals = {k: x.requires_grad_() for k, x in signals.items()}
    value = scer(**signals, scale=scale)
    value.sum().backward()
    assert (value <= 0).all() and value.isfinite().all()
    assert all(x.grad.isfinite().all() for x in signals.values())


@pytest.mark.parametrize("scale", SCALED)
@pytest.mark.parametrize("signs", [(-1, -1), (-1, 1), (1, -1)])
def test_opposite_estimates_are_worse_than_silence(scale, signs):
    signals = two_estimates(noise=0.3)
    signals = changed(signals, first=signs[0], second=signs[1])
    value = scer(**signals, scale=scale)
    silent = scer(**changed(signals, first=0, second=0), scale=scale)
    assert (value < silent).all() and value.isfinite().all()


@pytest.mark.parametrize("scale", SCALED)
@pytest.mark.parametrize("correlation", [1.0, 0.3, 0.01, 0.0, -1e-3, -1.0])
@pytest.mark.parametrize("level", [1e-4, 1.0])
def test_gradients_are_bounded(orthogonal, scale, correlation, level):
    target, a, b = orthogonal(3, dtype=torch.float32)
    rest = math.sqrt(1 - correlation**2)
    first = (level * (correlation * target + rest * a)).requires_grad_()
    second = (level * (correlation * target + rest * b)).requires_grad_()
    value = scer(first=first, second=second, target=target, scale=scale)
    value.backward()
    assert value > -30
    # 20 / ln(10) / (0.1 level), for the scale and for the difference.
    for estimate in (first, second):
        assert estimate.grad.norm() < 2 * 87 / level


def ring(orthogonal, share, *, level=1.0, noise_db=-5.0):
    """Two estimates of y = s + n: s + share (n + the other source's noise)."""
    speech, own, before, after = orthogonal(4, samples=64)
    noise = 10 ** (noise_db / 20)
    own, before, after = noise * own, noise * before, noise * after
    return {
        "first": level * (speech + share * (own + before)),
        "second": level * (speech + share * (own + after)),
        "target": speech + own,
    }


def best_share(orthogonal, **options):
    noise_db = options.pop("noise_db", -5.0)
    shares = torch.linspace(0, 1, 201, dtype=torch.float64)
    losses = [
        loss(ring(orthogonal, share, noise_db=noise_db), **options)
        for share in shares
    ]
    return shares[torch.stack(losses).argmin()].item()


@pytest.mark.parametrize("noise_db", [0.0, -5.0, -10.0])
def test_si_sdr_alone_keeps_half_of_the_noise(orthogonal, noise_db):
    share = best_share(orthogonal, weight=0.0, noise_db=noise_db)
    assert share == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("noise_db", [0.0, -5.0, -10.0])
@pytest.mark.parametrize("scale", SCALED)
def test_scer_breaks_the_symmetry(orthogonal, noise_db, scale):
    share = best_share(orthogonal, scale=scale, noise_db=noise_db)
    assert share < 0.25
    # The floor ends the reward: an estimate without noise is no better.
    assert share >= 0


def descend(orthogonal, scale, *, learn_share):
    """Train the level of the ring's estimates and, if told, their noise."""
    level = torch.zeros((), dtype=torch.float64, requires_grad=True)
    share = torch.tensor(0.6, dtype=torch.float64, requires_grad=learn_share)
    learnt = [level, share] if learn_share else [level]
    optimizer = torch.optim.Adam(learnt, lr=0.02)
    losses = []
    for _ in range(200):
        signals = ring(orthogonal, share, level=level.exp())
        value = loss(signals, scale=scale)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return level.exp().item(), share.item(), losses[0] - losses[-1]


@pytest.mark.slow
def test_unscaled_scer_collapses_under_gradient_descent(orthogonal):
    # The level is learnt long before the noise: hold the noise.
    level, _, won = descend(orthogonal, "none", learn_share=False)
    assert level < 0.05
    assert won > 15


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALED)
def test_scaled_scer_denoises_under_gradient_descent(orthogonal, scale):
    level, _, won = descend(orthogonal, scale, learn_share=False)
    assert level == pytest.approx(1, abs=1e-3)
    assert won == pytest.approx(0, abs=1e-3)
    level, share, won = descend(orthogonal, scale, learn_share=True)
    assert level == pytest.approx(1, abs=1e-3)
    assert share < 0.1
    assert won > 5


def test_silencing_pays_only_when_unscaled(orthogonal):
    signals = ring(orthogonal, 0.5)
    quiet = changed(signals, first=1e-3, second=1e-3)
    assert loss(quiet, scale="none") < loss(signals, scale="none") - 15
    for scale in SCALED:
        gain = loss(signals, scale=scale) - loss(quiet, scale=scale)
        assert gain.item() == pytest.approx(0, abs=1e-6)
        silent = changed(signals, first=0, second=0)
        assert loss(silent, scale=scale) > loss(signals, scale=scale) + 50


def test_an_offset_that_si_sdr_ignores_does_not_change_the_scale():
    signals = two_estimates(dtype=torch.float64)
    offset = {
        "first": signals["first"] + 100,
        "second": signals["second"] + 100,
        "target": signals["target"] + 1,
    }
    torch.testing.assert_close(scer(**offset), scer(**signals))
    # With the means left in, a common offset would pass for agreement.
    assert (scer(**offset, zero_mean=False) > scer(**signals) + 10).all()


@pytest.mark.parametrize("scale", SCALES)
def test_gradients_and_values_in_float64(scale):
    signals = two_estimates(shape=(2, 3, 16), dtype=torch.float64)
    signals = {k: x.requires_grad_() for k, x in signals.items()}
    assert scer(**signals, scale=scale).dtype == torch.float64
    assert scer(**signals, scale=scale).shape == (2, 3)
    assert torch.autograd.gradcheck(
        lambda *x: scer(**dict(zip(signals, x, strict=True)), scale=scale),
        tuple(signals.values()),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", SCALES)
def test_half_precision_is_computed_in_float32(scale, dtype):
    signals = changed(two_estimates(), first=300.0, second=300.0, target=300.0)
    signals = {k: x.to(dtype).requires_grad_() for k, x in signals.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = scer(**signals, scale=scale)
    exact = scer(**{k: x.double() for k, x in signals.items()}, scale=scale)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=0, atol=5e-5)
    value.sum().backward()
    assert all(x.grad.isfinite().all() for x in signals.values())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("estimates", [0.0, 1.0])
def test_a_silent_target_is_finite_and_moves_nothing(scale, estimates):
    signals = changed(
        two_estimates(), first=estimates, second=estimates, target=0.0
    )
    signals = {k: x.requires_grad_() for k, x in signals.items()}
    value = scer(**signals, scale=scale)
    value.sum().backward()
    torch.testing.assert_close(value, torch.full((4,), -80.0))
    assert not signals["first"].grad.any()
    assert not signals["second"].grad.any()


@pytest.mark.parametrize("scale", SCALES)
def test_inputs_are_left_alone_and_nothing_waits(scale, operators):
    signals = two_estimates()
    before = {k: x.clone() for k, x in signals.items()}
    leaves = {k: x.requires_grad_() for k, x in signals.items()}
    with operators() as log:
        scer(**leaves, scale=scale).sum().backward()
    assert all(torch.equal(leaves[k], before[k]) for k in before)
    assert log.names and not log.synchronizing


def test_mistakes_are_named():
    signals = two_estimates()
    with pytest.raises(ValueError, match="'snr'.*'target', 'least_squares'"):
        scer(**signals, scale="snr")
    with pytest.raises(ValueError, match=r"floor is 0\.0; it must be pos"):
        scer(**signals, floor=0.0)
    short = {**signals, "second": signals["second"][:, :-1]}
    with pytest.raises(ValueError, match=r"second \(4, 799\).*equally long"):
        scer(**short)
