"""Sounds and rooms made by code."""

import numpy as np
import pytest
from rooms import reverberation_time
from scipy import fft, signal

from speechbrain_ext.corpora.procedural import (
    EVENT_CLASSES,
    HELD_OUT_KINDS,
    NOISE_KINDS,
    make_event,
    make_noise,
    make_room,
)
from speechbrain_ext.corpora.procedural.signals import harmonics, modes, seeded

RATE = 8000
SECONDS = 6.0


def voices(count=8):
    """Stand-ins for speech: bursts of noise, each voice with its own tone."""
    generator = np.random.default_rng(1)
    gate = np.repeat(generator.random((count, 3, 20)) < 0.6, 400, axis=-1)
    waves = gate * generator.standard_normal(gate.shape)
    return [list(voice.astype(np.float32)) for voice in waves]


def noise(kind, seed, **changes):
    arguments = {"seconds": SECONDS, "sample_rate": RATE, "speech": voices()}
    return make_noise(kind, seed=seed, **(arguments | changes))


@pytest.fixture(scope="module")
def recordings():
    """Three draws of each kind of noise."""
    return {(k, s): noise(k, s) for k in NOISE_KINDS for s in range(3)}


def bands_db(wave, count=24):
    """Long-term levels in bands of equal ratio, from 60 Hz up."""
    power = np.abs(fft.rfft(wave.astype(float))) ** 2
    frequencies = fft.rfftfreq(len(wave), 1 / RATE)
    edges = np.geomspace(60, RATE / 2, count + 1)
    number = np.digitize(frequencies, edges)
    totals = np.bincount(number, power, minlength=count + 2)[1 : count + 1]
    return 10 * np.log10(totals + 1e-9)


def largest_correlation(first, second, size):
    """Largest correlation coefficient of two spectra's waves over all lags."""
    return np.abs(fft.irfft(first * second.conj(), size)).max()


def test_there_are_two_noise_kinds_to_hold_out():
    assert len(HELD_OUT_KINDS) == 2
    assert set(HELD_OUT_KINDS) < set(NOISE_KINDS)


@pytest.mark.slow
def test_noise_is_finite_of_one_level_and_never_silent(recordings):
    for name, wave in recordings.items():
        assert wave.shape == (SECONDS * RATE,), name
        assert wave.dtype == np.float32, name
        assert np.isfinite(wave).all(), name
        assert np.abs(wave).max() <= 0.9001, name
        level = 20 * np.log10(wave.std())
        assert -33 < level < -24.9, (name, level)
        seconds = wave.reshape(int(SECONDS), -1)
        weakest = 20 * np.log10(seconds.std(axis=1).min() / wave.std())
        assert weakest > -20, (name, weakest)


