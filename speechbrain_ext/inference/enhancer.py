"""Enhancing recordings of any length, rate and level."""

import os
from pathlib import Path

import soundfile
import torch

from speechbrain_ext.files import replaced
from speechbrain_ext.inference.recordings import read_recording
from speechbrain_ext.inference.separator import Separator


class Enhancer(Separator):
    """A separator of one source: the voice, without the noise around it.

    Arguments
    ---------
    module : torch.nn.Module
        Noisy speech (batch, time) to estimates (batch, 1, time).
    sample_rate : int
        Rate that the module works at, in Hz.
    **options
        `chunk_seconds`, `overlap_seconds` and `match_level` of `Separator`.

    Raises
    ------
    ValueError
        If the module gives several sources, or see `Separator`.

    Example
    -------
    >>> from speechbrain_ext.models import SpectralGRU
    >>> enhancer = Enhancer(SpectralGRU(hidden=8), sample_rate=16000)
    >>> enhancer.enhance(torch.randn(2, 44100), 44100).shape
    torch.Size([2, 44100])
    """

    def __init__(
        self, module: torch.nn.Module, *, sample_rate: int, **options
    ) -> None:
        sources = getattr(module, "num_sources", 1)
        if sources != 1:
            raise ValueError(
                f"the module gives {sources} sources, an enhancer one; load "
                "it with Separator"
            )
        super().__init__(module, sample_rate=sample_rate, **options)

    def enhance(
        self, waveforms: torch.Tensor, sample_rate: int
    ) -> torch.Tensor:
        """Enhance a batch of noisy speech.

        Arguments
        ---------
        waveforms : torch.Tensor
            Shape (batch, time), of any length and level.
        sample_rate : int
            Their rate in Hz; converted to the module's and back.

        Returns
        -------
        enhanced : torch.Tensor
            Shape (batch, time), at the rate of the input.

        Raises
        ------
        ValueError
            If the shape is another, samples are not finite, or the module
            gives several sources.
        """
        estimates = self.separate(waveforms, sample_rate)
        if estimates.shape[1] != 1:
            raise ValueError(
                f"the module gives {estimates.shape[1]} sources, an enhancer "
                "one; load it with Separator"
            )
        return estimates[:, 0]

    def enhance_file(
        self, path: str | os.PathLike, folder: str | os.PathLike
    ) -> Path:
        """Enhance a file.

        Arguments
        ---------
        path : str or Path
            Any file that libsndfile reads; channels are averaged.
        folder : str or Path
            Where NAME_enhanced.wav is written, at the rate of the file, as
            32-bit floats.

        Returns
        -------
        path : Path

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        UnusableAudio
            If it is empty, damaged, silent or not finite.
        """
        waveform, rate = read_recording(path)
        enhanced = self.enhance(waveform[None], rate)[0]
        return write_enhanced(enhanced, rate, path, folder)


def write_enhanced(
    enhanced: torch.Tensor,
    sample_rate: int,
    path: str | os.PathLike,
    folder: str | os.PathLike,
) -> Path:
    """Write what was made of a recording as NAME_enhanced.wav.

    Arguments
    ---------
    enhanced : torch.Tensor
        Shape (time,).
    sample_rate : int
        In Hz.
    path : str or Path
        The recording, whose NAME it gets.
    folder : str or Path
        Where it is written, as 32-bit floats; made if missing.

    Returns
    -------
    path : Path

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_enhanced(torch.zeros(8000), 8000, "a.flac", folder).name
    'a_enhanced.wav'
    """
    written = Path(folder) / f"{Path(path).stem}_enhanced.wav"
    with replaced(written) as partial:
        soundfile.write(
            partial, enhanced.cpu().numpy(), sample_rate, "FLOAT", format="WAV"
        )
    return written
