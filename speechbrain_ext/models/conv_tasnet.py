"""Conv-TasNet, at any size."""

import torch
from torch import nn

from speechbrain_ext.models.masks import choose_mask
from speechbrain_ext.models.separator import MaskingSeparator, filterbank
from speechbrain_ext.models.temporal_convolution import TemporalConvNet


class FrameMaskNet(nn.Module):
    """Gives a network over frames the interface of SpeechBrain's masknets.

    Arguments
    ---------
    network : torch.nn.Module
        Maps (batch, frames, channels) to (batch, frames, num_sources *
        channels).
    num_sources : int
        Sources to separate.
    mask : str
        sigmoid or relu.

    Example
    -------
    >>> masknet = FrameMaskNet(nn.Linear(8, 24), num_sources=3, mask="relu")
    >>> masknet(torch.randn(2, 8, 50)).shape
    torch.Size([3, 2, 8, 50])
    """

    def __init__(
        self, network: nn.Module, *, num_sources: int, mask: str
    ) -> None:
        super().__init__()
        self.network = network
        self.num_sources = num_sources
        self.mask = choose_mask(mask)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute masks.

        Arguments
        ---------
        features : torch.Tensor
            Shape (batch, channels, frames).

        Returns
        -------
        masks : torch.Tensor
            Shape (num_sources, batch, channels, frames).
        """
        masks = self.mask(self.network(features.transpose(1, 2)))
        masks = masks.unflatten(2, (self.num_sources, -1))
        return masks.permute(2, 0, 3, 1)


class ConvTasNet(MaskingSeparator):
    """Conv-TasNet, dilated convolutions over learned filters.

    Luo and Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency
    Magnitude Masking for Speech Separation", IEEE/ACM TASLP 2019. The
    default is its best non-causal configuration, 5.1 M parameters there
    and 4.9 M here, where each norm leaves scale and shift to the linear map
    behind it. (SpeechBrain's `conv_tasnet.MaskNet` has no skip paths, so it
    has 3.4 M at the same sizes; put one into `MaskingSeparator` to load
    weights trained with it.) For tests on a CPU take channels=64,
    bottleneck=32, hidden=64, skip=32, blocks=4, repeats=1; to learn on one
    take `SpectralConvTasNet`.

    Arguments
    ---------
    num_sources : int
        Sources to separate.
    channels : int
        Learned filters (N in the paper).
    kernel_size : int
        Samples per filter (L); the stride is half of it.
    bottleneck : int
        Channels of the residual path (B).
    hidden : int
        Channels of the depthwise convolutions (H).
    skip : int
        Channels of the skip paths (Sc).
    blocks : int
        Blocks per repeat (X).
    repeats : int
        Repeats (R).
    activation : str
        As in `TemporalConvNet`.
    mask : str
        sigmoid (the paper's) or relu.

    Raises
    ------
    ValueError
        If kernel_size is odd, or activation or mask is unknown.

    Example
    -------
    >>> separator = ConvTasNet(channels=16, hidden=8, blocks=2, repeats=1)
    >>> separator(torch.randn(2, 1001)).shape
    torch.Size([2, 2, 1001])
    """

    def __init__(
        self,
        num_sources: int = 2,
        channels: int = 512,
        kernel_size: int = 16,
        bottleneck: int = 128,
        hidden: int = 512,
        skip: int = 128,
        blocks: int = 8,
        repeats: int = 3,
        activation: str = "prelu",
        mask: str = "sigmoid",
    ) -> None:
        network = TemporalConvNet(
            channels,
            num_sources * channels,
            channels=bottleneck,
            hidden=hidden,
            skip=skip,
            blocks=blocks,
            repeats=repeats,
            activation=activation,
        )
        masknet = FrameMaskNet(network, num_sources=num_sources, mask=mask)
        super().__init__(
            *filterbank(channels, kernel_size, masknet), num_sources
        )
