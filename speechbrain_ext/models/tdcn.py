"""TDCN++, the network of universal sound separation, at any size.

Source: Kavalerov et al., "Universal Sound Separation", WASPAA 2019, arXiv
1905.03330, and the official code of MixIT (google-research/sound-separation,
models/neurips2020_mixit and models/train).
"""

from speechbrain_ext.models.conv_tasnet import FrameMaskNet
from speechbrain_ext.models.separator import MaskingSeparator, filterbank
from speechbrain_ext.models.temporal_convolution import TemporalConvNet

# The scale of a block's output starts at this number to the power of the
# block's place.
BLOCK_SCALE = 0.9


class TDCN(MaskingSeparator):
    """TDCN++: improved dilated convolutions over learned filters.

    The default is the official configuration of MixIT at 16 kHz, 9.1 M
    parameters with 8 outputs: filters of 40 samples, 4 repeats of 8 blocks
    with instance norm, and an output of each block that is scaled by a
    learned number, at first 0.9 to the power of the block's place. The
    paper's connections between repeats (`long_skips`) are off in that
    configuration, and on in the baseline of FUSS. For tests on a CPU take
    channels=64, bottleneck=32, hidden=64, blocks=4, repeats=1; to learn on
    one take `SpectralTDCN`.

    Other than in the official code, the filters' outputs are normalized as
    in Conv-TasNet, so that estimates follow the level of the mixture;
    linear maps have a bias instead of a norm's shift, and only the scale of
    a block's output is a number of its own: elsewhere the weights hold it.

    Arguments
    ---------
    num_sources : int
        Outputs; MixIT needs as many as two mixtures have sources, or more.
    channels : int
        Learned filters.
    kernel_size : int
        Samples per filter, even; the stride is half of it.
    bottleneck : int
        Channels of the residual path.
    hidden : int
        Channels of the depthwise convolutions.
    blocks : int
        Blocks per repeat; their dilations are 1, 2, 4, ...
    repeats : int
        Repeats.
    activation : str
        As in `TemporalConvNet`.
    mask : str
        sigmoid (the official one) or relu.
    long_skips : bool
        As in `TemporalConvNet`.

    Raises
    ------
    ValueError
        If kernel_size is odd, or activation or mask is unknown.

    Example
    -------
    >>> import torch
    >>> separator = TDCN(channels=16, bottleneck=8, hidden=8, repeats=1)
    >>> separator(torch.randn(2, 1001)).shape
    torch.Size([2, 8, 1001])
    """

    def __init__(
        self,
        num_sources: int = 8,
        channels: int = 256,
        kernel_size: int = 40,
        bottleneck: int = 256,
        hidden: int = 512,
        blocks: int = 8,
        repeats: int = 4,
        activation: str = "prelu",
        mask: str = "sigmoid",
        long_skips: bool = False,
    ) -> None:
        network = TemporalConvNet(
            channels,
            num_sources * channels,
            channels=bottleneck,
            hidden=hidden,
            blocks=blocks,
            repeats=repeats,
            activation=activation,
            norm="instance",
            block_scale=BLOCK_SCALE,
            long_skips=long_skips,
            activate_output=False,
        )
        masknet = FrameMaskNet(network, num_sources=num_sources, mask=mask)
        super().__init__(
            *filterbank(channels, kernel_size, masknet), num_sources
        )
