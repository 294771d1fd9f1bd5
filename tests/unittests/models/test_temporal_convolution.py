import pytest
import torch

from speechbrain_ext.models.temporal_convolution import (
    DilatedConvolution,
    GlobalLayerNorm,
    TemporalConvNet,
)


@pytest.mark.parametrize("length", [1, 5, 16, 50])
@pytest.mark.parametrize("kernel_size, dilation", [(3, 1), (3, 8), (5, 3)])
def test_dilated_convolution_equals_conv1d(kernel_size, dilation, length):
    fast = DilatedConvolution(6, kernel_size, dilation)
    naive = torch.nn.Conv1d(
        6,
        6,
        kernel_size,
        dilation=dilation,
        padding=dilation * (kernel_size // 2),
        groups=6,
    )
    naive.weight.data = fast.convolution.weight.data[..., 0]
    naive.bias.data = fast.convolution.bias.data
    frames = torch.randn(2, length, 6, requires_grad=True)
    expected = naive(frames.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(fast(frames), expected, atol=1e-5, rtol=1e-4)
    (gradient,) = torch.autograd.grad(fast(frames).sin().sum(), frames)
    (expected,) = torch.autograd.grad(expected.sin().sum(), frames)
    torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def test_global_norm_is_per_item_over_frames_and_channels():
    frames = 3.0 + 5.0 * torch.randn(4, 30, 8) * torch.rand(4, 1, 1)
    normalised = GlobalLayerNorm()(frames)
    expected = torch.nn.functional.group_norm(
        frames.transpose(1, 2), 1, eps=1e-8
    ).transpose(1, 2)
    torch.testing.assert_close(normalised, expected, atol=1e-5, rtol=1e-4)


def test_receptive_field_is_that_of_the_paper(monkeypatch):
    # X = 3 blocks, R = 2 repeats, P = 3: 1 + 2 * 2 * (1 + 2 + 4) frames
    monkeypatch.setattr(GlobalLayerNorm, "forward", lambda self, frames: frames)
    network = TemporalConvNet(
        4, 4, hidden=8, blocks=3, repeats=2, activation="silu"
    )
    frames = torch.randn(1, 61, 4, requires_grad=True)
    network(frames)[0, 30].sum().backward()
    seen = frames.grad[0].abs().sum(-1).nonzero().flatten()
    assert seen.tolist() == list(range(30 - 14, 30 + 15))


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="kernel_size=4 is even"):
        TemporalConvNet(4, 4, kernel_size=4)
    with pytest.raises(ValueError, match="activation='swish' is not one of"):
        TemporalConvNet(4, 4, activation="swish")
