"""Enhancing recordings of any length, rate and level."""

import os
from pathlib import Path

import torch

from speechbrain_ext.inference.batch import Item
from speechbrain_ext.inference.separator import Separator
from speechbrain_ext.inference.streaming import StoredEstimates
from speechbrain_ext.outputs import require_free


class Enhancer(Separator):
    """A separator of one source: the voice, without the noise around it.

    Arguments
    ---------
    module : torch.nn.Module
        Noisy speech (batch, time) to estimates (batch, 1, time).
    sample_rate : int
        Rate that the module works at, in Hz.
    **options
        Of `Separator`.

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
        require_one(getattr(module, "num_sources", 1))
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
        require_one(estimates.shape[1])
        return estimates[:, 0]

    def enhance_file(
        self,
        path: str | os.PathLike,
        folder: str | os.PathLike,
        *,
        overwrite: bool = False,
    ) -> Path:
        """Enhance a file.

        Arguments
        ---------
        path : str or Path
            Any file that libsndfile reads; channels are averaged.
        folder : str or Path
            Where NAME_enhanced.wav is written, at the rate of the file, as
            32-bit floats.
        overwrite : bool
            Whether a file of this name may be replaced that no earlier call
            has written.

        Returns
        -------
        path : Path

        Raises
        ------
        FileExistsError
            If such a file is there; see `speechbrain_ext.outputs`.
        FileNotFoundError
            If there is no such recording.
        UnusableAudio
            If it is empty, damaged, silent or not finite.
        """
        item = Item(Path(path), Path(folder))
        (target,) = item.enhanced()
        made = item.made("enhance", self.name)
        require_free([(target, made)], overwrite=overwrite)
        with self.separated(path, folder) as stored:
            return self.write(item, stored, overwrite=overwrite)[0]

    def write(
        self, item: Item, stored: StoredEstimates, *, overwrite: bool = False
    ) -> list[Path]:
        """Write what became of a file; see `enhance_file`."""
        require_one(len(stored))
        (target,) = item.enhanced()
        stored.write(
            0,
            target,
            maker="enhance",
            source=item.source(self.name),
            overwrite=overwrite,
        )
        return [target]


def require_one(sources: int) -> None:
    """Refuse a module that gives several sources."""
    if sources != 1:
        raise ValueError(
            f"the module gives {sources} sources, an enhancer one; load it "
            "with Separator (`speechbrain-ext separate`)"
        )
