"""Varying sources before they are mixed, as batched work on the device.

Played faster or slower, a source is another speaker's; a smooth random
equalizer stands for another microphone. The two mixtures of a ring share what
became of their source, and so do their targets.
"""

import math

import torch
import torch.nn.functional as F

# gains of the equalizer between 0 Hz and half the sample rate
BANDS = 8


class SourceAugmentation:
    """Change speed and color of the sources of a batch.

    Make the `SourceDataset` with `variations=augmentation.variations` and
    readers of `augmentation.samples_to_read` samples; what is drawn then
    follows from the seeds of the draws, like all else.

    Arguments
    ---------
    samples : int
        Length of the segments that come out.
    speed : float
        Sources are played at up to (1 + speed) times their speed, and down
        to (1 - speed); pitch changes with it. At least 0, below 0.5.
    equalizer_db : float
        Each of `BANDS` gains is drawn between plus and minus this, in dB.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Example
    -------
    >>> augmentation = SourceAugmentation(samples=100, speed=0.25)
    >>> augmentation.samples_to_read
    126
    >>> batch = {
    ...     "speech": torch.randn(4, 126),
    ...     "speech_variation": torch.rand(4, augmentation.variations),
    ... }
    >>> augmentation(batch)["speech"].shape
    torch.Size([4, 100])
    """

    variations = 1 + BANDS

    def __init__(
        self, *, samples: int, speed: float = 0.0, equalizer_db: float = 0.0
    ):
        if not 0 <= speed < 0.5 or equalizer_db < 0:
            raise ValueError(
                f"speed is {speed} and equalizer_db {equalizer_db}; speed "
                "must lie in [0, 0.5), equalizer_db must not be negative"
            )
        self.samples = samples
        self.speed = speed
        self.equalizer_db = equalizer_db

    @property
    def samples_to_read(self) -> int:
        """Samples of a segment before its speed is changed."""
        return math.ceil(self.samples * (1 + self.speed)) + 1

    def __call__(self, batch: dict) -> dict:
        """Vary speech and noise, each by its own draws.

        Arguments
        ---------
        batch : dict
            As `SourceDataset` gives it, on any device.

        Returns
        -------
        batch : dict
            "speech" and "noise" are new tensors (N, samples), the
            variations are gone, all else is as it was.
        """
        varied = dict(batch)
        for name in ("speech", "noise"):
            if name in batch:
                draws = varied.pop(f"{name}_variation")
                signals = change_speed(
                    batch[name],
                    factors=1 + self.speed * draws[:, 0],
                    samples=self.samples,
                )
                varied[name] = equalize(
                    signals, gains_db=self.equalizer_db * draws[:, 1:]
                )
        return varied


def change_speed(
    signals: torch.Tensor, *, factors: torch.Tensor, samples: int
) -> torch.Tensor:
    """Play each signal faster or slower, by linear interpolation.

    Arguments
    ---------
    signals : torch.Tensor
        Shape (batch, time).
    factors : torch.Tensor
        Shape (batch,); 1.1 plays 10 % faster, and higher.
    samples : int
        Length of the result; `time` must be larger than this times the
        largest factor.

    Returns
    -------
    changed : torch.Tensor
        Shape (batch, samples).

    Example
    -------
    >>> ramp = torch.arange(8.0)[None]
    >>> change_speed(ramp, factors=torch.tensor([1.5]), samples=4)
    tensor([[0.0000, 1.5000, 3.0000, 4.5000]])
    """
    steps = torch.arange(samples, device=signals.device)
    # in float64, where an index of many seconds keeps its fraction
    places = factors.double().unsqueeze(-1) * steps
    places = places.clamp(max=signals.shape[-1] - 1.001)
    before = places.floor().long()
    share = (places - before).to(signals.dtype)
    left, right = signals.gather(-1, before), signals.gather(-1, before + 1)
    return left + share * (right - left)


def equalize(signals: torch.Tensor, *, gains_db: torch.Tensor) -> torch.Tensor:
    """Give each signal gains that run smoothly over the frequency.

    Arguments
    ---------
    signals : torch.Tensor
        Shape (batch, time).
    gains_db : torch.Tensor
        Shape (batch, bands): at equal distances from 0 Hz to half the sample
        rate, straight lines (in dB) between.

    Returns
    -------
    equalized : torch.Tensor
        Shape (batch, time), without delay.

    Example
    -------
    >>> equalize(torch.ones(1, 4), gains_db=torch.full((1, 3), 20.0))
    tensor([[10., 10., 10., 10.]])
    """
    spectrum = torch.fft.rfft(signals)
    curve = F.interpolate(
        gains_db.to(signals.dtype).unsqueeze(1),
        size=spectrum.shape[-1],
        mode="linear",
        align_corners=True,
    ).squeeze(1)
    gains = 10 ** (curve / 20)
    return torch.fft.irfft(spectrum * gains, signals.shape[-1])
