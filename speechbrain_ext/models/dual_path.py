"""Networks that work along and across chunks of a frame sequence."""

from collections.abc import Callable

import torch
from torch import nn

from speechbrain_ext.models.chunks import join_chunks, split_frames
from speechbrain_ext.models.norms import GlobalLayerNorm


class DualPath(nn.Module):
    """Any stacks of layers along and across chunks, alternating.

    The arrangement of Luo, Chen and Yoshioka, "Dual-path RNN", ICASSP 2020,
    section 2. Frames stay on one axis order, so that each stack costs one
    copy.

    Arguments
    ---------
    inputs : int
        Channels of the input frames.
    outputs : int
        Channels of the output frames.
    make_intra, make_inter : callable
        Give a new stack along chunks, and across them: a module that maps
        (sequences, frames, channels) to the same shape.
    channels : int
        Channels inside.
    blocks : int
        Pairs of an along-chunk and an across-chunk stack.
    chunk : int
        Frames per chunk, even.
    overlap : bool
        True: neighboring chunks share half their frames, as in the paper.
        False: they share none, which halves the work.

    Raises
    ------
    ValueError
        If the chunk is odd or shorter than 2.

    Example
    -------
    >>> network = DualPath(
    ...     10, 20, nn.Identity, nn.Identity, channels=8, chunk=4
    ... )
    >>> network(torch.randn(2, 17, 10)).shape
    torch.Size([2, 17, 20])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        make_intra: Callable[[], nn.Module],
        make_inter: Callable[[], nn.Module],
        *,
        channels: int,
        blocks: int = 2,
        chunk: int = 32,
        overlap: bool = False,
    ) -> None:
        super().__init__()
        if chunk < 2 or chunk % 2:
            raise ValueError(f"chunk={chunk} must be even and at least 2")
        self.chunk = chunk
        self.stride = chunk // 2 if overlap else chunk
        self.norm = GlobalLayerNorm()
        self.bottleneck = nn.Linear(inputs, channels)
        self.intra = nn.ModuleList(make_intra() for _ in range(blocks))
        self.inter = nn.ModuleList(make_inter() for _ in range(blocks))
        self.output = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, outputs)
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Transform frames.

        Arguments
        ---------
        frames : torch.Tensor
            Shape (batch, frames, inputs).

        Returns
        -------
        transformed : torch.Tensor
            Shape (batch, frames, outputs).
        """
        batch, length, _ = frames.shape
        lead = self.chunk - self.stride
        tail = lead + (-length) % self.stride
        frames = self.bottleneck(self.norm(frames))
        chunks = split_frames(frames, self.chunk, self.stride, lead, tail)
        for intra, inter in zip(self.intra, self.inter, strict=True):
            chunks = intra(chunks.flatten(0, 1)).view(chunks.shape)
            chunks = chunks.transpose(1, 2)
            crossed = inter(chunks.flatten(0, 1)).view(chunks.shape)
            chunks = crossed.transpose(1, 2)
        return self.output(join_chunks(chunks, self.stride, lead, length))
