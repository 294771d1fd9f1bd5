"""Mixtures of one corpus, from its manifest to the device."""

import logging
import os
from collections.abc import Sequence

import numpy as np
import soundfile
import torch

from speechbrain_ext.dataio.augmentation import SourceAugmentation
from speechbrain_ext.dataio.mixing import Mixtures, form_batch
from speechbrain_ext.dataio.pitch import sexes_by_pitch
from speechbrain_ext.dataio.recordings import Recording, read_recordings
from speechbrain_ext.dataio.samplers import RingSampler
from speechbrain_ext.dataio.segments import SegmentReader
from speechbrain_ext.dataio.sources import SourceDataset, make_loader

BY_PITCH = "by_pitch"
logger = logging.getLogger(__name__)


class CorpusMixtures:
    """A loader of sources of one split, and how a batch of it is mixed.

    Arguments
    ---------
    speech : str or PathLike
        A table of recordings, such as a corpus's `prepare` writes.
    noise, rooms : str or PathLike, optional
        Tables of noises and of room impulse responses; by default that of the
        speech.
    split : str, optional
        Of all of them; None takes all.
    data_root : str or PathLike, optional
        What ``$data_root`` in the tables stands for.
    sample_rate : int
        In Hz.
    segment_seconds : float
        Length of the mixtures.
    mixing : str
        "ring" or "pairs".
    batch_size : int
        Mixtures in a batch.
    batches : int
        Batches in an epoch, for each process.
    snr_db : sequence of float or None
        Lowest and highest SNR of a source; None adds no noise.
    gain_db : float
        The level of a source varies by so much up and down.
    alternate_sexes : bool or str
        Whether a woman and a man stand in every mixture; "by_pitch": a high
        and a low voice (`sexes_by_pitch`), or any two with a warning, where
        too few recordings are there.
    reverberate : bool
        Whether speech is put into rooms; the targets are then reverberant.
    room_split : str, optional
        Of the rooms; by default that of the speech.
    dry_ratio : float
        Ratio of the sources that stay dry all the same.
    speed_range, equalizer_db : float
        See `SourceAugmentation`; 0 for none.
    seed : int
        All that is drawn follows from it.
    rank, world_size : int
        This process and the number of processes that share the batches.
    num_workers : int
        Processes that read ahead.

    Attributes
    ----------
    loader : SaveableDataLoader
        Yields what `SourceDataset` reads; `mix` takes it.

    Raises
    ------
    FileNotFoundError, ValueError
        If the manifest is not there, or lacks what is asked for.
    """

    def __init__(
        self,
        speech: str | os.PathLike,
        *,
        noise: str | os.PathLike | None = None,
        rooms: str | os.PathLike | None = None,
        split: str | None = None,
        data_root: str | os.PathLike | None = None,
        sample_rate: int,
        segment_seconds: float,
        batch_size: int,
        batches: int,
        mixing: str = "pairs",
        snr_db: Sequence[float] | None = None,
        gain_db: float = 2.5,
        alternate_sexes: bool | str = False,
        reverberate: bool = False,
        room_split: str | None = None,
        dry_ratio: float = 0.0,
        speed_range: float = 0.0,
        equalizer_db: float = 0.0,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        if not 0 <= dry_ratio < 1:
            raise ValueError(f"dry_ratio is {dry_ratio}; it lies in [0, 1)")
        samples = int(segment_seconds * sample_rate)
        self.mixing = mixing
        self.augmentation = None
        if speed_range or equalizer_db:
            self.augmentation = SourceAugmentation(
                samples=samples, speed=speed_range, equalizer_db=equalizer_db
            )
            samples = self.augmentation.samples_to_read

        def read(kind, table=None, split=split):
            """Read the recordings of a kind."""
            table = speech if table is None else table
            return read_recordings(
                table, kind=kind, split=split, root=data_root
            )

        voices = read("speech")
        noises = None
        if snr_db is not None:
            noises = SegmentReader(
                read("noise", noise), segment_samples=samples
            )
        self.impulse_responses = None
        if reverberate:
            responses = read_impulse_responses(
                read("rir", rooms, room_split or split)
            )
            # a dry source is one whose room is a single impulse
            dry = round(len(responses) * dry_ratio / (1 - dry_ratio))
            impulses = torch.zeros(dry, responses.shape[1])
            impulses[:, 0] = 1.0
            self.impulse_responses = torch.cat((responses, impulses))
        number = len(self.impulse_responses) if reverberate else 0
        dataset = SourceDataset(
            speech=SegmentReader(voices, segment_samples=samples),
            noise=noises,
            snr_db=snr_db,
            gain_db=gain_db,
            rirs=number,
            variations=self.augmentation.variations if self.augmentation else 0,
        )
        sexes = [voice.sex for voice in voices]
        if alternate_sexes == BY_PITCH:
            sexes = sexes_by_pitch(voices)
        sampler = _arrange(
            f"{speech}, split {split!r}" if split else speech,
            alternate_sexes,
            # of unknown speakers, each recording counts as one
            speakers=[voice.speaker or voice.id for voice in voices],
            sexes=sexes,
            # N mixtures need N sources in a ring, 2 N in pairs
            ring_size=batch_size * (2 if mixing == "pairs" else 1),
            rings=batches,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        self.loader = make_loader(dataset, sampler, num_workers=num_workers)
        self.device = torch.device("cpu")

    def to(self, device: torch.device | str) -> "CorpusMixtures":
        """Mix on this device from now on; returns itself."""
        self.device = torch.device(device)
        if self.impulse_responses is not None:
            self.impulse_responses = self.impulse_responses.to(device)
        return self

    def mix(self, batch: dict) -> Mixtures:
        """Augment and mix a batch of sources on the device.

        Arguments
        ---------
        batch : dict
            What the loader yields.

        Returns
        -------
        mixtures : Mixtures
            Of a ring, or of pairs.
        """
        batch = {
            key: value.to(self.device, non_blocking=True)
            if torch.is_tensor(value)
            else value
            for key, value in batch.items()
        }
        if self.augmentation is not None:
            batch = self.augmentation(batch)
        return form_batch(
            batch, mixing=self.mixing, rirs=self.impulse_responses
        )


def _arrange(where, alternate, **arguments):
    """Make the sampler; by pitch, any two voices where there are too few."""
    try:
        return RingSampler(alternate_sexes=bool(alternate), **arguments)
    except ValueError as error:
        # the option that says how large a ring is
        said = str(error).replace("ring_size", "batch_size")
        if alternate != BY_PITCH:
            raise ValueError(f"{where}: {said}") from error
    sampler = _arrange(where, False, **arguments)
    logger.warning(
        "%s: any two voices are mixed, for high and low ones cannot "
        "alternate: %s",
        where,
        said,
    )
    return sampler


def read_impulse_responses(recordings: Sequence[Recording]) -> torch.Tensor:
    """Read room impulse responses into one tensor.

    Returns
    -------
    responses : torch.Tensor
        Shape (rooms, taps), float32; shorter ones end in zeros.

    Raises
    ------
    ValueError
        If one is not mono at its rate, silent, or not finite.
    """
    taps = max(recording.samples for recording in recordings)
    responses = np.zeros((len(recordings), taps), np.float32)
    for row, recording in zip(responses, recordings, strict=True):
        response, rate = soundfile.read(recording.path, dtype="float32")
        if rate != recording.sample_rate or response.ndim != 1:
            raise ValueError(
                f"{recording.path} is not mono at {recording.sample_rate} "
                "Hz; prepare the corpus again"
            )
        if not np.isfinite(response).all() or not response.any():
            raise ValueError(
                f"{recording.path} is silent or not finite; prepare the "
                "corpus again, which leaves such files out"
            )
        row[: len(response)] = response
    return torch.from_numpy(responses)
