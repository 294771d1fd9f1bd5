"""Batches of sources for mixing, and the loader that hands them out."""

from collections.abc import Sequence

import numpy as np
import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from torch.utils.data import Dataset

from speechbrain_ext.dataio.samplers import Draw, RingSampler
from speechbrain_ext.dataio.segments import SegmentReader


class SourceDataset(Dataset):
    """Batches of sources: segments of speech, of noise, and how to mix them.

    Nothing is mixed here: ``form_batch`` does that on the device. All
    randomness comes from the seeds of the draws, so a resumed run sees the
    same data, whatever the number of workers.

    Arguments
    ---------
    speech : SegmentReader
        What the draws index.
    noise : SegmentReader or None
        Noise to add to each source, or none, if the speech is noisy already.
    snr_db : tuple of float or None
        Lowest and highest signal-to-noise ratio of a source, in dB; None
        without noise.
    gain_db : float
        The level of a source varies by up to so many dB up and down.
    rirs : int
        Number of room impulse responses to choose from; 0 for no rooms.
    variations : int
        How many numbers `SourceAugmentation` needs for each signal.

    Raises
    ------
    ValueError
        If the readers differ in sample rate or length, or a range is empty.

    Example
    -------
    >>> import soundfile, tempfile
    >>> from speechbrain_ext.dataio.recordings import Recording
    >>> path = tempfile.mkdtemp() + "/a.wav"
    >>> soundfile.write(path, np.full(8000, 0.5), 8000)
    >>> recording = Recording("a", path, 8000, 8000, "speech", "train")
    >>> reader = SegmentReader([recording], segment_samples=100)
    >>> dataset = SourceDataset(speech=reader, noise=None, snr_db=None)
    >>> batch = dataset.__getitems__([Draw(0, 7), Draw(0, 8)])
    >>> batch["id"], tuple(batch["speech"].shape)
    (['a', 'a'], (2, 100))
    """

    def __init__(
        self,
        *,
        speech: SegmentReader,
        noise: SegmentReader | None,
        snr_db: tuple[float, float] | None,
        gain_db: float = 2.5,
        rirs: int = 0,
        variations: int = 0,
    ):
        for name in ("sample_rate", "segment_samples"):
            ours = getattr(speech, name)
            if noise is not None and getattr(noise, name) != ours:
                raise ValueError(
                    f"speech has the {name} {ours} and noise "
                    f"{getattr(noise, name)}; they must be the same"
                )
        if (noise is None) != (snr_db is None):
            raise ValueError(
                "noise and snr_db belong together; "
                f"{'noise' if noise is None else 'snr_db'} is None"
            )
        if snr_db is not None and snr_db[0] > snr_db[1]:
            raise ValueError(
                f"snr_db is {tuple(snr_db)}; the lower one comes first"
            )
        if gain_db < 0 or rirs < 0:
            raise ValueError(
                f"gain_db is {gain_db} and rirs {rirs}; neither can be negative"
            )
        self.speech = speech
        self.noise = noise
        self.snr_db = snr_db
        self.gain_db = gain_db
        self.rirs = rirs
        self.variations = variations

    def __len__(self) -> int:
        return len(self.speech)

    def __getitems__(self, draws: Sequence[Draw]) -> dict:
        """Read a batch.

        Arguments
        ---------
        draws : sequence of Draw
            In the order of the ring. The noises of two draws at distance 1
            or 2, also round the end, come from different recordings if there
            are at least 5 noises; with fewer, as many as possible differ.

        Returns
        -------
        batch : dict
            "id" (list of str), "speech" (N, T), "gain_db" (N,), with noise
            "noise" (N, T) and "snr_db" (N,), with rirs "rir" (N,) int64, with
            variations "speech_variation" and "noise_variation" (N,
            variations) between -1 and 1, as tensors on the CPU.
        """
        generators = [np.random.default_rng(draw.seed) for draw in draws]
        batch = {
            "gain_db": torch.tensor(
                [g.uniform(-self.gain_db, self.gain_db) for g in generators]
            ),
        }
        if self.rirs:
            batch["rir"] = torch.tensor(
                [int(g.integers(self.rirs)) for g in generators]
            )
        indices = [draw.index for draw in draws]
        batch["speech"] = _read_all(self.speech, indices, generators)
        batch["id"] = [self.speech.id_of(index) for index in indices]
        if self.noise is not None:
            batch["snr_db"] = torch.tensor(
                [g.uniform(*self.snr_db) for g in generators]
            )
            indices = _spread(len(self.noise), generators)
            batch["noise"] = _read_all(self.noise, indices, generators)
        if self.variations:
            for name in ("speech", "noise"):
                if name in batch:
                    draws = [
                        g.uniform(-1, 1, self.variations) for g in generators
                    ]
                    batch[f"{name}_variation"] = torch.from_numpy(
                        np.stack(draws).astype(np.float32)
                    )
        return batch


def make_loader(
    dataset: SourceDataset,
    sampler: RingSampler,
    *,
    num_workers: int = 0,
) -> SaveableDataLoader:
    """Make a loader that a checkpoint can resume within an epoch.

    Its position, the number of batches handed out (not those that workers
    have prefetched), is saved and restored by SpeechBrain's Checkpointer if
    the loader is among its recoverables. Set the sampler's epoch before
    iterating, after a recovery too. Where there is a GPU, batches lie in
    pinned memory, from which they are copied while it computes.
    """
    return SaveableDataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=_keep,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _keep(batch):
    """Collate nothing: the dataset reads whole batches."""
    return batch


def _read_all(reader, indices, generators):
    """Read one segment each, shape (N, T)."""
    segments = np.empty((len(indices), reader.segment_samples), np.float32)
    for index, generator, segment in zip(
        indices, generators, segments, strict=True
    ):
        reader.read(index, generator, segment)
    return torch.from_numpy(segments)


def _spread(number, generators):
    """Choose one of ``number`` noises for each generator.

    Those at distance 1, then 2, round the ring differ, as far as there are
    enough noises.
    """
    chosen = {}
    for place, generator in enumerate(generators):
        around = [(place + step) % len(generators) for step in (-1, 1, -2, 2)]
        taken = dict.fromkeys(chosen[n] for n in around if n in chosen)
        taken = sorted(list(taken)[: number - 1])
        choice = int(generator.integers(number - len(taken)))
        for other in taken:
            choice += choice >= other
        chosen[place] = choice
    return list(chosen.values())
