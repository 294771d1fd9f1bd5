import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.dataio import (
    CorpusMixtures,
    SeveralCorpora,
    write_manifest,
)

RATE = 8000
SECONDS = 0.05


@pytest.fixture
def manifest(tmp_path, write):
    """A corpus of eight speakers, three noises and two rooms."""

    def manifest(name):
        generator = np.random.default_rng(ord(name))
        recordings = [
            write(
                f"{name}{kind}{number}",
                0.1 * generator.standard_normal(1200),
                kind=kind,
                speaker=f"{name}{number}" if kind == "speech" else "",
            )
            for kind, count in (("speech", 8), ("noise", 3))
            for number in range(count)
        ]
        room = np.zeros(400)
        room[[0, 300]] = 1.0, 0.9
        recordings += [
            write(f"{name}room{number}", 0.5 * room, kind="rir")
            for number in range(2)
        ]
        path = tmp_path / f"{name}.csv"
        write_manifest(path, recordings)
        return path

    return manifest


def make(path, **options):
    options = {"batch_size": 3, "batches": 4, "snr_db": (5, 5), **options}
    return CorpusMixtures(
        path,
        split="train",
        sample_rate=RATE,
        segment_seconds=SECONDS,
        **options,
    )


@pytest.mark.parametrize("mixing", ["pairs", "ring"])
def test_a_batch_has_as_many_mixtures_as_asked_for(manifest, mixing):
    mixtures = make(manifest("a"), mixing=mixing)
    batches = list(mixtures.loader)
    assert len(batches) == 4
    for batch in batches:
        formed = mixtures.mix(batch)
        assert formed.mixture.shape == (3, RATE * SECONDS)
        torch.testing.assert_close(formed.mixture, formed.noisy.sum(1))
        snr = (formed.speech / formed.noise.norm(dim=-1, keepdim=True)).norm(
            dim=-1
        )
        torch.testing.assert_close(snr, torch.full((3, 2), 10**0.25))


def test_no_noise_is_added_without_snr(manifest):
    mixtures = make(manifest("a"), snr_db=None)
    formed = mixtures.mix(next(iter(mixtures.loader)))
    assert not formed.noise.any()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.75])
def test_the_share_of_dry_sources(manifest, share):
    options = {"batches": 60, "snr_db": None, "reverberate": True}
    mixtures = make(manifest("a"), dry_ratio=share, **options)
    # a room of one impulse leaves a sound as it is
    dry = (mixtures.impulse_responses.abs().sum(1) == 1).nonzero()
    count = Counter()
    for batch in mixtures.loader:
        count.update(torch.isin(batch["rir"], dry).tolist())
    assert count[True] / count.total() == pytest.approx(share, abs=0.1)


def test_rooms_may_be_of_another_corpus(manifest):
    path, other = manifest("a"), manifest("b")
    mixtures = make(path, reverberate=True, rooms=other)
    assert mixtures.impulse_responses.shape == (2, 400)
    with pytest.raises(ValueError, match="kind=rir and split=test"):
        make(path, reverberate=True, rooms=other, room_split="test")


def test_augmentation_keeps_length_and_changes_sound(manifest):
    path = manifest("a")
    plain, varied = make(path), make(path, speed_range=0.1, equalizer_db=6)
    first = plain.mix(next(iter(plain.loader))).mixture
    second = varied.mix(next(iter(varied.loader))).mixture
    assert first.shape == second.shape
    assert not torch.allclose(first, second)


def test_high_and_low_voices_alternate(tmp_path, write, caplog):
    time = np.arange(RATE) / RATE
    recordings = [
        write(
            str(number),
            0.1 * (time * (90 + 30 * number) % 1 - 0.5),
            speaker=str(number),
        )
        for number in range(8)
    ]
    write_manifest(tmp_path / "table.csv", recordings)
    options = {"alternate_sexes": "by_pitch", "mixing": "ring"}
    options["snr_db"] = None
    mixtures = make(tmp_path / "table.csv", batch_size=6, **options)
    for batch in mixtures.loader:
        high = [int(name) > 3 for name in batch["id"]]
        assert high == 3 * [True, False]
    assert not caplog.text
    # too few: any two, and it is told
    mixtures = make(tmp_path / "table.csv", batch_size=7, **options)
    assert len(next(iter(mixtures.loader))["id"]) == 7
    assert "any two voices are mixed, for high and low ones" in caplog.text
    assert "batch_size is 7; it must be even" in caplog.text
    with pytest.raises(ValueError, match=r"table\.csv, split 'train': "):
        make(tmp_path / "table.csv", batch_size=40, **options)


