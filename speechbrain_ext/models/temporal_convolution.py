"""Stacks of dilated depthwise convolutions, written for speed on CPUs."""

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_ext.models.norms import NORMS, GlobalLayerNorm

ACTIVATIONS = {"relu": nn.ReLU, "prelu": nn.PReLU, "silu": nn.SiLU}


class DilatedConvolution(nn.Module):
    """Depthwise convolution over time, channels on the last axis.

    Equal to `nn.Conv1d(groups=channels)` with zeros around the signal.
    Dilated depthwise convolutions are slow on CPUs, plain ones are not:
    every dilation-th frame goes into one column of an image, which is then
    convolved along its height (measured on one thread, forward and backward,
    16 x 126 frames x 256 channels, dilation 8: 1.0 ms, `nn.Conv1d` 7.0 ms).

    Arguments
    ---------
    channels : int
        Size of the last axis.
    kernel_size : int
        Taps, odd.
    dilation : int
        Frames between two taps.

    Raises
    ------
    ValueError
        If kernel_size is even.

    Example
    -------
    >>> DilatedConvolution(4, 3, 8)(torch.randn(2, 5, 4)).shape
    torch.Size([2, 5, 4])
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size={kernel_size} is even, but the output can only "
                "be as long as the input with an odd one"
            )
        self.convolution = nn.Conv2d(
            channels,
            channels,
            (kernel_size, 1),
            padding=(kernel_size // 2, 0),
            groups=channels,
        )
        self.dilation = dilation
        self.lowest = kernel_size * dilation

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Convolve.

        Arguments
        ---------
        frames : torch.Tensor
            Shape (batch, frames, channels).

        Returns
        -------
        convolved : torch.Tensor
            Same shape.
        """
        length = frames.shape[1]
        # an image lower than the kernel would be slow again
        tail = max(-length % self.dilation, self.lowest - length)
        padded = F.pad(frames, (0, 0, 0, tail))
        image = padded.unflatten(1, (-1, self.dilation)).permute(0, 3, 1, 2)
        convolved = self.convolution(image).permute(0, 2, 3, 1)
        return convolved.flatten(1, 2)[:, :length]


class ConvolutionBlock(nn.Module):
    """One residual block: widen, convolve in time, narrow.

    Figure 1C of the Conv-TasNet paper; the skip output is optional.

    Arguments
    ---------
    channels : int
        Channels of the residual path (B in the paper).
    hidden : int
        Channels of the depthwise convolution (H).
    skip : int
        Channels of the skip path (Sc); 0 leaves it out.
    kernel_size : int
        Taps of the depthwise convolution (P).
    dilation : int
        Its dilation.
    activation : str
        One of relu, prelu, silu.
    residual : bool
        False for the last block of a network with skip paths, whose
        residual output nobody reads.
    norm : str
        global or instance.
    scale : float, optional
        Where a learned factor of the block's output starts; by default there
        is none.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        skip: int,
        kernel_size: int,
        dilation: int,
        activation: str,
        residual: bool,
        norm: str = "global",
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.widen = nn.Sequential(
            nn.Linear(channels, hidden),
            ACTIVATIONS[activation](),
            NORMS[norm](),
            DilatedConvolution(hidden, kernel_size, dilation),
            ACTIVATIONS[activation](),
            NORMS[norm](),
        )
        self.residual = nn.Linear(hidden, channels) if residual else None
        self.skip = nn.Linear(hidden, skip) if skip else None
        self.scale = None
        if scale is not None:
            self.scale = nn.Parameter(torch.tensor(scale))

    def forward(
        self, frames: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Give the next residual signal and this block's skip signal."""
        hidden = self.widen(frames)
        skip = None if self.skip is None else self.skip(hidden)
        if self.residual is not None:
            output = self.residual(hidden)
            if self.scale is not None:
                output = self.scale * output
            frames = frames + output
        return frames, skip


class TemporalConvNet(nn.Module):
    """Dilated convolution network of Conv-TasNet.

    Luo and Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency
    Magnitude Masking for Speech Separation", IEEE/ACM TASLP 2019, section
    II.C. With `skip` the output is the sum of the blocks' skip paths, as in
    the paper; without, it is the last residual signal, which saves a third
    of the work. The last four options are those of TDCN++, see
    `speechbrain_ext.models.tdcn`.

    Arguments
    ---------
    inputs : int
        Channels of the input frames.
    outputs : int
        Channels of the output frames.
    channels : int
        Channels of the residual path (B in the paper).
    hidden : int
        Channels of the depthwise convolutions (H).
    skip : int
        Channels of the skip paths (Sc); 0 leaves them out.
    kernel_size : int
        Taps of the depthwise convolutions (P), odd.
    blocks : int
        Blocks per repeat (X); their dilations are 1, 2, 4, ...
    repeats : int
        Repeats (R).
    activation : str
        One of relu, prelu (the paper's, slow on CPUs), silu.
    norm : str
        Inside the blocks: global (the paper's) or instance, see
        `speechbrain_ext.models.norms`.
    block_scale : float, optional
        The output of block b is scaled by a learned factor that starts at
        this number to the power of b; by default it is not scaled.
    long_skips : bool
        Whether the input of each repeat also goes to the input of every
        later one, through a linear map.
    activate_output : bool
        Whether the activation stands before the last linear map.

    Raises
    ------
    ValueError
        If activation or norm is unknown, or kernel_size is even.

    Example
    -------
    >>> network = TemporalConvNet(10, 20, channels=8, hidden=16, blocks=2)
    >>> network(torch.randn(2, 50, 10)).shape
    torch.Size([2, 50, 20])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        channels: int = 128,
        hidden: int = 256,
        skip: int = 0,
        kernel_size: int = 3,
        blocks: int = 6,
        repeats: int = 2,
        activation: str = "relu",
        norm: str = "global",
        block_scale: float | None = None,
        long_skips: bool = False,
        activate_output: bool = True,
    ) -> None:
        super().__init__()
        for name, value, valid in (
            ("activation", activation, ACTIVATIONS),
            ("norm", norm, NORMS),
        ):
            if value not in valid:
                raise ValueError(
                    f"{name}={value!r} is not one of {list(valid)}"
                )
        self.norm = GlobalLayerNorm()
        self.bottleneck = nn.Linear(inputs, channels)
        count = blocks * repeats
        self.blocks = nn.ModuleList(
            ConvolutionBlock(
                channels=channels,
                hidden=hidden,
                skip=skip,
                kernel_size=kernel_size,
                dilation=2 ** (index % blocks),
                activation=activation,
                residual=not skip or index < count - 1,
                norm=norm,
                scale=None if block_scale is None else block_scale**index,
            )
            for index in range(count)
        )
        self.blocks_per_repeat = blocks
        # one list for each repeat, in it a map for each repeat before
        self.long_skips = nn.ModuleList(
            nn.ModuleList(nn.Linear(channels, channels) for _ in range(repeat))
            for repeat in range(repeats if long_skips else 0)
        )
        self.output = nn.Sequential(
            ACTIVATIONS[activation]() if activate_output else nn.Identity(),
            nn.Linear(skip or channels, outputs),
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
        frames = self.bottleneck(self.norm(frames))
        total, starts = None, []
        for index, block in enumerate(self.blocks):
            if self.long_skips and index % self.blocks_per_repeat == 0:
                maps = self.long_skips[index // self.blocks_per_repeat]
                for linear, start in zip(maps, starts, strict=True):
                    frames = frames + linear(start)
                starts.append(frames)
            frames, skip = block(frames)
            if skip is not None:
                total = skip if total is None else total + skip
        return self.output(frames if total is None else total)
