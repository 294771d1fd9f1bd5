"""Bidirectional LSTM over the short-time Fourier transform."""

import torch
from torch import nn

from speechbrain_ext.models.spectral import SpectralSeparator


class RecurrentNetwork(nn.Module):
    """Layer norm, bidirectional LSTM layers, a linear layer.

    Arguments
    ---------
    in_features, out_features : int
        Sizes of the last axis.
    hidden : int
        Cells of each direction.
    layers : int
        LSTM layers.

    Example
    -------
    >>> network = RecurrentNetwork(33, 66, hidden=8, layers=1)
    >>> network(torch.randn(2, 20, 33)).shape
    torch.Size([2, 20, 66])
    """

    def __init__(
        self, in_features: int, out_features: int, *, hidden: int, layers: int
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(in_features)
        self.lstm = nn.LSTM(
            in_features, hidden, layers, bidirectional=True, batch_first=True
        )
        self.linear = nn.Linear(2 * hidden, out_features)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute mask scores.

        Arguments
        ---------
        features : torch.Tensor
            Shape (batch, frames, in_features).

        Returns
        -------
        scores : torch.Tensor
            Shape (batch, frames, out_features).
        """
        hidden, _ = self.lstm(self.norm(features))
        return self.linear(hidden)


class SpectralBLSTM(SpectralSeparator):
    """Bidirectional LSTM over the short-time Fourier transform.

    The network of the first permutation-invariant separators (Kolbaek et
    al., "Multitalker speech separation with utterance-level permutation
    invariant training", IEEE/ACM TASLP 2017, section V) in front of the same
    masks as the other spectral separators.  Of the small networks here it
    learns most in a given time on one CPU core; the defaults, 1.5 M
    parameters, are for 8 kHz; at 16 kHz take n_fft=512, hop=256.

    Arguments
    ---------
    num_sources : int
        Sources to separate.
    n_fft, hop : int
        Window and hop in samples.
    mask : str
        sigmoid or relu.
    hidden, layers
        See `RecurrentNetwork`.

    Example
    -------
    >>> separator = SpectralBLSTM(hidden=8, layers=1)
    >>> separator(torch.randn(2, 4000)).shape
    torch.Size([2, 2, 4000])
    """

    def __init__(
        self,
        num_sources: int = 2,
        n_fft: int = 256,
        hop: int = 128,
        mask: str = "sigmoid",
        hidden: int = 192,
        layers: int = 2,
    ) -> None:
        bins = n_fft // 2 + 1
        network = RecurrentNetwork(
            bins, num_sources * bins, hidden=hidden, layers=layers
        )
        super().__init__(
            network, num_sources=num_sources, n_fft=n_fft, hop=hop, mask=mask
        )
