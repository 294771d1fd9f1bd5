import pytest
import torch
from speechbrain.lobes.models.transformer.Transformer import (
    PositionalEncoding,
)

from speechbrain_ext.models.attention import attend
from speechbrain_ext.models.chunks import join_chunks, split_frames
from speechbrain_ext.models.dual_path_transformer import (
    DualPathTransformer,
    TransformerLayer,
    TransformerStack,
    sinusoids,
)
from speechbrain_ext.models.norms import GlobalLayerNorm


def test_position_code_is_the_usual_one():
    code = PositionalEncoding(input_size=12)(torch.zeros(1, 50, 12))[0]
    torch.testing.assert_close(sinusoids(50, 12), code)


def test_layer_equals_torch_pre_norm_layer():
    layer = TransformerLayer(16, 4, 32)
    peer = torch.nn.TransformerEncoderLayer(
        16, 4, 32, dropout=0.0, batch_first=True, norm_first=True
    )
    norm, widen, _, narrow = layer.feedforward
    for ours, theirs in (
        (layer.query_key_value.weight, peer.self_attn.in_proj_weight),
        (layer.query_key_value.bias, peer.self_attn.in_proj_bias),
        (layer.projection.weight, peer.self_attn.out_proj.weight),
        (layer.projection.bias, peer.self_attn.out_proj.bias),
        (widen.weight, peer.linear1.weight),
        (widen.bias, peer.linear1.bias),
        (narrow.weight, peer.linear2.weight),
        (narrow.bias, peer.linear2.bias),
    ):
        ours.data.copy_(theirs.data)
    frames = torch.randn(3, 7, 16)
    torch.testing.assert_close(
        layer(frames), peer(frames), atol=1e-5, rtol=1e-4
    )


def test_half_precision_attention_on_cpus_equals_the_fused_one():
    parts = torch.randn(2, 9, 3 * 32)
    exact = attend(parts, 4)
    half = parts.bfloat16().requires_grad_()
    torch.testing.assert_close(
        attend(half, 4).float(), exact, atol=3e-2, rtol=3e-2
    )


def test_attention_equals_its_definition():
    parts = torch.randn(2, 9, 3 * 32)
    query, key, value = parts.view(2, 9, 3, 4, 8).permute(2, 0, 3, 1, 4)
    weights = (query @ key.mT / 8**0.5).softmax(dim=-1)
    expected = (weights @ value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attend(parts, 4), expected)


@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("length", [1, 5, 8, 9, 40, 43])
def test_joining_undoes_splitting(stride, length):
    frames, lead = torch.randn(2, length, 4), 8 - stride
    tail = lead + (-length) % stride
    chunks = split_frames(frames, 8, stride, lead, tail)
    assert chunks.shape[2] == 8
    torch.testing.assert_close(
        join_chunks(chunks, stride, lead, length),
        8 // stride * frames,
        atol=1e-6,
        rtol=1e-5,
    )


def test_every_frame_hears_every_other(monkeypatch):
    monkeypatch.setattr(GlobalLayerNorm, "forward", lambda self, frames: frames)
    network = DualPathTransformer(3, 3, channels=8, heads=2, chunk=4, blocks=1)
    frames = torch.randn(1, 41, 3, requires_grad=True)
    network(frames)[0, 0].sin().sum().backward()
    assert (frames.grad[0].abs().sum(-1) > 0).all()


def test_order_of_frames_matters():
    stack = TransformerStack(1, channels=8, heads=2, feedforward=8)
    frames = torch.randn(1, 6, 8)
    assert not torch.allclose(stack(frames.flip(1)).flip(1), stack(frames))


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="channels=10 must be .*heads=4"):
        DualPathTransformer(3, 3, channels=10, heads=4)
    with pytest.raises(ValueError, match="chunk=7 must be even"):
        DualPathTransformer(3, 3, chunk=7)
