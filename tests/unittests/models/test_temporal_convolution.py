import pytest
import torch

from speechbrain_ext.models.norms import GlobalLayerNorm
from speechbrain_ext.models.temporal_convolution import (
    DilatedConvolution,
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
    with pytest.raises(ValueError, match="norm='batch' is not one of"):
        TemporalConvNet(4, 4, norm="batch")


def silence_blocks(network):
    """Make every block pass its input on: what is left are the skips."""
    with torch.no_grad():
        for block in network.blocks:
            block.residual.weight.zero_()
            block.residual.bias.zero_()


def test_long_skips_join_every_repeat_to_every_later_one():
    network = TemporalConvNet(
        4, 4, channels=4, hidden=4, blocks=2, repeats=4, long_skips=True
    )
    names = {name for name, _ in network.named_parameters()}
    assert {name for name in names if "long_skips" in name} == {
        f"long_skips.{later}.{earlier}.{part}"
        for later in range(4)
        for earlier in range(later)
        for part in ("weight", "bias")
    }
    silence_blocks(network)
    with torch.no_grad():
        for maps in network.long_skips:
            for linear in maps:
                linear.weight.copy_(torch.eye(4))
                linear.bias.zero_()
    seen = []
    for block in network.blocks[::2]:
        block.register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0].detach())
        )
    network(torch.randn(1, 20, 4))
    # each is the one before, and once more every one before
    for frames, factor in zip(seen, (1, 2, 5, 13), strict=True):
        torch.testing.assert_close(frames, factor * seen[0])


def test_without_long_skips_repeats_are_joined_by_blocks_alone():
    network = TemporalConvNet(4, 4, channels=4, hidden=4, blocks=2)
    assert not any("long" in name for name, _ in network.named_parameters())
    silence_blocks(network)
    frames = torch.randn(1, 20, 4)
    expected = network.output(network.bottleneck(network.norm(frames)))
    torch.testing.assert_close(network(frames), expected)


def test_a_block_is_scaled_before_the_residual_is_added():
    network = TemporalConvNet(
        4, 4, channels=4, hidden=4, blocks=3, repeats=2, block_scale=0.9
    )
    scales = [block.scale.item() for block in network.blocks]
    assert scales == pytest.approx([0.9**index for index in range(6)])
    block, frames = network.blocks[2], torch.randn(2, 20, 4)
    change = block(frames)[0] - frames
    with torch.no_grad():
        block.scale.fill_(1.0)
    torch.testing.assert_close(change, 0.81 * (block(frames)[0] - frames))
