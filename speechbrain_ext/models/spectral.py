"""Separators that mask the mixture's short-time Fourier transform."""

import inspect
from collections.abc import Callable

import torch
from torch import nn

from speechbrain_ext.models.dual_path_transformer import DualPathTransformer
from speechbrain_ext.models.fourier import ShortTimeFourier
from speechbrain_ext.models.masks import choose_mask
from speechbrain_ext.models.recurrent import (
    DualPathRecurrent,
    GatedRecurrentNet,
    RecurrentNet,
)
from speechbrain_ext.models.temporal_convolution import TemporalConvNet

# below the mean power of the utterance, -60 dB, all levels look the same
POWER_FLOOR = 1e-6


class SpectralSeparator(nn.Module):
    """Log-magnitude features in, one real mask per source out.

    Mixture -> short-time Fourier transform (see `ShortTimeFourier`) -> log
    power relative to the utterance's mean power -> network -> one mask per
    source, times the complex transform of the mixture -> inverse transform.
    The features do not depend on the level of the input, so the estimates
    scale with it. Transforms are always computed in float32.

    A subclass names the class of its network, and defaults that differ: it
    takes the options of both, and builds the network itself.

    Arguments
    ---------
    network : torch.nn.Module
        Maps features (batch, frames, n_fft // 2 + 1) to mask scores
        (batch, frames, num_sources * (n_fft // 2 + 1)).
    num_sources : int
        Sources to separate.
    n_fft : int
        Window and transform length in samples.
    hop : int
        Samples from one frame to the next; n_fft must be a multiple of it,
        and at least twice as long.
    mask : str
        Mask range: sigmoid (0 to 1) or relu (0 to infinity).

    Raises
    ------
    ValueError
        If mask is unknown or hop does not fit n_fft.

    Example
    -------
    >>> network = TemporalConvNet(33, 66, channels=8, hidden=16)
    >>> separator = SpectralSeparator(network, n_fft=64, hop=32)
    >>> separator(torch.randn(3, 1001)).shape
    torch.Size([3, 2, 1001])
    """

    def __init_subclass__(
        cls, *, network: Callable[..., nn.Module], **defaults: object
    ) -> None:
        """Let a class build its network, and take the options of both."""
        super().__init_subclass__()
        _, *own = inspect.signature(SpectralSeparator).parameters.values()
        _, _, *sizes = inspect.signature(network).parameters.values()
        signature = inspect.Signature(
            [
                option.replace(
                    kind=option.POSITIONAL_OR_KEYWORD,
                    default=defaults.get(option.name, option.default),
                )
                for option in (*own, *sizes)
            ]
        )

        def __init__(self, *arguments, **keywords):
            given = signature.bind(*arguments, **keywords)
            given.apply_defaults()
            sizes = given.arguments
            shape = {option.name: sizes.pop(option.name) for option in own}
            bins = shape["n_fft"] // 2 + 1
            built = network(bins, shape["num_sources"] * bins, **sizes)
            SpectralSeparator.__init__(self, built, **shape)

        cls.__init__, cls.__signature__ = __init__, signature

    def __init__(
        self,
        network: nn.Module,
        *,
        num_sources: int = 2,
        n_fft: int = 256,
        hop: int = 128,
        mask: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.fourier = ShortTimeFourier(n_fft, hop)
        self.network = network
        self.num_sources = num_sources
        self.mask = choose_mask(mask)

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        """Separate a batch of mixtures.

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (batch, time), at least one sample.

        Returns
        -------
        estimates : torch.Tensor
            Shape (batch, num_sources, time), float32.
        """
        with torch.autocast(mixture.device.type, enabled=False):
            spectrum = torch.view_as_real(self.fourier(mixture.float()))
            features = log_power(spectrum)
        scores = self.network(features)
        with torch.autocast(mixture.device.type, enabled=False):
            masks = self.mask(scores.float())
            masks = masks.unflatten(2, (self.num_sources, -1)).transpose(1, 2)
            masked = torch.view_as_complex(masks[..., None] * spectrum[:, None])
            return self.fourier.inverse(masked, mixture.shape[1])


def log_power(spectrum: torch.Tensor) -> torch.Tensor:
    """Compute level-free log power features.

    Arguments
    ---------
    spectrum : torch.Tensor
        Shape (batch, frames, bins, 2): real and imaginary parts.

    Returns
    -------
    features : torch.Tensor
        Shape (batch, frames, bins): natural log of the power over its mean
        per item, floored smoothly at -60 dB.

    Example
    -------
    >>> spectrum = torch.linspace(1, 2, 90).view(1, 5, 9, 2)
    >>> level = log_power(30 * spectrum)
    >>> torch.allclose(log_power(spectrum), level, atol=1e-5)
    True
    """
    power = spectrum.square().sum(-1)
    mean = power.mean(dim=(1, 2), keepdim=True)
    return torch.log(power / mean.clamp_min(1e-16) + POWER_FLOOR)


class SpectralConvTasNet(SpectralSeparator, network=TemporalConvNet):
    """Dilated convolutions over the short-time Fourier transform.

    The masking network of Conv-TasNet (see `TemporalConvNet`) with a Fourier
    transform in place of the learned filters: it learns in minutes on a CPU.
    The defaults are the recommended small size at 8 kHz, 0.9 M parameters;
    at 16 kHz take n_fft=512, hop=256.

    Arguments
    ---------
    num_sources : int
        Sources to separate.
    n_fft, hop : int
        Window and hop in samples.
    mask : str
        sigmoid or relu.
    channels, hidden, skip, kernel_size, blocks, repeats, activation
        See `TemporalConvNet`.

    Example
    -------
    >>> separator = SpectralConvTasNet(channels=16, hidden=32)
    >>> separator(torch.randn(2, 4000)).shape
    torch.Size([2, 2, 4000])
    """


class SpectralSepFormer(SpectralSeparator, network=DualPathTransformer):
    """Dual-path transformer over the short-time Fourier transform.

    SepFormer's arrangement (see `DualPathTransformer`) with a Fourier
    transform in place of the learned filters, whose few frames make it
    affordable on a CPU. The defaults are the recommended small size at
    8 kHz, 1.1 M parameters; at 16 kHz take n_fft=512, hop=256.

    Arguments
    ---------
    num_sources : int
        Sources to separate.
    n_fft, hop : int
        Window and hop in samples.
    mask : str
        sigmoid or relu.
    channels, blocks, intra_layers, inter_layers, heads, feedforward
        See `DualPathTransformer`.
    chunk : int
        Frames per chunk.
    overlap : bool
        Whether chunks overlap by half, at twice the work.

    Example
    -------
    >>> separator = SpectralSepFormer(channels=16, heads=2, blocks=1)
    >>> separator(torch.randn(2, 4000)).shape
    torch.Size([2, 2, 4000])
    """


class SpectralDPRNN(SpectralSeparator, network=DualPathRecurrent):
    """Dual-path LSTMs over the short-time Fourier transform.

    DPRNN's arrangement (see `DualPathRecurrent`) with a Fourier transform in
    place of the learned filters. The defaults are for 8 kHz, 0.9 M parameters.

    Arguments
    ---------
    num_sources : int
        Sources to separate.
    n_fft, hop : int
        Window and hop in samples.
    mask : str
        sigmoid or relu.
    channels, hidden, blocks, chunk, overlap
        See `DualPathRecurrent`.

    Example
    -------
    >>> separator = SpectralDPRNN(channels=8, hidden=8)
    >>> separator(torch.randn(2, 4000)).shape
    torch.Size([2, 2, 4000])
    """


class SpectralBLSTM(SpectralSeparator, network=RecurrentNet):
    """Bidirectional LSTMs over the short-time Fourier transform.

    The separator of utterance-level permutation invariant training (see
    `RecurrentNet`).

    Arguments
    ---------
    num_sources : int
        Sources to separate.
    n_fft, hop : int
        Window and hop in samples.
    mask : str
        sigmoid or relu.
    hidden, layers
        See `RecurrentNet`.

    Example
    -------
    >>> separator = SpectralBLSTM(hidden=8)
    >>> separator(torch.randn(2, 4000)).shape
    torch.Size([2, 2, 4000])
    """


class SpectralGRU(
    SpectralSeparator,
    network=GatedRecurrentNet,
    num_sources=1,
    n_fft=1024,
    hop=256,
    hidden=64,
):
    """Layers of a GRU over the short-time Fourier transform.

    The denoiser of Sivaraman, Kim and Kim, "Personalized Speech Enhancement
    through Self-Supervised Data Augmentation and Purification", Interspeech
    2021: a mask on the noisy spectrum, whose phase stays. At 16 kHz and with
    64, 128, 256 or 512 units it has their 0.17, 0.41, 1.12 or 3.42 M
    parameters. Features are logarithms here, not magnitudes (see
    `log_power`).

    Arguments
    ---------
    num_sources : int
        Estimates to give; 1 for an enhancer.
    n_fft, hop : int
        Window and hop in samples.
    mask : str
        sigmoid or relu.
    hidden, layers
        See `GatedRecurrentNet`.

    Example
    -------
    >>> SpectralGRU(hidden=8)(torch.randn(2, 4000)).shape
    torch.Size([2, 1, 4000])
    """


class SpectralTDCN(
    SpectralSeparator,
    network=TemporalConvNet,
    num_sources=8,
    n_fft=512,
    hop=256,
    norm="instance",
    block_scale=0.9,
    activate_output=False,
):
    """TDCN++ over the short-time Fourier transform.

    With a Fourier transform in place of the learned filters, whose few frames
    make it affordable on a CPU (see `TDCN` for what it is). The defaults are
    a small size for events and speech at 16 kHz, 1.1 M parameters with 8
    outputs.

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
    >>> separator = SpectralTDCN(num_sources=4, channels=16, hidden=32)
    >>> separator(torch.randn(2, 4000)).shape
    torch.Size([2, 4, 4000])
    """
