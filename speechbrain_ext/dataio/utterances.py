"""Whole utterances with noise, and what is said in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
import torchaudio
from torch.utils.data import Dataset

from speechbrain_ext.dataio.mixed_sounds import MixtureBatches
from speechbrain_ext.dataio.mixing import LEVEL_DB, add_noise, scale_to_level
from speechbrain_ext.dataio.recordings import Recording
from speechbrain_ext.dataio.samplers import Draw, SharedSampler
from speechbrain_ext.dataio.sources import make_loader
from speechbrain_ext.dataio.whole_recordings import read_round, read_whole

# Lengths count as equal within this share when batches are formed at random.
JITTER = 0.1


class UtteranceSampler(SharedSampler):
    """Batches of utterances of about one length.

    These invariants hold for every epoch, and are tested under these numbers:

    1. No utterance stands twice in an epoch, over all ranks.
    2. At random, every batch has `batch_size` utterances, and every rank as
       many batches; fewer than a batch for each rank are left out, others in
       every epoch.
    3. In order, all utterances come, the longest first; the last batch may be
       smaller.
    4. The epoch follows from `seed` and its number; another one is another.
    5. Skipping the first n batches leaves exactly the rest.

    Arguments
    ---------
    samples : sequence of int
        Length of each utterance.
    batch_size : int
        Utterances in a batch.
    shuffle : bool
        At random, for training.
    seed, rank, world_size : int
        See `SharedSampler`.

    Raises
    ------
    ValueError
        If there are too few utterances, or a value is out of its range.

    Example
    -------
    >>> sampler = UtteranceSampler([5, 9, 7], batch_size=2, shuffle=False)
    >>> [[draw.index for draw in batch] for batch in sampler]
    [[1, 2], [0]]
    """

    def __init__(
        self,
        samples: Sequence[int],
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be above 0")
        together = batch_size * world_size
        if shuffle and len(samples) < together:
            raise ValueError(
                f"there are {len(samples)} utterances; a batch of {batch_size} "
                f"for each of {world_size} process(es) needs {together}: make "
                "batch_size smaller"
            )
        batches = len(samples) // together
        if not shuffle:
            batches = -(-len(samples) // together)
        super().__init__(batches, seed=seed, rank=rank, world_size=world_size)
        self.samples = np.asarray(samples)
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[list[Draw]]:
        generator = self.generator()
        order = np.argsort(-self.samples, kind="stable")
        if self.shuffle:
            number = self.batches * self.world_size * self.batch_size
            order = generator.permutation(len(self.samples))[:number]
            shift = generator.uniform(1 - JITTER, 1 + JITTER, number)
            order = order[np.argsort(self.samples[order] * shift)]
        seeds = generator.integers(2**63, size=len(order)).tolist()
        draws = list(map(Draw, order.tolist(), seeds))
        size = self.batch_size
        batches = [draws[n : n + size] for n in range(0, len(draws), size)]
        if self.shuffle:
            batches = [batches[n] for n in generator.permutation(len(batches))]
        return iter(batches[self.mine])


class UtteranceDataset(Dataset):
    """Batches of utterances, and the noise to add to them.

    Nothing is mixed here: `NoisyUtterances` does that on the device. All
    randomness comes from the seeds of the draws.

    Arguments
    ---------
    speech : sequence of Recording
        What the draws index.
    noise : sequence of Recording or None
        Of which a stretch is cut for each utterance; it goes round at its
        end.
    snr_db : sequence of float or None
        Lowest and highest; None adds no noise.
    clean_probability : float
        With which an utterance stays clean all the same.
    speeds : sequence of float
        An utterance is played at one of these speeds.

    Raises
    ------
    ValueError
        If rates differ, or a range is empty.
    """

    def __init__(
        self,
        speech: Sequence[Recording],
        noise: Sequence[Recording] | None = None,
        *,
        snr_db: Sequence[float] | None = None,
        clean_probability: float = 0.0,
        speeds: Sequence[float] = (1.0,),
    ) -> None:
        if not speech:
            raise ValueError("there are no utterances")
        if (snr_db is None) != (not noise):
            raise ValueError(
                "noise and snr_db belong together; "
                f"{'snr_db' if noise else 'noise'} is missing"
            )
        if snr_db is not None and snr_db[0] > snr_db[1]:
            raise ValueError(
                f"snr_db is {tuple(snr_db)}; the lower one comes first"
            )
        if not 0 <= clean_probability <= 1 or min(speeds) <= 0:
            raise ValueError(
                f"clean_probability is {clean_probability} and speeds "
                f"{list(speeds)}; the first lies from 0 to 1, the others "
                "above 0"
            )
        rates = {r.sample_rate for r in [*speech, *(noise or [])]}
        if len(rates) > 1:
            raise ValueError(
                f"the recordings have the sample rates {sorted(rates)}; "
                "prepare them with one"
            )
        self.speech = list(speech)
        self.noise = list(noise or [])
        self.snr_db = snr_db
        self.clean_probability = clean_probability
        self.speeds = [Fraction(s).limit_denominator(100) for s in speeds]

    def __len__(self) -> int:
        return len(self.speech)

    def __getitems__(self, draws: Sequence[Draw]) -> dict:
        """Read a batch.

        Arguments
        ---------
        draws : sequence of Draw
            As `UtteranceSampler` gives them.

        Returns
        -------
        batch : dict
            "id" and "text" (list of str), "clean" (B, T), padded with zeros,
            "lengths" (B,) in samples, and with noise "noise" (B, T) and
            "snr_db" (B,), infinite where the utterance stays clean.
        """
        generators = [np.random.default_rng(draw.seed) for draw in draws]
        recordings = [self.speech[draw.index] for draw in draws]
        spoken = [
            self._read_speech(recording, generator)
            for recording, generator in zip(recordings, generators, strict=True)
        ]
        batch = {
            "id": [recording.id for recording in recordings],
            "text": [recording.text for recording in recordings],
            "clean": _pad(spoken),
            "lengths": torch.tensor([len(waveform) for waveform in spoken]),
        }
        if self.snr_db is not None:
            found = [
                self._read_noise(len(waveform), generator)
                for waveform, generator in zip(spoken, generators, strict=True)
            ]
            batch["noise"] = _pad([noise for noise, _ in found])
            batch["snr_db"] = torch.tensor([snr for _, snr in found])
        return batch

    def _read_speech(self, recording, generator):
        """Read an utterance at one of the speeds."""
        waveform = torch.from_numpy(read_whole(recording))
        speed = self.speeds[int(generator.integers(len(self.speeds)))]
        if speed == 1:
            return waveform
        return torchaudio.functional.resample(
            waveform, speed.numerator, speed.denominator
        )

    def _read_noise(self, samples, generator):
        """Read a stretch of noise and draw its SNR, in dB."""
        recording = self.noise[int(generator.integers(len(self.noise)))]
        start = int(generator.integers(recording.samples))
        snr = float(generator.uniform(*self.snr_db))
        if generator.random() < self.clean_probability:
            snr = float("inf")
        stretch = read_round(recording, start=start, samples=samples)
        return torch.from_numpy(stretch), snr


@dataclass(frozen=True)
class NoisyUtteranceBatch:
    """A batch of utterances with noise.

    Arguments
    ---------
    noisy, clean : torch.Tensor
        Shape (batch, time), zeros behind the end of each.
    lengths : torch.Tensor
        Shape (batch,), relative to the longest.
    ids, texts : list of str
        Of the recordings.
    """

    noisy: torch.Tensor
    clean: torch.Tensor
    lengths: torch.Tensor
    ids: list[str]
    texts: list[str]


class NoisyUtterances(MixtureBatches):
    """A loader of whole utterances, and how a batch of it gets its noise.

    Arguments
    ---------
    speech, noise, snr_db, clean_probability, speeds
        See `UtteranceDataset`.
    batch_size, shuffle, seed, rank, world_size
        See `UtteranceSampler`.
    num_workers : int
        Processes that read ahead.

    Attributes
    ----------
    loader : SaveableDataLoader
        Yields what `UtteranceDataset` reads; `mix` takes it.
    """

    def __init__(
        self,
        speech: Sequence[Recording],
        noise: Sequence[Recording] | None = None,
        *,
        batch_size: int,
        snr_db: Sequence[float] | None = None,
        clean_probability: float = 0.0,
        speeds: Sequence[float] = (1.0,),
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        dataset = UtteranceDataset(
            speech,
            noise,
            snr_db=snr_db,
            clean_probability=clean_probability,
            speeds=speeds,
        )
        sampler = UtteranceSampler(
            [recording.samples for recording in speech],
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        self.loader = make_loader(dataset, sampler, num_workers=num_workers)

    def mix(self, batch: dict) -> NoisyUtteranceBatch:
        """Bring utterances to one level and add their noise, on the device.

        Level and SNR are those over the length of each utterance: -25 dB re
        full scale, and what was drawn.

        Arguments
        ---------
        batch : dict
            What the loader yields.

        Returns
        -------
        speech : NoisyUtteranceBatch
        """
        batch = self._moved(batch)
        clean = batch["clean"]
        lengths = batch["lengths"] / clean.shape[1]
        clean = scale_to_level(clean, level_db=LEVEL_DB + 10 * lengths.log10())
        noisy = clean
        if "noise" in batch:
            noisy, _ = add_noise(
                speech=clean, noise=batch["noise"], snr_db=batch["snr_db"]
            )
        return NoisyUtteranceBatch(
            noisy, clean, lengths, batch["id"], batch["text"]
        )


def _pad(waveforms: Sequence[torch.Tensor]) -> torch.Tensor:
    """Put waveforms into one tensor, zeros behind them."""
    return torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
