"""SpeechBrain's dual-path transformer, computed with less work and memory."""

import torch
import torch.nn.functional as F
from speechbrain.lobes.models.dual_path import (
    Dual_Path_Model,
    SBTransformerBlock,
)
from speechbrain.lobes.models.transformer.Transformer import (
    TransformerEncoderLayer,
)
from torch import nn
from torch.utils.checkpoint import checkpoint

from speechbrain_ext.models.attention import add, attend, relu
from speechbrain_ext.models.chunks import join_chunks, split_frames


class LeanDualPath(Dual_Path_Model):
    """The mask network of SepFormer.

    Parameters, their names, and outputs up to rounding are those of
    SpeechBrain's `Dual_Path_Model` with blocks of `SBTransformerBlock`, whose
    arguments it takes; only the way of computing is another:

    - channels stay on the last axis, so that each transformer costs one copy;
    - attention is fused, and its weights are never stored;
    - without gradients, what is no longer needed is overwritten;
    - the chunks are added up before the last convolutions, not after.

    Arguments
    ---------
    *args, **kwargs
        As SpeechBrain's `Dual_Path_Model` takes them.
    checkpointing : bool
        Whether training computes each layer twice, to keep only its input in
        memory: about a third more time for a fraction of the memory. (On a
        CPU under Linux, glibc keeps most of what is freed, unless the
        environment has MALLOC_MMAP_THRESHOLD_=1000000.)

    Raises
    ------
    ValueError
        If a part is not what SepFormer has: see `find_obstacle`.

    Example
    -------
    >>> transformer = SBTransformerBlock(1, 8, 2, d_ffn=16, norm_before=True)
    >>> masknet = LeanDualPath(
    ...     8, 8, transformer, transformer, K=20,
    ...     linear_layer_after_inter_intra=False,
    ... )
    >>> masknet(torch.randn(3, 8, 101)).shape
    torch.Size([2, 3, 8, 101])
    """

    def __init__(self, *args, checkpointing: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.checkpointing = checkpointing
        obstacle = find_obstacle(self)
        if obstacle:
            raise ValueError(f"LeanDualPath cannot compute {obstacle}")

    @classmethod
    def adopt(cls, masknet: nn.Module) -> nn.Module:
        """Give a lean network that shares the parameters of another.

        Arguments
        ---------
        masknet : torch.nn.Module
            Any mask network.

        Returns
        -------
        masknet : torch.nn.Module
            The same where it is not of SepFormer's kind.

        Example
        -------
        >>> LeanDualPath.adopt(nn.Identity())
        Identity()
        """
        if type(masknet) is not Dual_Path_Model or find_obstacle(masknet):
            return masknet
        lean = cls.__new__(cls)
        lean.__dict__.update(masknet.__dict__, checkpointing=False)
        return lean

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute masks.

        Arguments
        ---------
        features : torch.Tensor
            Shape (batch, channels, frames).

        Returns
        -------
        masks : torch.Tensor
            Shape (sources, batch, channels, frames), not negative.
        """
        batch, _, length = features.shape
        weight = self.conv1d.weight.squeeze(-1)
        frames = F.linear(self.norm(features).transpose(1, 2), weight)
        stride = self.K // 2
        # the zeros at the end are as many as SpeechBrain adds
        gap = self.K - (stride + length) % self.K
        chunks = split_frames(
            frames, self.K, stride, lead=stride, tail=stride + gap
        )
        for block in self.dual_mdl:
            chunks = self._along_and_across(block, chunks)
        frames = join_chunks(self.prelu(chunks), stride, stride, length)
        # every frame is in two chunks, each of which would bring the bias
        weight = self.conv2d.weight.flatten(1)
        frames = F.linear(frames, weight, 2 * self.conv2d.bias)
        frames = frames.view(batch, length, self.num_spks, -1)
        values, gates = (
            F.linear(frames, part[0].weight.squeeze(-1), part[0].bias)
            for part in (self.output, self.output_gate)
        )
        gated = values.tanh() * gates.sigmoid()
        masks = F.linear(gated, self.end_conv1x1.weight.squeeze(-1)).relu()
        return masks.permute(2, 0, 3, 1)

    def _along_and_across(
        self, block: nn.Module, chunks: torch.Tensor
    ) -> torch.Tensor:
        """Transform (batch, chunks, chunk, channels) both ways."""
        along = self._transform(block.intra_mdl, chunks)
        along = normalize(block.intra_norm, along)
        if block.skip_around_intra:
            along = add(along, chunks)
        across = self._transform(block.inter_mdl, along.transpose(1, 2))
        across = normalize(block.inter_norm, across).transpose(1, 2)
        return add(across, along)

    def _transform(
        self, transformer: SBTransformerBlock, sequences: torch.Tensor
    ) -> torch.Tensor:
        """Transform sequences of shape (batch, count, frames, channels)."""
        shape = sequences.shape
        frames = sequences.flatten(0, 1)
        if transformer.use_positional_encoding:
            frames = frames + transformer.pos_enc(frames)
        for layer in transformer.mdl.layers:
            if self.checkpointing and torch.is_grad_enabled():
                frames = checkpoint(
                    transform, layer, frames, use_reentrant=False
                )
            else:
                frames = transform(layer, frames)
        return transformer.mdl.norm(frames).view(shape)


def transform(
    layer: TransformerEncoderLayer, frames: torch.Tensor
) -> torch.Tensor:
    """Compute one transformer layer of (sequences, frames, channels)."""
    attention, dropout = layer.self_att.att, layer.dropout1
    query_key_value = F.linear(
        layer.norm1(frames), attention.in_proj_weight, attention.in_proj_bias
    )
    attended = attend(
        query_key_value,
        attention.num_heads,
        attention.dropout if attention.training else 0.0,
    )
    frames = add(dropout(attention.out_proj(attended)), frames)
    first, activation, inner_dropout, second = layer.pos_ffn.ffn
    hidden = first(layer.norm2(frames))
    if isinstance(activation, nn.ReLU):
        hidden = relu(hidden)
    else:
        hidden = activation(hidden)
    return add(layer.dropout2(second(inner_dropout(hidden))), frames)


def normalize(norm: nn.GroupNorm, sequences: torch.Tensor) -> torch.Tensor:
    """Normalize (batch, count, frames, channels) per item, in one group."""
    return norm(sequences.movedim(-1, 1)).movedim(1, -1)


def find_obstacle(masknet: Dual_Path_Model) -> str:
    """Say what of a network `LeanDualPath` cannot compute; empty if nothing.

    Arguments
    ---------
    masknet : Dual_Path_Model
        SpeechBrain's.

    Returns
    -------
    obstacle : str

    Example
    -------
    >>> from speechbrain.lobes.models.dual_path import SBRNNBlock
    >>> rnn = SBRNNBlock(8, 4, 1, bidirectional=True)
    >>> find_obstacle(Dual_Path_Model(8, 8, rnn, rnn))
    'intra_model=SBRNNBlock'
    """
    if masknet.use_global_pos_enc:
        return "use_global_pos_enc=True"
    if not isinstance(masknet.norm, nn.GroupNorm):
        return f"norm={type(masknet.norm).__name__}"
    if masknet.K % 2:
        return f"K={masknet.K}: a chunk must be even"
    for block in masknet.dual_mdl:
        for name in ("intra", "inter"):
            model = getattr(block, f"{name}_mdl")
            if not isinstance(model, SBTransformerBlock):
                return f"{name}_model={type(model).__name__}"
            if not all(is_plain(layer) for layer in model.mdl.layers):
                return f"{name}_model: a layer other than SepFormer's"
        if block.linear_layer_after_inter_intra:
            return "linear_layer_after_inter_intra=True"
    return ""


def is_plain(layer: nn.Module) -> bool:
    """Tell whether a layer is normalized first and attends in full."""
    attention = getattr(layer.self_att, "att", None)
    return (
        layer.normalize_before
        and layer.pos_ffn_type == "regularFFN"
        and isinstance(attention, nn.MultiheadAttention)
        and attention.in_proj_weight is not None
        and attention.bias_k is None
        and not attention.add_zero_attn
    )
