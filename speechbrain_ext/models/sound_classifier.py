"""What class of sound a separated output holds."""

import torch
from torch import nn

from speechbrain_ext.models.fourier import ShortTimeFourier

# Below the mixture's mean power, -60 dB, all levels look the same.
POWER_FLOOR = 1e-6


class SoundClassifier(nn.Module):
    """Log odds of the classes in each output, for the loss `semantic`.

    Log power of an output's short-time Fourier transform, relative to the
    mixture's mean power, so that a silent output is seen to be silent; strided
    convolutions over time; mean and maximum over the frames; a linear map.
    Reconstructed: Wisdom et al., "Sparse, efficient, and semantic mixture
    invariant training", WASPAA 2021, arXiv 2106.00847, train a classifier with
    the separator; its network is not known to us, and this one is small.

    Arguments
    ---------
    num_classes : int
        Classes.
    n_fft, hop : int
        Window and hop in samples.
    channels : int
        Of the convolutions.
    layers : int
        Convolutions; each halves the frames.

    Example
    -------
    >>> classifier = SoundClassifier(5, channels=8)
    >>> classifier(torch.randn(2, 4, 8000), torch.randn(2, 8000)).shape
    torch.Size([2, 4, 5])
    """

    def __init__(
        self,
        num_classes: int,
        n_fft: int = 512,
        hop: int = 256,
        channels: int = 64,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.fourier = ShortTimeFourier(n_fft, hop)
        bins = n_fft // 2 + 1
        sizes = [bins, *[channels] * layers]
        self.network = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(inputs, outputs, 3, stride=2, padding=1),
                    nn.ReLU(),
                )
                for inputs, outputs in zip(sizes, sizes[1:], strict=False)
            )
        )
        self.output = nn.Linear(2 * channels, num_classes)

    def forward(
        self, estimates: torch.Tensor, mixture: torch.Tensor
    ) -> torch.Tensor:
        """Classify every output.

        Arguments
        ---------
        estimates : torch.Tensor
            Shape (batch, M, time).
        mixture : torch.Tensor
            What they were made from, shape (batch, time).

        Returns
        -------
        logits : torch.Tensor
            Shape (batch, M, num_classes).
        """
        with torch.autocast(estimates.device.type, enabled=False):
            estimates, mixture = estimates.float(), mixture.float()
            spectrum = torch.view_as_real(self.fourier(estimates.flatten(0, 1)))
            power = spectrum.square().sum(-1).unflatten(0, estimates.shape[:2])
            whole = torch.view_as_real(self.fourier(mixture))
            level = whole.square().sum(-1).mean(dim=(1, 2)).clamp_min(1e-16)
            features = torch.log(
                power / level[:, None, None, None] + POWER_FLOOR
            )
        frames = self.network(features.flatten(0, 1).transpose(1, 2)).float()
        pooled = torch.cat((frames.mean(-1), frames.amax(-1)), dim=-1)
        return self.output(pooled).float().unflatten(0, estimates.shape[:2])
