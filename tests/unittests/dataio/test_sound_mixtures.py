from collections import Counter

import numpy as np
import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.dataio import (
    ClipSampler,
    ReadyMixtures,
    Recording,
    SoundMixtures,
    SoundSampler,
    read_recordings,
    write_manifest,
)

RATE = 8000
CLIP = 0.1


def recording(kind, name, number):
    return Recording(
        f"{kind}/{name}{number}",
        f"/{name}{number}.wav",
        9,
        RATE,
        kind,
        "train",
        speaker=name if kind == "speech" else "",
        label="" if kind == "speech" else name,
    )


RECORDINGS = [
    recording(kind, f"{kind}{group}", number)
    for kind, groups in (("speech", 4), ("event", 5), ("noise", 1))
    for group in range(groups)
    for number in range(3)
] + [recording("noise", "event0", 0)]


def make_sampler(**options):
    options = {
        "batch_size": 6,
        "batches": 50,
        "single_ratio": 0.4,
        "most_sources": 3,
        "most_voices": 2,
        "noise_probability": 0.5,
        "voice_probability": 0.4,
        **options,
    }
    return SoundSampler(RECORDINGS, **options)


def mixtures_of(sampler):
    return [draw for batch in sampler for draw in batch]


@pytest.mark.parametrize(
    "single_ratio, most, batch_size", [(0.4, 3, 6), (0.25, 4, 7), (0.9, 2, 1)]
)
def test_invariant_1_shares_of_the_numbers(single_ratio, most, batch_size):
    sampler = make_sampler(
        single_ratio=single_ratio, most_sources=most, batch_size=batch_size
    )
    total = 50 * batch_size
    found = Counter(len(draw.indices) for draw in mixtures_of(sampler))
    assert found.total() == total
    assert set(found) == set(range(1, most + 1))
    assert found[1] == pytest.approx(single_ratio * total, abs=1)
    for count in range(2, most + 1):
        share = (1 - single_ratio) / (most - 1)
        assert found[count] == pytest.approx(share * total, abs=1)


def test_invariants_2_and_3_what_stands_together():
    draws = mixtures_of(make_sampler(batches=200))
    noisy, several, most_voices = 0, 0, 0
    for draw in draws:
        chosen = [RECORDINGS[index] for index in draw.indices]
        names = [r.speaker or r.label for r in chosen]
        assert len(set(names)) == len(names)
        kinds = Counter(r.kind for r in chosen)
        assert kinds["noise"] <= (len(chosen) > 1)
        several += len(chosen) > 1
        noisy += kinds["noise"]
        most_voices = max(most_voices, kinds["speech"])
        if kinds["noise"]:
            assert chosen[-1].kind == "noise"
    assert most_voices == 2
    assert noisy / several == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
def test_voices_and_classes_are_equally_frequent():
    sampler = make_sampler(batches=1500, noise_probability=0, most_sources=2)
    count = Counter(
        RECORDINGS[index].id
        for draw in mixtures_of(sampler)
        for index in draw.indices
    )
    for kind, number in (("speech", 12), ("event", 15)):
        counts = [n for name, n in count.items() if name.startswith(kind)]
        assert len(counts) == number
        assert max(counts) < 1.4 * min(counts)


def test_invariant_4_summed_mixtures_share_no_recording():
    for batch in make_sampler(batches=200):
        for first, second in zip(batch[::2], batch[1::2], strict=True):
            assert not set(first.indices) & set(second.indices)


