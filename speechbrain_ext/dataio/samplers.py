"""Which recordings stand round a ring, and in which order.

A ring of N sources makes N mixtures, x_k = y_k + y_{k+1} (indices modulo N).
Neighbors meet in a mixture; neighbors of neighbors meet in the difference
of the two estimates of the source between them, which the SCER loss measures
(Maciejewski & Cornell, arXiv 2604.08415, abstract). So both must be different
speakers. How the rings of an epoch are laid out so that this always succeeds
is our own work:

1. *Quotas.* Every speaker gets a number of appearances in the epoch, in
   proportion to its recordings, but never more than the rings can take.
2. *Dealing.* The appearances, sorted by speaker, are dealt to the rings one
   by one, which spreads each speaker as evenly as whole numbers allow;
   random exchanges that keep the spread then break up the groups.
3. *Placing.* A ring is cut into blocks longer than the least distance.
   Speakers, the most frequent first, fill the first places of all blocks,
   then the second places, and so on: two places of one speaker are then
   always far enough apart. A random turn of the ring follows.
4. *Recordings.* Each speaker's recordings are shuffled and used in turn.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """One source of a batch: which recording, and its own randomness.

    Arguments
    ---------
    index : int
        Position in the list of recordings.
    seed : int
        From it follow the crop, noise, signal-to-noise ratio, gain and room
        of this source; from 0 to 2**63 - 1.
    """

    index: int
    seed: int


class SharedSampler(Sampler):
    """Batches of an epoch that processes share, laid out when it starts.

    What an epoch holds follows from `seed` and its number alone. Batch g of
    all goes to rank ``g % world_size``. Skipping the first n batches leaves
    exactly the rest, without reading audio: so ``SaveableDataLoader`` resumes.

    Arguments
    ---------
    batches : int
        For each rank in an epoch.
    seed : int
        Not negative.
    rank, world_size : int
        This process among those that train together.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Example
    -------
    >>> sampler = SharedSampler(3, seed=1, rank=1, world_size=2)
    >>> len(sampler), list(range(6))[sampler.mine]
    (3, [1, 3, 5])
    """

    def __init__(
        self, batches: int, *, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(
                f"rank is {rank} and world_size {world_size}; rank must lie "
                "from 0 to world_size - 1"
            )
        if batches < 1:
            raise ValueError(f"batches is {batches}; it must be at least 1")
        if seed < 0:
            raise ValueError(f"seed is {seed}; it must not be negative")
        self.batches = batches
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration goes through.

        Arguments
        ---------
        epoch : int
            Its number, not negative.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches

    def generator(self) -> np.random.Generator:
        """Return the epoch's randomness, the same for all ranks."""
        return np.random.default_rng([self.seed, self.epoch])

    @property
    def mine(self) -> slice:
        """Which of all batches are this rank's."""
        return slice(self.rank, None, self.world_size)


