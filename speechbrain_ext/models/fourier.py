"""Short-time Fourier transform with frames before bins."""

import torch
import torch.nn.functional as F
from torch import nn


class ShortTimeFourier(nn.Module):
    """Short-time Fourier transform and its inverse.

    Like `torch.stft` with a periodic Hann window, and zeros around the
    signal, but frames stand before bins, as networks that keep channels on
    the last axis want them, every sample lies in the same number of frames,
    and nothing waits for the device. The inverse is exact: the synthesis
    window is the dual of the analysis window (Griffin and Lim, IEEE TASSP
    1984, equation 6).

    Arguments
    ---------
    n_fft : int
        Window and transform length in samples.
    hop : int
        Samples from one frame to the next; n_fft must be a multiple of it
        and at least twice as long.

    Raises
    ------
    ValueError
        If hop does not fit n_fft.

    Example
    -------
    >>> fourier = ShortTimeFourier(64, 32)
    >>> signals = torch.randn(2, 1001)
    >>> spectrum = fourier(signals)
    >>> spectrum.shape
    torch.Size([2, 33, 33])
    >>> torch.allclose(fourier.inverse(spectrum, 1001), signals, atol=1e-5)
    True
    """

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        if hop < 1 or n_fft % hop or n_fft < 2 * hop:
            raise ValueError(
                f"n_fft={n_fft} must be a multiple of hop={hop}, and at "
                "least twice as long"
            )
        self.n_fft = n_fft
        self.hop = hop
        window = torch.hann_window(n_fft, dtype=torch.float64)
        overlap = window.square().view(-1, hop).sum(0).repeat(n_fft // hop)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer(
            "synthesis_window", (window / overlap).float(), persistent=False
        )

    def forward(self, signals: torch.Tensor) -> torch.Tensor:
        """Transform.

        Arguments
        ---------
        signals : torch.Tensor
            Shape (batch, time), float32, at least one sample.

        Returns
        -------
        spectrum : torch.Tensor
            Complex, shape (batch, frames, n_fft // 2 + 1).
        """
        lead = self.n_fft - self.hop
        hops = (lead + signals.shape[-1] - 1) // self.hop
        tail = hops * self.hop + self.n_fft - lead - signals.shape[-1]
        frames = F.pad(signals, (lead, tail)).unfold(-1, self.n_fft, self.hop)
        return torch.fft.rfft(frames * self.window)

    def inverse(self, spectrum: torch.Tensor, time: int) -> torch.Tensor:
        """Transform back.

        Arguments
        ---------
        spectrum : torch.Tensor
            Complex, shape (..., frames, n_fft // 2 + 1).
        time : int
            Samples of the signals it stems from.

        Returns
        -------
        signals : torch.Tensor
            Shape (..., time), float32.
        """
        frames = torch.fft.irfft(spectrum, self.n_fft) * self.synthesis_window
        parts = self.n_fft // self.hop
        count = frames.shape[-2]
        # hop number h of the signal is part p of frame h + parts - 1 - p
        hops = sum(
            part[..., parts - 1 - index : count - index, :]
            for index, part in enumerate(frames.split(self.hop, dim=-1))
        )
        return hops.flatten(-2)[..., :time]
