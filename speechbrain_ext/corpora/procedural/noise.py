"""Procedural background noise, twelve kinds, no two draws alike.

Ring mixing can only remove a noise that cannot be told apart by its source,
so every kind is drawn in the same way whichever voice it will stand behind:
one level, a random equalizer as of an unknown microphone, a bed of room tone
so that nothing is ever silent, and nothing that depends on the speech.
"""

import numpy as np

from speechbrain_ext.corpora.procedural.rooms import indoors
from speechbrain_ext.corpora.procedural.signals import (
    band,
    convolve,
    finish,
    harmonics,
    modes,
    noise,
    random_curve,
    seeded,
    shape,
    slow,
    spread,
    train,
)
from speechbrain_ext.corpora.procedural.voices import (
    babble,
    crowd,
    speech_shaped,
)

# Heard in test only: no model of ours trains on them
HELD_OUT_KINDS = ("crowd", "railway")


def make_noise(kind, *, seconds, sample_rate, seed, speech=None):
    """Draw a recording of background noise.

    Arguments
    ---------
    kind : str
        One of ``NOISE_KINDS``.
    seconds : float
        Its length.
    sample_rate : int
        In Hz.
    seed : object
        Names the draw; see ``seeded``.
    speech : sequence of sequence of numpy.ndarray, optional
        For "babble": the utterances, each of shape (time,), of every voice.

    Returns
    -------
    signal : numpy.ndarray
        Shape (seconds * sample_rate,), float32, about -25 dB re full scale
        in RMS and never above 0.9.

    Raises
    ------
    ValueError
        If the kind is unknown, or babble has fewer than four voices or
        silent ones.

    Example
    -------
    >>> rain = make_noise("rain", seconds=1.0, sample_rate=8000, seed=0)
    >>> rain.shape, rain.dtype
    ((8000,), dtype('float32'))
    """
    if kind not in NOISE_KINDS:
        raise ValueError(
            f"unknown noise kind {kind!r}; it must be one of "
            f"{', '.join(NOISE_KINDS)}"
        )
    generator = seeded("noise", kind, seed)
    samples = int(round(seconds * sample_rate))
    if kind == "babble":
        signal = babble(generator, samples, sample_rate, speech or ())
    else:
        signal = NOISE_KINDS[kind](generator, samples, sample_rate)
    signal = signal / np.sqrt(np.mean(signal**2))
    curve = random_curve(generator, 4.0, generator.uniform(-5, -2))
    bed = noise(generator, samples, sample_rate, curve)
    signal = signal + 10 ** (generator.uniform(-28, -16) / 20) * bed
    curve = random_curve(generator, 2.5, generator.uniform(-0.6, 0.6))
    return finish(shape(signal, sample_rate, {20: -40, 49: 0} | curve))


def _wind(generator, samples, sample_rate):
    """Blow in gusts, bright when strong; rumble on the microphone; howl."""
    gust = slow(generator, samples, sample_rate, generator.uniform(0.5, 1.2))
    flutter = slow(generator, samples, sample_rate, generator.uniform(5, 10))
    force = np.exp(0.45 * gust + 0.2 * flutter)
    signal = force * noise(
        generator, samples, sample_rate, {30: 0, 80: 3, 600: -12, 2000: -34}
    )
    air = noise(
        generator, samples, sample_rate, {100: -20, 350: 0, 1200: 0, 6000: -18}
    )
    signal += generator.uniform(0.4, 1.0) * force**2 * air
    # a gap that howls: its pitch follows the gust, its tone wavers
    base = generator.uniform(250, 700)
    pitch = base * 2 ** (0.4 * gust + 0.03 * flutter)
    wobble = slow(generator, samples, sample_rate, 60.0)
    howl = np.sin(2 * np.pi * np.cumsum(pitch) / sample_rate + wobble)
    strength = generator.choice([0.0, 0.15, 0.4])
    return signal + strength * force**2 * howl


