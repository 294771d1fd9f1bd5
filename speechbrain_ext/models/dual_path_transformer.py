"""A dual-path transformer for short frame sequences, lean on CPUs."""

import math

import torch
from torch import nn

from speechbrain_ext.models.attention import add, attend
from speechbrain_ext.models.dual_path import DualPath


def sinusoids(
    length: int, channels: int, *, device: torch.device | None = None
) -> torch.Tensor:
    """Compute the sinusoidal position code.

    Vaswani et al., "Attention Is All You Need", 2017, section 3.5.

    Arguments
    ---------
    length : int
        Positions.
    channels : int
        Channels, even.
    device : torch.device
        Where to compute it; by default torch's default device.

    Returns
    -------
    code : torch.Tensor
        Shape (length, channels), sines on even and cosines on odd channels.

    Example
    -------
    >>> sinusoids(2, 4)[0]
    tensor([0., 1., 0., 1.])
    """
    position = torch.arange(length, device=device, dtype=torch.float32)
    pair = torch.arange(0, channels, 2, device=device, dtype=torch.float32)
    angle = position[:, None] * torch.exp(pair * (-math.log(1e4) / channels))
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


class TransformerLayer(nn.Module):
    """One transformer layer, normalized before each part.

    Arguments
    ---------
    channels : int
        Channels of the frames.
    heads : int
        Attention heads; must divide channels.
    feedforward : int
        Hidden size of the position-wise part.
    """

    def __init__(self, channels: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.projection = nn.Linear(channels, channels)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, feedforward),
            nn.ReLU(),
            nn.Linear(feedforward, channels),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Transform sequences of shape (sequences, frames, channels)."""
        query_key_value = self.query_key_value(self.attention_norm(frames))
        attended = attend(query_key_value, self.heads)
        frames = add(self.projection(attended), frames)
        return add(self.feedforward(frames), frames)


class TransformerStack(nn.Module):
    """Transformer layers with a position code before and a skip around.

    Arguments
    ---------
    layers : int
        Number of layers.
    channels, heads, feedforward : int
        As in `TransformerLayer`.
    """

    def __init__(
        self, layers: int, channels: int, heads: int, feedforward: int
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                TransformerLayer(channels, heads, feedforward)
                for _ in range(layers)
            )
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Transform sequences of shape (sequences, frames, channels)."""
        code = sinusoids(*frames.shape[1:], device=frames.device)
        return frames + self.norm(self.layers(frames + code))


class DualPathTransformer(DualPath):
    """Transformers along and across chunks, alternating.

    The arrangement of Subakan et al., "Attention Is All You Need in Speech
    Separation", ICASSP 2021, section 2.2, with three changes for small
    sizes: one layer norm after each stack instead of two norms, chunks that
    need not overlap, and no gated output.

    Arguments
    ---------
    inputs : int
        Channels of the input frames.
    outputs : int
        Channels of the output frames.
    channels : int
        Channels inside; even, a multiple of heads.
    blocks : int
        Pairs of an along-chunk and an across-chunk stack.
    intra_layers, inter_layers : int
        Layers of the stacks along and across chunks.
    heads : int
        Attention heads.
    feedforward : int
        Hidden size of the position-wise parts.
    chunk : int
        Frames per chunk.
    overlap : bool
        See `DualPath`.

    Raises
    ------
    ValueError
        If channels and heads or the chunk do not fit.

    Example
    -------
    >>> network = DualPathTransformer(10, 20, channels=8, heads=2, chunk=4)
    >>> network(torch.randn(2, 17, 10)).shape
    torch.Size([2, 17, 20])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        channels: int = 128,
        blocks: int = 2,
        intra_layers: int = 2,
        inter_layers: int = 2,
        heads: int = 4,
        feedforward: int = 256,
        chunk: int = 32,
        overlap: bool = False,
    ) -> None:
        if channels % heads or channels % 2:
            raise ValueError(
                f"channels={channels} must be even and a multiple of "
                f"heads={heads}"
            )
        super().__init__(
            inputs,
            outputs,
            lambda: TransformerStack(
                intra_layers, channels, heads, feedforward
            ),
            lambda: TransformerStack(
                inter_layers, channels, heads, feedforward
            ),
            channels=channels,
            blocks=blocks,
            chunk=chunk,
            overlap=overlap,
        )
