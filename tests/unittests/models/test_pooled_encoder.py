import pytest
import torch
from tolerances import tolerance
from torch import nn

from speechbrain_ext.models import pooled_encoder
from speechbrain_ext.models.pooled_encoder import pool_frames
from speechbrain_ext.models.strided_convolution import (
    halve_frames,
    stack_taps,
)


def make_layers(channels=6, number=5):
    torch.manual_seed(0)
    return nn.ModuleList(
        nn.Conv1d(2 if k == 0 else channels, channels, 4, 1 if k == 0 else 2)
        for k in range(number)
    )


def reference(signals, layers):
    """Plain convolutions, and PyTorch's statistics."""
    frames = signals
    for number, layer in enumerate(layers):
        frames = layer(frames.relu() if number else frames)
    deviation, mean = torch.std_mean(frames, dim=2)
    return mean, deviation


@pytest.mark.slow
@pytest.mark.parametrize("time", [65, 80, 81, 1000, 1007])
@pytest.mark.parametrize("piece", [1, 64, 500, 10**6])
def test_pieces_give_what_the_whole_gives(time, piece):
    layers = make_layers().double()
    signals = torch.randn(3, 2, time, dtype=torch.float64)
    parameters = list(layers.float().parameters())
    expected = reference(signals.float(), layers)
    found = pool_frames(signals.float(), parameters, piece=piece)
    of_found, of_expected = (
        torch.autograd.grad(
            (mean * torch.arange(6)).sum() + deviation.square().sum(),
            parameters,
        )
        for mean, deviation in (found, expected)
    )
    for ours, theirs in zip(
        (*found, *of_found), (*expected, *of_expected), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_all_rows_together_give_the_same(monkeypatch):
    """As on a GPU."""
    layers = make_layers()
    parameters = list(layers.parameters())
    signals = torch.randn(3, 2, 500)
    results = []
    for rows in (1, 3):
        monkeypatch.setattr(pooled_encoder, "rows_at_once", lambda s, r=rows: r)
        mean, deviation = pool_frames(signals, parameters, piece=100)
        gradients = torch.autograd.grad(
            (mean + deviation).square().sum(), parameters
        )
        results.append((mean, deviation, *gradients))
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second)


def test_no_piece_is_longer_than_asked_for(monkeypatch):
    lengths = []
    encode = pooled_encoder.encode

    def noted(samples, *others):
        lengths.append(samples.shape[2])
        return encode(samples, *others)

    monkeypatch.setattr(pooled_encoder, "encode", noted)
    parameters = list(make_layers().parameters())
    mean, _ = pool_frames(torch.randn(1, 2, 5000), parameters, piece=320)
    assert max(lengths) == 320 - 16 + 49
    forward = len(lengths)
    mean.sum().backward()
    assert len(lengths) == 2 * forward == 2 * 16


def test_constant_frames_have_finite_gradients():
    parameters = list(make_layers().parameters())
    mean, deviation = pool_frames(torch.zeros(2, 2, 200), parameters)
    assert (deviation == 0).all()
    (mean + deviation).sum().backward()
    assert all(p.grad.isfinite().all() for p in parameters)


def test_autocast_is_followed():
    layers = make_layers()
    signals = torch.randn(2, 2, 900)
    exact = reference(signals, layers)
    with torch.autocast("cpu", torch.bfloat16):
        found = pool_frames(signals, list(layers.parameters()))
    for ours, theirs in zip(found, exact, strict=True):
        assert ours.dtype == torch.float32
        error = (ours - theirs).abs().max()
        assert 0 < error < 0.02
    parameters = list(layers.parameters())
    gradients = (
        torch.autograd.grad((mean * deviation).sum(), parameters)
        for mean, deviation in (found, exact)
    )
    for ours, theirs in zip(*gradients, strict=True):
        assert (
            torch.cosine_similarity(ours.flatten(), theirs.flatten(), 0) > 0.99
        )


def test_signals_that_want_a_gradient_are_refused():
    parameters = list(make_layers().parameters())
    with pytest.raises(ValueError, match="none reaches them here; detach"):
        pool_frames(torch.zeros(1, 2, 200, requires_grad=True), parameters)


@pytest.mark.parametrize("frames", [4, 5, 6, 7, 30])
@pytest.mark.parametrize("rectify", [True, False])
def test_halving_is_a_convolution(frames, rectify):
    layer = nn.Conv1d(3, 5, 4, 2).double()
    inputs = torch.randn(2, frames, 3, dtype=torch.float64, requires_grad=True)

    def halve(inputs, weight, bias):
        return halve_frames(
            inputs, halves=stack_taps(weight), bias=bias, rectify=rectify
        )

    expected = layer(inputs.transpose(1, 2)).transpose(1, 2)
    expected = expected.relu() if rectify else expected
    found = halve(inputs, layer.weight, layer.bias)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    everything = (inputs, layer.weight, layer.bias)
    for ours, theirs in zip(
        torch.autograd.grad((found * weights).sum(), everything),
        torch.autograd.grad((expected * weights).sum(), everything),
        strict=True,
    ):
        # sums of the bias are taken in float32
        rounding = tolerance(terms=found.shape[1])
        torch.testing.assert_close(ours, theirs, atol=rounding, rtol=rounding)


def test_other_kernels_are_refused():
    with pytest.raises(ValueError, match="a kernel of 3 taps"):
        stack_taps(torch.zeros(2, 2, 3))
    halves = stack_taps(torch.zeros(2, 2, 4))
    with pytest.raises(ValueError, match="3 frames; there must be at least 4"):
        halve_frames(torch.zeros(1, 3, 2), halves=halves, bias=torch.zeros(2))
