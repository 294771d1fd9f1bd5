"""Convolutions that halve the frames, as one matrix product."""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

KERNEL = 4


class _Halve(torch.autograd.Function):
    """See `halve_frames`; the backward pass writes every gradient once."""

    @staticmethod
    def forward(ctx, frames, weight, bias, rectify):
        outputs, channels, _ = weight.shape
        count = (frames.shape[1] - KERNEL) // 2 + 1
        blocks = frames[:, : 2 * (count + 1)].reshape(
            len(frames), count + 1, 2 * channels
        )
        halves = _halves(weight, frames.dtype)
        products = blocks @ halves.T
        halved = products[:, :-1, :outputs] + products[:, 1:, outputs:]
        halved += bias.to(frames.dtype)
        if rectify:
            halved.relu_()
        ctx.save_for_backward(frames, weight, bias, halved if rectify else None)
        return halved

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        frames, weight, bias, rectified = ctx.saved_tensors
        outputs, channels, _ = weight.shape
        batch, count, _ = gradient.shape
        if rectified is not None:
            gradient = torch.where(rectified > 0, gradient, 0)
        of_products = gradient.new_empty(batch, count + 1, 2 * outputs)
        of_products[:, :-1, :outputs] = gradient
        of_products[:, -1, :outputs] = 0
        of_products[:, 1:, outputs:] = gradient
        of_products[:, 0, outputs:] = 0
        blocks = frames[:, : 2 * (count + 1)].reshape(-1, 2 * channels)
        flat = of_products.view(-1, 2 * outputs)
        of_weight = (flat.T @ blocks).view(2, outputs, 2, channels)
        of_weight = of_weight.permute(1, 3, 0, 2).reshape(weight.shape)
        of_weight = of_weight.to(weight.dtype)
        of_bias = gradient.sum((0, 1), dtype=torch.float32).to(bias.dtype)
        of_frames = None
        if ctx.needs_input_grad[0]:
            of_blocks = flat @ _halves(weight, frames.dtype)
            of_frames = of_blocks.view(batch, -1, channels)
            spare = frames.shape[1] - of_frames.shape[1]
            if spare:
                of_frames = F.pad(of_frames, (0, 0, 0, spare))
        return (
            of_frames,
            of_weight.to(weight.dtype),
            of_bias.to(bias.dtype),
            None,
        )


def _halves(weight, dtype):
    """Stack the first and the last two taps: (2 outputs, 2 channels)."""
    outputs, channels, _ = weight.shape
    parted = weight.to(dtype).view(outputs, channels, 2, 2)
    return parted.permute(2, 0, 3, 1).reshape(2 * outputs, 2 * channels)


def halve_frames(
    frames: torch.Tensor,
    *,
    weight: torch.Tensor,
    bias: torch.Tensor,
    rectify: bool = False,
) -> torch.Tensor:
    """Convolve with 4 taps and a stride of 2, without padding.

    The taps are two pairs, and the frames, taken two by two, meet each pair
    once: one matrix product gives all there is to add up.  On a CPU this
    trains several times as fast as a convolution, above all in bfloat16.

    Arguments
    ---------
    frames : torch.Tensor
        Shape (batch, frames, channels), at least 4 frames.
    weight : torch.Tensor
        Shape (outputs, channels, 4), as of `torch.nn.Conv1d`.
    bias : torch.Tensor
        Shape (outputs,).
    rectify : bool
        Whether negative values become zero.

    Returns
    -------
    halved : torch.Tensor
        Shape (batch, (frames - 4) // 2 + 1, outputs), of the type of frames.

    Raises
    ------
    ValueError
        If the kernel has another length, or there are fewer frames.

    Example
    -------
    >>> frames, weight, bias = torch.ones(1, 6, 3), torch.ones(2, 3, 4), torch.zeros(2)
    >>> halve_frames(frames, weight=weight, bias=bias)
    tensor([[[12., 12.],
             [12., 12.]]])
    """  # noqa: E501
    if weight.shape[2] != KERNEL or frames.shape[1] < KERNEL:
        raise ValueError(
            f"a kernel of {weight.shape[2]} taps and {frames.shape[1]} "
            f"frames; there must be {KERNEL} taps, and as many frames"
        )
    return _Halve.apply(frames, weight, bias, rectify)
