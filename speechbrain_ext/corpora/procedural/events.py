"""Procedural sound events: ten classes, 2 to 5 seconds, no two draws alike.

The repetitions of one clip (knocks, barks, strokes) share the object that
makes them and differ as real repetitions do.
"""

import numpy as np

from speechbrain_ext.corpora.procedural.rooms import (
    LONGEST_RT60,
    SHORTEST_RT60,
    indoors,
)
from speechbrain_ext.corpora.procedural.signals import (
    band,
    finish,
    harmonics,
    modes,
    noise,
    random_curve,
    seeded,
    shape,
    slow,
    train,
)

SHORTEST_SECONDS = 2.0
LONGEST_SECONDS = 5.0


def make_event(label, *, sample_rate, seed):
    """Draw a clip of one sound event.

    Arguments
    ---------
    label : str
        One of ``EVENT_CLASSES``.
    sample_rate : int
        In Hz.
    seed : object
        Names the draw; see ``seeded``.

    Returns
    -------
    signal : numpy.ndarray
        Shape (time,), float32, 2 to 5 seconds, about -25 dB re full scale in
        RMS and never above 0.9.

    Raises
    ------
    ValueError
        If the class is unknown.

    Example
    -------
    >>> bell = make_event("bell", sample_rate=8000, seed=0)
    >>> 2.0 <= len(bell) / 8000 <= 5.0
    True
    """
    if label not in EVENT_CLASSES:
        raise ValueError(
            f"unknown event class {label!r}; it must be one of "
            f"{', '.join(EVENT_CLASSES)}"
        )
    generator = seeded("event", label, seed)
    seconds = generator.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
    samples = int(seconds * sample_rate)
    signal = EVENT_CLASSES[label](generator, samples, sample_rate)
    signal = signal / np.sqrt(np.mean(signal**2))
    signal = indoors(
        generator,
        signal,
        sample_rate,
        shortest=SHORTEST_RT60,
        longest=LONGEST_RT60,
    )
    curve = {20: -40, 49: 0} | random_curve(generator, 2.0)
    signal = shape(signal, sample_rate, curve)
    hiss = noise(
        generator, samples, sample_rate, random_curve(generator, 3.0, -2.0)
    )
    return finish(signal + 10 ** (generator.uniform(-45, -35) / 20) * hiss)


def _bell(generator, samples, sample_rate):
    """Strike a bell: partials near those of a tuned bell, long ringing."""
    seconds = samples / sample_rate
    partials = np.array([0.5, 1, 1.2, 1.5, 2, 2.51, 2.67, 3.01, 4.1, 5.4, 6.8])
    prime = np.exp(generator.uniform(np.log(250), np.log(1400)))
    pitches = prime * partials * generator.normal(1, 0.006, len(partials))
    # each partial is a pair that beats
    pitches = np.concatenate([pitches, pitches * generator.normal(1, 8e-4, 11)])
    strengths = generator.uniform(0.3, 1, 22) / np.tile(partials, 2) ** 0.4
    decays = generator.uniform(1.5, 5) / np.tile(partials, 2) ** 0.8
    ring = modes(sample_rate, pitches, decays, strengths, seconds)
    period = generator.uniform(0.4, 2.5)
    times = np.arange(generator.uniform(0.05, 0.4), seconds - 0.3, period)
    times = times + generator.normal(0, 0.02 * period, len(times))
    loudness = generator.uniform(0.6, 1, len(times))
    return train(samples, sample_rate, times, loudness, ring)


