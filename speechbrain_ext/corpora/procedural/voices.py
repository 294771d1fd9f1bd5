"""Noise that is made of voices, real or synthetic."""

import numpy as np

from speechbrain_ext.corpora.procedural.rooms import indoors
from speechbrain_ext.corpora.procedural.signals import noise, shape, slow

# The spectrum of long passages of speech, in dB over Hz (own rounding)
SPEECH_SPECTRUM = {
    60: -25,
    125: -5,
    250: 0,
    500: 0,
    1000: -8,
    2000: -14,
    4000: -19,
    8000: -25,
}
# Formants of five vowels in Hz (own rounding), for voices far away
FORMANTS = {
    "a": (750, 1250, 2500),
    "e": (450, 1900, 2600),
    "i": (300, 2250, 3000),
    "o": (450, 850, 2500),
    "u": (320, 700, 2300),
}


def babble(generator, samples, sample_rate, voices):
    """Let four to eight voices talk at once in one room.

    Arguments
    ---------
    generator : numpy.random.Generator
        Source of the draws.
    samples : int
        Length.
    sample_rate : int
        In Hz.
    voices : sequence of sequence of numpy.ndarray
        The utterances, each of shape (time,), of every voice.

    Returns
    -------
    signal : numpy.ndarray
        Shape (samples,), of any level.

    Raises
    ------
    ValueError
        If there are fewer than four voices, or all are silent.

    Example
    -------
    >>> generator = np.random.default_rng(0)
    >>> voices = [[generator.standard_normal(400)] for _ in range(4)]
    >>> babble(generator, 800, 8000, voices).shape
    (800,)
    """
    if len(voices) < 4:
        raise ValueError(
            f"babble needs the speech of at least 4 voices, {len(voices)} given"
        )
    count = min(len(voices), int(generator.integers(4, 9)))
    total = np.zeros(samples)
    for chosen in generator.permutation(len(voices))[:count]:
        utterances = voices[chosen]
        pieces, length = [], 0
        order = list(generator.permutation(len(utterances)))
        while length < samples + 6 * sample_rate:
            pause = np.zeros(int(generator.uniform(0.05, 0.6) * sample_rate))
            order = order[1:] + order[:1]
            pieces += [utterances[order[0]], pause]
            length += len(pieces[-1]) + len(pieces[-2])
        start = generator.integers(length - samples)
        voice = np.concatenate(pieces)[start : start + samples].astype(float)
        level = 10 ** (generator.uniform(-8, 0) / 20)
        total += level * voice / np.sqrt(np.mean(voice**2) + 1e-9)
    if not total.any():
        raise ValueError("babble needs speech; the voices given are silent")
    return indoors(generator, total, sample_rate, shortest=0.35, longest=0.8)


def speech_shaped(generator, samples, sample_rate):
    """Draw noise with the spectrum of speech, some of it with its rhythm too.

    Arguments
    ---------
    generator : numpy.random.Generator
        Source of the draws.
    samples : int
        Length.
    sample_rate : int
        In Hz.

    Returns
    -------
    signal : numpy.ndarray
        Shape (samples,), of any level.

    Example
    -------
    >>> speech_shaped(np.random.default_rng(0), 800, 8000).shape
    (800,)
    """
    tilt = generator.uniform(-2.0, 2.0)
    curve = {
        frequency: gain + tilt * np.log2(frequency / 500)
        for frequency, gain in SPEECH_SPECTRUM.items()
    }
    signal = noise(generator, samples, sample_rate, curve)
    depth = generator.choice([0.0, 0.4, 0.8])
    rhythm = slow(generator, samples, sample_rate, generator.uniform(6, 12))
    return signal * np.exp(depth * rhythm)


def crowd(generator, samples, sample_rate):
    """Mix dozens of synthetic voices far away, that no one could follow.

    Arguments
    ---------
    generator : numpy.random.Generator
        Source of the draws.
    samples : int
        Length.
    sample_rate : int
        In Hz.

    Returns
    -------
    signal : numpy.ndarray
        Shape (samples,), of any level.

    Example
    -------
    >>> crowd(np.random.default_rng(0), 800, 8000).shape
    (800,)
    """
    buses = np.zeros((len(FORMANTS), samples))
    spacing = sample_rate / generator.uniform(4.0, 5.5)
    for _ in range(generator.integers(18, 30)):
        base = np.exp(generator.uniform(np.log(90), np.log(260)))
        melody = slow(generator, samples, sample_rate, 3.0)
        phase = np.cumsum(base * 2 ** (0.18 * melody)) / sample_rate
        breath = 0.3 * generator.standard_normal(samples)
        voice = (phase % 1.0) ** 6 - 1 / 7 + 0.3 * breath
        talk = slow(generator, samples, sample_rate, 9.0)
        turns = slow(generator, samples, sample_rate, 0.5)
        gate = np.exp(0.9 * talk + 0.8 * turns)
        vowels = generator.integers(len(FORMANTS), size=samples)
        vowels = vowels[(np.arange(samples) / spacing).astype(int)]
        distance = generator.uniform(0.2, 1.0)
        np.add.at(buses, (vowels, np.arange(samples)), distance * voice * gate)
    signal = np.zeros(samples)
    for bus, formants in zip(buses, FORMANTS.values(), strict=True):
        curve = {60: -12, 200: 0}
        for formant, fall in zip(formants, (0, -4, -9), strict=True):
            curve |= {formant * 0.85: fall - 8, formant: fall}
            curve |= {formant * 1.15: fall - 8}
        curve = dict(sorted(curve.items())) | {6000: -40}
        signal += shape(bus, sample_rate, curve)
    return indoors(generator, signal, sample_rate, shortest=0.5, longest=0.9)