def test_invariants_5_to_7_epochs_ranks_and_resumption():
    whole = list(make_sampler(seed=3))
    assert list(make_sampler(seed=3)) == whole
    assert list(make_sampler(seed=4)) != whole
    other = make_sampler(seed=3)
    other.set_epoch(1)
    second = list(other)
    assert not {d.seed for b in whole for d in b} & {
        d.seed for b in second for d in b
    }
    ranks = [
        list(make_sampler(seed=3, batches=25, rank=rank, world_size=2))
        for rank in (0, 1)
    ]
    assert [b for pair in zip(*ranks, strict=True) for b in pair] == whole
    rest = iter(make_sampler(seed=3))
    for _ in range(20):
        next(rest)
    assert list(rest) == whole[20:]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"most_sources": 1}, "most_sources is 1"),
        ({"single_ratio": 1.1}, "single_ratio is 1.1"),
        ({"most_sources": 8}, "5 event classes and 2 voice"),
        ({"most_sources": 6, "voice_probability": 0.0}, "and 0 voice"),
        ({"batches": 0}, "batches is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_values_that_cannot_be_meant(options, message):
    with pytest.raises(ValueError, match=message):
        make_sampler(**options)


@pytest.mark.parametrize(
    "kept, message",
    [
        ("speech noise", "there are no sound events"),
        ("event noise", "there is no speech"),
        ("event speech", "there is no noise"),
    ],
)
def test_kinds_that_are_missing(kept, message):
    recordings = [r for r in RECORDINGS if r.kind in kept]
    options = {"single_ratio": 0.5, "most_sources": 2, "noise_probability": 0.1}
    with pytest.raises(ValueError, match=message):
        SoundSampler(recordings, batch_size=2, batches=1, **options)


def test_events_need_labels_and_voices_speakers():
    for kind, wanted in (("event", "label"), ("speech", "speaker")):
        nameless = recording(kind, "", 1)
        with pytest.raises(ValueError, match=f"{kind}/1 .* has no {wanted}"):
            SoundSampler(
                [*RECORDINGS, nameless],
                batch_size=2,
                batches=1,
                single_ratio=0.5,
                most_sources=2,
            )


def test_clips_are_used_evenly_at_random_or_once_in_their_order():
    sampler = ClipSampler(7, batch_size=2, batches=10, seed=1)
    indices = [draw.index for batch in sampler for draw in batch]
    counts = Counter(indices)
    assert len(indices) == 20 and len(counts) == 7
    assert max(counts.values()) - min(counts.values()) <= 1
    sampler.set_epoch(1)
    assert [d.index for b in sampler for d in b] != indices
    ranks = [
        ClipSampler(7, batch_size=2, batches=5, seed=1, rank=r, world_size=2)
        for r in (0, 1)
    ]
    joined = [b for pair in zip(*map(list, ranks), strict=True) for b in pair]
    assert [draw.index for batch in joined for draw in batch] == indices
    ordered = ClipSampler(7, batch_size=3, batches=9, shuffle=False)
    assert len(ordered) == 3
    assert [d.index for b in ordered for d in b] == list(range(7))


# Sound -----------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path, write):
    """Two voices, three classes of events shorter than a clip, a noise."""
    generator = np.random.default_rng(0)
    recordings = []
    for kind, name, samples in (
        ("speech", "ann", 2000),
        ("speech", "bob", 2000),
        ("event", "bell", 300),
        ("event", "drum", 500),
        ("event", "horn", 2000),
        ("noise", "rain", 3000),
    ):
        written = write(
            name,
            0.1 * generator.standard_normal(samples),
            kind=kind,
            speaker=name if kind == "speech" else "",
        )
        label = "" if kind == "speech" else name
        recordings.append(Recording(**{**vars(written), "label": label}))
    path = tmp_path / "manifest.csv"
    write_manifest(path, recordings)
    return path


def make(path, **options):
    options = {
        "batch_size": 8,
        "batches": 4,
        "single_ratio": 0.25,
        "most_sources": 3,
        "noise_probability": 0.5,
        "snr_db": (10.0, 10.0),
        **options,
    }
    return SoundMixtures(
        path, split="train", sample_rate=RATE, segment_seconds=CLIP, **options
    )


def test_references_sum_to_the_mixture_and_have_their_levels(manifest):
    mixtures = make(manifest, max_sources=5)
    assert mixtures.classes == ["speech", "bell", "drum", "horn"]
    seen = set()
    for batch in mixtures.loader:
        mixed = mixtures.mix(batch)
        assert mixed.mixture.shape == (8, RATE * CLIP)
        assert mixed.references.shape == (8, 5, RATE * CLIP)
        torch.testing.assert_close(mixed.references.sum(1), mixed.mixture)
        levels = 10 * mixed.references.square().mean(-1).log10()
        for number, names in enumerate(batch["id"]):
            names = names.split("+")
            level = levels[number].tolist()
            assert level[len(names) :] == [-np.inf] * (5 - len(names))
            voices = {"ann", "bob"} & set(names)
            expected = {"speech"} if voices else set()
            expected |= set(names) - {"ann", "bob", "rain"}
            labels = mixed.labels[number].bool().tolist()
            assert expected == {
                name
                for name, there in zip(mixtures.classes, labels, strict=True)
                if there
            }
            if names[-1] == "rain" and len(names) > 1:
                sounds = 10 * np.log10(
                    sum(10 ** (x / 10) for x in level[: len(names) - 1])
                )
                assert sounds - level[len(names) - 1] == pytest.approx(10, 1e-3)
                names.pop()
                seen.add("noise")
            for value in level[: len(names)]:
                assert -30.01 < value < -19.99
    assert seen == {"noise"}


def test_short_events_are_heard_whole_at_many_places(manifest):
    mixtures = make(
        manifest, batches=20, noise_probability=0.0, voice_probability=0.0
    )
    starts = set()
    for batch in mixtures.loader:
        mixed = mixtures.mix(batch)
        for names, references in zip(
            batch["id"], mixed.references, strict=True
        ):
            for name, reference in zip(
                names.split("+"), references, strict=False
            ):
                if name == "bell":
                    places = reference.nonzero()
                    assert places.max() - places.min() < 300
                    assert len(places) > 290
                    starts.add(int(places.min()))
    assert max(starts) - min(starts) > 300


def test_training_sees_mixtures_only_the_same_for_a_seed(manifest):
    blind = make(manifest, references=False, seed=1)
    known = make(manifest, seed=1)
    for first, second in zip(blind.loader, known.loader, strict=True):
        mixed = blind.mix(first)
        assert mixed.references is None
        assert torch.equal(mixed.mixture, known.mix(second).mixture)


def test_it_goes_on_within_an_epoch(manifest, tmp_path):
    whole = [batch["sources"] for batch in make(manifest, seed=1).loader]
    mixtures = make(manifest, seed=1)
    checkpointer = Checkpointer(tmp_path / "save", {"loader": mixtures.loader})
    batches = iter(mixtures.loader)
    next(batches), next(batches)
    checkpointer.save_checkpoint(end_of_epoch=False)
    resumed = make(manifest, seed=1)
    checkpointer = Checkpointer(tmp_path / "save", {"loader": resumed.loader})
    checkpointer.recover_if_possible()
    rest = [batch["sources"] for batch in resumed.loader]
    assert len(rest) == 2
    assert all(map(torch.equal, rest, whole[2:]))


def test_errors_name_the_manifest_and_the_mend(manifest):
    with pytest.raises(ValueError, match="split 'valid': there are no sound"):
        SoundMixtures(
            manifest,
            split="valid",
            sample_rate=RATE,
            segment_seconds=CLIP,
            batch_size=2,
            batches=1,
            single_ratio=0.5,
            most_sources=2,
        )
    with pytest.raises(ValueError, match="snr_db null"):
        make(manifest, snr_db=None)
    with pytest.raises(ValueError, match="the lower one comes first"):
        make(manifest, snr_db=(5.0, 0.0))
    with pytest.raises(ValueError, match="gain_db is -1"):
        make(manifest, gain_db=-1)


# Ready-made clips ------------------------------------------------------------


@pytest.fixture
def clips(tmp_path, write):
    """Three mixtures with one, two and three references."""
    generator = np.random.default_rng(0)
    recordings = []
    for number in (1, 2, 3):
        sources = 0.1 * generator.standard_normal((number, 900))
        sources = np.round(sources * 2**15) / 2**15
        for place, source in enumerate(sources):
            made = write(f"{number}_{place}", source, kind="event")
            renamed = {"id": f"event/{number}/s{place}", "label": f"c{place}"}
            recordings.append(Recording(**{**vars(made), **renamed}))
        made = write(f"mix{number}", sources.sum(0), kind="mixture")
        recordings.append(
            Recording(**{**vars(made), "id": f"mixture/{number}"})
        )
    path = tmp_path / "clips.csv"
    write_manifest(path, recordings)
    return path


def ready(path, **options):
    options = {
        "batch_size": 3,
        "batches": 1,
        "segment_seconds": CLIP,
        **options,
    }
    return ReadyMixtures(path, split="train", sample_rate=RATE, **options)


@pytest.mark.parametrize("seconds", [0.1, 0.1125, 0.2])
def test_clips_are_cut_or_filled_to_their_length(clips, seconds):
    mixtures = ready(clips, segment_seconds=seconds)
    (batch,) = mixtures.loader
    mixed = mixtures.mix(batch)
    assert batch["id"] == ["mixture/1", "mixture/2", "mixture/3"]
    assert mixed.references.shape == (3, 4, round(seconds * RATE))
    active = mixed.references.abs().amax(-1) > 0
    assert active.sum(1).tolist() == [1, 2, 3]
    torch.testing.assert_close(mixed.references.sum(1), mixed.mixture)
    length = min(900, round(seconds * RATE))
    assert (mixed.mixture != 0).sum(1).min() > 0.99 * length
    assert mixed.labels.tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_without_references_the_mixtures_themselves_are_read(clips):
    mixtures = ready(
        clips, references=False, seed=1, segment_seconds=900 / RATE
    )
    whole = ready(clips, segment_seconds=900 / RATE)
    (batch,), (other,) = mixtures.loader, whole.loader
    mixed, known = mixtures.mix(batch), whole.mix(other)
    assert mixed.references is None
    for name, mixture in zip(batch["id"], mixed.mixture, strict=True):
        expected = known.mixture[other["id"].index(name)]
        torch.testing.assert_close(mixture, expected, atol=1e-4, rtol=0)


def test_labels_of_clips_from_a_table(clips, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("mixture,labels\n1,dog\n2,dog; cat\n3,\n")
    mixtures = ready(clips, labels=table)
    assert mixtures.classes == ["cat", "dog"]
    (batch,) = mixtures.loader
    assert batch["labels"].tolist() == [[0, 1], [1, 1], [0, 0]]
    table.write_text("mixture,labels\n1,dog\n2,dog\n")
    with pytest.raises(ValueError, match="no row for the mixture '3'"):
        ready(clips, labels=table)
    table.write_text("id,labels\n")
    with pytest.raises(ValueError, match="it needs 'mixture' and 'labels'"):
        ready(clips, labels=table)


def test_too_many_sources_are_told_at_once(clips):
    with pytest.raises(ValueError, match="a mixture has 3 sources"):
        ready(clips, max_sources=2)


def test_mixtures_without_references_do_where_none_are_wanted(clips, tmp_path):
    alone = [r for r in read_recordings(clips) if r.kind == "mixture"]
    write_manifest(tmp_path / "alone.csv", alone)
    mixtures = ready(tmp_path / "alone.csv", references=False)
    (batch,) = mixtures.loader
    mixed = mixtures.mix(batch)
    assert mixed.references is None and mixtures.classes == []
    assert mixed.mixture.abs().amax(1).min() > 0
    with pytest.raises(ValueError, match="mixture/1 has no references"):
        ready(tmp_path / "alone.csv")


def test_a_last_clip_without_a_partner_is_left_out(clips, tmp_path):
    options = {"batch_size": 2, "batches": 9}
    found = [len(batch["id"]) for batch in ready(clips, **options).loader]
    assert found == [2, 1]
    paired = ready(clips, paired=True, **options)
    assert [batch["id"] for batch in paired.loader] == [
        ["mixture/1", "mixture/2"]
    ]
    with pytest.raises(ValueError, match="batch_size is 3; mixtures are"):
        ready(clips, paired=True)
    only = [r for r in read_recordings(clips) if r.id == "mixture/1"]
    write_manifest(tmp_path / "one.csv", only)
    with pytest.raises(ValueError, match="has one mixture of train"):
        ready(tmp_path / "one.csv", references=False, paired=True, batch_size=2)


def test_another_sample_rate_than_the_manifests_is_told(clips):
    with pytest.raises(ValueError, match="at 8000 Hz; sample_rate is 16000"):
        ReadyMixtures(
            clips,
            split="train",
            sample_rate=16000,
            segment_seconds=CLIP,
            batch_size=1,
            batches=1,
        )
