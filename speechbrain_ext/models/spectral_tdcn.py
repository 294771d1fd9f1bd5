"""TDCN++ over the short-time Fourier transform."""

from speechbrain_ext.models.spectral import SpectralSeparator
from speechbrain_ext.models.tdcn import tdcn_network


class SpectralTDCN(SpectralSeparator):
    """TDCN++ over the short-time Fourier transform.

    With a Fourier transform in place of the learnt filters, whose few frames
    make it affordable on a CPU. The defaults are a small size for events and
    speech at 16 kHz, 1.1 M parameters with 8 outputs.

    Arguments
    ---------
    num_sources : int
        Outputs.
    n_fft, hop : int
        Window and hop in samples.
    mask : str
        sigmoid or relu.
    channels, hidden, blocks, repeats, activation, long_skips
        See `TemporalConvNet`.

    Example
    -------
    >>> import torch
    >>> separator = SpectralTDCN(num_sources=4, channels=16, hidden=32)
    >>> separator(torch.randn(2, 4000)).shape
    torch.Size([2, 4, 4000])
    """

    def __init__(
        self,
        num_sources: int = 8,
        n_fft: int = 512,
        hop: int = 256,
        mask: str = "sigmoid",
        channels: int = 128,
        hidden: int = 256,
        blocks: int = 6,
        repeats: int = 2,
        activation: str = "relu",
        long_skips: bool = False,
    ) -> None:
        network = tdcn_network(
            n_fft // 2 + 1,
            num_sources,
            channels=channels,
            hidden=hidden,
            blocks=blocks,
            repeats=repeats,
            activation=activation,
            long_skips=long_skips,
        )
        super().__init__(
            network, num_sources=num_sources, n_fft=n_fft, hop=hop, mask=mask
        )
