import pytest
import torch

from speechbrain_ext.models.norms import GlobalLayerNorm, InstanceNorm


def random_frames():
    scale = 1.0 + 5.0 * torch.rand(4, 1, 8)
    return 3.0 + scale * torch.randn(4, 30, 8)


def test_global_norm_is_per_item_over_frames_and_channels():
    frames = random_frames()
    expected = torch.nn.functional.group_norm(
        frames.transpose(1, 2), 1, eps=1e-8
    ).transpose(1, 2)
    torch.testing.assert_close(
        GlobalLayerNorm()(frames), expected, atol=1e-5, rtol=1e-4
    )


def test_instance_norm_is_per_item_and_channel_over_frames():
    frames = random_frames()
    expected = torch.nn.functional.instance_norm(
        frames.transpose(1, 2), eps=1e-3
    ).transpose(1, 2)
    torch.testing.assert_close(
        InstanceNorm()(frames), expected, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("length", [1, 50])
def test_instance_norm_makes_nothing_of_a_constant(length):
    frames = torch.full((2, length, 3), 0.1, requires_grad=True)
    normalized = InstanceNorm()(frames)
    assert normalized.abs().max() < 1e-4
    normalized.sum().backward()
    assert frames.grad.isfinite().all()


def test_instance_norm_computes_half_precision_in_single():
    frames = random_frames().bfloat16()
    normalized = InstanceNorm()(frames)
    assert normalized.dtype == torch.float32
    torch.testing.assert_close(normalized, InstanceNorm()(frames.float()))