def _siren(generator, samples, sample_rate):
    """Sound a siren that wails, yelps or changes between two tones."""
    time = np.arange(samples) / sample_rate
    low = generator.uniform(400, 700)
    high = low * generator.uniform(1.3, 2.4)
    manner = generator.choice(["wail", "yelp", "tones"])
    start = generator.random()
    if manner == "tones":
        cycle = time * generator.uniform(0.8, 1.6) + start
        sway = (cycle % 1.0 < 0.5).astype(float)
    else:
        pace = generator.uniform(0.25, 0.6)
        if manner == "yelp":
            pace *= 8
        sway = 0.5 - 0.5 * np.cos(2 * np.pi * (time * pace + start))
        sway = sway ** generator.uniform(0.5, 1.2)
    width = int(0.015 * sample_rate)
    padded = np.pad(sway, width, mode="edge")
    smooth = np.ones(2 * width + 1) / (2 * width + 1)
    sway = np.convolve(padded, smooth, mode="valid")
    pitch = low * (high / low) ** sway
    strengths = generator.uniform(0.3, 1, 10) / np.arange(1, 11) ** 1.2
    signal = harmonics(np.cumsum(pitch) / sample_rate, sample_rate, strengths)
    distance = slow(generator, samples, sample_rate, 1.0)
    return signal * np.exp(0.25 * distance)


def _knock(generator, samples, sample_rate):
    """Knock on a door: groups of quick knocks, wood that answers."""
    seconds = samples / sample_rate
    body = generator.uniform(90, 260)
    pitches = body * np.cumsum(generator.uniform(0.3, 1.2, 9) + 0.2)
    wood = modes(
        sample_rate,
        pitches,
        generator.uniform(0.05, 0.16) * (body / pitches) ** 0.4,
        generator.uniform(0.3, 1, 9) * np.geomspace(1, 0.3, 9),
        0.25,
    )
    tap = generator.standard_normal(int(0.004 * sample_rate))
    wood[: len(tap)] += 0.5 * tap * np.linspace(1, 0, len(tap))
    times, time = [], generator.uniform(0.05, 0.4)
    gap = generator.uniform(0.13, 0.3)
    while time < seconds - 0.3:
        for _ in range(generator.integers(2, 6)):
            times.append(time)
            time += gap * generator.normal(1, 0.06)
        time += generator.uniform(0.4, 1.0)
    loudness = generator.uniform(0.5, 1, len(times))
    return train(samples, sample_rate, times, loudness, wood)


def _chirp(generator, samples, sample_rate):
    """Sing as a bird: a few kinds of quick syllables, repeated in phrases."""
    seconds = samples / sample_rate
    highest = min(6000.0, 0.42 * sample_rate)
    center = generator.uniform(0.5, 0.8) * highest
    syllables = []
    for _ in range(generator.integers(2, 5)):
        length = int(generator.uniform(0.04, 0.22) * sample_rate)
        place = np.linspace(0, 1, length)
        bend, arch = generator.uniform(-0.3, 0.3, 2)
        trill = generator.uniform(0, 0.08) * generator.integers(2)
        flutter = np.sin(2 * np.pi * place * generator.uniform(3, 9))
        bow = arch * np.sin(np.pi * place)
        pitch = center * (1 + bend * (place - 0.5) + bow + trill * flutter)
        phase = np.cumsum(np.minimum(pitch, highest)) / sample_rate
        song = harmonics(phase, sample_rate, [1.0, generator.uniform(0, 0.3)])
        syllables.append(song * np.sin(np.pi * place) ** 0.7)
    signal = np.zeros(samples)
    gap = generator.uniform(0.03, 0.12)
    time = generator.uniform(0.05, 0.3)
    while time < seconds - 0.25:
        syllable = syllables[generator.integers(len(syllables))]
        for _ in range(generator.integers(1, 7)):
            loudness = generator.uniform(0.5, 1)
            signal += train(samples, sample_rate, [time], loudness, syllable)
            time += len(syllable) / sample_rate + gap
        time += generator.uniform(0.1, 0.6)
    return signal


