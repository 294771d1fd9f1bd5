"""Speech, noisy or clean, with noise of a known level added on the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from speechbrain_ext.dataio.clip_sampler import ClipSampler
from speechbrain_ext.dataio.mixed_sounds import MixtureBatches
from speechbrain_ext.dataio.mixing import (
    LEAST_POWER,
    LEVEL_DB,
    add_noise,
    scale_to_level,
)
from speechbrain_ext.dataio.noisy_user import draw_noise, generator_for
from speechbrain_ext.dataio.recordings import Recording
from speechbrain_ext.dataio.samplers import Draw
from speechbrain_ext.dataio.segments import SegmentReader
from speechbrain_ext.dataio.sources import make_loader
from speechbrain_ext.dataio.whole_recordings import read_whole


@dataclass(frozen=True)
class NoisyBatch:
    """A batch of noisy speech, and what is in it.

    Arguments
    ---------
    mixture : torch.Tensor
        Shape (batch, time): target plus noise.
    target : torch.Tensor
        Shape (batch, time), each with a mean power of 1.
    clean : torch.Tensor or None
        Where the target is noisy itself: the speech in it, as loud as there,
        if it is known.
    positive : torch.Tensor or None
        Of contrastive pairs (0 with 1, 2 with 3, ...): whether they share the
        target, else they share the noise. Shape (batch / 2,), bool.
    """

    mixture: torch.Tensor
    target: torch.Tensor
    clean: torch.Tensor | None
    positive: torch.Tensor | None = None


class NoisySpeech(MixtureBatches):
    """Segments of speech, and noise that is added to them.

    With noisy recordings in the place of speech these are the mixtures of
    pseudo enhancement: noise is added to speech that has noise already
    (Sivaraman, Kim and Kim, Interspeech 2021, equation 1).

    Arguments
    ---------
    speech : sequence of Recording
        Clean or noisy.
    noise : sequence of Recording
        What is added.
    clean : sequence of Recording, optional
        The clean speech in each recording of `speech`, of the same length.
    snr_db : sequence of float
        Lowest and highest ratio of the segment to the noise.
    segment_seconds : float
        Length.
    batch_size : int
        Segments in a batch.
    batches : int
        Batches in an epoch, for each process.
    contrastive : bool
        Whether the segments of a batch are pairs that share the speech
        (0 with 1, 4 with 5, ...) or the noise (2 with 3, 6 with 7, ...).
    seed : int
        All that is drawn follows from it.
    rank, world_size : int
        This process and the number of processes that share the batches.
    num_workers : int
        Processes that read ahead.

    Attributes
    ----------
    loader : SaveableDataLoader
        `mix` takes what it yields.

    Raises
    ------
    ValueError
        If there are no recordings, they do not belong together, the range of
        the SNR is empty, or a batch has no room for pairs.
    """

    def __init__(
        self,
        speech: Sequence[Recording],
        noise: Sequence[Recording],
        *,
        clean: Sequence[Recording] | None = None,
        snr_db: Sequence[float],
        segment_seconds: float,
        batch_size: int,
        batches: int,
        contrastive: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        if contrastive and batch_size % 4:
            raise ValueError(
                f"batch_size is {batch_size}; contrastive pairs come two by "
                "two, so it must be a multiple of 4"
            )
        samples = int(segment_seconds * speech[0].sample_rate) if speech else 1
        readers = [
            recordings and SegmentReader(recordings, segment_samples=samples)
            for recordings in (speech, noise, clean or None)
        ]
        dataset = NoisySpeechDataset(*readers, snr_db=snr_db)
        sampler = ClipSampler(
            len(speech),
            batch_size=batch_size,
            batches=batches,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        self.contrastive = contrastive
        self.loader = make_loader(dataset, sampler, num_workers=num_workers)

    def mix(self, batch: dict) -> NoisyBatch:
        """Bring a batch to its levels, and add the noise.

        Arguments
        ---------
        batch : dict
            What the loader yields.

        Returns
        -------
        noisy : NoisyBatch
        """
        batch = self._moved(batch)
        target, noise = batch["speech"], batch["noise"]
        snr_db, clean, positive = batch["snr_db"], batch.get("clean"), None
        if self.contrastive:
            positive = (
                torch.arange(len(target) // 2, device=self.device) % 2 == 0
            )
            target, noise, snr_db, clean = share(
                positive, target, noise, snr_db, clean
            )
        power = target.square().mean(-1, keepdim=True)
        gain = power.clamp_min(LEAST_POWER).rsqrt()
        target = gain * target
        mixture, _ = add_noise(speech=target, noise=noise, snr_db=snr_db)
        clean = None if clean is None else gain * clean
        return NoisyBatch(mixture, target, clean, positive)


def share(positive, target, noise, snr_db, clean=None):
    """Give the second of each pair the target or the noise of the first.

    Arguments
    ---------
    positive : torch.Tensor
        Which pairs share the target, shape (batch / 2,), bool.
    target, noise, snr_db, clean : torch.Tensor
        Shape (batch, ...); clean may be None.

    Returns
    -------
    target, noise, snr_db, clean : torch.Tensor
        New ones.

    Example
    -------
    >>> target, noise, _, _ = share(
    ...     torch.tensor([True, False]), torch.arange(4), 10 * torch.arange(4),
    ...     torch.zeros(4),
    ... )
    >>> target, noise
    (tensor([0, 0, 2, 3]), tensor([ 0, 10, 20, 20]))
    """
    places = torch.arange(2 * len(positive), device=positive.device)
    first = places - places % 2
    positive = positive.repeat_interleave(2)
    of_target = torch.where(positive, first, places)
    of_noise = torch.where(positive, places, first)
    if clean is not None:
        clean = clean[of_target]
    return target[of_target], noise[of_noise], snr_db[of_noise], clean


class NoisySpeechDataset(Dataset):
    """Segments of speech and of noise, and the SNR of the two.

    Arguments
    ---------
    speech, noise : SegmentReader
        What the draws index, and what is added.
    clean : SegmentReader or None
        The clean speech in each recording of `speech`.
    snr_db : sequence of float
        Lowest and highest.

    Raises
    ------
    ValueError
        If one is missing, rates or lengths differ, or the range is empty.
    """

    def __init__(
        self,
        speech: SegmentReader,
        noise: SegmentReader,
        clean: SegmentReader | None = None,
        *,
        snr_db: Sequence[float],
    ) -> None:
        for name, reader in (("speech", speech), ("noise", noise)):
            if not reader:
                raise ValueError(f"there is no {name}; give recordings of it")
        if noise.sample_rate != speech.sample_rate:
            raise ValueError(
                f"speech has {speech.sample_rate} Hz and noise "
                f"{noise.sample_rate}; prepare both at one rate"
            )
        if clean is not None:
            lengths = [
                [recording.samples for recording in reader.recordings]
                for reader in (speech, clean)
            ]
            if lengths[0] != lengths[1]:
                raise ValueError(
                    "clean and noisy recordings differ in number or length; "
                    "each noisy one needs the speech that is in it"
                )
        if snr_db[0] > snr_db[1]:
            raise ValueError(
                f"snr_db is {list(snr_db)}; the lower one comes first"
            )
        self.speech = speech
        self.noise = noise
        self.clean = clean
        self.snr_db = snr_db

    def __len__(self) -> int:
        return len(self.speech)

    def __getitems__(self, draws: Sequence[Draw]) -> dict:
        """Read a batch.

        Arguments
        ---------
        draws : sequence of Draw
            Of `ClipSampler`.

        Returns
        -------
        batch : dict
            "id" (list of str), "speech" and "noise" (N, T), "snr_db" (N,),
            and "clean" (N, T) if it is known, as tensors on the CPU.
        """
        shape = (len(draws), self.speech.segment_samples)
        names = ["speech", "noise"] + ["clean"] * (self.clean is not None)
        signals = {name: np.empty(shape, np.float32) for name in names}
        ratios = []
        for number, (index, seed) in enumerate(draws):
            generator = np.random.default_rng(seed)
            ratios.append(generator.uniform(*self.snr_db))
            noise = int(generator.integers(len(self.noise)))
            self.noise.read(noise, generator, signals["noise"][number])
            out = signals["speech"][number]
            start = self.speech.place(index, generator, out)
            if self.clean is not None:
                index = self.speech.actual(index)
                self.clean.read_at(index, start, signals["clean"][number])
        return {
            "id": [self.speech.id_of(draw.index) for draw in draws],
            "snr_db": torch.tensor(ratios),
            **{name: torch.from_numpy(x) for name, x in signals.items()},
        }


class NoisyRecordings(MixtureBatches, Dataset):
    """Whole recordings and the noise that is added to them, always the same.

    Arguments
    ---------
    speech : sequence of Recording
        Clean or noisy.
    noise : sequence of Recording
        One is added.
    snr_db : sequence of float
        Lowest and highest ratio.
    draws : int
        How often each recording gets a noise: first all recordings once,
        then all of them again.
    level_db : float or None
        Of the recordings, see `scale_to_level`; None for a mean power of 1.

    Attributes
    ----------
    loader : torch.utils.data.DataLoader
        Yields one recording at a time; `mix` takes it.
    """

    def __init__(
        self,
        speech: Sequence[Recording],
        noise: Sequence[Recording],
        *,
        snr_db: Sequence[float],
        draws: int = 1,
        level_db: float | None = LEVEL_DB,
    ) -> None:
        self.speech = speech
        self.noise = noise
        self.snr_db = snr_db
        self.draws = draws
        self.level_db = level_db
        self.loader = DataLoader(self, batch_size=None)

    def __len__(self) -> int:
        return self.draws * len(self.speech)

    def __getitem__(self, number: int) -> dict:
        """Read a recording and its noise.

        Arguments
        ---------
        number : int
            Which of the draws.

        Returns
        -------
        item : dict
            "recording" (of `speech`), "draw" (which one of it), "speech" and
            "noise", shape (time,), and "snr_db", in dB.
        """
        draw, index = divmod(number, len(self.speech))
        recording = self.speech[index]
        generator = generator_for(draw, recording.id)
        speech = read_whole(recording)
        noise = draw_noise(self.noise, len(speech), generator)
        snr_db = torch.tensor(generator.uniform(*self.snr_db)).float()
        return {
            "recording": recording,
            "draw": draw,
            "speech": torch.from_numpy(speech),
            "noise": torch.from_numpy(noise),
            "snr_db": snr_db,
        }

    def mix(self, item: dict) -> NoisyBatch:
        """Bring a recording to its level, and add the noise.

        Arguments
        ---------
        item : dict
            What the loader yields.

        Returns
        -------
        noisy : NoisyBatch
            Of one recording.
        """
        item = self._moved(item)
        target = item["speech"]
        if self.level_db is None:
            target = target / target.square().mean().sqrt()
        else:
            target = scale_to_level(target, level_db=self.level_db)
        mixture, _ = add_noise(
            speech=target, noise=item["noise"], snr_db=item["snr_db"]
        )
        return NoisyBatch(mixture[None], target[None], None)
