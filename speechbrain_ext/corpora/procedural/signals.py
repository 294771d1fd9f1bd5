"""The building blocks of the procedural sounds.

Colored noise, slow random curves, bursts of modes and trains of impacts: all
of it vectorised numpy, drawn from a generator that the caller seeds. Times are
in seconds and frequencies in Hz; what lies above the Nyquist frequency of the
wanted rate is left out, never folded back.
"""

import zlib

import numpy as np
from scipy import fft
from scipy.interpolate import CubicSpline

LEVEL_DB = -25.0
PEAK = 0.9


def seeded(*parts):
    """Make a generator from anything that has a text form.

    Arguments
    ---------
    *parts : int or str
        Together they name the random stream; parts that differ in any place
        give independent streams.

    Returns
    -------
    generator : numpy.random.Generator
        The same for the same parts, in every process.

    Example
    -------
    >>> int(seeded(0, "rain").integers(9)) == int(seeded(0, "rain").integers(9))
    True
    """
    return np.random.default_rng([zlib.crc32(str(p).encode()) for p in parts])


def finish(signal):
    """Set the level of a signal: LEVEL_DB of RMS, or less to keep to PEAK.

    Arguments
    ---------
    signal : numpy.ndarray
        Shape (time,), not silent.

    Returns
    -------
    signal : numpy.ndarray
        Shape (time,), float32, without offset.

    Example
    -------
    >>> round(float(finish(np.array([3.0, -3.0, 3.0, -3.0]))[0]), 4)
    0.0562
    """
    signal = signal - signal.mean()
    gain = 10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(signal**2))
    gain = min(gain, PEAK / np.abs(signal).max())
    return (gain * signal).astype(np.float32)


def shape(signal, sample_rate, curve):
    """Filter with a curve of gains, without delay.

    Arguments
    ---------
    signal : numpy.ndarray
        Shape (..., time); treated as periodic, which suits noise.
    sample_rate : int
        In Hz.
    curve : dict
        Gain in dB by frequency in Hz; straight lines over log frequency in
        between, constant outside.

    Returns
    -------
    signal : numpy.ndarray
        Shape (..., time).

    Example
    -------
    >>> wave = np.sin(2 * np.pi * 100 * np.arange(800) / 800)
    >>> quiet = shape(wave, 800, {100: -20.0, 200: 0.0})
    >>> bool(np.allclose(quiet, 0.1 * wave, atol=1e-6))
    True
    """
    samples = signal.shape[-1]
    frequencies = fft.rfftfreq(samples, 1 / sample_rate)
    gains = np.interp(
        np.log(np.maximum(frequencies, 1.0)),
        np.log(list(curve)),
        list(curve.values()),
    )
    spectrum = fft.rfft(signal) * 10 ** (gains / 20)
    return fft.irfft(spectrum, samples)


def noise(generator, samples, sample_rate, curve):
    """Gaussian noise of unit power with the given spectrum.

    Arguments
    ---------
    generator : numpy.random.Generator
        Source of the draws.
    samples : int
        Length.
    sample_rate : int
        In Hz.
    curve : dict
        As in ``shape``.

    Returns
    -------
    signal : numpy.ndarray
        Shape (samples,).

    Example
    -------
    >>> hiss = noise(seeded(0), 800, 8000, {1000: -30.0, 3000: 0.0})
    >>> round(float(np.mean(hiss**2)), 6)
    1.0
    """
    signal = shape(generator.standard_normal(samples), sample_rate, curve)
    return signal / np.sqrt(np.mean(signal**2))


def band(low, high, slope=12.0):
    """Describe a band-pass, flat from `low` to `high`.

    Arguments
    ---------
    low, high : float
        Edges in Hz.
    slope : float
        Fall outside, in dB an octave, over four octaves.

    Returns
    -------
    curve : dict
        For ``shape`` and ``noise``.

    Example
    -------
    >>> band(100.0, 200.0)
    {6.25: -48.0, 100.0: 0.0, 200.0: 0.0, 3200.0: -48.0}
    """
    return {low / 16: -4 * slope, low: 0.0, high: 0.0, high * 16: -4 * slope}


def random_curve(generator, depth_db, tilt_db=0.0):
    """Draw a smooth equalizer curve from 50 Hz to 8 kHz.

    Arguments
    ---------
    generator : numpy.random.Generator
        Source of the draws.
    depth_db : float
        Standard deviation of the gains, one draw every 2/3 octave or so.
    tilt_db : float
        Added slope, in dB an octave.

    Returns
    -------
    curve : dict
        For ``shape`` and ``noise``.

    Example
    -------
    >>> len(random_curve(seeded(0), 3.0))
    12
    """
    frequencies = np.geomspace(50, 8000, 12)
    gains = depth_db * generator.standard_normal(12)
    gains += tilt_db * np.log2(frequencies / 50)
    return dict(zip(frequencies.tolist(), gains.tolist(), strict=True))