def _rain(generator, samples, sample_rate):
    """Rain: a hiss of far drops and thousands of near ones, on some surface."""
    seconds = samples / sample_rate
    heavy = np.exp(
        0.25 * slow(generator, samples, sample_rate, generator.uniform(0.2, 1))
    )
    low = generator.uniform(500, 1500)
    far = noise(generator, samples, sample_rate, band(low, 6000, 6.0))
    signal = heavy * far
    # three sizes of drop, every drop with a pitch of its own; the big ones
    # are rare, dull and ring longer
    for size in (1.0, 0.6, 0.3):
        density = generator.uniform(20, 150) * size**-1.5
        times = generator.uniform(0, seconds, int(density * seconds))
        pitches = 1100 / size * 2 ** generator.normal(0, 0.7, len(times))
        decays = size * generator.uniform(0.005, 0.03, len(times))
        loudness = np.minimum(spread(generator, len(times), 0.7), 3.0)
        drops = _drops(samples, sample_rate, times, pitches, decays, loudness)
        signal += generator.uniform(1.5, 5.0) * size * drops
    # a roof or a window sounds below the hiss
    pitches = generator.uniform(150, 900, 6)
    roof = modes(sample_rate, pitches, 0.06, np.ones(6), 0.08)
    hits = generator.standard_normal(samples) ** 3
    body = convolve(hits, roof)
    level = generator.choice([0.0, 0.3, 0.9])
    return signal + level * heavy * body / body.std()


def _drops(samples, sample_rate, times, pitches, decays, loudness):
    """Add one short decaying tone for every drop."""
    audible = pitches < 0.45 * sample_rate
    columns = times, pitches, decays, loudness
    times, pitches, decays, loudness = (c[audible, None] for c in columns)
    offsets = np.arange(int(0.02 * sample_rate))
    local = offsets / sample_rate
    tones = np.sin(2 * np.pi * pitches * local) * np.exp(-6.91 * local / decays)
    positions = (times * sample_rate).astype(int) + offsets
    inside = positions < samples
    weights = (loudness * tones)[inside]
    return np.bincount(positions[inside], weights, minlength=samples)


def _traffic(generator, samples, sample_rate):
    """Mix the drone of a road and cars that pass near by."""
    seconds = samples / sample_rate
    time = np.arange(samples) / sample_rate
    drone = {30: 0, 120: 0, 400: -9, 1000: -12, 2500: -24, 8000: -42}
    signal = noise(generator, samples, sample_rate, drone)
    signal *= np.exp(0.3 * slow(generator, samples, sample_rate, 0.4))
    tyres = {80: -20, 500: -3, 1000: 0, 2000: -6, 8000: -26}
    count = generator.poisson(seconds * generator.uniform(0.15, 0.5))
    for moment in generator.uniform(-1, seconds + 1, max(count, 2)):
        width = generator.uniform(0.4, 1.6)
        offset = (time - moment) / width
        envelope = 1 / (1 + offset**2)
        tilt = random_curve(generator, 3.0)
        rolling = shape(
            noise(generator, samples, sample_rate, tyres), sample_rate, tilt
        )
        # the pitch falls while the car goes by
        firing = generator.uniform(35, 110)
        doppler = 1 - 0.05 * offset / np.sqrt(1 + offset**2)
        phase = np.cumsum(firing * doppler) / sample_rate
        strengths = generator.exponential(1.0, 20) / np.arange(1, 21)
        engine = harmonics(phase, sample_rate, strengths)
        level = generator.uniform(0.4, 1.8)
        signal += level * envelope * envelope * rolling
        signal += 0.4 * level * envelope * engine
    return signal


