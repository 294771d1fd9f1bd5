"""Clips that are mixtures already, recorded or made."""

import csv
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from speechbrain_ext.dataio.clip_sampler import ClipSampler
from speechbrain_ext.dataio.mixed_sounds import (
    MixedSounds,
    MixtureBatches,
    class_table,
    require_even,
    require_rate,
)
from speechbrain_ext.dataio.recordings import read_recordings
from speechbrain_ext.dataio.references import (
    ReferencedMixture,
    find_references,
    read_references,
)
from speechbrain_ext.dataio.samplers import Draw
from speechbrain_ext.dataio.segments import SegmentReader
from speechbrain_ext.dataio.sources import make_loader


class ReadyMixtures(MixtureBatches):
    """Clips that are mixtures already, such as those of FUSS.

    Arguments
    ---------
    data : str or PathLike
        What a corpus's `prepare` wrote: mixtures, and their references (see
        `find_references`) if these are wanted.
    split : str, optional
        Of the mixtures; None takes all.
    data_root : str or PathLike, optional
        What ``$data_root`` in the table stands for.
    sample_rate : int
        In Hz.
    segment_seconds : float
        Of a longer mixture a piece is cut, a shorter one gets zeros around.
    batch_size, batches, rank, world_size, num_workers : int
        See `SoundMixtures`.
    max_sources : int
        Silent references are added up to this number.
    labels : str, PathLike or None
        A CSV with the columns `mixture` (its id, without "mixture/") and
        `labels` (classes, parted by semicolons). By default classes are the
        labels that the mixtures and their references have in the manifest;
        those of FUSS have none.
    references : bool
        Whether references are read, and summed to the mixture. Without them
        the files of the mixtures are read, and there need be no others.
    paired : bool
        Whether the mixtures of a batch are summed two by two: then a last one
        without a partner is left out.
    seed : int or None
        Of the order. None, for evaluation: all clips in their order.

    Attributes
    ----------
    loader : SaveableDataLoader
        Yields what `ClipDataset` reads; `mix` takes it.
    classes : list of str
        Those of the labels, maybe none.

    Raises
    ------
    FileNotFoundError, ValueError
        If the table is not there, or lacks what is asked for.
    """

    def __init__(
        self,
        data: str | os.PathLike,
        *,
        split: str | None = None,
        data_root: str | os.PathLike | None = None,
        sample_rate: int,
        segment_seconds: float,
        batch_size: int,
        batches: int,
        max_sources: int = 4,
        labels: str | os.PathLike | None = None,
        references: bool = True,
        paired: bool = False,
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        require_even(batch_size, paired)
        clips = find_references(
            data, split=split, root=data_root, required=references
        )
        most = max(len(clip.references) for clip in clips)
        if most > max_sources:
            raise ValueError(
                f"{data}: a mixture has {most} sources; "
                f"max_sources is {max_sources}, which must be as many"
            )
        found, self.classes = labels_of_clips(
            clips, data, labels, root=data_root
        )
        dataset = ClipDataset(
            clips,
            labels=class_table(found, self.classes),
            max_sources=max_sources,
            samples=int(segment_seconds * sample_rate),
            references=references,
        )
        require_rate(data, dataset.reader, sample_rate)
        number = len(clips)
        if paired and number < 2:
            raise ValueError(
                f"{data} has one mixture{f' of {split}' if split else ''}; two "
                "are summed, so give more"
            )
        if paired and seed is None:
            number -= number % 2
        sampler = ClipSampler(
            number,
            batch_size=batch_size,
            batches=batches,
            shuffle=seed is not None,
            seed=seed or 0,
            rank=rank,
            world_size=world_size,
        )
        self.loader = make_loader(dataset, sampler, num_workers=num_workers)

    def mix(self, batch: dict) -> MixedSounds:
        """Move a batch to the device; sum its references, if it has some.

        Arguments
        ---------
        batch : dict
            What the loader yields.

        Returns
        -------
        mixtures : MixedSounds
        """
        batch = self._moved(batch)
        references = batch.get("references")
        mixture = batch["mixture"] if references is None else references.sum(1)
        return MixedSounds(mixture, references, batch["labels"])


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
        generators = [np.random.default_rng(draw.seed) for draw in draws]
        pairs = list(zip(indices, generators, strict=True))
        batch = {}
        if self.references:
            batch["references"] = torch.stack(
                [self._read_references(*pair) for pair in pairs]
            )
        else:
            mixtures = [self.reader.read(*pair) for pair in pairs]
            batch["mixture"] = torch.from_numpy(np.stack(mixtures))
        indices = [self.reader.actual(index) for index in indices]
        batch["id"] = [self.clips[index].mixture.id for index in indices]
        batch["labels"] = self.labels[indices]
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


def labels_of_clips(
    clips: Sequence[ReferencedMixture],
    data: str | os.PathLike,
    path: str | os.PathLike | None,
    *,
    root: str | os.PathLike | None = None,
) -> tuple[list[list[str]], list[str]]:
    """Find the classes of clips, in a CSV or in their references.

    Arguments
    ---------
    clips : sequence of ReferencedMixture
        Of one split.
    data : str or PathLike
        Where they are from.
    path : str, PathLike or None
        A CSV with the columns `mixture` and `labels`; None takes the labels
        of the mixtures and references.
    root : str or PathLike, optional
        What ``$data_root`` in the table stands for.

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
        names = {r.label for r in read_recordings(data, root=root)} - {""}
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
