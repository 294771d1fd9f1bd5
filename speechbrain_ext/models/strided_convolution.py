"""Convolutions that halve the frames, as one matrix product."""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

KERNEL = 4


class _Halve(torch.autograd.Function):
    """See `halve_frames`; the backward pass writes every gradient once."""

    @staticmethod
    def forward(ctx, frames, halves, bias, rectify):
        """Return half as many frames."""
        outputs, channels = (size // 2 for size in halves.shape)
        count = (frames.shape[1] - KERNEL) // 2 + 1
        blocks = frames[:, : 2 * (count + 1)].reshape(
            len(frames), count + 1, 2 * channels
        )
        products = blocks @ halves.to(frames.dtype).T
        halved = products[:, :-1, :outputs] + products[:, 1:, outputs:]
        halved += bias.to(frames.dtype)
        if rectify:
            halved.relu_()
        ctx.save_for_backward(frames, halves, bias, halved if rectify else None)
        return halved

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        """Return the gradients of the frames, the matrix and the bias."""
        frames, halves, bias, rectified = ctx.saved_tensors
        outputs, channels = (size // 2 for size in halves.shape)
        batch, count, _ = gradient.shape
        if rectified is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, rectified, 0)
        of_products = gradient.new_empty(batch, count + 1, 2 * outputs)
        of_products[:, :-1, :outputs] = gradient
        of_products[:, -1, :outputs] = 0
        of_products[:, 1:, outputs:] = gradient
        of_products[:, 0, outputs:] = 0
        blocks = frames[:, : 2 * (count + 1)].reshape(-1, 2 * channels)
        flat = of_products.view(-1, 2 * outputs)
        of_halves = (flat.T @ blocks).to(halves.dtype)
        of_bias = gradient.sum((0, 1), dtype=torch.float32).to(bias.dtype)
        of_frames = None
        if ctx.needs_input_grad[0]:
            of_blocks = flat @ halves.to(frames.dtype)
            of_frames = of_blocks.view(batch, -1, channels)
            spare = frames.shape[1] - of_frames.shape[1]
            if spare:
                of_frames = F.pad(of_frames, (0, 0, 0, spare))
        return of_frames, of_halves, of_bias, None


def stack_taps(weight: torch.Tensor) -> torch.Tensor:
    """Lay out the weight of a convolution for `halve_frames`.

    Arguments
    ---------
    weight : torch.Tensor
        Shape (outputs, channels, 4), as of `torch.nn.Conv1d`.

    Returns
    -------
    halves : torch.Tensor
        Shape (2 * outputs, 2 * channels): the first two taps above the last
        two.

    Raises
    ------
    ValueError
        If the kernel has another length.

    Example
    -------
    >>> stack_taps(torch.arange(4.0).view(1, 1, 4))
    tensor([[0., 1.],
            [2., 3.]])
    """
    outputs, channels, taps = weight.shape
    if taps != KERNEL:
        raise ValueError(f"a kernel of {taps} taps; there must be {KERNEL}")
    parted = weight.view(outputs, channels, 2, 2)
    return parted.permute(2, 0, 3, 1).reshape(2 * outputs, 2 * channels)


def unstack_taps(halves: torch.Tensor) -> torch.Tensor:
    """Undo `stack_taps`.

    Arguments
    ---------
    halves : torch.Tensor
        Shape (2 * outputs, 2 * channels).

    Returns
    -------
    weight : torch.Tensor
        Shape (outputs, channels, 4).

    Example
    -------
    >>> weight = torch.randn(3, 5, 4)
    >>> torch.equal(unstack_taps(stack_taps(weight)), weight)
    True
    """
    outputs, channels = (size // 2 for size in halves.shape)
    parted = halves.view(2, outputs, 2, channels)
    return parted.permute(1, 3, 0, 2).reshape(outputs, channels, KERNEL)


def halve_frames(
    frames: torch.Tensor,
    *,
    halves: torch.Tensor,
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
    halves : torch.Tensor
        The weight, from `stack_taps`.
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
        If there are fewer frames.

    Example
    -------
    >>> halves = stack_taps(torch.ones(2, 3, 4))
    >>> halve_frames(torch.ones(1, 6, 3), halves=halves, bias=torch.zeros(2))
    tensor([[[12., 12.],
             [12., 12.]]])
    """
    if frames.shape[1] < KERNEL:
        raise ValueError(
            f"{frames.shape[1]} frames; there must be at least {KERNEL}"
        )
    return _Halve.apply(frames, halves, bias, rectify)
