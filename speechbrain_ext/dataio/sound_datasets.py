"""Reading the sources of mixtures of any sounds, or ready-made clips."""

import csv
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from speechbrain_ext.dataio.recordings import Recording, read_recordings
from speechbrain_ext.dataio.references import (
    ReferencedMixture,
    read_references,
)
from speechbrain_ext.dataio.samplers import Draw
from speechbrain_ext.dataio.segments import SegmentReader
from speechbrain_ext.dataio.sound_samplers import SoundDraw


class SoundDataset(Dataset):
    """Segments of the sources of mixtures, and their levels.

    Nothing is mixed here: `SoundMixtures.mix` does that on the device.

    Arguments
    ---------
    reader : SegmentReader
        What the draws index.
    labels : torch.Tensor
        Classes of each recording, shape (recordings, classes), 0 or 1.
    max_sources : int
        Sources are filled up to this number with silence.
    level_range_db : float
        The level of a source varies by so much up and down.
    noise_snr_db : sequence of float or None
        Ratio of all other sources to a noise.

    Raises
    ------
    ValueError
        If a range is empty.
    """

    def __init__(
        self,
        reader: SegmentReader,
        *,
        labels: torch.Tensor,
        max_sources: int,
        level_range_db: float,
        noise_snr_db: Sequence[float] | None,
    ) -> None:
        if level_range_db < 0:
            raise ValueError(
                f"level_range_db is {level_range_db}; it cannot be negative"
            )
        if noise_snr_db is not None and noise_snr_db[0] > noise_snr_db[1]:
            raise ValueError(
                f"noise_snr_db is {list(noise_snr_db)}; the lower one comes "
                "first"
            )
        self.reader = reader
        self.labels = labels
        self.max_sources = max_sources
        self.level_range_db = level_range_db
        self.noise_snr_db = noise_snr_db

    def __len__(self) -> int:
        return len(self.reader)

    def __getitems__(self, draws: Sequence[SoundDraw]) -> dict:
        """Read a batch.

        Arguments
        ---------
        draws : sequence of SoundDraw
            Of `SoundSampler`.

        Returns
        -------
        batch : dict
            "id" (list of str), "sources" (N, S, T), "gain_db" (N, S) and
            "labels" (N, classes), as tensors on the CPU.
        """
        shape = (len(draws), self.max_sources)
        sources = np.zeros((*shape, self.reader.segment_samples), np.float32)
        gains = np.zeros(shape, np.float32)
        labels = torch.zeros(len(draws), self.labels.shape[1])
        ids = []
        for number, draw in enumerate(draws):
            generator = np.random.default_rng(draw.seed)
            recordings = [self.reader.recordings[n] for n in draw.indices]
            gains[number, : len(recordings)] = self._gains(
                recordings, generator
            )
            for place, index in enumerate(draw.indices):
                self.reader.read(index, generator, sources[number, place])
            labels[number] = self.labels[list(draw.indices)].amax(0)
            ids.append("+".join(recording.id for recording in recordings))
        return {
            "id": ids,
            "sources": torch.from_numpy(sources),
            "gain_db": torch.from_numpy(gains),
            "labels": labels,
        }

    def _gains(self, recordings: list[Recording], generator):
        """Draw a level for each source; that of a noise follows the others."""
        reach = self.level_range_db
        gains = generator.uniform(-reach, reach, len(recordings))
        if len(recordings) > 1 and recordings[-1].kind == "noise":
            others = 10 * np.log10(np.sum(10 ** (gains[:-1] / 10)))
            gains[-1] = others - generator.uniform(*self.noise_snr_db)
        return gains


