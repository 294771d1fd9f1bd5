"""Which clips stand in a batch."""

from collections.abc import Iterator

import numpy as np

from speechbrain_ext.dataio.samplers import Draw, SharedSampler


class ClipSampler(SharedSampler):
    """Batches of whole clips: at random for training, or in their order.

    At random, the counts of two clips differ by at most 1. In their order they
    end with the last clip, however many batches were asked for, and the last
    batch may be smaller.

    Arguments
    ---------
    number : int
        Clips.
    batch_size : int
        Clips in a batch.
    batches : int
        For each rank in an epoch.
    shuffle : bool
        At random.
    seed, rank, world_size : int
        See `SharedSampler`.

    Example
    -------
    >>> sampler = ClipSampler(5, batch_size=2, batches=9, shuffle=False)
    >>> [[draw.index for draw in batch] for batch in sampler]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        number: int,
        *,
        batch_size: int,
        batches: int,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not shuffle:
            batches = min(batches, -(-number // (batch_size * world_size)))
        super().__init__(batches, seed=seed, rank=rank, world_size=world_size)
        self.number = number
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[list[Draw]]:
        generator = self.generator()
        total = self.batches * self.world_size * self.batch_size
        seeds = generator.integers(2**63, size=total).tolist()
        if self.shuffle:
            rounds = -(-total // self.number)
            order = np.concatenate(
                [generator.permutation(self.number) for _ in range(rounds)]
            )
        else:
            order = np.arange(self.number)
        draws = list(map(Draw, order[:total].tolist(), seeds))
        size = self.batch_size
        batches = [draws[n : n + size] for n in range(0, len(draws), size)]
        return iter(batches[self.mine])
