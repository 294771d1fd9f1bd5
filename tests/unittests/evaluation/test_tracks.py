import base64
import io
import tracemalloc

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from speechbrain_ext.evaluation.tracks import (
    HEIGHT,
    WIDTH,
    draw,
    encode,
    outline,
)

RATE = 8000


def tone(hertz, seconds=2.0, rate=RATE):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def blocks_of(signal, *cuts):
    return np.split(signal, cuts)


def pixels(picture):
    """The spectrogram as brightness, the lowest frequency first."""
    _, _, encoded = picture["spectrogram"].partition(";base64,")
    image = imread(io.BytesIO(base64.b64decode(encoded)), format="png")
    return image[::-1, :, :3].sum(-1)


@pytest.mark.parametrize("hertz, rate", [(1000, 8000), (3000, 8000),
    (5000, 44100)])  # fmt: skip
def test_tones_stand_where_they_belong(hertz, rate):
    signal = tone(hertz, rate=rate)
    found = outline([signal], frames=len(signal), sample_rate=rate)
    (picture,) = draw([found])
    shown = pixels(picture)
    rows = len(shown)
    assert rows <= HEIGHT and shown.shape[1] <= WIDTH
    brightest = shown.argmax(0)
    wanted = hertz / (rate / 2) * rows
    # a row above or below: windows of 32 ms tell 31 Hz apart
    assert abs(brightest - wanted).max() <= 1.5
    assert shown.max() > 2 and np.median(shown) < 0.5


def test_sounds_stand_when_they_are_heard():
    """Silence, a tone for a fifth of the time, silence: at any length."""
    for seconds in (1, 20, 400):
        signal = tone(1000, seconds)
        signal[: len(signal) * 2 // 5] = 0
        signal[len(signal) * 3 // 5 :] = 0
        found = outline([signal], frames=len(signal), sample_rate=RATE)
        power = found.power.sum(0)
        columns = len(power)
        loud = power > power.max() / 4
        assert abs(loud.argmax() / columns - 0.4) < 0.05
        assert abs(loud.sum() / columns - 0.2) < 0.05
        heard = np.flatnonzero(found.high > 0.5) / len(found.high)
        assert heard.min() == pytest.approx(0.4, abs=2 / WIDTH)
        assert heard.max() == pytest.approx(0.6, abs=2 / WIDTH)


@pytest.mark.parametrize("seconds", [0.001, 0.5, 30, 400])
def test_blocks_change_nothing(seconds):
    generator = np.random.default_rng(0)
    signal = generator.standard_normal(round(seconds * RATE))
    options = {"frames": len(signal), "sample_rate": RATE}
    whole = outline([signal], **options)
    cuts = np.sort(generator.integers(0, len(signal) + 1, 9))
    parts = outline(blocks_of(signal, *cuts), **options)
    for name in ("low", "high"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    # kept as 32-bit floats
    rounding = 4 * np.finfo(np.float32).eps * whole.power.max()
    assert np.allclose(whole.power, parts.power, rtol=0, atol=rounding)
    assert whole.peak == abs(signal).max()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length():
    block = np.zeros(10 * RATE, np.float32)

    def peak(blocks):
        tracemalloc.start()
        signal = (block for _ in range(blocks))
        outline(signal, frames=blocks * len(block), sample_rate=RATE)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    # an hour, and a minute
    assert peak(360) < 2 * peak(6)


@pytest.mark.parametrize("frames", [1, 2, 100])
def test_silent_and_short_signals_are_drawn(frames):
    for level in (0.0, 0.5):
        signal = np.full(frames, level)
        found = outline([signal], frames=frames, sample_rate=RATE)
        (picture,) = draw([found])
        assert "nan" not in picture["wave"]
        assert pixels(picture).shape[0] == len(found.power)
        assert found.peak == level


def test_a_file_that_shrinks_meanwhile_is_silent_at_its_end():
    signal = tone(1000)
    found = outline([signal], frames=2 * len(signal), sample_rate=RATE)
    half = len(found.high) // 2
    assert (found.high[half + 1 :] == 0).all()
    assert found.power[:, len(found.power[0]) // 2 + 2 :].max() == 0
    # and one that grows is drawn without what came later
    found = outline([signal, signal], frames=len(signal), sample_rate=RATE)
    assert found.peak == pytest.approx(1, abs=1e-3)


def test_signals_of_one_recording_have_one_scale():
    signal = tone(1000)
    loud, faint, silent = (
        outline([gain * signal], frames=len(signal), sample_rate=RATE)
        for gain in (1.0, 0.1, 0.0)
    )
    first, second, third = draw([loud, faint, silent])
    assert pixels(first).max() > pixels(second).max() > pixels(third).max()
    alone = draw([faint])[0]
    assert np.array_equal(pixels(alone), pixels(first))

    def reach(picture):
        text = picture["wave"].strip("MZ").split("L")
        return max(abs(50 - float(point.split()[1])) for point in text)

    assert reach(first) == pytest.approx(50, abs=1)
    assert reach(second) == pytest.approx(5, abs=1)
    assert reach(third) == pytest.approx(0.5, abs=1)
    assert alone["wave"] == first["wave"]


def test_sounds_keep_their_samples():
    signal = 0.5 * tone(1000).astype(np.float32)
    encoded = encode(blocks_of(signal, 99), sample_rate=RATE, gain=0.5)
    assert encoded == encode([signal], sample_rate=RATE, gain=0.5)
    found, rate = soundfile.read(io.BytesIO(encoded))
    assert rate == RATE and len(found) == len(signal)
    assert abs(found - 0.5 * signal).max() <= 2**-15