class ClipDataset(Dataset):
    """Clips that are mixtures, with their references or without.

    Arguments
    ---------
    clips : sequence of ReferencedMixture
        From `find_references`.
    labels : torch.Tensor
        Shape (clips, classes), 0 or 1.
    max_sources : int
        Silent references are added up to this number.
    samples : int
        Of a clip: longer ones are cut at random, shorter ones stand at a
        random place with zeros around.
    references : bool
        Whether references are read, or the mixtures.
    """

    def __init__(
        self,
        clips: Sequence[ReferencedMixture],
        *,
        labels: torch.Tensor,
        max_sources: int,
        samples: int,
        references: bool,
    ) -> None:
        self.clips = list(clips)
        self.labels = labels
        self.max_sources = max_sources
        self.references = references
        self.reader = SegmentReader(
            [clip.mixture for clip in clips], segment_samples=samples
        )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, draws: Sequence[Draw]) -> dict:
        """Read a batch.

        Arguments
        ---------
        draws : sequence of Draw
            Of `ClipSampler`.

        Returns
        -------
        batch : dict
            "id" (list of str), "labels" (N, classes), and "mixture" (N, T) or
            "references" (N, S, T), as tensors on the CPU.
        """
        indices = [draw.index for draw in draws]
        batch = {
            "id": [self.clips[index].mixture.id for index in indices],
            "labels": self.labels[indices],
        }
        generators = [np.random.default_rng(draw.seed) for draw in draws]
        pairs = list(zip(indices, generators, strict=True))
        if self.references:
            batch["references"] = torch.stack(
                [self._read_references(*pair) for pair in pairs]
            )
        else:
            mixtures = [self.reader.read(*pair) for pair in pairs]
            batch["mixture"] = torch.from_numpy(np.stack(mixtures))
        return batch

    def _read_references(self, index, generator):
        """Read the references of a clip, (sources, samples)."""
        whole = read_references(self.clips[index], sources=self.max_sources)
        samples = self.reader.segment_samples
        spare = whole.shape[1] - samples
        start = int(generator.integers(abs(spare) + 1))
        if spare >= 0:
            return whole[:, start : start + samples]
        return torch.nn.functional.pad(whole, (start, -spare - start))


def class_table(
    labels: Sequence[Sequence[str]], classes: Sequence[str]
) -> torch.Tensor:
    """Turn names of classes into a table of 0 and 1.

    Arguments
    ---------
    labels : sequence of sequence of str
        Of each recording.
    classes : sequence of str
        All of them.

    Returns
    -------
    table : torch.Tensor
        Shape (recordings, classes).

    Example
    -------
    >>> class_table([["b"], [], ["a", "b"]], ["a", "b"])
    tensor([[0., 1.],
            [0., 0.],
            [1., 1.]])
    """
    places = {name: place for place, name in enumerate(classes)}
    table = torch.zeros(len(labels), len(classes))
    for row, names in zip(table, labels, strict=True):
        for name in names:
            row[places[name]] = 1
    return table


def labels_of_clips(
    clips: Sequence[ReferencedMixture],
    manifest: str | os.PathLike,
    path: str | os.PathLike | None,
) -> tuple[list[list[str]], list[str]]:
    """Find the classes of clips, in a CSV or in their references.

    Arguments
    ---------
    clips : sequence of ReferencedMixture
        Of one split.
    manifest : str or PathLike
        Where they are from.
    path : str, PathLike or None
        A CSV with the columns `mixture` and `labels`; None takes the labels
        of the mixtures and references.

    Returns
    -------
    labels, classes : list of list of str, list of str
        Of each clip; all there are, in all splits.

    Raises
    ------
    FileNotFoundError
        If there is no such CSV.
    ValueError
        If it lacks a column, or a clip.
    """
    if path is None:
        names = {r.label for r in read_recordings(manifest)} - {""}
        found = [
            sorted({r.label for r in (clip.mixture, *clip.references)} - {""})
            for clip in clips
        ]
        return found, sorted(names)
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"mixture", "labels"} <= set(reader.fieldnames or ()):
            raise ValueError(
                f"{path} has the columns {reader.fieldnames}; it needs "
                "'mixture' and 'labels'"
            )
        table = {
            row["mixture"]: [
                name.strip()
                for name in row["labels"].split(";")
                if name.strip()
            ]
            for row in reader
        }
    names = [clip.mixture.id.partition("/")[2] for clip in clips]
    for name in names:
        if name not in table:
            raise ValueError(f"{path} has no row for the mixture {name!r}")
    every = {label for labels in table.values() for label in labels}
    return [table[name] for name in names], sorted(every)
