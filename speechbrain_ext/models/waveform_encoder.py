"""Frames of waveforms, for the SI-SNR estimator of the paper."""

import torch
from speechbrain.nnet.CNN import Conv1d
from speechbrain.nnet.containers import Sequential
from torch import nn

from speechbrain_ext.models.pooled_encoder import pool_frames
from speechbrain_ext.models.strided_convolution import KERNEL

STRIDES = (1, 2, 2, 2, 2)


class WaveformEncoder(Sequential):
    """Five strided convolutions over mixture and estimate.

    Subakan, Ravanelli, Cornell, Grondin, "REAL-M: Towards Speech Separation
    on Real Mixtures", ICASSP 2022, section 2; layers and names are those of
    the published `speechbrain/REAL-M-sisnr-estimator`.

    Arguments
    ---------
    channels : int
        Of every layer.

    Example
    -------
    >>> encoder = WaveformEncoder(channels=8)
    >>> encoder(torch.randn(3, 2, 8000)).shape
    torch.Size([3, 8, 497])
    >>> mean, deviation = encoder.pool(torch.randn(3, 2, 8000))
    >>> deviation.shape
    torch.Size([3, 8])
    """

    def __init__(self, channels: int = 128) -> None:
        layers = {}
        for index, stride in enumerate(STRIDES, start=1):
            if index > 1:
                layers[f"relu{index - 1}"] = nn.ReLU()
            layers[f"cnn{index}"] = Conv1d(
                in_channels=channels if index > 1 else 2,
                out_channels=channels,
                kernel_size=KERNEL,
                stride=stride,
                padding="valid",
                skip_transpose=True,
            )
        super().__init__(input_shape=[None, 2, None], **layers)
        self.channels = channels

    def pool(self, pairs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute mean and deviation of the frames, piece by piece.

        Arguments
        ---------
        pairs : torch.Tensor
            Shape (batch, 2, time): estimate and mixture.

        Returns
        -------
        mean, deviation : torch.Tensor
            Shape (batch, channels), float32.
        """
        return pool_frames(pairs, list(self.parameters()))
