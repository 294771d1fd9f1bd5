"""Speech with noise added, contrastive pairs, aligned clean speech."""

import numpy as np
import pytest
import torch

from speechbrain_ext.dataio import NoisyRecordings, NoisySpeech
from speechbrain_ext.dataio.segments import SegmentReader

RATE = 8000


@pytest.fixture
def recordings(write):
    """Five noisy recordings, the speech in each, and three noises."""
    generator = np.random.default_rng(0)
    noisy, clean = [], []
    for n in range(5):
        # one is shorter than a segment
        speech = 0.2 * generator.standard_normal(600 if n == 4 else 3000 + n)
        noise = 0.05 * generator.standard_normal(len(speech))
        clean.append(write(f"clean{n}", speech))
        noisy.append(write(f"noisy{n}", speech + noise, kind="mixture"))
    noises = [
        write(f"noise{n}", 0.1 * generator.standard_normal(2000), kind="noise")
        for n in range(3)
    ]
    return noisy, clean, noises


def make(recordings, **options):
    noisy, clean, noises = recordings
    options = {
        "snr_db": [-5.0, 5.0],
        "segment_seconds": 0.1,
        "batch_size": 8,
        "batches": 3,
        **options,
    }
    return NoisySpeech(noisy, noises, clean=clean, **options)


def batches(speech):
    return [speech.mix(batch) for batch in speech.loader]


def test_levels_are_those_asked_for(recordings):
    speech = make(recordings)
    for batch, raw in zip(batches(speech), speech.loader, strict=True):
        assert batch.target.shape == batch.clean.shape == (8, 800)
        power = batch.target.square().mean(-1)
        torch.testing.assert_close(power, torch.ones(8))
        noise = (batch.mixture - batch.target).square().mean(-1)
        found = -10 * noise.log10()
        torch.testing.assert_close(
            found, raw["snr_db"].float(), atol=1e-3, rtol=0
        )
        assert found.abs().max() <= 5 and batch.positive is None


def test_clean_speech_is_that_of_the_same_place(recordings):
    """Their difference is the noise of the recording, 12 dB below."""
    for batch in batches(make(recordings, batch_size=20)):
        rest = (batch.target - batch.clean).square().mean(-1)
        inside = batch.clean.square().mean(-1)
        ratio = 10 * (inside / rest).log10()
        assert (ratio - 12).abs().max() < 1.5


def test_without_clean_speech_there_is_none(recordings):
    speech = NoisySpeech(
        recordings[0],
        recordings[2],
        snr_db=[0, 0],
        segment_seconds=0.1,
        batch_size=2,
        batches=1,
    )
    assert batches(speech)[0].clean is None


def test_the_same_seed_gives_the_same_and_epochs_differ(recordings):
    first, second = make(recordings, seed=3), make(recordings, seed=3)
    once = batches(first)
    for one, other in zip(once, batches(second), strict=True):
        assert torch.equal(one.mixture, other.mixture)
    first.loader.batch_sampler.set_epoch(2)
    assert not torch.equal(once[0].mixture, batches(first)[0].mixture)
    other = batches(make(recordings, seed=4))
    assert not torch.equal(once[0].mixture, other[0].mixture)


def test_ranks_share_what_one_process_would_see(recordings):
    whole = batches(make(recordings, batches=4))
    for rank in range(2):
        part = batches(make(recordings, batches=2, rank=rank, world_size=2))
        for one, other in zip(whole[rank::2], part, strict=True):
            assert torch.equal(one.mixture, other.mixture)


def test_contrastive_pairs_share_the_speech_or_the_noise(recordings):
    speech = make(recordings, contrastive=True)
    for batch in batches(speech):
        assert batch.positive.tolist() == [True, False] * 2
        noise = batch.mixture - batch.target
        for n, positive in enumerate(batch.positive):
            pair = slice(2 * n, 2 * n + 2)
            targets, clean = batch.target[pair], batch.clean[pair]
            apart = (noise[pair][0] - noise[pair][1]).abs().max()
            assert torch.equal(targets[0], targets[1]) == positive
            assert torch.equal(clean[0], clean[1]) == positive
            assert (apart < 1e-5) == (not positive)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"contrastive": True, "batch_size": 6}, "must be a multiple of 4"),
        ({"snr_db": [5, -5]}, "the lower one comes first"),
    ],
)
def test_what_does_not_do_is_told(recordings, options, message):
    with pytest.raises(ValueError, match=message):
        make(recordings, **options)


def test_recordings_that_do_not_belong_together(recordings, write):
    noisy, clean, noises = recordings
    with pytest.raises(ValueError, match="clean and noisy recordings differ"):
        make((noisy, clean[1:] + clean[:1], noises))
    with pytest.raises(ValueError, match="there is no noise"):
        make((noisy, clean, []))
    with pytest.raises(ValueError, match="there is no speech"):
        make(([], None, noises))


def test_a_place_can_be_read_again(recordings):
    reader = SegmentReader(recordings[0], segment_samples=800)
    one, other = np.empty((2, 800), np.float32)
    for index in range(5):
        for seed in range(5):
            start = reader.place(index, np.random.default_rng(seed), one)
            reader.read_at(index, start, other)
            assert np.array_equal(one, other)
            again = reader.read(index, np.random.default_rng(seed))
            assert np.array_equal(one, again)


@pytest.mark.parametrize("level_db", [None, -25.0], ids=["power", "level"])
def test_whole_recordings_are_mixed_the_same_way_every_time(
    recordings, level_db
):
    noisy, _, noises = recordings
    tests = NoisyRecordings(
        noisy, noises, snr_db=[0, 5], draws=2, level_db=level_db
    )
    found = [(item, tests.mix(item)) for item in tests.loader]
    again = [tests.mix(item) for item in tests.loader]
    ids = [item["recording"].id for item, _ in found]
    assert ids == 2 * [recording.id for recording in noisy]
    assert [item["draw"] for item, _ in found] == [0] * 5 + [1] * 5
    power = 1.0 if level_db is None else 10 ** (level_db / 10)
    for (item, batch), second in zip(found, again, strict=True):
        assert batch.mixture.shape == (1, item["recording"].samples)
        assert torch.equal(batch.mixture, second.mixture)
        wanted = torch.tensor([power])
        torch.testing.assert_close(batch.target.square().mean(-1), wanted)
        noise = (batch.mixture - batch.target).square().mean()
        ratio = 10 * (power / noise).log10()
        assert abs(float(ratio - item["snr_db"])) < 1e-3
    assert not torch.equal(found[0][1].mixture, found[5][1].mixture)
