"""Mean and deviation over time of an encoder's frames, piece by piece."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from speechbrain_ext.models.strided_convolution import (
    KERNEL,
    halve_frames,
    stack_taps,
    unstack_taps,
)

# samples of a signal at a time: on a CPU what its caches hold
CPU_PIECE = 2**13
# samples of all signals together
GPU_PIECE = 2**22


class _Pool(torch.autograd.Function):
    """See `pool_frames`; the backward pass computes the frames again."""

    @staticmethod
    def forward(ctx, signals, dtype, piece, *parameters):
        """Return the mean and the standard deviation of the frames."""
        stride, field = steps_of(len(parameters) // 2)
        count = (signals.shape[2] - field) // stride + 1
        layout = lay_out(parameters)
        rows = []
        for part in signals.split(rows_at_once(signals)):
            first, total, squares = None, 0.0, 0.0
            for samples in pieces(part, count, stride, field, piece):
                frames = encode(samples, layout, dtype).float()
                # about the first frame, so that nothing cancels
                first = frames[:, :1].clone() if first is None else first
                frames -= first
                total = total + frames.sum(1).double()
                squares = squares + frames.square().sum(1).double()
            rows.append((first.squeeze(1), total, squares))
        first, total, squares = map(torch.cat, zip(*rows, strict=True))
        variance = (squares - total.square() / count) / (count - 1)
        deviation = variance.clamp_min(0).sqrt().float()
        mean = (first + total / count).float()
        ctx.save_for_backward(signals, mean, deviation, *parameters)
        ctx.plan = dtype, piece, stride, field, count
        return mean, deviation

    @staticmethod
    @once_differentiable
    def backward(ctx, of_mean, of_deviation):
        """Return the gradients of the parameters."""
        signals, mean, deviation, *parameters = ctx.saved_tensors
        dtype, piece, stride, field, count = ctx.plan
        # the gradient of a frame is a line in its values
        slope = of_deviation / ((count - 1) * deviation.clamp_min(1e-12))
        offset = of_mean / count - slope * mean
        layout = [p.detach().requires_grad_() for p in lay_out(parameters)]
        step = rows_at_once(signals)
        with torch.enable_grad():
            for row in range(0, len(signals), step):
                rows = slice(row, row + step)
                for samples in pieces(
                    signals[rows], count, stride, field, piece
                ):
                    frames = encode(samples, layout, dtype)
                    gradient = torch.addcmul(
                        offset[rows, None],
                        frames.detach().float(),
                        slope[rows, None],
                    )
                    torch.autograd.backward(
                        frames, gradient.to(dtype), inputs=layout
                    )
        gradients = [p.grad for p in layout]
        gradients[0] = gradients[0].view_as(parameters[0])
        gradients[2::2] = map(unstack_taps, gradients[2::2])
        return None, None, None, *gradients


def pool_frames(
    signals: torch.Tensor,
    parameters: Sequence[torch.Tensor],
    *,
    piece: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode signals, and give mean and deviation of the frames over time.

    The encoder has 4 taps in each layer, with a stride of 1 in the first and
    of 2 in the others, no padding, and rectifiers between.  Frames are never
    held for longer than a piece of the signal, neither forward nor backward:
    memory does not grow with the length, and on a CPU the frames of a piece
    stay in its caches.

    Arguments
    ---------
    signals : torch.Tensor
        Shape (batch, channels, time); no gradient reaches them.
    parameters : sequence of torch.Tensor
        Weight (outputs, inputs, 4) and bias (outputs,) of each layer in turn.
    piece : int, optional
        Samples at a time; by default what suits the device.

    Raises
    ------
    ValueError
        If the signals want a gradient.

    Returns
    -------
    mean, deviation : torch.Tensor
        Shape (batch, outputs), float32; of frames computed in autocast's type
        where autocast is on.

    Example
    -------
    >>> layers = [torch.nn.Conv1d(2, 8, 4), torch.nn.Conv1d(8, 8, 4, 2)]
    >>> parameters = [p for layer in layers for p in layer.parameters()]
    >>> signals = torch.randn(3, 2, 1000)
    >>> mean, deviation = pool_frames(signals, parameters, piece=64)
    >>> frames = layers[1](layers[0](signals).relu())
    >>> torch.allclose(mean, frames.mean(2), atol=1e-5)
    True
    """
    if signals.requires_grad and torch.is_grad_enabled():
        raise ValueError(
            "signals want a gradient, but none reaches them here; detach them"
        )
    device = signals.device.type
    dtype = torch.float32
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    if piece is None:
        piece = CPU_PIECE
        if device != "cpu":
            piece = max(CPU_PIECE, GPU_PIECE // len(signals))
    with torch.autocast(device, enabled=False):
        return _Pool.apply(signals, dtype, piece, *parameters)


def lay_out(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Lay out the weights of all layers as `encode` needs them."""
    layout = list(parameters)
    layout[0] = layout[0].flatten(1)
    layout[2::2] = map(stack_taps, layout[2::2])
    return layout


def steps_of(layers: int) -> tuple[int, int]:
    """Tell the stride of the frames and the samples that one sees.

    Example
    -------
    >>> steps_of(5)
    (16, 49)
    """
    stride = 2 ** (layers - 1)
    return stride, 1 + (KERNEL - 1) * stride


def rows_at_once(signals: torch.Tensor) -> int:
    """Tell how many signals are worked on together."""
    return 1 if signals.device.type == "cpu" else len(signals)


def pieces(
    signals: torch.Tensor, count: int, stride: int, field: int, piece: int
) -> Iterator[torch.Tensor]:
    """Cut signals so that every frame is in exactly one piece."""
    step = max(1, piece // stride)
    for first in range(0, count, step):
        last = min(first + step, count) - 1
        yield signals[..., first * stride : last * stride + field]


def encode(
    samples: torch.Tensor, layout: Sequence[torch.Tensor], dtype: torch.dtype
) -> torch.Tensor:
    """Compute the frames of a piece.

    Arguments
    ---------
    samples : torch.Tensor
        Shape (batch, channels, time).
    layout : sequence of torch.Tensor
        From `lay_out`.
    dtype : torch.dtype
        Of the frames.

    Returns
    -------
    frames : torch.Tensor
        Shape (batch, frames, outputs).
    """
    weight, bias, *others = layout
    windows = samples.to(dtype).transpose(1, 2).unfold(1, KERNEL, 1)
    frames = F.linear(windows.flatten(2), weight.to(dtype), bias.to(dtype))
    if others:
        frames = F.relu(frames, inplace=True)
    for place in range(0, len(others), 2):
        frames = halve_frames(
            frames,
            halves=others[place],
            bias=others[place + 1],
            rectify=place + 2 < len(others),
        )
    return frames
