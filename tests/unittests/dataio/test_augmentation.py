import math

import pytest
import torch

from speechbrain_ext.dataio import SourceAugmentation
from speechbrain_ext.dataio.augmentation import BANDS, change_speed, equalize

RATE = 8000


def tone(frequency, samples):
    return torch.sin(2 * math.pi * frequency * torch.arange(samples) / RATE)


def peak_frequency(signal):
    spectrum = torch.fft.rfft(signal * torch.hann_window(len(signal))).abs()
    return spectrum.argmax().item() * RATE / len(signal)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_speed_moves_the_pitch(factor):
    signals = torch.stack((tone(400, 12000), tone(800, 12000)))
    changed = change_speed(
        signals, factors=torch.tensor([factor, 1.0]), samples=8000
    )
    assert peak_frequency(changed[0]) == pytest.approx(400 * factor, abs=1)
    torch.testing.assert_close(changed[1], signals[1, :8000])


def test_speed_is_exact_on_a_straight_line_and_to_the_last_sample():
    ramp = torch.arange(101.0)[None]
    changed = change_speed(ramp, factors=torch.tensor([1.1]), samples=91)
    torch.testing.assert_close(changed[0], 1.1 * torch.arange(91.0))


def test_equalizer_amplifies_each_band_by_its_gain():
    gains = torch.zeros(1, 5)
    gains[0, 2] = 6.0  # the middle of 0 to 4 kHz
    for frequency, gain in ((2000, 6.0), (1000, 0.0), (1500, 3.0), (3500, 0)):
        signal = tone(frequency, 8000)[None]
        level = equalize(signal, gains_db=gains).norm() / signal.norm()
        assert 20 * math.log10(level) == pytest.approx(gain, abs=0.02)


def test_speech_and_noise_are_varied_apart_and_nothing_in_place():
    augmentation = SourceAugmentation(samples=800, speed=0.1, equalizer_db=6)
    time = augmentation.samples_to_read
    signals = torch.randn(4, time)
    batch = {
        "id": list("abcd"),
        "speech": signals,
        "noise": signals.clone(),
        "speech_variation": torch.rand(4, 1 + BANDS),
        "noise_variation": -torch.rand(4, 1 + BANDS),
    }
    kept = {k: v.clone() for k, v in batch.items() if k != "id"}
    varied = augmentation(batch)
    assert set(varied) == {"id", "speech", "noise"}
    assert varied["speech"].shape == varied["noise"].shape == (4, 800)
    assert not torch.allclose(varied["speech"], varied["noise"])
    for name, value in kept.items():
        assert torch.equal(batch[name], value), name


def test_enough_is_read_for_the_fastest():
    augmentation = SourceAugmentation(samples=1000, speed=0.37)
    ramp = torch.arange(float(augmentation.samples_to_read))[None]
    fastest = torch.ones(1, augmentation.variations)
    varied = augmentation({"speech": ramp, "speech_variation": fastest})
    assert varied["speech"][0, -1].item() == pytest.approx(999 * 1.37, abs=0.01)


def test_nothing_asked_for_changes_nothing():
    augmentation = SourceAugmentation(samples=100)
    signals = torch.randn(2, augmentation.samples_to_read)
    draws = torch.rand(2, augmentation.variations)
    varied = augmentation({"speech": signals, "speech_variation": draws})
    torch.testing.assert_close(varied["speech"], signals[:, :100])


def test_silence_stays_silent():
    augmentation = SourceAugmentation(samples=100, speed=0.1, equalizer_db=6)
    signals = torch.zeros(2, augmentation.samples_to_read)
    draws = torch.rand(2, augmentation.variations)
    varied = augmentation({"speech": signals, "speech_variation": draws})
    assert not varied["speech"].any()


@pytest.mark.parametrize(
    "wrong", [{"speed": -0.1}, {"speed": 0.5}, {"equalizer_db": -1}]
)
def test_impossible_ranges_are_refused(wrong):
    with pytest.raises(ValueError, match="speed must lie in"):
        SourceAugmentation(samples=100, **wrong)
