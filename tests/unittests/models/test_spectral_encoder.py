import math

import torch

from speechbrain_ext.models import SpectralEncoder


def standardised(*signals):
    pairs = torch.stack(signals, 1)
    return (pairs - pairs.mean(2, keepdim=True)) / pairs.std(2, keepdim=True)


def small():
    torch.manual_seed(0)
    return SpectralEncoder(n_fft=64, hop=32, channels=8, hidden=16)


def test_features_are_the_levels_of_estimate_mixture_and_remainder():
    """A tone of 8 cycles in the window, half of it in the mixture's other."""
    encoder = small()
    time = torch.arange(6400)
    first = torch.sin(2 * math.pi * time * 8 / 64)[None]
    second = 0.1 * torch.sin(2 * math.pi * time * 20 / 64)[None]
    features = encoder.features(standardised(first, first + second))
    features = features.unflatten(2, (3, 33))[0, 50]
    estimate, mixture, remainder = features
    assert abs(estimate[8] - mixture[8]) < 0.05
    # the remainder holds the second tone, at its level in the mixture
    assert abs(remainder[20] - mixture[20]) < 0.02
    assert abs(mixture[8] - mixture[20] - 2 * math.log(10)) < 0.05
    floor = math.log(1e-5)
    assert abs(remainder[8] - floor) < 0.5 and abs(estimate[20] - floor) < 0.5


def test_an_estimate_that_is_the_mixture_leaves_nothing():
    encoder = small()
    mixture = torch.randn(2, 3000)
    features = encoder.features(standardised(mixture, mixture))
    remainder = features.unflatten(2, (3, 33))[:, :, 2]
    assert (remainder < math.log(1.1e-5)).all()


def test_the_sign_of_the_estimate_does_not_matter():
    encoder = small()
    mixture, estimate = torch.randn(2, 2, 3000)
    first = encoder(standardised(estimate, mixture))
    assert torch.allclose(
        first, encoder(standardised(-estimate, mixture)), atol=1e-4
    )


def test_pooling_is_mean_and_deviation_of_the_frames():
    encoder = small()
    pairs = torch.randn(3, 2, 3000)
    frames = encoder(pairs)
    mean, deviation = encoder.pool(pairs)
    torch.testing.assert_close(mean, frames.mean(2))
    torch.testing.assert_close(deviation, frames.std(2))


def test_half_precision_leaves_the_transform_alone():
    encoder = small()
    pairs = standardised(torch.randn(2, 3000), torch.randn(2, 3000))
    expected = encoder.features(pairs)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.features(pairs), expected)
        mean, deviation = encoder.pool(pairs)
    assert mean.dtype == deviation.dtype == torch.float32


def test_every_parameter_learns():
    encoder = small()
    mean, deviation = encoder.pool(torch.randn(2, 2, 3000))
    (mean.square().sum() + deviation.sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
