"""Purification held against plain loops in double precision."""

import math

import pytest
import torch

from speechbrain_ext.losses import (
    compare_levels,
    contrastive_mixtures,
    contrastive_pairs,
    frame_snr_db,
    purification_weights,
    purified_mse,
    purified_si_sdr,
    purified_snr,
)
from speechbrain_ext.losses.purification import frame_sums

SIZES = {"window": 64, "hop": 16}
LOSSES = [purified_mse, purified_snr, purified_si_sdr]


def draw(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(
        dtype
    )


def frames_of(signal, window=64, hop=16):
    """Windowed frames of one signal, cut by a loop."""
    shape = 0.5 - 0.5 * torch.cos(
        2 * math.pi * torch.arange(window, dtype=torch.float64) / window
    )
    around = torch.zeros(window, dtype=torch.float64)
    padded = torch.cat((around[: window // 2], signal, around))
    return [
        shape * padded[n * hop : n * hop + window]
        for n in range(1 + len(signal) // hop)
    ]


def levels_by_loop(target, noisy):
    return [
        10 * math.log10(((t**2).sum() + 1e-8) / (((t - n) ** 2).sum() + 1e-8))
        for t, n in zip(frames_of(target), frames_of(noisy), strict=True)
    ]


def loss_by_loop(loss, estimate, target, levels, beta=1.0, offset=0.0):
    estimate, target = estimate - estimate.mean(), target - target.mean()
    pairs = zip(frames_of(estimate), frames_of(target), strict=True)
    values = []
    for (e, t), level in zip(pairs, levels, strict=True):
        weight = 1 / (1 + math.exp(-(beta * level + offset)))
        if loss is purified_mse:
            value = ((e - t) ** 2).sum().item() / 64
        else:
            gain = 1.0
            if loss is purified_si_sdr:
                gain = (e * t).sum() / (t**2).sum()
            rest = ((e - gain * t) ** 2).sum()
            value = 10 * math.log10(((gain * t) ** 2).sum() / rest)
        values.append(weight * value)
    return sum(values) / len(values)


@pytest.mark.parametrize("time", [1, 15, 16, 17, 63, 64, 200, 207])
def test_levels_are_those_of_a_loop(time):
    target, noise = draw(2, 3, time)
    noisy = target + 0.3 * noise
    found = frame_snr_db(target=target, noisy=noisy, clamp_db=None, **SIZES)
    assert found.shape == (3, 1 + time // 16)
    for row, *pair in zip(found, target, noisy, strict=True):
        wanted = torch.tensor(levels_by_loop(*pair), dtype=torch.float64)
        torch.testing.assert_close(row, wanted)


def test_frames_are_those_of_the_centred_transform():
    signal = draw(2, 207)
    spectrum = torch.stft(
        signal,
        64,
        16,
        window=torch.hann_window(64, dtype=torch.float64),
        pad_mode="constant",
        return_complex=True,
        onesided=False,
    )
    energies = spectrum.abs().square().sum(1) / 64
    torch.testing.assert_close(frame_sums(signal.square(), **SIZES), energies)


def test_levels_are_clamped_unless_told_otherwise():
    target = torch.cat((torch.zeros(100), torch.ones(100)))
    noisy = target + 0.1
    free = frame_snr_db(target=target, noisy=noisy, clamp_db=None, **SIZES)
    held = frame_snr_db(target=target, noisy=noisy, **SIZES)
    assert free.min() < -60
    assert torch.equal(held, free.clamp(-20, 20)) and held.min() == -20


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [{}, {"beta": 0.5, "offset": -1.0}])
def test_losses_are_those_of_a_loop(loss, shape):
    estimate, target, noise = draw(3, 4, 207)
    levels = frame_snr_db(target=target, noisy=target + noise, **SIZES)
    found = loss(
        estimate=estimate,
        target=target,
        frame_snr_db=levels,
        **SIZES,
        **shape,
    )
    for n, value in enumerate(found):
        wanted = loss_by_loop(
            loss, estimate[n], target[n], levels[n].tolist(), **shape
        )
        # ratios in dB have a floor at -80
        assert value.item() == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_levels_every_frame_has_the_weight_1(loss):
    estimate, target = draw(2, 3, 207)
    pair = {"estimate": estimate, "target": target, **SIZES}
    certain = loss(frame_snr_db=torch.full((3, 13), 1e3), **pair)
    torch.testing.assert_close(loss(frame_snr_db=None, **pair), certain)


def test_normalized_weights_have_a_mean_of_1():
    levels = 10 * draw(5, 40)
    plain = purification_weights(frame_snr_db=levels)
    weights = purification_weights(frame_snr_db=levels, normalize=True)
    torch.testing.assert_close(
        weights.mean(-1), torch.ones(5, dtype=torch.float64)
    )
    torch.testing.assert_close(weights, plain / plain.mean(-1, keepdim=True))
    hopeless = purification_weights(
        frame_snr_db=torch.full((1, 4), -1e4), normalize=True
    )
    assert torch.equal(hopeless, torch.zeros(1, 4))


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_right_and_none_reaches_the_levels(loss):
    estimate, target = draw(2, 2, 70)
    levels = draw(2, 5, seed=1).requires_grad_()
    estimate.requires_grad_()

    def of(estimate):
        return loss(
            estimate=estimate, target=target, frame_snr_db=levels, **SIZES
        )

    assert torch.autograd.gradcheck(of, (estimate,))
    of(estimate).sum().backward()
    assert levels.grad is None


@pytest.mark.parametrize("loss", LOSSES)
def test_inputs_are_left_alone(loss):
    """Means are removed in place by the authors' code."""
    estimate, target, levels = 1 + draw(2, 70), 2 + draw(2, 70), draw(2, 5)
    before = [x.clone() for x in (estimate, target, levels)]
    loss(estimate=estimate, target=target, frame_snr_db=levels, **SIZES)
    frame_snr_db(target=target, noisy=estimate, **SIZES)
    for one, other in zip((estimate, target, levels), before, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("silent", ["estimate", "target", "both"])
def test_silence_stays_finite(loss, silent):
    pair = {name: draw(2, 300).float() for name in ("estimate", "target")}
    for name in pair if silent == "both" else [silent]:
        pair[name] = torch.zeros(2, 300)
    pair["estimate"].requires_grad_()
    levels = frame_snr_db(
        target=pair["target"], noisy=pair["target"] * 1.0, **SIZES
    )
    value = loss(frame_snr_db=levels, **pair, **SIZES)
    value.sum().backward()
    assert value.isfinite().all()
    assert pair["estimate"].grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(loss, dtype):
    estimate, target = draw(2, 2, 300, dtype=dtype)
    levels = torch.zeros(2, 19, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(
            estimate=estimate, target=target, frame_snr_db=levels, **SIZES
        )
    exact = loss(
        estimate=estimate.float(),
        target=target.float(),
        frame_snr_db=levels.float(),
        **SIZES,
    )
    assert value.dtype == torch.float32
    assert torch.equal(value, exact)


def test_what_does_not_fit_is_refused():
    signal = torch.zeros(2, 100)
    with pytest.raises(ValueError, match="has 6 frames and the loss 7"):
        purified_mse(
            estimate=signal,
            target=signal,
            frame_snr_db=torch.zeros(2, 6),
            **SIZES,
        )
    with pytest.raises(ValueError, match="must be equally long"):
        frame_snr_db(target=signal, noisy=signal[:, 1:])
    with pytest.raises(ValueError, match="multiple of twice hop=48"):
        frame_sums(signal, window=64, hop=48)


def test_contrastive_pairs_by_a_loop():
    signals = dict(
        zip(
            ("first", "second", "first_target", "second_target"),
            draw(4, 2, 207),
            strict=True,
        )
    )
    levels = 5 * draw(2, 2, 13, seed=3)
    positive = torch.tensor([True, False])
    found = contrastive_mixtures(
        **signals,
        positive=positive,
        first_snr_db=levels[0],
        second_snr_db=levels[1],
        **SIZES,
    )
    weights = torch.sigmoid(levels)
    expected = []
    for n, weight in enumerate((weights[0, 0], weights[0, 1] * weights[1, 1])):
        # levels whose sigmoid is this weight
        level = torch.logit(weight).tolist()
        near, far = (
            loss_by_loop(purified_mse, signals[a][n], signals[b][n], level)
            for a, b in (
                ("first", "second"),
                ("first_target", "second_target"),
            )
        )
        expected.append(near if n == 0 else (near - far) ** 2)
    assert found.tolist() == pytest.approx(expected)
    plain = contrastive_mixtures(
        **signals,
        positive=positive,
        first_snr_db=None,
        second_snr_db=None,
        **SIZES,
    )
    alike = purified_mse(
        estimate=signals["first"],
        target=signals["second"],
        frame_snr_db=None,
        **SIZES,
    )
    torch.testing.assert_close(plain[0], alike[0])


def test_pairs_of_a_batch_are_the_pairs():
    estimate, target = draw(6, 300), draw(6, 300, seed=1)
    levels = 10 * draw(6, 19, seed=2)
    positive = torch.tensor([True, False, True])
    options = {"positive": positive, "beta": 0.5, **SIZES}
    found = contrastive_pairs(
        estimate=estimate,
        target=target,
        frame_snr_db=levels,
        positive_weight=0.1,
        negative_weight=0.2,
        **options,
    )
    for n, weight in enumerate((0.1, 0.2, 0.1)):
        one, two = 2 * n, 2 * n + 1
        (wanted,) = contrastive_mixtures(
            first=estimate[one : one + 1],
            second=estimate[two : two + 1],
            first_target=target[one : one + 1],
            second_target=target[two : two + 1],
            first_snr_db=levels[one : one + 1],
            second_snr_db=levels[two : two + 1],
            **{**options, "positive": positive[n : n + 1]},
        )
        torch.testing.assert_close(found[n], weight * wanted)


def test_levels_are_compared_by_a_loop():
    speech, noise = draw(300), draw(300, seed=1)
    true, predicted = 5 * draw(19, seed=2), 5 * draw(19, seed=3)
    found = compare_levels(
        predicted=predicted, true=true, speech=speech, noise=noise, **SIZES
    )
    pairs = list(zip(predicted.tolist(), true.tolist(), strict=True))
    weights = [[1 / (1 + math.exp(-level)) for level in pair] for pair in pairs]
    wanted = {
        "error_db": math.sqrt(sum((p - t) ** 2 for p, t in pairs) / 19),
        "weight_error": sum(abs(p - t) for p, t in weights) / 19,
        "frames_above": 100 * sum(p > 0 for p, _ in pairs) / 19,
    }
    for name, signal in (("noise", noise), ("speech", speech)):
        energies = [float((f**2).sum()) for f in frames_of(signal)]
        for column, end in enumerate(("", "_oracle")):
            seen = sum(
                w[column] * e for w, e in zip(weights, energies, strict=True)
            )
            wanted[f"{name}_hidden{end}"] = 100 * (1 - seen / sum(energies))
    assert found.pop("correlation") == pytest.approx(
        float(torch.corrcoef(torch.stack((predicted, true)))[0, 1])
    )
    assert found == pytest.approx(wanted, rel=1e-4)
