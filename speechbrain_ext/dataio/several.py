"""Batches from several corpora, each from one of them, picked at random."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from speechbrain_ext.dataio.corpus import CorpusMixtures
from speechbrain_ext.dataio.mixing import Mixtures
from speechbrain_ext.dataio.samplers import Draw
from speechbrain_ext.dataio.sources import make_loader


class CorpusDraws(NamedTuple):
    """A batch of draws, and which corpus it is drawn from.

    Arguments
    ---------
    corpus : int
        From 0.
    draws : list of Draw
        What is read of it.
    """

    corpus: int
    draws: list[Draw]


class CorpusSampler(Sampler):
    """Batches of one sampler or another, picked at random.

    Which one follows from `seed` and the epoch's number alone, and is the
    same for all processes.

    Arguments
    ---------
    samplers : sequence of RingSampler
        Of equal lengths; each must last for a whole epoch by itself.
    seed : int
        Not negative.

    Raises
    ------
    ValueError
        If there are none, or their lengths differ.

    Example
    -------
    >>> from speechbrain_ext.dataio.samplers import RingSampler
    >>> samplers = [RingSampler(speakers="abc", ring_size=3, rings=5)] * 2
    >>> sampler = CorpusSampler(samplers, seed=1)
    >>> sorted({batch.corpus for batch in sampler})
    [0, 1]
    """

    def __init__(self, samplers: Sequence[Sampler], *, seed: int = 0) -> None:
        lengths = {len(sampler) for sampler in samplers}
        if len(lengths) != 1:
            raise ValueError(
                f"samplers of {sorted(lengths)} batches; there must be at "
                "least one, and all of one length"
            )
        self.samplers = list(samplers)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next iteration yields."""
        self.epoch = epoch
        for sampler in self.samplers:
            sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.samplers[0])

    def __iter__(self) -> Iterator[CorpusDraws]:
        generator = np.random.default_rng([self.seed, self.epoch])
        chosen = generator.integers(len(self.samplers), size=len(self))
        batches = [iter(sampler) for sampler in self.samplers]
        return (
            CorpusDraws(corpus, next(batches[corpus]))
            for corpus in chosen.tolist()
        )


class CorpusDataset(Dataset):
    """The datasets of several corpora, read batch by batch.

    Arguments
    ---------
    datasets : sequence of SourceDataset
        In the order of the samplers.
    """

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        self.datasets = list(datasets)

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)

    def __getitems__(self, batch: CorpusDraws) -> dict:
        """Read a batch; "corpus" tells which one it is from."""
        sources = self.datasets[batch.corpus].__getitems__(batch.draws)
        return {**sources, "corpus": batch.corpus}


class SeveralCorpora:
    """Mixtures of several corpora; a batch is from one, picked at random.

    Arguments
    ---------
    corpora : sequence of CorpusMixtures
        With equally many batches.
    seed : int
        What is picked follows from it.
    num_workers : int
        Processes that read ahead.

    Attributes
    ----------
    loader : SaveableDataLoader
        Yields batches for `mix`.
    """

    def __init__(
        self,
        corpora: Sequence[CorpusMixtures],
        *,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        self.corpora = list(corpora)
        self.loader = make_loader(
            CorpusDataset([corpus.loader.dataset for corpus in corpora]),
            CorpusSampler(
                [corpus.loader.batch_sampler for corpus in corpora], seed=seed
            ),
            num_workers=num_workers,
        )

    def to(self, device: torch.device | str) -> "SeveralCorpora":
        """Mix on this device from now on; returns itself."""
        for corpus in self.corpora:
            corpus.to(device)
        return self

    def mix(self, batch: dict) -> Mixtures:
        """Mix a batch of sources on the device, as its corpus does."""
        return self.corpora[batch["corpus"]].mix(batch)


def mix_corpora(
    make: Callable[..., CorpusMixtures],
    speech: Mapping[str, str],
    *,
    noise: Mapping[str, str] | None = None,
    split: Mapping[str, str] | None = None,
    data_root: Mapping[str, str] | None = None,
    **options,
) -> dict[str, CorpusMixtures]:
    """Make the mixtures of each of several corpora.

    Arguments
    ---------
    make : Callable
        `CorpusMixtures`, or what makes them with some options.
    speech : mapping
        Corpus to its table of recordings.
    noise, split, data_root : mapping, optional
        Corpus to what `CorpusMixtures` takes by these names.
    **options
        For all corpora.

    Returns
    -------
    mixtures : dict
        By corpus.

    Example
    -------
    >>> found = mix_corpora(dict, {"a": "a.csv"}, split={"a": "test"}, seed=1)
    >>> found["a"]["speech"], found["a"]["split"], found["a"]["seed"]
    ('a.csv', 'test', 1)
    """
    return {
        corpus: make(
            speech=table,
            noise=(noise or {}).get(corpus),
            split=(split or {}).get(corpus),
            data_root=(data_root or {}).get(corpus),
            **options,
        )
        for corpus, table in speech.items()
    }
