"""High and low voices, told apart without labels."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import speechbrain_ext.corpora
from speechbrain_ext.dataio.pitch import find_pitch, sexes_by_pitch


def buzz(hertz, rate, seconds=2.0):
    """A wave with all harmonics."""
    time = torch.arange(int(seconds * rate)) / rate
    return 0.2 * (time * hertz % 1 - 0.5)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("hertz", [80.0, 120.0, 190.0, 300.0])
def test_the_pitch_of_a_buzz_in_noise(hertz, rate):
    wave = buzz(hertz, rate)
    noise = torch.randn(wave.shape)
    noise *= 10 ** (-5 / 20) * wave.std() / noise.std()
    assert find_pitch(wave + noise, rate) == pytest.approx(hertz, rel=0.03)
    # pauses and the level do not matter
    wave = torch.cat((torch.zeros(rate), 1e-3 * wave, torch.zeros(rate)))
    assert find_pitch(wave, rate) == pytest.approx(hertz, rel=0.03)


@pytest.mark.parametrize(
    "signal",
    [torch.zeros(8000), torch.zeros(10), torch.ones(3000), torch.randn(9000)],
    ids=["silence", "short", "offset", "noise"],
)
def test_what_has_no_pitch_gets_some(signal):
    assert 64 <= find_pitch(signal, 8000) <= 400


def test_synthetic_voices_are_divided_by_sex():
    (package,) = speechbrain_ext.corpora.__path__
    folder = Path(package, "mini_speech")
    with open(folder / "manifest.csv", newline="") as file:
        rows = {row["voice"]: row for row in csv.DictReader(file)}
    pitches = {"F": [], "M": []}
    for row in rows.values():
        samples, rate = soundfile.read(folder / row["path"], dtype="float32")
        pitches[row["sex"]].append(find_pitch(torch.from_numpy(samples), rate))
    border = np.median(pitches["F"] + pitches["M"])
    right = sum(pitch > border for pitch in pitches["F"])
    right += sum(pitch <= border for pitch in pitches["M"])
    assert right >= 0.85 * len(rows)


def test_speakers_are_divided_not_recordings(write):
    hertz = {"a": 100, "b": 210, "c": 110, "d": 200, "e": 150}
    recordings = [
        write(f"{name}{n}", buzz(pitch + n, 8000).numpy(), speaker=name)
        for name, pitch in hertz.items()
        for n in range(4)
    ]
    sexes = sexes_by_pitch(recordings)
    high = {r.speaker for r, sex in zip(recordings, sexes, strict=True)
            if sex == "F"}  # fmt: skip
    assert high == {"b", "d", "e"} and sexes.count("F") == 12
    # what is lost is passed over
    for lost in (recordings[4], recordings[5], *recordings[:4]):
        os.remove(lost.path)
    assert sexes_by_pitch(recordings) == sexes
    # without speakers, each recording counts by itself
    alone = [write(f"x{n}", buzz(90 + 40 * n, 8000).numpy()) for n in range(4)]
    assert sexes_by_pitch(alone) == ["M", "M", "F", "F"]
