"""A recognizer of speech: log mel features, conformer, CTC."""

from typing import NamedTuple

import torch
from speechbrain.dataio.dataio import length_to_mask
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.convolution import ConvolutionFrontEnd
from speechbrain.lobes.models.transformer.TransformerASR import TransformerASR
from speechbrain.processing.features import InputNormalization
from torch import nn


class Recognition(NamedTuple):
    """What a recognizer gives for a batch.

    Arguments
    ---------
    log_probabilities : torch.Tensor
        Of the tokens, shape (batch, frames, tokens), float32.
    frames : torch.Tensor
        Outputs of the encoder, shape (batch, frames, size).
    """

    log_probabilities: torch.Tensor
    frames: torch.Tensor


class ConformerCTC(nn.Module):
    """Conformer with connectionist temporal classification.

    SpeechBrain's own pieces in one module, so that a Brain calls one: log mel
    features, normalized over each utterance (the level does not matter), two
    convolutions that leave a quarter of the frames, a conformer with relative
    positions, a linear map. Gulati et al., "Conformer", Interspeech 2020,
    arXiv 2005.08100; Graves et al., ICML 2006.

    Arguments
    ---------
    num_tokens : int
        Outputs, the blank (0) among them.
    sample_rate : int
        In Hz.
    mels : int
        Features of a frame.
    window_ms, hop_ms : float
        Of the short-time Fourier transform.
    channels : int
        Of the two convolutions.
    size : int
        Of a frame in the conformer; a multiple of heads.
    layers, heads, feedforward, kernel_size, dropout
        Of the conformer.

    Example
    -------
    >>> recognizer = ConformerCTC(
    ...     29, mels=20, channels=4, size=8, layers=1, heads=2, feedforward=8
    ... )
    >>> found = recognizer(torch.randn(2, 8000), torch.tensor([1.0, 0.5]))
    >>> found.log_probabilities.shape, found.frames.shape
    (torch.Size([2, 26, 29]), torch.Size([2, 26, 8]))
    """

    def __init__(
        self,
        num_tokens: int,
        sample_rate: int = 8000,
        mels: int = 40,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        channels: int = 32,
        size: int = 128,
        layers: int = 3,
        heads: int = 4,
        feedforward: int = 256,
        kernel_size: int = 15,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        n_fft = 1 << (round(window_ms * sample_rate / 1000) - 1).bit_length()
        self.features = Fbank(
            sample_rate=sample_rate,
            f_max=sample_rate / 2,
            n_fft=n_fft,
            n_mels=mels,
            win_length=window_ms,
            hop_length=hop_ms,
        )
        self.normalize = InputNormalization(norm_type="sentence")
        self.convolutions = ConvolutionFrontEnd(
            input_shape=(None, None, mels),
            num_blocks=2,
            num_layers_per_block=1,
            out_channels=[channels] * 2,
            kernel_sizes=[3, 3],
            strides=[2, 2],
            residuals=[False, False],
            dropout=dropout,
        )
        bands = -(-mels // 4)
        self.encoder = TransformerASR(
            tgt_vocab=num_tokens,
            input_size=bands * channels,
            d_model=size,
            nhead=heads,
            num_encoder_layers=layers,
            num_decoder_layers=0,
            d_ffn=feedforward,
            dropout=dropout,
            kernel_size=kernel_size,
            encoder_module="conformer",
            attention_type="RelPosMHAXL",
            normalize_before=True,
            causal=False,
        )
        self.output = nn.Linear(size, num_tokens)

    def forward(
        self, waveforms: torch.Tensor, lengths: torch.Tensor
    ) -> Recognition:
        """Recognize a batch.

        Arguments
        ---------
        waveforms : torch.Tensor
            Shape (batch, time), padded with zeros.
        lengths : torch.Tensor
            Shape (batch,), relative to the longest, which has 1.0.

        Returns
        -------
        recognition : Recognition
        """
        with torch.autocast(waveforms.device.type, enabled=False):
            features = self.features(waveforms.float())
            features = self.normalize(features, lengths)
            # silence is far below the mean, and would be heard at the end
            there = frame_mask(lengths, features.shape[1])
            features = features * there.unsqueeze(-1)
        frames = self.encoder.encode(self.convolutions(features), lengths)
        with torch.autocast(waveforms.device.type, enabled=False):
            scores = self.output(frames.float())
            return Recognition(scores.log_softmax(-1), frames.float())


def frame_mask(lengths: torch.Tensor, frames: int) -> torch.Tensor:
    """Tell which frames of a padded batch are speech, as SpeechBrain counts.

    Arguments
    ---------
    lengths : torch.Tensor
        Shape (batch,), relative.
    frames : int
        Of the longest.

    Returns
    -------
    mask : torch.Tensor
        Shape (batch, frames), boolean.

    Example
    -------
    >>> frame_mask(torch.tensor([1.0, 0.5]), 4).int()
    tensor([[1, 1, 1, 1],
            [1, 1, 0, 0]], dtype=torch.int32)
    """
    return length_to_mask((lengths * frames).round(), max_len=frames).bool()
