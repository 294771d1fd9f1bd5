"""Frames of spectrograms, for SI-SNR estimators that learn on a CPU."""

import torch
from torch import nn

from speechbrain_ext.models.fourier import ShortTimeFourier
from speechbrain_ext.models.temporal_convolution import TemporalConvNet

# below the mixture's mean power, -50 dB, all levels look the same
POWER_FLOOR = 1e-5


class SpectralEncoder(nn.Module):
    """Log power of estimate, mixture and remainder; dilated convolutions.

    It stands where the paper's convolutions over the waveform do (see
    `WaveformEncoder`), and learns in a fraction of the time. The remainder is
    what the mixture holds beside the estimate: the mixture less its
    projection on the estimate. Ours, not the paper's.

    Arguments
    ---------
    n_fft, hop : int
        Window and hop in samples; the defaults suit 8 kHz.
    channels : int
        Of the frames, and of the residual path of the network.
    hidden, kernel_size, blocks, repeats, activation
        See `TemporalConvNet`.

    Example
    -------
    >>> encoder = SpectralEncoder(channels=8, hidden=16)
    >>> encoder(torch.randn(3, 2, 8000)).shape
    torch.Size([3, 8, 64])
    >>> mean, deviation = encoder.pool(torch.randn(3, 2, 8000))
    >>> deviation.shape
    torch.Size([3, 8])
    """

    def __init__(
        self,
        n_fft: int = 256,
        hop: int = 128,
        channels: int = 128,
        hidden: int = 256,
        kernel_size: int = 3,
        blocks: int = 4,
        repeats: int = 1,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.arguments = {
            "n_fft": n_fft,
            "hop": hop,
            "channels": channels,
            "hidden": hidden,
            "kernel_size": kernel_size,
            "blocks": blocks,
            "repeats": repeats,
            "activation": activation,
        }
        self.channels = channels
        self.fourier = ShortTimeFourier(n_fft, hop)
        self.network = TemporalConvNet(
            3 * (n_fft // 2 + 1),
            channels,
            channels=channels,
            hidden=hidden,
            kernel_size=kernel_size,
            blocks=blocks,
            repeats=repeats,
            activation=activation,
        )

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """Encode.

        Arguments
        ---------
        pairs : torch.Tensor
            Shape (batch, 2, time): estimate and mixture, each of zero mean
            and unit deviation.

        Returns
        -------
        frames : torch.Tensor
            Shape (batch, channels, frames).
        """
        return self.network(self.features(pairs)).transpose(1, 2)

    def features(self, pairs: torch.Tensor) -> torch.Tensor:
        """Compute the network's input.

        Arguments
        ---------
        pairs : torch.Tensor
            As for `forward`.

        Returns
        -------
        features : torch.Tensor
            Shape (batch, frames, 3 * (n_fft // 2 + 1)): natural log of the
            power of estimate, mixture and remainder, over the mixture's mean.
        """
        with torch.autocast(pairs.device.type, enabled=False):
            pairs = pairs.float()
            estimate, mixture = pairs.unbind(1)
            gain = (estimate * mixture).mean(-1, keepdim=True)
            power = estimate.square().mean(-1, keepdim=True)
            remainder = mixture - gain / power.clamp_min(1e-8) * estimate
            signals = torch.stack((estimate, mixture, remainder), 1)
            spectrum = self.fourier(signals.flatten(0, 1))
            power = spectrum.real.square() + spectrum.imag.square()
            power = power.unflatten(0, (-1, 3))
            level = power[:, 1:2].mean(dim=(2, 3), keepdim=True)
            features = torch.log(power / level.clamp_min(1e-8) + POWER_FLOOR)
        return features.transpose(1, 2).flatten(2)

    def pool(self, pairs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute mean and deviation of the frames.

        Arguments
        ---------
        pairs : torch.Tensor
            As for `forward`.

        Returns
        -------
        mean, deviation : torch.Tensor
            Shape (batch, channels), float32.
        """
        variance, mean = torch.var_mean(self(pairs).float(), dim=2)
        # the root has no gradient where nothing moves
        return mean, (variance + 1e-10).sqrt()