def slow(generator, samples, sample_rate, rate):
    """Draw a smooth curve of about unit variance around zero.

    Arguments
    ---------
    generator : numpy.random.Generator
        Source of the draws.
    samples : int
        Length.
    sample_rate : int
        In Hz.
    rate : float
        Knots a second; the curve's bandwidth is about half of that, in Hz.

    Returns
    -------
    curve : numpy.ndarray
        Shape (samples,).

    Example
    -------
    >>> curve = slow(seeded(0), 800, 8000, 4.0)
    >>> bool(np.abs(np.diff(curve)).max() < 0.05)
    True
    """
    knots = int(np.ceil(samples / sample_rate * rate)) + 4
    start = generator.random()
    spline = CubicSpline(np.arange(knots), generator.standard_normal(knots))
    return spline(start + 1 + np.arange(samples) * (rate / sample_rate))


def modes(sample_rate, frequencies, decays, amplitudes, seconds, glide=0.0):
    """Decaying sine waves that start together: anything that is struck.

    Arguments
    ---------
    sample_rate : int
        In Hz.
    frequencies : sequence of float
        In Hz; those above 0.45 times the sample rate are left out.
    decays : sequence of float
        Seconds to fall by 60 dB.
    amplitudes : sequence of float
        At the start.
    seconds : float
        Length.
    glide : float
        Rise of the pitch along the sound, relative (0.5: half as high again).

    Returns
    -------
    signal : numpy.ndarray
        Shape (time,).

    Example
    -------
    >>> modes(8000, [440.0], [0.1], [1.0], 0.1).shape
    (800,)
    """
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    frequencies, decays, amplitudes = np.broadcast_arrays(
        *np.atleast_1d(frequencies, decays, amplitudes)
    )
    audible = frequencies * (1 + max(glide, 0.0)) < 0.45 * sample_rate
    path = time * (1 + glide * time / (2 * seconds))
    waves = np.sin(2 * np.pi * np.outer(frequencies[audible], path))
    waves *= np.exp(-np.outer(6.91 / decays[audible], time))
    onset = np.minimum(1.0, time / 0.0005)
    return onset * (amplitudes[audible] @ waves)


def train(samples, sample_rate, times, amplitudes, template):
    """Repeat one short sound at many times.

    Arguments
    ---------
    samples : int
        Length of the result.
    sample_rate : int
        In Hz.
    times : sequence of float
        In seconds; those outside the result are left out.
    amplitudes : sequence of float
        One for each time.
    template : numpy.ndarray
        The sound, shape (time,).

    Returns
    -------
    signal : numpy.ndarray
        Shape (samples,); what rings beyond its end is cut.

    Example
    -------
    >>> bell = np.array([1.0, 0.5])
    >>> np.abs(train(6, 1, [1, 4], [1.0, 2.0], bell)).round(6)
    array([0. , 1. , 0.5, 0. , 2. , 1. ])
    """
    positions = np.round(np.asarray(times) * sample_rate).astype(int)
    amplitudes = np.broadcast_to(amplitudes, positions.shape)
    inside = (positions >= 0) & (positions < samples)
    impulses = np.bincount(
        positions[inside], amplitudes[inside], minlength=samples
    )
    return convolve(impulses, template)


def convolve(signal, response):
    """Convolve and keep the length of the signal.

    Arguments
    ---------
    signal : numpy.ndarray
        Shape (time,).
    response : numpy.ndarray
        Shape (taps,).

    Returns
    -------
    signal : numpy.ndarray
        Shape (time,).

    Example
    -------
    >>> convolve(np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.5])).round(6)
    array([0. , 1. , 0.5])
    """
    samples = len(signal)
    size = fft.next_fast_len(samples + len(response) - 1, real=True)
    spectrum = fft.rfft(signal, size) * fft.rfft(response, size)
    return fft.irfft(spectrum, size)[:samples]


def harmonics(phase, sample_rate, amplitudes):
    """Sum the harmonics of a tone whose pitch moves.

    Arguments
    ---------
    phase : numpy.ndarray
        Phase of the fundamental in cycles, shape (time,), growing.
    sample_rate : int
        In Hz.
    amplitudes : sequence of float
        Of the harmonics 1, 2, 3 ...; a harmonic is silent wherever it would
        pass 0.45 times the sample rate.

    Returns
    -------
    signal : numpy.ndarray
        Shape (time,).

    Example
    -------
    >>> phase = 100 * np.arange(80) / 8000
    >>> wave = harmonics(phase, 8000, [1.0])
    >>> bool(np.allclose(wave, np.sin(2 * np.pi * phase), atol=1e-6))
    True
    """
    turn = np.exp(2j * np.pi * phase)
    pitch = np.gradient(phase)
    total = np.zeros(len(phase))
    current = np.ones_like(turn)
    for number, amplitude in enumerate(amplitudes, start=1):
        current = current * turn
        audible = number * pitch < 0.45
        if not audible.any():
            break
        total += amplitude * current.imag * audible
    return total


def spread(generator, count, deviation):
    """Draw the loudness of impacts: log-normal, as in nature.

    Arguments
    ---------
    generator : numpy.random.Generator
        Source of the draws.
    count : int
        How many.
    deviation : float
        Standard deviation of the logarithm.

    Returns
    -------
    loudness : numpy.ndarray
        Shape (count,), positive, 1 in the middle.

    Example
    -------
    >>> spread(seeded(0), 2, 0.0)
    array([1., 1.])
    """
    return np.exp(deviation * generator.standard_normal(count))