def test_noise_is_heard_even_between_its_sounds():
    clicks = [[np.eye(1, 3 * RATE, 99)[0]] for _ in range(4)]
    wave = noise("babble", 0, speech=clicks)
    moments = wave.reshape(-1, RATE // 50).std(axis=1)
    assert 20 * np.log10(moments.min() / wave.std()) > -40


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_is_the_same_for_the_same_seed_only(kind, recordings):
    again = noise(kind, 1)
    assert np.array_equal(again, recordings[kind, 1])
    assert not np.array_equal(again, recordings[kind, 2])


@pytest.mark.slow
def test_no_two_noise_recordings_correlate(recordings):
    names = sorted(recordings)
    size = fft.next_fast_len(2 * int(SECONDS * RATE), real=True)
    spectra = {
        name: fft.rfft(wave / np.linalg.norm(wave), size)
        for name, wave in recordings.items()
    }
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            found = largest_correlation(spectra[first], spectra[second], size)
            assert found < 0.3, (first, second, found)
            lag_zero = np.corrcoef(recordings[first], recordings[second])[0, 1]
            assert abs(lag_zero) < 0.1, (first, second, lag_zero)


@pytest.mark.slow
def test_draws_of_one_kind_differ_in_spectrum(recordings):
    for kind in NOISE_KINDS:
        first, second, third = (
            bands_db(recordings[kind, seed]) for seed in range(3)
        )
        for one, other in [(first, second), (second, third), (first, third)]:
            assert np.std(one - other) > 1.0, kind


@pytest.mark.slow
def test_noise_lies_in_the_band_of_speech(recordings):
    """Noise that lies below all speech would be removed by a high-pass."""
    shares = []
    for wave in recordings.values():
        power = np.abs(fft.rfft(wave)) ** 2
        frequencies = fft.rfftfreq(len(wave), 1 / RATE)
        inside = (frequencies > 200) & (frequencies < 3600)
        shares.append(power[inside].sum() / power.sum())
    assert min(shares) > 0.1
    assert np.mean(shares) > 0.5


def test_noise_other_than_babble_knows_no_speech():
    for kind in set(NOISE_KINDS) - {"babble"}:
        assert np.array_equal(
            noise(kind, 0, seconds=1.0, speech=None),
            noise(kind, 0, seconds=1.0),
        )


def test_babble_is_made_of_the_given_voices():
    backwards = [[wave[::-1] for wave in voice] for voice in voices()]
    assert not np.array_equal(
        noise("babble", 0), noise("babble", 0, speech=backwards)
    )


@pytest.mark.slow
@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_noise_fills_any_sample_rate(sample_rate):
    for kind in NOISE_KINDS:
        wave = noise(kind, 0, seconds=1.0, sample_rate=sample_rate)
        assert wave.shape == (sample_rate,)
        assert np.isfinite(wave).all()


def test_noise_errors():
    with pytest.raises(ValueError, match="'snow'; it must be one of babble"):
        noise("snow", 0)
    with pytest.raises(ValueError, match="at least 4 voices, 3 given"):
        noise("babble", 0, speech=voices(3))
    with pytest.raises(ValueError, match="at least 4 voices, 0 given"):
        noise("babble", 0, speech=None)
    silent = [[np.zeros(RATE)] for _ in range(4)]
    with pytest.raises(ValueError, match="the voices given are silent"):
        noise("babble", 0, speech=silent)


@pytest.fixture(scope="module")
def clips():
    """Nine draws of each class of event."""
    return {
        (label, seed): make_event(label, sample_rate=RATE, seed=seed)
        for label in EVENT_CLASSES
        for seed in range(9)
    }


def test_there_are_ten_event_classes():
    assert len(EVENT_CLASSES) == 10


@pytest.mark.slow
def test_events_are_finite_and_of_two_to_five_seconds(clips):
    for name, wave in clips.items():
        assert wave.dtype == np.float32, name
        assert 2 * RATE - 1 <= len(wave) <= 5 * RATE, name
        assert np.isfinite(wave).all(), name
        assert np.abs(wave).max() <= 0.9001, name
        assert 20 * np.log10(wave.std()) > -38, name


@pytest.mark.slow
def test_events_are_the_same_for_the_same_seed_only(clips):
    for label in EVENT_CLASSES:
        again = make_event(label, sample_rate=RATE, seed=1)
        assert np.array_equal(again, clips[label, 1])
        assert len(again) != len(clips[label, 2])


@pytest.mark.slow
def test_event_classes_can_be_told_apart(clips):
    """Nearest class mean of crude features: a chance level of 10 %."""

    def features(wave):
        spectrum = np.abs(signal.stft(wave, RATE, nperseg=256)[2])
        edges = np.geomspace(2, 129, 21).astype(int)
        bands = np.log(np.add.reduceat(spectrum, edges[:-1], axis=0) + 1e-5)
        rise = np.diff(bands, axis=1)
        shares = [bands.mean(1), bands.std(1), rise.std(1)]
        tonal = np.log(spectrum + 1e-7).std(axis=0).mean(keepdims=True)
        return np.concatenate([*shares, 5 * tonal])

    points = {name: features(wave) for name, wave in clips.items()}
    scale = np.std(list(points.values()), axis=0)
    means = {
        label: np.mean([points[label, seed] for seed in range(6)], axis=0)
        for label in EVENT_CLASSES
    }
    right = [
        label
        == min(
            means,
            key=lambda c: np.sum(
                ((means[c] - points[label, seed]) / scale) ** 2
            ),
        )
        for label in EVENT_CLASSES
        for seed in range(6, 9)
    ]
    assert np.mean(right) > 0.6


def test_unknown_event():
    with pytest.raises(ValueError, match="'moo'; it must be one of bark"):
        make_event("moo", sample_rate=RATE, seed=0)


@pytest.mark.parametrize("sample_rate", [8000, 16000])
@pytest.mark.parametrize("rt60", [0.15, 0.3, 0.6])
def test_rooms_have_the_reverberation_time_asked_for(rt60, sample_rate):
    for seed in range(8):
        room = make_room(sample_rate=sample_rate, seed=seed, rt60=rt60)
        found = reverberation_time(room.response, sample_rate)
        assert found == pytest.approx(rt60, rel=0.12)


def test_reverberation_time_of_an_exact_decay():
    time = np.arange(16000) / 16000
    decay = 10 ** (-3 * time / 0.4)
    assert reverberation_time(decay, 16000) == pytest.approx(0.4, rel=0.01)


def test_rooms_start_with_the_direct_path_which_is_the_largest():
    for seed in range(30):
        room = make_room(sample_rate=RATE, seed=seed)
        assert room.response[0] == 1.0
        assert np.abs(room.response[1:]).max() < 1.0
        assert np.isfinite(room.response).all()
        assert 0.15 <= room.rt60 <= 0.6
        assert len(room.response) == int(room.rt60 * RATE)


@pytest.mark.slow
def test_rooms_hold_the_energy_of_a_diffuse_field():
    """Against Sabine's theory, which knows no image sources."""
    surplus_db = []
    for seed in range(40):
        room = make_room(sample_rate=16000, seed=seed, rt60=0.5)
        volume = np.prod(room.size)
        absorption = 0.161 * volume / room.rt60
        theory = 16 * np.pi * room.distance**2 / absorption
        theory *= 10 ** (-6 * room.distance / 343 / room.rt60)
        found = np.sum(room.response[1:].astype(float) ** 2)
        surplus_db.append(10 * np.log10(found / theory))
    assert abs(np.mean(surplus_db)) < 1.0


def test_rooms_are_the_same_for_the_same_seed_only():
    first, again, other = (
        make_room(sample_rate=RATE, seed=seed).response for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert len(first) != len(other)


def test_rooms_need_a_positive_reverberation_time():
    with pytest.raises(ValueError, match="rt60 is 0"):
        make_room(sample_rate=RATE, seed=0, rt60=0)


def test_harmonics_are_silent_rather_than_folded():
    pitch = np.linspace(1000, 3500, RATE)
    wave = harmonics(np.cumsum(pitch) / RATE, RATE, [0.0, 1.0])
    assert np.abs(wave[: RATE // 8]).max() > 0.9
    assert np.abs(wave[pitch > 1810]).max() == 0


def test_modes_above_the_band_are_left_out():
    assert np.abs(modes(RATE, [3700.0], [0.1], [1.0], 0.1)).max() == 0
    assert np.abs(modes(RATE, [3500.0], [0.1], [1.0], 0.1)).max() > 0


def test_streams_differ_in_every_part_of_their_name():
    draws = [
        seeded(*parts).random()
        for parts in [("a", 1), ("a", 2), ("b", 1), (1, "a"), ("a",)]
    ]
    assert len(set(draws)) == 5
    assert seeded("a", 1).random() == draws[0]