def _engine(generator, samples, sample_rate):
    """Rev a combustion engine: uneven strokes, exhaust, rattle."""
    seconds = samples / sample_rate
    rev = slow(generator, samples, sample_rate, generator.uniform(0.6, 2.0))
    firing = generator.uniform(25, 90) * 2 ** (0.5 * rev)
    turn = np.cumsum(firing) / sample_rate
    time = np.arange(samples) / sample_rate
    strokes = np.interp(np.arange(1, int(turn[-1])), turn, time)
    cylinders = generator.uniform(0.5, 1, generator.choice([1, 2, 4]))
    loudness = np.resize(cylinders, len(strokes))
    loudness = loudness * generator.normal(1, 0.12, len(strokes))
    strokes = strokes + generator.normal(0, 2e-4, len(strokes))
    pipe = modes(
        sample_rate,
        generator.uniform(60, 900, 7),
        generator.uniform(0.03, 0.09, 7),
        generator.standard_normal(7),
        min(0.15, seconds),
    )
    signal = train(samples, sample_rate, strokes, loudness, pipe)
    gas = noise(generator, samples, sample_rate, band(200, 3000, 5.0))
    beat = 0.4 + np.exp(-6 * (turn % 1.0))
    signal /= signal.std()
    return signal * np.exp(0.2 * rev) + generator.uniform(0.1, 0.3) * gas * beat


def _bark(generator, samples, sample_rate):
    """Bark: short cries, rough and voiced, whose pitch jumps up and falls."""
    seconds = samples / sample_rate
    base = np.exp(generator.uniform(np.log(220), np.log(750)))
    throat = base * generator.uniform(1.5, 2.6)
    curve = {
        throat * 0.4: -14,
        throat: 0,
        throat * 1.6: -7,
        throat * 2.3: -3,
        throat * 5: -22,
        throat * 10: -40,
    }
    signal = np.zeros(samples)
    time = generator.uniform(0.05, 0.4)
    while time < seconds - 0.35:
        for _ in range(generator.integers(1, 4)):
            length = int(generator.uniform(0.12, 0.28) * sample_rate)
            place = np.linspace(0, 1, length)
            rise = generator.uniform(0.2, 0.5) * np.sin(np.pi * place**0.6)
            jitter = 0.03 * slow(generator, length, sample_rate, 120.0)
            pitch = base * generator.normal(1, 0.05) * (0.8 + rise + jitter)
            voice = harmonics(
                np.cumsum(pitch) / sample_rate, sample_rate, np.ones(25)
            )
            rough = generator.standard_normal(length)
            cry = voice / voice.std() + generator.uniform(0.4, 1.0) * rough
            cry *= np.minimum(1, place / 0.08) * (1 - place) ** 0.8
            cry = shape(np.pad(cry, length), sample_rate, curve)[length:]
            signal += train(samples, sample_rate, [time], [1.0], cry)
            time += length / sample_rate + generator.uniform(0.08, 0.3)
        time += generator.uniform(0.2, 0.8)
    return signal


def _beep(generator, samples, sample_rate):
    """Sound an alarm: tones of one or two pitches in a fixed pattern."""
    time = np.arange(samples) / sample_rate
    pitches = generator.uniform(700, 3200) * np.array(
        [1.0, generator.choice([1.0, generator.uniform(0.7, 1.0)])]
    )
    period = generator.uniform(0.1, 0.5)
    count = int(generator.integers(1, 5))
    rest = int(generator.integers(0, 4))
    duty = generator.uniform(0.45, 0.9)
    cycle = time / period + (count + rest) * generator.random()
    step = np.floor(cycle).astype(int) % (count + rest)
    place = cycle % 1.0
    edge = 0.004 / period
    gate = np.clip(place / edge, 0, 1) * np.clip((duty - place) / edge, 0, 1)
    gate *= step < count
    phase = np.cumsum(pitches[step % 2]) / sample_rate
    strengths = 1 / np.arange(1, 9) ** generator.uniform(0.8, 2.5)
    strengths[1::2] *= generator.uniform(0, 1)
    return gate * harmonics(phase, sample_rate, strengths)


def _drops(generator, samples, sample_rate):
    """Let water drip: every drop a bubble whose pitch rises."""
    seconds = samples / sample_rate
    pace = generator.uniform(1.5, 7.0)
    times = np.cumsum(generator.gamma(3.0, 1 / (3 * pace), int(9 * seconds)))
    times = times[times < seconds - 0.1]
    center = generator.uniform(500, 1500)
    signal = np.zeros(samples)
    for time in times:
        pitch = center * 2 ** generator.normal(0, 0.35)
        bubble = modes(
            sample_rate,
            [pitch],
            [generator.uniform(0.04, 0.14)],
            [1.0],
            0.15,
            glide=generator.uniform(0.3, 1.2),
        )
        click = generator.standard_normal(int(0.002 * sample_rate))
        start = time - generator.uniform(0.008, 0.02)
        loudness = generator.uniform(0.3, 1)
        signal += train(samples, sample_rate, [time], loudness, bubble)
        signal += train(samples, sample_rate, [start], 0.15 * loudness, click)
    return signal


