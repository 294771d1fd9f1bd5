"""Which sounds stand in a mixture."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from speechbrain_ext.dataio.recordings import Recording
from speechbrain_ext.dataio.samplers import SharedSampler


class SoundDraw(NamedTuple):
    """One mixture: which recordings, and its own randomness.

    Arguments
    ---------
    indices : tuple of int
        Positions in the list of recordings; a noise comes last.
    seed : int
        From it follow the crops and levels.
    """

    indices: tuple[int, ...]
    seed: int


class SoundSampler(SharedSampler):
    """Batches of mixtures of voices, sound events and noise.

    These invariants hold for every epoch, and are tested under these numbers:

    1. Of all mixtures of the epoch, over all ranks, `single_ratio` of them
       holds one source; each of the numbers 2 to `most_sources` has an equal
       part of the others. Counts are right to one mixture.
    2. No event class and no speaker stands twice in a mixture, and at most
       `most_voices` speakers do.
    3. A mixture of several sources holds a noise in place of one of them with
       the probability `noise_probability`; no mixture holds two. The noise is
       not of the class of an event beside it.
    4. No recording stands in two mixtures that are summed (0 with 1, 2 with
       3, ...), unless its class or speaker has no other.
    5. The epoch follows from `seed` and its number; another one is another.
    6. Ranks share no batch, and together are what one process would see.
    7. Skipping the first n batches leaves exactly the rest.

    Classes and speakers are equally frequent, however many recordings they
    have.

    Arguments
    ---------
    recordings : sequence of Recording
        Of the kinds speech (with a speaker), event (with a label) and noise;
        others are not drawn.
    batch_size : int
        Mixtures in a batch.
    batches : int
        For each rank in an epoch.
    single_ratio : float
        Ratio of mixtures with one source, from 0 to 1. MixIT learns
        nothing from one source each, and little from always two.
    most_sources : int
        In a mixture.
    most_voices : int
        Speakers in a mixture.
    voice_probability : float
        Probability that a source is a voice, as long as there may be more.
    noise_probability : float
        See 3.
    seed, rank, world_size : int
        See `SharedSampler`.

    Raises
    ------
    ValueError
        If there are no events, or too few classes; if an event has no label
        or a voice no speaker; if a value is out of its range.

    Example
    -------
    >>> recordings = [
    ...     Recording(c, f"/{c}.wav", 9, 8000, "event", "train", label=c)
    ...     for c in "abcd"
    ... ]
    >>> sampler = SoundSampler(
    ...     recordings, batch_size=4, batches=1, single_ratio=0.5,
    ...     most_sources=2, voice_probability=0.0,
    ... )
    >>> sorted(len(draw.indices) for draw in next(iter(sampler)))
    [1, 1, 2, 2]
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        batch_size: int,
        batches: int,
        single_ratio: float,
        most_sources: int,
        most_voices: int = 1,
        voice_probability: float = 0.3,
        noise_probability: float = 0.0,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batches, seed=seed, rank=rank, world_size=world_size)
        ratios = {
            "single_ratio": single_ratio,
            "voice_probability": voice_probability,
            "noise_probability": noise_probability,
        }
        for name, ratio in ratios.items():
            if not 0 <= ratio <= 1:
                raise ValueError(f"{name} is {ratio}; it lies from 0 to 1")
        if most_sources < 2 or batch_size < 1 or most_voices < 0:
            raise ValueError(
                f"most_sources is {most_sources}, batch_size {batch_size} and "
                f"most_voices {most_voices}; they must be at least 2, 1 and 0"
            )
        self.voices, self.events, self.noises = _groups(recordings)
        self.labels = [recording.label for recording in recordings]
        if not self.events:
            raise ValueError(
                "there are no sound events; give recordings of the kind event"
            )
        if voice_probability and most_voices and not self.voices:
            raise ValueError(
                "there is no speech; add some, or set voice_probability to 0"
            )
        if noise_probability and not self.noises:
            raise ValueError(
                "there is no noise; add some, or set noise_probability to 0"
            )
        most_voices = min(most_voices, len(self.voices))
        most_voices *= voice_probability > 0
        if most_sources > len(self.events) + most_voices:
            raise ValueError(
                f"most_sources is {most_sources}; {len(self.events)} event "
                f"classes and {most_voices} voice(s) at a time make fewer. Add "
                "classes, or make most_sources smaller"
            )
        self.batch_size = batch_size
        self.single_ratio = single_ratio
        self.most_sources = most_sources
        self.most_voices = most_voices
        self.voice_probability = voice_probability
        self.noise_probability = noise_probability

    def __iter__(self) -> Iterator[list[SoundDraw]]:
        generator = self.generator()
        shape = (self.batches * self.world_size, self.batch_size)
        seeds = generator.integers(2**63, size=(*shape, 2))
        counts = generator.permutation(self._counts(shape[0] * shape[1]))
        counts = counts.reshape(shape)
        return (
            self._draw_batch(sizes, keys)
            for sizes, keys in zip(
                counts[self.mine].tolist(), seeds[self.mine].tolist(),
                strict=True,
            )
        )  # fmt: skip

    def _counts(self, total):
        """Return how many sources each of all mixtures has, sorted."""
        several = self.most_sources - 1
        ratio = (1 - self.single_ratio) / several
        ratios = [self.single_ratio, *[ratio] * several]
        ends = np.round(np.cumsum(ratios) * total).astype(int)
        numbers = np.diff(ends, prepend=0)
        return np.repeat(np.arange(1, self.most_sources + 1), numbers)

    def _draw_batch(self, sizes, keys):
        """Draw the mixtures of a batch, two by two."""
        draws = []
        for place, (size, (key, seed)) in enumerate(
            zip(sizes, keys, strict=True)
        ):
            taken = draws[-1].indices if place % 2 else ()
            generator = np.random.default_rng(key)
            indices = self._draw_mixture(size, generator, set(taken))
            draws.append(SoundDraw(indices, seed))
        return draws

    def _draw_mixture(self, size, generator, taken):
        """Draw one mixture's recordings, others than those taken."""
        noisy = size > 1 and generator.random() < self.noise_probability
        sounds = size - noisy
        voices = int(generator.binomial(sounds, self.voice_probability))
        voices = min(voices, self.most_voices)
        voices = max(voices, sounds - len(self.events))
        chosen = [
            groups[number]
            for groups, count in (
                (self.voices, voices),
                (self.events, sounds - voices),
            )
            for number in generator.choice(len(groups), count, replace=False)
        ]
        if noisy:
            labels = {self.labels[group[0]] for group in chosen} - {""}
            fitting = [n for n in self.noises if self.labels[n] not in labels]
            chosen.append(fitting or self.noises)
        return tuple(
            int(generator.choice([n for n in group if n not in taken] or group))
            for group in chosen
        )


def _groups(recordings):
    """Return indices by speaker, by event class, and of the noises."""
    groups = {kind: defaultdict(list) for kind in ("speech", "event", "noise")}
    for index, recording in enumerate(recordings):
        if recording.kind not in groups:
            continue
        name = {
            "speech": recording.speaker,
            "event": recording.label,
            "noise": "noise",
        }[recording.kind]
        if not name:
            wanted = "speaker" if recording.kind == "speech" else "label"
            raise ValueError(
                f"{recording.id} is of the kind {recording.kind} and has no "
                f"{wanted}; complete the data, so that none stands twice "
                "in a mixture"
            )
        groups[recording.kind][name].append(index)
    voices, events, noises = (
        [members for _, members in sorted(group.items())]
        for group in groups.values()
    )
    return voices, events, noises[0] if noises else []
