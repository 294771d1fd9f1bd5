"""Mixtures of any sounds: made on the fly, or clips that are mixtures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from speechbrain_ext.dataio.manifest import read_manifest
from speechbrain_ext.dataio.mixing import LEVEL_DB, scale_to_level
from speechbrain_ext.dataio.references import find_references
from speechbrain_ext.dataio.segments import SegmentReader
from speechbrain_ext.dataio.sound_datasets import (
    ClipDataset,
    SoundDataset,
    class_table,
    labels_of_clips,
)
from speechbrain_ext.dataio.sound_samplers import ClipSampler, SoundSampler
from speechbrain_ext.dataio.sources import make_loader

SPEECH = "speech"


@dataclass(frozen=True)
class MixedSounds:
    """A batch of mixtures, and what is in them.

    Arguments
    ---------
    mixture : torch.Tensor
        Shape (batch, time).
    references : torch.Tensor or None
        Shape (batch, sources, time), silent ones added; they sum to the
        mixture. None where only mixtures were asked for.
    labels : torch.Tensor
        Shape (batch, classes): 1 where the mixture holds the class.
    """

    mixture: torch.Tensor
    references: torch.Tensor | None
    labels: torch.Tensor


class _Batches:
    """What both kinds of mixtures share: the device."""

    device = torch.device("cpu")

    def to(self, device: torch.device | str) -> "_Batches":
        """Mix on this device from now on; returns itself."""
        self.device = torch.device(device)
        return self

    def _moved(self, batch):
        return {
            key: value.to(self.device) if torch.is_tensor(value) else value
            for key, value in batch.items()
        }


class SoundMixtures(_Batches):
    """Mixtures of voices, sound events and noise, made on the fly.

    A source shorter than the clip stands whole at a random place with zeros
    around it; of a longer one a segment is cut that is not silent (see
    `SegmentReader`). Levels are root mean squares over the clip.

    Arguments
    ---------
    manifest : str or PathLike
        What a corpus's `prepare` wrote: events with labels, and speech or
        noise, as far as they are wanted.
    split : str
        Of all of them.
    sample_rate : int
        In Hz.
    clip_seconds : float
        Length of the mixtures.
    batch_size : int
        Mixtures in a batch.
    batches : int
        Batches in an epoch, for each process.
    single_share, most_sources, most_voices, voice_share, noise_share
        Which sounds stand in a mixture: see `SoundSampler`.
    level_range_db : float
        The level of a source varies by so much up and down.
    noise_snr_db : sequence of float or None
        Lowest and highest ratio of all other sources together to the noise;
        needed if noise_share is above 0.
    max_sources : int, optional
        Silent references are added up to this number; `most_sources` unless
        given.
    references : bool
        Whether references are given. Without them there are mixtures only,
        as in training.
    seed : int or None
        All that is drawn follows from it. None, for evaluation: always the
        same mixtures.
    rank, world_size : int
        This process and the number of processes that share the batches.
    num_workers : int
        Processes that read ahead.

    Attributes
    ----------
    loader : SaveableDataLoader
        Yields what `SoundDataset` reads; `mix` takes it.
    classes : list of str
        Those of the labels: the event classes of all splits, and speech.

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
        single_share: float,
        most_sources: int,
        most_voices: int = 1,
        voice_share: float = 0.3,
        level_range_db: float = 5.0,
        noise_snr_db: Sequence[float] | None = None,
        noise_share: float = 0.0,
        max_sources: int | None = None,
        references: bool = True,
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        if noise_share and noise_snr_db is None:
            raise ValueError(
                f"noise_share is {noise_share} and noise_snr_db null; give the "
                "lowest and the highest SNR, or set noise_share to 0"
            )
        everything = read_manifest(manifest)
        recordings = [
            recording
            for recording in everything
            if recording.split == split
            and recording.kind in ("speech", "event", "noise")
        ]
        try:
            sampler = SoundSampler(
                recordings,
                batch_size=batch_size,
                batches=batches,
                single_share=single_share,
                most_sources=most_sources,
                most_voices=most_voices,
                voice_share=voice_share,
                noise_share=noise_share,
                seed=seed or 0,
                rank=rank,
                world_size=world_size,
            )
        except ValueError as error:
            raise ValueError(f"{manifest}, split {split!r}: {error}") from error
        names = {r.label for r in everything if r.kind == "event"}
        self.classes = [SPEECH, *sorted(names - {SPEECH, ""})]
        dataset = SoundDataset(
            SegmentReader(
                recordings, segment_samples=int(clip_seconds * sample_rate)
            ),
            labels=class_table(
                [
                    {"speech": [SPEECH], "event": [r.label]}.get(r.kind, [])
                    for r in recordings
                ],
                self.classes,
            ),
            max_sources=max_sources or most_sources,
            level_range_db=level_range_db,
            noise_snr_db=noise_snr_db,
        )
        self.references = references
        self.loader = make_loader(dataset, sampler, num_workers=num_workers)

    def mix(self, batch: dict) -> MixedSounds:
        """Bring the sources of a batch to their levels, and sum them.

        Arguments
        ---------
        batch : dict
            What the loader yields.

        Returns
        -------
        mixtures : MixedSounds
        """
        batch = self._moved(batch)
        sources = scale_to_level(
            batch["sources"], level_db=LEVEL_DB + batch["gain_db"]
        )
        return MixedSounds(
            mixture=sources.sum(dim=1),
            references=sources if self.references else None,
            labels=batch["labels"],
        )


class ReadyMixtures(_Batches):
    """Clips that are mixtures already, such as those of FUSS.

    Arguments
    ---------
    manifest : str or PathLike
        What a corpus's `prepare` wrote: mixtures, and their references (see
        `find_references`).
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
        labels of the references in the manifest, which FUSS does not have.
    references : bool
        Whether references are read, and summed to the mixture. Without them
        the files of the mixtures are read.
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
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        clips = find_references(manifest, split=split)
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
        sampler = ClipSampler(
            len(clips),
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
