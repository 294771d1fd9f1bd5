"""A separator whose tokens are bands of a few frames of a Fourier transform."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_ext.models.attention import add, attend, relu
from speechbrain_ext.models.fourier import ShortTimeFourier
from speechbrain_ext.models.masks import MASKS
from speechbrain_ext.models.spectral import log_power

# of the mixture's magnitudes, as features
COMPRESSION = 0.3
# the share of the whole band below which bands are equally wide, and above
# which they widen: 700 of 4000 Hz, as in the mel scale
LINEAR_SHARE = 0.175
LEAST_BINS = 2
# of the convolutions of a block, in tokens: near and far
DILATIONS = (1, 4)


class BandSeparator(nn.Module):
    """Local convolutions and global attention over time-frequency tokens.

    A token describes a band of frequencies during `frames` frames. Tokens
    form a lattice of times and bands, on which two kinds of layers alternate,
    both with the same weights for all bands: dense convolutions over three
    times (near and far, by their dilation) and three bands, and attention over
    all times, whose queries and keys hold all bands of a time. Each band is
    read from complex Fourier coefficients, and ends in complex masks, by maps
    of its own.

    The arrangement is ours. That weights are shared over frequency, and that
    local and global layers alternate, is the lesson of TF-GridNet (Wang et
    al., ICASSP 2023) and TF-Locoformer (Saijo et al., IWAENC 2024); that few
    bands stand for many bins, of BSRNN (Luo and Yu, IEEE/ACM TASLP 2023). On
    CPUs all but a small part of its time are matrix products.

    With 96, 160 and 288 channels it has about 1, 3 and 9 M parameters. At
    16 kHz take n_fft=1024, hop=256.

    Arguments
    ---------
    num_sources : int
        Sources to separate.
    n_fft, hop : int
        Window and hop in samples; the defaults suit 8 kHz.
    frames : int
        Frames that make a token.
    bands : int
        Bands; narrow ones below, wide ones above.
    channels : int
        Numbers in a token; a multiple of heads.
    blocks : int
        Each has two convolutions and attention.
    heads : int
        Of the attention.
    mask : str
        complex, or the range of real masks: sigmoid (0 to 1) or relu (0 to
        infinity). On little data, separation is learned much faster by real
        masks; what is not the phase of the mixture, only complex ones give.

    Raises
    ------
    ValueError
        If heads do not divide channels, there are more bands than bins allow,
        hop does not fit n_fft, or mask is unknown.

    Example
    -------
    >>> separator = BandSeparator(bands=4, channels=8, blocks=1, heads=2)
    >>> separator(torch.randn(3, 4001)).shape
    torch.Size([3, 2, 4001])
    """

    def __init__(
        self,
        num_sources: int = 2,
        n_fft: int = 512,
        hop: int = 128,
        frames: int = 2,
        bands: int = 8,
        channels: int = 64,
        blocks: int = 4,
        heads: int = 4,
        mask: str = "complex",
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(
                f"channels={channels} is no multiple of heads={heads}"
            )
        if mask not in (masks := {"complex": None, **MASKS}):
            raise ValueError(f"mask={mask!r} is not one of {list(masks)}")
        self.mask = masks[mask]
        read, written = (1, 1) if self.mask else (3, 2)
        self.fourier = ShortTimeFourier(n_fft, hop)
        self.num_sources, self.frames = num_sources, frames
        self.widths = divide_into_bands(n_fft // 2 + 1, bands)
        self.encoders = nn.ModuleList(
            nn.Linear(read * frames * width, channels) for width in self.widths
        )
        # where in frequency a token stands
        self.places = nn.Parameter(torch.zeros(bands, channels))
        layers = []
        for _ in range(blocks):
            layers += [LocalLayer(channels, each) for each in DILATIONS]
            layers.append(GlobalLayer(channels, heads))
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(channels)
        self.decoders = nn.ModuleList(
            nn.Linear(channels, written * frames * num_sources * width)
            for width in self.widths
        )

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
            spectrum = self.fourier(mixture.float())
            if self.mask:
                parts = torch.view_as_real(spectrum)
                features = log_power(parts).unsqueeze(-1)
            else:
                features = level_free(spectrum)
        scores = self.decode(self.layers(self.encode(features)))
        with torch.autocast(mixture.device.type, enabled=False):
            scores = scores[:, : spectrum.shape[1]].float()
            masked = self.make_masks(scores) * spectrum.unsqueeze(2)
            return self.fourier.inverse(
                masked.transpose(1, 2), mixture.shape[1]
            )

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Make tokens (batch, times, bands, channels) of features."""
        tail = -features.shape[1] % self.frames
        features = F.pad(features, (0, 0, 0, 0, 0, tail))
        features = features.unflatten(1, (-1, self.frames))
        parts = features.split(self.widths, dim=3)
        tokens = [
            encoder(part.flatten(2))
            for encoder, part in zip(self.encoders, parts, strict=True)
        ]
        return torch.stack(tokens, 2) + self.places

    def decode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Make scores (batch, frames, sources, bins, 1 or 2) of tokens."""
        shape = (self.frames, self.num_sources, -1, 1 if self.mask else 2)
        scores = [
            decoder(token).unflatten(2, shape)
            for decoder, token in zip(
                self.decoders, self.norm(tokens).unbind(2), strict=True
            )
        ]
        return torch.cat(scores, 4).flatten(1, 2)

    def make_masks(self, scores: torch.Tensor) -> torch.Tensor:
        """Make masks (batch, frames, sources, bins) of scores."""
        if self.mask:
            return self.mask(scores.squeeze(-1))
        # at first each source gets a share of the mixture
        masks = torch.view_as_complex(scores.contiguous())
        return masks + 1 / self.num_sources


class LocalLayer(nn.Module):
    """Convolve over three times and three bands; add it to the tokens.

    Its weight is kept as a matrix, which is what Muon orthogonalizes.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(channels)
        self.weight = nn.Parameter(torch.empty(channels, 9 * channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.output = nn.Linear(channels, channels)
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Transform tokens (batch, times, bands, channels)."""
        kernel = self.weight.unflatten(1, (3, 3, -1)).permute(0, 3, 1, 2)
        image = self.norm(tokens).permute(0, 3, 1, 2)
        image = F.conv2d(
            image,
            kernel,
            self.bias,
            padding=(self.dilation, 1),
            dilation=(self.dilation, 1),
        )
        return add(self.output(relu(image).permute(0, 2, 3, 1)), tokens)


class GlobalLayer(nn.Module):
    """Attend to all times, seeing all bands of each; add it to the tokens."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Transform tokens (batch, times, bands, channels)."""
        batch, times, bands, channels = tokens.shape
        values = self.query_key_value(self.norm(tokens))
        # a head has its part of the channels of all bands
        values = values.view(batch, times, bands, 3 * self.heads, -1)
        values = values.transpose(2, 3).flatten(2)
        attended = attend(values, self.heads)
        attended = attended.view(batch, times, self.heads, bands, -1)
        attended = attended.transpose(2, 3).reshape(tokens.shape)
        return add(self.output(attended), tokens)


def level_free(spectrum: torch.Tensor) -> torch.Tensor:
    """Compute features that do not depend on the level of the mixture.

    Arguments
    ---------
    spectrum : torch.Tensor
        Complex, shape (batch, frames, bins).

    Returns
    -------
    features : torch.Tensor
        Shape (batch, frames, bins, 3): real and imaginary part, whose
        magnitude is raised to the power of 0.3, and the logarithm of the power
        (see `log_power`), which is scaled likewise.
    """
    parts = torch.view_as_real(spectrum)
    log = log_power(parts).unsqueeze(-1)
    # e^(log / 2) is the magnitude
    magnitude = parts.square().sum(-1, keepdim=True).clamp_min(1e-32).sqrt()
    compressed = parts / magnitude * torch.exp(0.5 * COMPRESSION * log)
    return torch.cat((compressed, COMPRESSION * log), -1)


def divide_into_bands(bins: int, bands: int) -> list[int]:
    """Divide bins into bands whose widths grow as on the mel scale.

    Arguments
    ---------
    bins : int
        To divide, from 0 Hz up.
    bands : int
        How many.

    Returns
    -------
    widths : list of int
        Bins in each band, at least two.

    Raises
    ------
    ValueError
        If there are too few bins.

    Example
    -------
    >>> divide_into_bands(257, 8)
    [12, 15, 20, 25, 31, 40, 50, 64]
    """
    if bands < 1 or bins < LEAST_BINS * bands:
        raise ValueError(
            f"{bins} bins cannot be divided into bands={bands}; each has at "
            f"least {LEAST_BINS}"
        )
    top = math.log1p(1 / LINEAR_SHARE)
    edges = [0]
    for band in range(1, bands):
        edge = LINEAR_SHARE * math.expm1(top * band / bands) * bins
        rest = LEAST_BINS * (bands - band)
        edges.append(min(max(round(edge), edges[-1] + LEAST_BINS), bins - rest))
    edges.append(bins)
    return [high - low for low, high in itertools.pairwise(edges)]
