"""The numbered invariants of RingSampler, over many random corpora."""

from collections import Counter

import numpy as np
import pytest

from speechbrain_ext.dataio import RingSampler


def random_corpus(generator):
    """Arguments of a sampler that the recordings can just or easily fill."""
    alternate = bool(generator.integers(2))
    size = int(generator.integers(2, 11)) * 2
    if not alternate:
        size = int(generator.integers(3, 21))
    places = size // 2 if alternate else size
    most = places // (2 if alternate else 3)
    names, sexes = [], []
    for sex in "FM":
        number = -(-places // most) + int(generator.integers(0, 12))
        # few recordings each, or one speaker that owns most of them
        counts = most + generator.integers(0, 6, number)
        if generator.integers(3) == 0:
            counts[0] *= 30
        for speaker, count in enumerate(counts):
            names += [f"{sex}{speaker}"] * int(count)
            sexes += [sex] * int(count)
    order = generator.permutation(len(names))
    return {
        "speakers": [names[i] for i in order],
        "sexes": [sexes[i] for i in order],
        "ring_size": size,
        "alternate_sexes": alternate,
        "rings": [None, int(generator.integers(1, 40))][generator.integers(2)],
        "seed": int(generator.integers(1000)),
    }


@pytest.fixture(params=range(150))
def corpus(request):
    return random_corpus(np.random.default_rng(request.param))


def check_rings(rings, corpus):
    """Invariants 1 to 4."""
    size = corpus["ring_size"]
    for ring in rings:
        assert len(ring) == size
        speakers = [corpus["speakers"][draw.index] for draw in ring]
        sexes = "".join(corpus["sexes"][draw.index] for draw in ring)
        for place in range(size):
            for step in (1, 2):
                assert speakers[place] != speakers[(place + step) % size]
        if corpus["alternate_sexes"]:
            assert sexes == "FM" * (size // 2)
        assert len({draw.index for draw in ring}) == size


def check_evenness(rings, corpus):
    """Invariant 5."""
    speakers, size = corpus["speakers"], corpus["ring_size"]
    alternate = corpus["alternate_sexes"]
    uses = Counter(draw.index for ring in rings for draw in ring)
    owned = Counter(speakers)
    most = size // (4 if alternate else 3)
    limits = {s: len(rings) * min(most, owned[s]) for s in owned}
    appearances = Counter(speakers[draw.index] for r in rings for draw in r)
    below = {"F": [], "M": []}
    for speaker in owned:
        counts = [uses[i] for i, s in enumerate(speakers) if s == speaker]
        assert max(counts) - min(counts) <= 1
        assert appearances[speaker] <= limits[speaker]
        if appearances[speaker] < limits[speaker]:
            below[speaker[0] if alternate else "F"] += counts
    for counts in below.values():
        assert not counts or max(counts) - min(counts) <= 1
    for ring in rings:
        for speaker, times in Counter(
            speakers[draw.index] for draw in ring
        ).items():
            assert times <= -(-appearances[speaker] // len(rings))


def test_invariants_1_to_5(corpus):
    sampler = RingSampler(**corpus)
    sampler.set_epoch(3)
    rings = list(sampler)
    assert len(rings) == len(sampler)
    check_rings(rings, corpus)
    check_evenness(rings, corpus)


def test_invariants_6_to_9(corpus):
    def rings(epoch, **changes):
        sampler = RingSampler(**{**corpus, **changes})
        list(sampler)  # what was drawn before must not matter
        sampler.set_epoch(epoch)
        return list(sampler)

    number = len(RingSampler(**corpus))
    second = rings(2)
    assert second == rings(2)
    assert second != rings(3)
    assert second != rings(2, seed=corpus["seed"] + 1)

    world = 3
    joined = rings(2, rings=world * number)
    for rank in range(world):
        mine = rings(2, rings=number, rank=rank, world_size=world)
        assert mine == joined[rank::world]

    sampler = RingSampler(**corpus)
    sampler.set_epoch(2)
    resumed = iter(sampler)
    for _ in range(number // 2):
        next(resumed)
    assert list(resumed) == second[number // 2 :]


def test_default_uses_every_recording_about_once():
    speakers = [str(number % 50) for number in range(1000)]
    sampler = RingSampler(speakers=speakers, ring_size=16, world_size=2)
    assert len(sampler) == 1000 // 32
    assert len(RingSampler(speakers="abc", ring_size=3, world_size=2)) == 1
    joined = RingSampler(speakers=speakers, ring_size=16, rings=62)
    uses = Counter(draw.index for ring in joined for draw in ring)
    assert len(uses) == 62 * 16 and set(uses.values()) == {1}


def test_draw_seeds_are_all_different():
    sampler = RingSampler(speakers="abcdefgh" * 10, ring_size=8, rings=200)
    seeds = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        seeds += [draw.seed for ring in sampler for draw in ring]
    assert len(set(seeds)) == 3200
    assert 0 <= min(seeds) and max(seeds) < 2**63


def test_speakers_meet_at_random():
    # dealing puts speakers in the same rings; the exchanges must undo that:
    # over an epoch no two speakers may meet far oftener than by chance
    speakers = [f"{number % 200:03d}" for number in range(4000)]
    meetings = Counter()
    for ring in RingSampler(speakers=speakers, ring_size=16, seed=5):
        present = sorted(speakers[draw.index] for draw in ring)
        meetings.update(
            (a, b) for i, a in enumerate(present) for b in present[i + 1 :]
        )
    # 250 rings x 120 pairs over 19900 pairs: 1.5 on average
    assert max(meetings.values()) <= 9
    assert len(meetings) > 13500


def test_every_neighborhood_occurs():
    sampler = RingSampler(speakers="abcde", ring_size=5, rings=300)
    pairs = {
        (ring[k].index, ring[(k + 1) % 5].index)
        for ring in sampler
        for k in range(5)
    }
    assert len(pairs) == 20


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"ring_size": 2}, "ring_size is 2.*both mixtures are the same"),
        ({"speakers": "aaaaaa"}, "there are 1 speakers; at least 3"),
        ({"speakers": "ababab"}, "there are 2 speakers; at least 3"),
        ({"ring_size": 5, "speakers": "abcd"}, "are 4 speakers; at least 5"),
        ({"speakers": ""}, "there are 0 speakers"),
        ({"speakers": "abcaa"}, "the 5 recordings of 3 .*only 4 places"),
        ({"speakers": ["a", "b", ""]}, "recording 2 has no speaker"),
        ({"rings": 0}, "rings is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"rank": 2, "world_size": 2}, "rank is 2 and world_size 2"),
    ],
)
def test_errors(changes, message):
    arguments = {"speakers": "aabbcc", "ring_size": 6, **changes}
    with pytest.raises(ValueError, match=message):
        RingSampler(**arguments)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"ring_size": 5}, "ring_size is 5; it must be even"),
        ({"sexes": None}, "sex of each of the 4 recordings; sexes has 0"),
        ({"sexes": "FM"}, "sex of each of the 4 recordings; sexes has 2"),
        ({"sexes": ["F", "M", "", "M"]}, "recording 2 of speaker 'c'"),
        ({"sexes": "FFFF"}, "no recording has the sex M"),
        ({"sexes": "FFFM"}, "there are 1 male speakers; at least 2"),
    ],
)
def test_errors_of_alternating_sexes(changes, message):
    arguments = {
        "speakers": "abcd",
        "sexes": "FMFM",
        "ring_size": 4,
        "alternate_sexes": True,
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        RingSampler(**arguments)