def _hum(generator, samples, sample_rate):
    """Draw mains hum and buzz with a drift, and the hiss of its equipment."""
    mains = generator.choice([50.0, 60.0]) * generator.uniform(0.995, 1.005)
    drift = slow(generator, samples, sample_rate, 0.3)
    phase = np.cumsum(mains * (1 + 0.0015 * drift)) / sample_rate
    orders = np.arange(1, 61)
    slope = generator.uniform(0.6, 1.5)
    strengths = generator.exponential(1.0, 60) / orders**slope
    strengths[0::2] *= generator.uniform(0.1, 1.0)
    strengths[0] *= 0.3  # microphones hardly hear it
    signal = harmonics(phase, sample_rate, strengths)
    sway = slow(generator, samples, sample_rate, 1.0)
    signal *= np.exp(generator.uniform(0, 0.2) * sway)
    # a dimmer or an arc: noise that comes with each half wave
    sharpness = generator.uniform(1, 12)
    arcs = np.abs(np.sin(2 * np.pi * phase)) ** sharpness
    buzz = arcs * noise(
        generator, samples, sample_rate, random_curve(generator, 5.0)
    )
    hiss = noise(generator, samples, sample_rate, random_curve(generator, 3.0))
    signal /= signal.std()
    level = 10 ** (generator.uniform(-18, -3, 2) / 20)
    return signal + level[0] * buzz / buzz.std() + level[1] * hiss


def _keyboard(generator, samples, sample_rate):
    """Type: words, pauses, press and release, keys that differ; a room."""
    seconds = samples / sample_rate
    pace = generator.uniform(0.08, 0.2)
    gaps = pace * generator.gamma(4.0, 0.25, int(3 * seconds / pace))
    gaps += (generator.random(len(gaps)) < 0.15) * generator.uniform(
        pace, 1.2, len(gaps)
    )
    times = np.cumsum(gaps)
    times = times[times < seconds]
    loudness = spread(generator, len(times), 0.35)
    keys = generator.integers(10, size=len(times))
    body = generator.uniform(150, 600, 3)
    signal = np.zeros(samples)
    for key in range(10):
        struck = keys == key
        pitch = np.append(
            body * generator.uniform(0.9, 1.1, 3),
            generator.uniform(1200, 5500, 8),
        )
        strengths = generator.standard_normal(11)
        strengths[:3] *= generator.uniform(0.5, 2.0)
        decays = np.append(
            generator.uniform(0.03, 0.09, 3), generator.uniform(0.006, 0.03, 8)
        )
        press = modes(sample_rate, pitch, decays, strengths, 0.1)
        release = modes(
            sample_rate, 1.15 * pitch, 0.5 * decays, strengths[::-1], 0.1
        )
        signal += train(
            samples, sample_rate, times[struck], loudness[struck], press
        )
        held = generator.normal(0.09, 0.012, struck.sum())
        signal += train(
            samples,
            sample_rate,
            times[struck] + held,
            0.4 * loudness[struck],
            release,
        )
    signal = indoors(generator, signal, sample_rate, shortest=0.2, longest=0.5)
    # the machine that is typed on
    fan = _fan(generator, samples, sample_rate)
    level = 10 ** (generator.uniform(-14, -6) / 20)
    return signal / signal.std() + level * fan / fan.std()


def _fan(generator, samples, sample_rate):
    """Blow air through a grille, the blades' tone and its beats."""
    tilt = generator.uniform(-6, -2.5)
    curve = random_curve(generator, 3.5, tilt)
    signal = noise(generator, samples, sample_rate, curve)
    blades = generator.uniform(40, 240)
    wander = slow(generator, samples, sample_rate, generator.uniform(0.5, 2))
    phase = np.cumsum(blades * (1 + 0.004 * wander)) / sample_rate
    strengths = generator.exponential(1.0, 12) / np.arange(1, 13)
    tone = harmonics(phase, sample_rate, strengths)
    level = 10 ** (generator.uniform(-16, -2) / 20)
    beat = generator.uniform(0.05, 0.4) * np.sin(
        2 * np.pi * phase / generator.integers(20, 160)
    )
    return (1 + beat) * (signal + level * tone / tone.std())


def _colored(generator, samples, sample_rate):
    """Draw noise whose random spectrum turns slowly into others."""
    signal = np.zeros(samples)
    for _ in range(3):
        curve = random_curve(generator, 7.0, generator.uniform(-4, 0.5))
        part = noise(generator, samples, sample_rate, curve)
        pace = generator.uniform(0.3, 3.0)
        weight = slow(generator, samples, sample_rate, pace)
        signal += part * np.exp(generator.uniform(0.2, 0.9) * weight)
    return signal


