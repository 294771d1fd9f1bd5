"""Mixtures of any sounds, made on the fly."""

import os
from collections.abc import Sequence

from speechbrain_ext.dataio.mixed_sounds import (
    MixedSounds,
    MixtureBatches,
    class_table,
    require_even,
    require_rate,
)
from speechbrain_ext.dataio.mixing import LEVEL_DB, scale_to_level
from speechbrain_ext.dataio.recordings import read_recordings
from speechbrain_ext.dataio.segments import SegmentReader
from speechbrain_ext.dataio.sound_datasets import SoundDataset
from speechbrain_ext.dataio.sound_samplers import SoundSampler
from speechbrain_ext.dataio.sources import make_loader

SPEECH = "speech"


class SoundMixtures(MixtureBatches):
    """Mixtures of voices, sound events and noise, made on the fly.

    A source shorter than the clip stands whole at a random place with zeros
    around it; of a longer one a segment is cut that is not silent (see
    `SegmentReader`). Levels are root mean squares over the clip.

    Arguments
    ---------
    data : str or PathLike
        What a corpus's `prepare` wrote: events with labels, and speech or
        noise, as far as they are wanted.
    split : str, optional
        Of all of them; None takes all.
    data_root : str or PathLike, optional
        What ``$data_root`` in the table stands for.
    sample_rate : int
        In Hz.
    segment_seconds : float
        Length of the mixtures.
    batch_size : int
        Mixtures in a batch.
    batches : int
        Batches in an epoch, for each process.
    single_ratio, most_sources, most_voices : float, int, int
    voice_probability, noise_probability : float
        Which sounds stand in a mixture: see `SoundSampler`.
    gain_db : float
        The level of a source varies by so much up and down.
    snr_db : sequence of float or None
        Lowest and highest ratio of all other sources together to the noise;
        needed if noise_probability is above 0.
    max_sources : int, optional
        Silent references are added up to this number; `most_sources` unless
        given.
    references : bool
        Whether references are given. Without them there are mixtures only,
        as in training.
    paired : bool
        Whether the mixtures of a batch are summed two by two.
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
        single_ratio: float,
        most_sources: int,
        most_voices: int = 1,
        voice_probability: float = 0.3,
        gain_db: float = 5.0,
        snr_db: Sequence[float] | None = None,
        noise_probability: float = 0.0,
        max_sources: int | None = None,
        references: bool = True,
        paired: bool = False,
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        require_even(batch_size, paired)
        if noise_probability and snr_db is None:
            raise ValueError(
                f"noise_probability is {noise_probability} and snr_db null; "
                "give the lowest and the highest SNR, or set "
                "noise_probability to 0"
            )
        everything = read_recordings(data, root=data_root)
        recordings = [
            recording
            for recording in everything
            if split is None or recording.split in ("", split)
            if recording.kind in ("speech", "event", "noise")
        ]
        try:
            sampler = SoundSampler(
                recordings,
                batch_size=batch_size,
                batches=batches,
                single_ratio=single_ratio,
                most_sources=most_sources,
                most_voices=most_voices,
                voice_probability=voice_probability,
                noise_probability=noise_probability,
                seed=seed or 0,
                rank=rank,
                world_size=world_size,
            )
        except ValueError as error:
            raise ValueError(f"{data}, split {split!r}: {error}") from error
        names = {r.label for r in everything if r.kind == "event"}
        self.classes = [SPEECH, *sorted(names - {SPEECH, ""})]
        dataset = SoundDataset(
            SegmentReader(
                recordings, segment_samples=int(segment_seconds * sample_rate)
            ),
            labels=class_table(
                [
                    {"speech": [SPEECH], "event": [r.label]}.get(r.kind, [])
                    for r in recordings
                ],
                self.classes,
            ),
            max_sources=max_sources or most_sources,
            gain_db=gain_db,
            snr_db=snr_db,
        )
        require_rate(data, dataset.reader, sample_rate)
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
