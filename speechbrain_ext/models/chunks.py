"""Cutting a sequence of frames into chunks that overlap, and back."""

import torch
import torch.nn.functional as F


def split_frames(
    frames: torch.Tensor, chunk: int, stride: int, lead: int, tail: int
) -> torch.Tensor:
    """Cut frames into chunks, with zeros before and behind.

    Arguments
    ---------
    frames : torch.Tensor
        Shape (batch, frames, channels).
    chunk, stride : int
        Frames per chunk, and from one chunk to the next.
    lead, tail : int
        Frames of zeros before the first and behind the last.

    Returns
    -------
    chunks : torch.Tensor
        Shape (batch, chunks, chunk, channels).

    Example
    -------
    >>> frames = torch.arange(1.0, 5).view(1, 4, 1)
    >>> split_frames(frames, 4, 2, lead=2, tail=2).squeeze()
    tensor([[0., 0., 1., 2.],
            [1., 2., 3., 4.],
            [3., 4., 0., 0.]])
    """
    padded = F.pad(frames, (0, 0, lead, tail))
    return padded.unfold(1, chunk, stride).transpose(2, 3)


def join_chunks(
    chunks: torch.Tensor, stride: int, lead: int, length: int
) -> torch.Tensor:
    """Add up chunks where they overlap.

    Arguments
    ---------
    chunks : torch.Tensor
        Shape (batch, chunks, chunk, channels), chunk a multiple of stride.
    stride, lead : int
        As `split_frames` had them.
    length : int
        Frames that it had.

    Returns
    -------
    frames : torch.Tensor
        Shape (batch, length, channels).

    Example
    -------
    >>> chunks = split_frames(torch.ones(1, 7, 1), 4, 2, lead=2, tail=3)
    >>> join_chunks(chunks, 2, 2, 7).squeeze()
    tensor([2., 2., 2., 2., 2., 2., 2.])
    """
    batch, count, chunk, channels = chunks.shape
    parts = chunk // stride
    total = 0.0
    for part in range(parts):
        # a frame is the `part`-th stretch of exactly one chunk
        stretch = chunks[:, :, part * stride :][:, :, :stride]
        line = stretch.reshape(batch, count * stride, channels)
        start = lead - part * stride
        total = total + line[:, start : start + length]
    return total