def _machinery(generator, samples, sample_rate):
    """Run a machine: strokes that clank, grinding at their pace, a motor."""
    seconds = samples / sample_rate
    pace = generator.uniform(1.5, 14.0)
    load = slow(generator, samples, sample_rate, 0.5)
    turn = np.cumsum(pace * (1 + 0.02 * load)) / sample_rate
    starts = np.interp(
        np.arange(1, int(turn[-1])), turn, np.arange(samples) / sample_rate
    )
    signal = np.zeros(samples)
    for _ in range(generator.integers(2, 5)):
        place = generator.random() / pace
        late = generator.normal(place, 0.004, len(starts))
        count = generator.integers(5, 12)
        clank = modes(
            sample_rate,
            np.exp(generator.uniform(np.log(120), np.log(5000), count)),
            generator.uniform(0.03, 0.25, count),
            generator.standard_normal(count),
            min(0.3, seconds),
        )
        loudness = spread(generator, len(starts), 0.25)
        stroke = train(samples, sample_rate, starts + late, loudness, clank)
        signal += generator.uniform(0.3, 1) * stroke / (stroke.std() + 1e-9)
    form = np.clip(np.sin(2 * np.pi * turn) + generator.uniform(-0.5, 1), 0, 2)
    grind = form * noise(
        generator, samples, sample_rate, random_curve(generator, 5.0, -1.5)
    )
    signal += generator.uniform(0.3, 1.2) * grind / grind.std()
    ratio = generator.uniform(60, 240) / pace
    strengths = generator.exponential(1.0, 25) / np.arange(1, 26) ** 0.8
    motor = harmonics(ratio * turn, sample_rate, strengths)
    return signal + generator.uniform(0.2, 0.9) * motor / motor.std()


def _railway(generator, samples, sample_rate):
    """Ride a train: rumble, joints in pairs of wheels, air, squeals."""
    seconds = samples / sample_rate
    rumble = {30: 0, 90: 2, 250: -6, 700: -16, 3000: -34, 8000: -48}
    signal = noise(generator, samples, sample_rate, rumble)
    signal *= np.exp(0.25 * slow(generator, samples, sample_rate, 2.0))
    air = noise(generator, samples, sample_rate, band(300, 2000, 6.0))
    signal += generator.uniform(0.1, 0.35) * air
    period = generator.uniform(0.7, 1.6)
    joints = np.arange(-period, seconds, period)
    joints = joints + generator.normal(0, 0.01, len(joints))
    pair = generator.uniform(0.1, 0.18) * period
    pattern = [0, pair, 0.45 * period, 0.45 * period + pair]
    clack = modes(
        sample_rate,
        np.append(
            generator.uniform(60, 400, 5), generator.uniform(800, 3000, 6)
        ),
        np.append(np.full(5, 0.15), generator.uniform(0.02, 0.06, 6)),
        generator.standard_normal(11),
        0.2,
    )
    for place in pattern:
        loudness = spread(generator, len(joints), 0.3)
        strokes = train(samples, sample_rate, joints + place, loudness, clack)
        signal += generator.uniform(5.0, 12.0) * strokes / np.abs(clack).max()
    pitch = generator.uniform(1200, 3200)
    wander = slow(generator, samples, sample_rate, 2.0)
    phase = np.cumsum(pitch * 2 ** (0.05 * wander)) / sample_rate
    strength = slow(generator, samples, sample_rate, 0.8)
    squeal = np.exp(2 * np.minimum(strength - 2, 0.5))
    return signal + squeal * harmonics(phase, sample_rate, [1.0, 0.5, 0.3])


NOISE_KINDS = {
    "babble": babble,
    "colored": _colored,
    "crowd": crowd,
    "fan": _fan,
    "hum": _hum,
    "keyboard": _keyboard,
    "machinery": _machinery,
    "railway": _railway,
    "rain": _rain,
    "speech_shaped": speech_shaped,
    "traffic": _traffic,
    "wind": _wind,
}