def _whistle(generator, samples, sample_rate):
    """Whistle: gliding notes, some vibrato, a little breath."""
    seconds = samples / sample_rate
    scale = generator.uniform(700, 1300) * 2 ** (
        np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12
    )
    ends = np.cumsum(generator.uniform(0.18, 0.7, int(6 * seconds)))
    notes = generator.integers(len(scale), size=len(ends))
    note = np.searchsorted(ends, np.arange(samples) / sample_rate)
    melody = np.log(scale)[notes[note]]
    width = int(generator.uniform(0.02, 0.06) * sample_rate)
    padded = np.pad(melody, width, mode="edge")
    smooth = np.hanning(2 * width + 3)[1:-1]
    melody = np.convolve(padded, smooth / smooth.sum(), mode="valid")
    time = np.arange(samples) / sample_rate
    depth = generator.uniform(0, 0.02)
    vibrato = np.sin(2 * np.pi * generator.uniform(4.5, 7) * time)
    waver = slow(generator, samples, sample_rate, 12.0)
    pitch = np.exp(melody + depth * vibrato + 0.004 * waver)
    strengths = [1.0, generator.uniform(0.01, 0.15), 0.01]
    tone = harmonics(np.cumsum(pitch) / sample_rate, sample_rate, strengths)
    played = (generator.random(len(ends)) < 0.85)[note].astype(float)
    played = np.convolve(np.pad(played, width, mode="edge"), smooth, "valid")
    breath = noise(generator, samples, sample_rate, band(800, 3500))
    strength = np.exp(0.25 * slow(generator, samples, sample_rate, 4.0))
    signal = tone + generator.uniform(0.03, 0.12) * breath
    return (0.01 + played / smooth.sum()) * strength * signal


def _drum(generator, samples, sample_rate):
    """Repeat a bar on a drum kit: bass drum, snare or tom, cymbal."""
    seconds = samples / sample_rate
    time = np.arange(int(0.4 * sample_rate)) / sample_rate
    low = generator.uniform(45, 75)
    fall = low * time + generator.uniform(1, 3) * (1 - np.exp(-time / 0.03))
    bass = np.sin(2 * np.pi * fall) * np.exp(-time / 0.1)
    wires = noise(generator, len(time), sample_rate, band(900, 5000))
    skin = generator.uniform(140, 260) * np.array([1.0, 1.59, 2.14, 2.3])
    snare = modes(sample_rate, skin, 0.25, [1.0, 0.7, 0.4, 0.4], 0.4)
    snare = snare + generator.uniform(0, 1.2) * wires * np.exp(-time / 0.06)
    cymbal = noise(generator, len(time), sample_rate, {1500: -40, 5000: 0})
    cymbal *= np.exp(-time / generator.uniform(0.02, 0.1))
    step = generator.uniform(0.1, 0.19)
    count = int(seconds / step)
    signal = np.zeros(samples)
    for sound, chance, level in [
        (bass, 0.35, 1.2),
        (snare, 0.3, 0.8),
        (cymbal, 0.6, 0.25),
    ]:
        bar = generator.random(8) < chance
        bar[generator.integers(8)] = True
        steps = np.flatnonzero(np.resize(bar, count))
        times = steps * step + generator.normal(0, 0.004, len(steps))
        loudness = level * generator.uniform(0.6, 1, len(steps))
        signal += train(samples, sample_rate, times + 0.02, loudness, sound)
    return signal


EVENT_CLASSES = {
    "bark": _bark,
    "beep": _beep,
    "bell": _bell,
    "chirp": _chirp,
    "drops": _drops,
    "drum": _drum,
    "engine": _engine,
    "knock": _knock,
    "siren": _siren,
    "whistle": _whistle,
}
