"""Enhancement and recognition as one network."""

from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import nn

from speechbrain_ext.models.conformer_ctc import Recognition, frame_mask


class JointOutput(NamedTuple):
    """What a joint network gives for a batch.

    Arguments
    ---------
    waveforms : torch.Tensor
        What was recognized, shape (batch, time): enhanced, if that was asked.
    recognition : Recognition or None
        Of them.
    """

    waveforms: torch.Tensor
    recognition: Recognition | None


class JointRecognizer(nn.Module):
    """An enhancement front end, and a recognizer of what it gives.

    Parts can be frozen: a frozen part gets no gradient and does as in
    evaluation (no dropout), while gradients pass through it.

    Arguments
    ---------
    enhancer : torch.nn.Module
        Any separator with one source: (batch, time) to (batch, 1, time).
    recognizer : torch.nn.Module
        (batch, time) and relative lengths to a `Recognition`: `ConformerCTC`.

    Example
    -------
    >>> from speechbrain_ext.models import ConformerCTC, SpectralConvTasNet
    >>> joint = JointRecognizer(
    ...     SpectralConvTasNet(num_sources=1, channels=8, hidden=8, blocks=1),
    ...     ConformerCTC(
    ...         29, mels=20, channels=4, size=8, layers=1, heads=2,
    ...         feedforward=8,
    ...     ),
    ... )
    >>> output = joint(torch.randn(2, 4000), torch.tensor([1.0, 0.5]))
    >>> output.waveforms.shape, output.recognition.frames.shape
    (torch.Size([2, 4000]), torch.Size([2, 13, 8]))
    """

    def __init__(self, enhancer: nn.Module, recognizer: nn.Module) -> None:
        super().__init__()
        self.enhancer = enhancer
        self.recognizer = recognizer

    def train_only(self, parts: Collection[str]) -> None:
        """Freeze all parts but these.

        Arguments
        ---------
        parts : collection of str
            Of "enhancer" and "recognizer".
        """
        for name, part in self.named_children():
            part.requires_grad_(name in parts)
        self.train(self.training)

    def train(self, mode: bool = True) -> "JointRecognizer":
        """Choose training or evaluation; frozen parts stay in evaluation."""
        super().train(mode)
        for part in self.children():
            if not any(p.requires_grad for p in part.parameters()):
                part.eval()
        return self

    def forward(
        self,
        waveforms: torch.Tensor,
        lengths: torch.Tensor,
        *,
        enhance: bool = True,
        recognize: bool = True,
    ) -> JointOutput:
        """Enhance and recognize a batch, or do one of the two.

        Arguments
        ---------
        waveforms : torch.Tensor
            Shape (batch, time), padded with zeros.
        lengths : torch.Tensor
            Shape (batch,), relative to the longest.
        enhance, recognize : bool
            What to do.

        Returns
        -------
        output : JointOutput
            The padding of its waveforms is zero.
        """
        if enhance:
            estimates = self.enhancer(waveforms)
            if estimates.shape[1] != 1:
                raise ValueError(
                    f"the enhancer gives {estimates.shape[1]} sources; it "
                    "must give one: set its num_sources to 1"
                )
            spoken = frame_mask(lengths, waveforms.shape[1])
            waveforms = estimates[:, 0] * spoken
        recognition = self.recognizer(waveforms, lengths) if recognize else None
        return JointOutput(waveforms, recognition)
