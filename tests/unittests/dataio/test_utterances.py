"""Whole utterances with noise."""

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ext.dataio import (
    NoisyUtterances,
    Recording,
    UtteranceDataset,
    UtteranceSampler,
)
from speechbrain_ext.dataio.recordings import SPLITS
from speechbrain_ext.dataio.samplers import Draw

RATE = 8000
SAMPLES = np.random.default_rng(0).integers(100, 900, 53).tolist()


def sampler(**options):
    return UtteranceSampler(SAMPLES, **{"batch_size": 4, **options})


def indices(batches):
    return [[draw.index for draw in batch] for batch in batches]


def test_1_and_2_ranks_share_an_epoch_without_repeats():
    found = [
        indices(sampler(rank=rank, world_size=2, seed=3)) for rank in range(2)
    ]
    assert [len(batches) for batches in found] == [6, 6]
    batches = found[0] + found[1]
    assert all(len(batch) == 4 for batch in batches)
    flat = [index for batch in batches for index in batch]
    assert len(set(flat)) == len(flat) == 48


def test_batches_hold_utterances_of_about_one_length():
    spreads = [
        np.ptp([SAMPLES[i] for i in batch]) for batch in indices(sampler())
    ]
    assert np.mean(spreads) < 0.35 * np.ptp(SAMPLES)


def test_3_in_order_all_come_the_longest_first():
    batches = indices(sampler(shuffle=False))
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(53))
    assert [SAMPLES[i] for i in flat] == sorted(SAMPLES, reverse=True)
    assert len(batches[-1]) == 1


def test_4_an_epoch_follows_from_its_seed_and_number():
    first, again, other = sampler(seed=1), sampler(seed=1), sampler(seed=2)
    assert list(first) == list(again)
    assert indices(first) != indices(other)
    again.set_epoch(1)
    assert indices(first) != indices(again)


def test_too_few_utterances():
    with pytest.raises(ValueError, match="2 process.es. needs 54"):
        sampler(batch_size=27, world_size=2)


@pytest.fixture
def recordings(tmp_path):
    generator = np.random.default_rng(0)
    made = {"speech": [], "noise": []}
    for kind, lengths in {"speech": (800, 500), "noise": (300,)}.items():
        for number, samples in enumerate(lengths):
            path = str(tmp_path / f"{kind}{number}.wav")
            signal = 0.1 * generator.standard_normal(samples)
            soundfile.write(path, signal, RATE)
            name = f"{kind}{number}"
            text = "hello" if kind == "speech" else ""
            made[kind].append(
                Recording(name, path, samples, RATE, kind, SPLITS[0], text=text)
            )
    return made


def test_level_and_snr_hold_over_each_utterance(recordings):
    utterances = NoisyUtterances(
        **recordings, batch_size=2, snr_db=(3.0, 3.0), shuffle=False
    )
    speech = utterances.mix(next(iter(utterances.loader)))
    assert speech.lengths.tolist() == [1.0, 0.625]
    assert (speech.ids, speech.texts[0]) == (["speech0", "speech1"], "hello")
    for row, samples in enumerate((800, 500)):
        clean, noisy = speech.clean[row], speech.noisy[row]
        assert not noisy[samples:].any()
        power = clean[:samples].square().mean()
        noise = (noisy - clean)[:samples].square().mean()
        assert 10 * power.log10() == pytest.approx(-25.0, abs=0.01)
        assert 10 * (power / noise).log10() == pytest.approx(3.0, abs=0.01)


def test_a_share_stays_clean(recordings):
    dataset = UtteranceDataset(
        **recordings, snr_db=(0.0, 0.0), clean_probability=0.25
    )
    batch = dataset.__getitems__([Draw(0, seed) for seed in range(200)])
    assert 30 < batch["snr_db"].isinf().sum() < 70
    utterances = NoisyUtterances(
        **recordings, batch_size=2, snr_db=(0.0, 0.0), clean_probability=1.0
    )
    speech = utterances.mix(next(iter(utterances.loader)))
    assert torch.equal(speech.noisy, speech.clean)


def test_speed_ranges_the_length(recordings):
    dataset = UtteranceDataset(recordings["speech"], speeds=[0.8])
    batch = dataset.__getitems__([Draw(0, 1), Draw(1, 2)])
    assert batch["lengths"].tolist() == [1000, 625]
    assert "noise" not in batch


def test_what_is_read_follows_from_the_draws(recordings):
    dataset = UtteranceDataset(
        **recordings, snr_db=(-5.0, 15.0), speeds=[0.9, 1.0, 1.1]
    )
    first, again = (dataset.__getitems__([Draw(0, 5)]) for _ in range(2))
    for name in ("clean", "noise", "snr_db"):
        assert torch.equal(first[name], again[name])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"noise": None}, "noise is missing"),
        ({"snr_db": None}, "snr_db is missing"),
        ({"snr_db": (5.0, 0.0)}, "the lower one comes first"),
        ({"speech": []}, "there are no utterances"),
        ({"clean_probability": 2.0}, "clean_probability is 2.0"),
    ],
)
def test_wrong_arguments(recordings, options, message):
    values = {**recordings, "snr_db": (0.0, 5.0), **options}
    with pytest.raises(ValueError, match=message):
        UtteranceDataset(**values)