def test_mistakes_name_what_is_wrong(manifest):
    path = manifest("a")
    with pytest.raises(ValueError, match="dry_ratio is 1"):
        make(path, dry_ratio=1)
    with pytest.raises(ValueError, match=r"a\.csv, split 'train': .*speakers"):
        make(path, batch_size=20)
    with pytest.raises(ValueError, match="split=valid"):
        CorpusMixtures(
            path,
            split="valid",
            sample_rate=RATE,
            segment_seconds=SECONDS,
            batch_size=3,
            batches=1,
        )


# Several corpora -------------------------------------------------------------


def several(manifest, seed=1, batches=40, **options):
    return SeveralCorpora(
        [make(manifest(name), batches=batches, **options) for name in "ab"],
        seed=seed,
    )


def corpora_of(mixtures):
    return [batch["corpus"] for batch in mixtures.loader]


def test_every_batch_is_of_one_corpus(manifest):
    mixtures = several(manifest)
    seen = Counter()
    for batch in mixtures.loader:
        assert {name[0] for name in batch["id"]} == {"ab"[batch["corpus"]]}
        assert mixtures.mix(batch).mixture.shape == (3, RATE * SECONDS)
        seen[batch["corpus"]] += 1
    assert seen.total() == len(mixtures.loader) == 40
    assert min(seen[0], seen[1]) > 10


@pytest.mark.slow
def test_the_choice_follows_from_seed_and_epoch(manifest):
    first = corpora_of(several(manifest))
    assert corpora_of(several(manifest)) == first
    assert corpora_of(several(manifest, seed=2)) != first
    other = several(manifest)
    other.loader.batch_sampler.set_epoch(1)
    assert corpora_of(other) != first
    # the corpora's own samplers go to the next epoch too
    again = several(manifest)
    ids, speech = [], []
    for epoch in range(2):
        again.loader.batch_sampler.set_epoch(epoch)
        batches = list(again.loader)
        ids.append([batch["id"] for batch in batches])
        speech.append([b["speech"] for b in batches if b["corpus"] == 0][:10])
    assert ids[0] != ids[1]
    assert not any(map(torch.equal, *speech))


def test_all_processes_choose_alike_and_share_nothing(manifest):
    ranks = [
        several(manifest, rank=rank, world_size=2, batches=10)
        for rank in range(2)
    ]
    assert corpora_of(ranks[0]) == corpora_of(ranks[1])
    first, second = (
        [batch["speech"] for batch in mixtures.loader] for mixtures in ranks
    )
    assert not any(map(torch.equal, first, second))


def test_it_goes_on_within_an_epoch(manifest, tmp_path):
    whole = [batch["speech"] for batch in several(manifest).loader]
    mixtures = several(manifest)
    checkpointer = Checkpointer(tmp_path / "save", {"loader": mixtures.loader})
    list(itertools.islice(mixtures.loader, 7))
    checkpointer.save_checkpoint(end_of_epoch=False)
    resumed = several(manifest)
    checkpointer = Checkpointer(tmp_path / "save", {"loader": resumed.loader})
    checkpointer.recover_if_possible()
    rest = [batch["speech"] for batch in resumed.loader]
    assert len(rest) == 33
    assert all(map(torch.equal, rest, whole[7:]))


def test_corpora_must_be_equally_long(manifest):
    corpora = [
        make(manifest(name), batches=n) for name, n in (("a", 3), ("b", 4))
    ]
    with pytest.raises(ValueError, match=r"samplers of \[3, 4\] batches"):
        SeveralCorpora(corpora)
