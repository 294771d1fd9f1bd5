"""Reading the sources of mixtures of any sounds."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from speechbrain_ext.dataio.recordings import Recording
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
    gain_db : float
        The level of a source varies by so much up and down.
    snr_db : sequence of float or None
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
        gain_db: float,
        snr_db: Sequence[float] | None,
    ) -> None:
        if gain_db < 0:
            raise ValueError(f"gain_db is {gain_db}; it cannot be negative")
        if snr_db is not None and snr_db[0] > snr_db[1]:
            raise ValueError(
                f"snr_db is {list(snr_db)}; the lower one comes first"
            )
        self.reader = reader
        self.labels = labels
        self.max_sources = max_sources
        self.gain_db = gain_db
        self.snr_db = snr_db

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
            indices = [self.reader.actual(index) for index in draw.indices]
            labels[number] = self.labels[indices].amax(0)
            ids.append("+".join(map(self.reader.id_of, indices)))
        return {
            "id": ids,
            "sources": torch.from_numpy(sources),
            "gain_db": torch.from_numpy(gains),
            "labels": labels,
        }

    def _gains(self, recordings: list[Recording], generator):
        """Draw a level for each source; that of a noise follows the others."""
        reach = self.gain_db
        gains = generator.uniform(-reach, reach, len(recordings))
        if len(recordings) > 1 and recordings[-1].kind == "noise":
            others = 10 * np.log10(np.sum(10 ** (gains[:-1] / 10)))
            gains[-1] = others - generator.uniform(*self.snr_db)
        return gains
