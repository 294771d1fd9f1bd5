"""What a separator made of a long recording, kept on disk."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from speechbrain_ext.corpora.decoding import resampled
from speechbrain_ext.evaluation.levels import MixtureLevels
from speechbrain_ext.inference.batch import existing_folder
from speechbrain_ext.inference.recordings import (
    Recording,
    naming_disk,
    write_recording,
)
from speechbrain_ext.inference.talkers import Activity
from speechbrain_ext.inference.voices import require_voices
from speechbrain_ext.losses.active_outputs import active_levels

BLOCK = 2**20


class StoredEstimates:
    """Estimates of a recording, in temporary files that have no names.

    Their levels are known only at the end of the recording, and memory must
    not grow with it: therefore they wait on disk, at the rate and the levels
    of the separator. The files are gone when this is closed, or when the
    process ends in whatever way.

    Arguments
    ---------
    folder : str or Path, optional
        Where the estimates are going to be written, so that there is room
        for them; by default the files lie where temporary files do.
    sample_rate : int
        Of the separator, in Hz.
    device : str or torch.device
        Where blind scores are computed.

    Attributes
    ----------
    levels : MixtureLevels
        Of the estimates.
    activity : Activity
        Of the estimates.
    gains : torch.Tensor or None
        Shape (sources,); what `blocks` multiplies the estimates by.
    active : numpy.ndarray or None
        Shape (sources, hops), as of `Activity.find`: where a single output
        is active, it gets the sum of all and the others silence.
    recording_rate, frames : int
        Of the recording: its rate in Hz and its length.
    error : Exception or None
        What went wrong with the recording: raised where it is entered.

    Example
    -------
    >>> with StoredEstimates(sample_rate=8000) as stored:
    ...     stored.add(torch.ones(9), torch.ones(2, 9))
    ...     stored.recording_rate, stored.frames = 16000, 17
    ...     sum(len(block) for block in stored.blocks(1, 16000))
    17
    """

    def __init__(
        self,
        folder: str | os.PathLike | None = None,
        *,
        sample_rate: int,
        device: str | torch.device = "cpu",
    ) -> None:
        self.sample_rate = sample_rate
        self.device = device
        self.levels = MixtureLevels()
        self.activity = Activity(sample_rate)
        self.gains = self.active = None
        self.recording_rate = self.frames = 0
        self.error = None
        if folder is None:
            folder = tempfile.gettempdir()
        self._folder = existing_folder(folder)
        self._files, self._open = [], ExitStack()

    def __enter__(self) -> "StoredEstimates":
        if self.error:
            self._open.close()
            raise self.error
        return self

    def __exit__(self, *exception) -> None:
        self._open.close()

    def __len__(self) -> int:
        return len(self._files)

    def read(
        self,
        path: str | os.PathLike,
        progress: Callable[[float], object] | None = None,
    ) -> Iterator[torch.Tensor]:
        """Read the recording itself, and keep its rate and length.

        Arguments
        ---------
        path : str or PathLike
            Any file that libsndfile reads; channels are averaged.
        progress : Callable, optional
            See `Recording.watched`.

        Yields
        ------
        block : torch.Tensor
            Shape (1, time), at the rate of the separator.

        Raises
        ------
        FileNotFoundError, UnusableAudio
            See `Recording`; also if all of it is silent.
        """
        with Recording(path) as blocks:
            self.recording_rate = blocks.sample_rate
            watched = blocks.watched(progress)
            for row in resampled(
                watched, self.recording_rate, self.sample_rate
            ):
                yield torch.from_numpy(row)[None]
            blocks.require_sound()
            self.frames = blocks.frames

    def add(self, mixture: torch.Tensor, estimates: torch.Tensor) -> None:
        """Take in the next block.

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (time,).
        estimates : torch.Tensor
            Shape (sources, time).
        """
        while len(self._files) < len(estimates):
            file = tempfile.TemporaryFile(dir=self._folder)
            self._files.append(self._open.enter_context(file))
        self.levels.add(estimates=estimates, mixture=mixture)
        self.activity.add(estimates)
        with naming_disk(self._folder):
            for file, estimate in zip(self._files, estimates, strict=True):
                file.write(estimate.numpy().tobytes())

    def choose(self, path: Path, active_only: bool, talkers: str) -> list[int]:
        """Choose the outputs to write; see `Separator.separate_file`."""
        outputs = range(len(self))
        if talkers == "auto":
            require_voices(len(self))
            scores = self._score(path)
            self.active = self.activity.find(self.gains, scores)
            there = self.active.any(1)
            return [n for n in outputs if there[n] or not active_only]
        if active_only:
            # matched levels would make faint copies as loud as sources
            order, active = active_levels(rms=self.levels.rms())
            return order[active[order]].tolist()
        return list(outputs)

    def _score(self, path: Path) -> torch.Tensor:
        """Estimate the SI-SNR of the outputs."""
        from speechbrain_ext.inference.sisnr_estimator import SISNREstimator

        estimator = SISNREstimator.from_hparams(device=self.device)
        with Recording(path) as mixture:
            rate = mixture.sample_rate
            outputs = [self.blocks(n, rate) for n in range(len(self))]
            scores, _ = estimator.score_blocks(
                [mixture, *outputs], rate, check=False
            )
        return scores[0]

    def blocks(self, source: int, sample_rate: int) -> Iterator[np.ndarray]:
        """Read an estimate at its level.

        Arguments
        ---------
        source : int
            Which, from 0.
        sample_rate : int
            Rate wanted, in Hz. At the rate of the recording the estimate has
            the length of the recording.

        Yields
        ------
        block : numpy.ndarray
            Shape (time,), float32.
        """
        left = None
        if sample_rate == self.recording_rate:
            left = self.frames
        rows = resampled(self._read(source), self.sample_rate, sample_rate)
        for block in rows:
            block = block[:left]
            if left is not None:
                left -= len(block)
            yield block

    def _read(self, source: int) -> Iterator[np.ndarray]:
        """Read an estimate at the rate of the separator."""
        if self.active is None:
            yield from self._scaled(source)
            return
        alone = self.active & (self.active.sum(0) == 1)
        mine = alone[source].astype(np.float32)
        theirs = alone.any(0) - mine
        others = [n for n in range(len(self)) if n != source]
        hop, place = self.activity.hop, 0
        rows = map(self._scaled, (source, *others))
        for own, *rest in zip(*rows, strict=True):
            times = (place + np.arange(len(own))) / hop - 0.5
            place += len(own)
            # from the middle of a hop to that of the next one it fades
            hops = np.arange(len(mine))
            taken = np.interp(times, hops, mine).astype(np.float32)
            left = np.interp(times, hops, theirs).astype(np.float32)
            yield (1 - left) * own + taken * sum(rest)

    def _scaled(self, source: int) -> Iterator[np.ndarray]:
        """Read an estimate as it is, at its level."""
        gain = np.float32(1 if self.gains is None else self.gains[source])
        file, place = self._files[source], 0
        with naming_disk(self._folder):
            file.flush()
        while True:
            file.seek(4 * place)
            data = file.read(4 * BLOCK)
            if not data:
                return
            block = np.frombuffer(data, np.float32)
            place += len(block)
            yield gain * block

    def write(self, number: int, path: Path, **options) -> None:
        """Write an estimate at the rate and the length of the recording.

        Arguments
        ---------
        number : int
            Which, from 0.
        path : Path
            The file.
        **options
            `maker`, `source` and `overwrite` of `write_recording`.
        """
        write_recording(
            path,
            self.blocks(number, self.recording_rate),
            frames=self.frames,
            sample_rate=self.recording_rate,
            **options,
        )
