"""Clips that are mixtures already, recorded or made."""

import os

from speechbrain_ext.dataio.mixed_sounds import (
    MixedSounds,
    MixtureBatches,
    require_even,
    require_rate,
)
from speechbrain_ext.dataio.references import find_references
from speechbrain_ext.dataio.sound_datasets import (
    ClipDataset,
    class_table,
    labels_of_clips,
)
from speechbrain_ext.dataio.sound_samplers import ClipSampler
from speechbrain_ext.dataio.sources import make_loader


class ReadyMixtures(MixtureBatches):
    """Clips that are mixtures already, such as those of FUSS.

    Arguments
    ---------
    manifest : str or PathLike
        What a corpus's `prepare` wrote: mixtures, and their references (see
        `find_references`) if these are wanted.
    split : str
        Of the mixtures.
    sample_rate : int
        In Hz.
    clip_seconds : float
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
        If the manifest is not there, or lacks what is asked for.
    """

    def __init__(
        self,
        manifest: str | os.PathLike,
        *,
        split: str,
        sample_rate: int,
        clip_seconds: float,
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
        clips = find_references(manifest, split=split, required=references)
        most = max(len(clip.references) for clip in clips)
        if most > max_sources:
            raise ValueError(
                f"{manifest}, split {split!r}: a mixture has {most} sources; "
                f"max_sources is {max_sources}, which must be as many"
            )
        found, self.classes = labels_of_clips(clips, manifest, labels)
        dataset = ClipDataset(
            clips,
            labels=class_table(found, self.classes),
            max_sources=max_sources,
            samples=int(clip_seconds * sample_rate),
            references=references,
        )
        require_rate(manifest, dataset.reader, sample_rate)
        number = len(clips)
        if paired and number < 2:
            raise ValueError(
                f"{manifest} has one mixture in the split {split!r}; two are "
                "summed, so give more"
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