class RingSampler(SharedSampler):
    """Batches of recordings for ring mixing, the same for every resumption.

    Each iteration yields lists of ``ring_size`` ``Draw``. These invariants
    hold for every epoch, and are tested under these numbers:

    1. Every ring has ``ring_size`` draws.
    2. Neighbors, and neighbors of neighbors, are different speakers,
       also where the ring closes.
    3. With ``alternate_sexes``, women and men alternate, a woman first.
    4. No recording stands twice in a ring.
    5. Recordings are used evenly over all ranks: the counts of two
       recordings of one speaker differ by at most 1, and so do those of any
       two recordings (of one sex, if sexes alternate) whose speakers are not
       at their limit. The limit: a speaker can stand in a ring at most
       ``ring_size // 3`` times (``ring_size // 4`` if sexes alternate), and
       not oftener than it has recordings. No speaker stands in a ring
       oftener than its appearances over the number of rings, rounded up.
    6. The epoch follows from ``seed`` and the epoch's number alone.
    7. Another epoch, or another seed, gives other rings and other draw seeds.
    8. Ring g of ``rings * world_size`` goes to rank ``g % world_size``: the
       ranks share nothing, and together are what one process would see.
    9. Skipping the first n rings leaves exactly the rest, without reading
       audio: that is how ``SaveableDataLoader`` resumes.

    The order for a whole epoch is laid out when the iteration starts, at
    about 30 microseconds a ring of 16.

    Arguments
    ---------
    speakers : sequence of str
        Speaker of each recording.
    ring_size : int
        Sources in a ring (N), at least 3; even if sexes alternate.
    sexes : sequence of str, optional
        "F" or "M" for each recording; needed if sexes alternate.
    alternate_sexes : bool
        Whether a woman and a man stand in every mixture.
    rings : int, optional
        Rings for each rank in an epoch. By default as many as use every
        recording about once, and at least 1.
    seed : int
        Not negative.
    rank, world_size : int
        This process among those that train together.

    Raises
    ------
    ValueError
        If the recordings cannot fill such a ring, or an argument is out of
        its range; the message names the value and what is needed.

    Example
    -------
    >>> sampler = RingSampler(speakers="aabbccddee", ring_size=5, seed=1)
    >>> len(sampler)
    2
    >>> for ring in sampler:
    ...     assert len({"aabbccddee"[draw.index] for draw in ring}) == 5
    """

    def __init__(
        self,
        *,
        speakers: Sequence[str],
        ring_size: int,
        sexes: Sequence[str] | None = None,
        alternate_sexes: bool = False,
        rings: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        if ring_size < 3:
            raise ValueError(
                f"ring_size is {ring_size}; it must be at least 3: in a ring "
                "of two, both mixtures are the same"
            )
        if rings is None:
            rings = max(1, len(speakers) // (ring_size * max(1, world_size)))
        if rings < 1:
            raise ValueError(f"rings is {rings}; it must be at least 1")
        super().__init__(rings, seed=seed, rank=rank, world_size=world_size)
        for index, speaker in enumerate(speakers):
            if not speaker:
                raise ValueError(
                    f"recording {index} has no speaker; rings need to know "
                    "the speaker of every recording"
                )
        if alternate_sexes:
            groups = _split_by_sex(speakers, sexes, ring_size)
            self._circles = [
                _Circle(group, ring_size // 2, 1, f"{name} ")
                for name, group in groups.items()
            ]
        else:
            everyone = dict(enumerate(speakers))
            self._circles = [_Circle(everyone, ring_size, 2, "")]
        self.ring_size = ring_size

    def __iter__(self) -> Iterator[list[Draw]]:
        generator = self.generator()
        shape = (self.batches * self.world_size, self.ring_size)
        seeds = generator.integers(2**63, size=shape)
        indices = np.empty(shape, dtype=np.int64)
        step = len(self._circles)
        for first, circle in enumerate(self._circles):
            indices[:, first::step] = circle.lay_out(shape[0], generator)
        mine = self.mine
        return (
            list(map(Draw, ring.tolist(), ring_seeds.tolist()))
            for ring, ring_seeds in zip(indices[mine], seeds[mine], strict=True)
        )


class _Circle:
    """Circles of places, one speaker's further apart than ``distance``.

    ``speakers`` maps indices of recordings to speakers.
    """

    def __init__(self, speakers, size, distance, group):
        names = sorted(set(speakers.values()))
        numbers = {name: number for number, name in enumerate(names)}
        self.size = size
        self.recordings = np.array(list(speakers), dtype=np.int64)
        self.speakers = np.array(
            [numbers[name] for name in speakers.values()], dtype=np.int64
        )
        self.counts = np.bincount(self.speakers, minlength=len(names))
        most = size // (distance + 1)
        self.most = np.minimum(most, self.counts)
        self.places = _placing_order(size, distance)
        rule = (
            f"a ring with {size} {group}sources takes a speaker at most "
            f"{most} time{'s' if most > 1 else ''} and a recording once"
        )
        needed = -(-size // most)
        if len(names) < needed:
            raise ValueError(
                f"there are {len(names)} {group}speakers; at least {needed} "
                f"are needed: {rule}. Add speakers or make ring_size smaller"
            )
        if self.most.sum() < size:
            raise ValueError(
                f"the {len(self.recordings)} recordings of {len(names)} "
                f"{group}speakers fill only {self.most.sum()} places: {rule}. "
                "Add recordings or make ring_size smaller"
            )

    def lay_out(self, rings, generator):
        """Draw indices of recordings, shape (rings, size)."""
        quotas = _quotas(
            self.counts, rings * self.most, rings * self.size, generator
        )
        table = _deal(quotas, rings, self.size, generator)
        grouped = np.array(
            [
                [
                    speaker
                    for speaker, count in Counter(ring).most_common()
                    for _ in range(count)
                ]
                for ring in generator.permuted(table, axis=1).tolist()
            ]
        )
        turns = generator.integers(self.size, size=(rings, 1))
        circle = np.empty_like(grouped)
        np.put_along_axis(
            circle, (self.places + turns) % self.size, grouped, axis=1
        )
        return self._recordings_of(circle, generator)

    def _recordings_of(self, circle, generator):
        """Use each speaker's recordings in turn, in a random order."""
        shuffled = generator.permutation(len(self.speakers))
        by_speaker = shuffled[np.argsort(self.speakers[shuffled])]
        first = np.cumsum(self.counts) - self.counts
        appearances = circle.ravel()
        order = np.argsort(appearances, kind="stable")
        times = np.bincount(appearances, minlength=len(self.counts))
        turn = np.empty_like(order)
        turn[order] = np.arange(len(order)) - np.repeat(
            np.cumsum(times) - times, times
        )
        chosen = first[appearances] + turn % self.counts[appearances]
        return self.recordings[by_speaker[chosen]].reshape(circle.shape)


def _split_by_sex(speakers, sexes, ring_size):
    """Map the recordings of women, and of men, to their speakers."""
    if ring_size % 2:
        raise ValueError(
            f"ring_size is {ring_size}; it must be even for sexes to alternate"
        )
    if sexes is None or len(sexes) != len(speakers):
        raise ValueError(
            "alternate_sexes needs the sex of each of the "
            f"{len(speakers)} recordings; sexes has {len(sexes or ())}"
        )
    groups = {"F": {}, "M": {}}
    for index, (speaker, sex) in enumerate(zip(speakers, sexes, strict=True)):
        if sex not in groups:
            raise ValueError(
                f"recording {index} of speaker {speaker!r} has the sex "
                f"{sex!r}; alternate_sexes needs F or M for every recording. "
                "Complete the manifest or set alternate_sexes to False (in a "
                "recipe also to by_pitch)"
            )
        groups[sex][index] = speaker
    for sex, group in groups.items():
        if not group:
            raise ValueError(
                f"no recording has the sex {sex}; set alternate_sexes to False"
            )
    return {"female": groups["F"], "male": groups["M"]}


def _placing_order(size, distance):
    """Order the places of a circle for speakers to fill.

    The most frequent speaker comes first; none stands in the circle more than
    ``size // (distance + 1)`` times.
    """
    blocks, longer = divmod(size, distance + 1)
    if blocks == 1:
        return np.arange(size)
    lengths = [distance + 1 + (block < longer) for block in range(blocks)]
    starts = np.cumsum([0, *lengths])
    return np.array(
        [
            starts[block] + place
            for place in range(distance + 2)
            for block in range(blocks)
            if place < lengths[block]
        ]
    )


def _quotas(counts, limits, total, generator):
    """Share out ``total`` appearances among the speakers.

    Each gets them in proportion to its recordings, ``counts``, and none more
    than its limit.
    """
    free = np.ones(len(counts), dtype=bool)
    while True:
        rest = total - limits[~free].sum()
        recordings = counts[free].sum()
        full = free & (counts * rest >= limits * recordings)
        if not full.any():
            break
        free &= ~full
    quotas = limits.copy()
    if free.any():
        whole, extra = divmod(rest, recordings)
        quotas[free] = whole * counts[free]
        room = np.where(free, np.minimum(counts, limits - quotas), 0)
        candidates = np.repeat(np.arange(len(counts)), room)
        chosen = generator.choice(candidates, extra, replace=False)
        quotas += np.bincount(chosen, minlength=len(counts))
    return quotas


def _deal(quotas, rings, size, generator):
    """Spread speakers evenly over the rings, shape (rings, size)."""
    order = generator.permutation(len(quotas))
    appearances = np.repeat(order, quotas[order])
    table = appearances.reshape(size, rings).T.tolist()
    most = (-(-quotas // rings)).tolist()
    others = generator.integers(rings, size=(rings, size)).tolist()
    columns = generator.integers(size, size=(rings, size)).tolist()
    for number, ring in enumerate(table):
        for column in range(size):
            other = table[others[number][column]]
            other_column = columns[number][column]
            mine, theirs = ring[column], other[other_column]
            if (
                other is not ring
                and mine != theirs
                and ring.count(theirs) < most[theirs]
                and other.count(mine) < most[mine]
            ):
                ring[column], other[other_column] = theirs, mine
    return np.array(table)
