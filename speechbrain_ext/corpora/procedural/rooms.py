"""Room responses: image sources, then a diffuse tail.

torchaudio's image-source simulator lived in its prototype part, which version
2.11 no longer has, so this is our own.
"""

from typing import NamedTuple

import numpy as np

from speechbrain_ext.corpora.procedural.signals import convolve, seeded

SPEED_OF_SOUND = 343.0
SHORTEST_RT60 = 0.15
LONGEST_RT60 = 0.6
FARTHEST = 2.0
HALF_TAPS = 16


class Room(NamedTuple):
    """A room response and what it came from.

    Arguments
    ---------
    response : numpy.ndarray
        Shape (time,), float32; the direct path is its first sample and 1.
    rt60 : float
        Seconds in which the sound falls by 60 dB.
    size : numpy.ndarray
        Length, width and height in metres.
    distance : float
        From the source to the microphone, in metres.
    """

    response: np.ndarray
    rt60: float
    size: np.ndarray
    distance: float


def make_room(*, sample_rate, seed, rt60=None):
    """Draw a shoebox room, a source and a microphone, and their response.

    The first reflections come from image sources (Allen and Berkley, "Image
    method for efficiently simulating small-room acoustics", JASA 65, 1979):
    wall reflections after Eyring's formula, equal at all frequencies, with
    each image moved by a few centimetres, for no real wall is flat. From the
    time when reflections lie dense, the images give way to Gaussian noise
    that decays with the wanted RT60. Its power relative to the direct path is
    that of a diffuse field, 4 pi c d^2 / V a second at distance d in the
    volume V: the limit of the image sources' density (derived by us).

    Arguments
    ---------
    sample_rate : int
        In Hz.
    seed : object
        Names the room; see ``seeded``.
    rt60 : float, optional
        Seconds; by default between 0.15 and 0.6.

    Returns
    -------
    room : Room
        Its response ends when it has fallen by about 60 dB.

    Raises
    ------
    ValueError
        If rt60 is not positive.

    Example
    -------
    >>> room = make_room(sample_rate=8000, seed=0, rt60=0.3)
    >>> float(room.response[0]), len(room.response)
    (1.0, 2400)
    """
    generator = seeded("room", seed)
    drawn = generator.uniform(SHORTEST_RT60, LONGEST_RT60)
    if rt60 is None:
        rt60 = drawn
    if rt60 <= 0:
        raise ValueError(f"rt60 is {rt60}; it must be positive, in seconds")
    size = generator.uniform([3.0, 2.6, 2.3], [8.0, 6.0, 3.4])
    microphone = generator.uniform([0.2, 0.2, 0.3], [0.8, 0.8, 0.6]) * size
    source = microphone
    while not 0.5 < np.linalg.norm(source - microphone) < FARTHEST:
        source = generator.uniform([0.1, 0.1, 0.35], [0.9, 0.9, 0.7]) * size
    samples = int(rt60 * sample_rate)
    response = _images(
        generator, samples, sample_rate, size, source, microphone, rt60
    )
    distance = float(np.linalg.norm(source - microphone))
    response = _fade_to_tail(
        generator, response, sample_rate, np.prod(size), distance, rt60
    )
    response[0] = 1.0
    return Room(response.astype(np.float32), float(rt60), size, distance)


def _images(generator, samples, sample_rate, size, source, microphone, rt60):
    """Sum the reflections of image sources relative to the direct path."""
    volume = np.prod(size)
    surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    # Eyring: RT60 = 0.161 V / (-S ln(1 - absorption)), and the pressure's
    # reflection coefficient is the root of 1 - absorption
    log_reflection = -0.5 * 0.161 * volume / (surface * rt60)
    reach = SPEED_OF_SOUND * min(0.06, rt60) + np.linalg.norm(size)
    axes = []
    for length, position, ear in zip(size, source, microphone, strict=True):
        order = int(np.ceil(reach / (2 * length)))
        cell = np.arange(-order, order + 1)
        offsets = np.concatenate(
            [2 * cell * length + position, 2 * cell * length - position]
        )
        bounces = np.concatenate([2 * np.abs(cell), np.abs(2 * cell - 1)])
        axes.append((offsets - ear, bounces))
    grids = np.meshgrid(*[axis[0] for axis in axes], indexing="ij")
    counts = np.meshgrid(*[axis[1] for axis in axes], indexing="ij")
    offsets = np.stack([grid.ravel() for grid in grids])
    bounces = sum(counts).ravel()
    offsets = offsets + 0.04 * (bounces > 0) * generator.standard_normal(
        offsets.shape
    )
    distances = np.linalg.norm(offsets, axis=0)
    direct = np.linalg.norm(source - microphone)
    amplitudes = np.exp(log_reflection * bounces) * direct / distances
    delays = (distances - direct) / SPEED_OF_SOUND * sample_rate
    kept = (delays < samples) & (bounces > 0) & (delays > 0)
    delays, amplitudes = delays[kept], amplitudes[kept]
    # fractional delays: Hann-windowed sinc
    whole = np.floor(delays).astype(int)
    taps = np.arange(1 - HALF_TAPS, HALF_TAPS + 1)
    away = taps - (delays - whole)[:, None]
    kernel = np.sinc(away) * np.cos(0.5 * np.pi * away / HALF_TAPS) ** 2
    positions = whole[:, None] + taps
    inside = (positions >= 0) & (positions < samples)
    return np.bincount(
        positions[inside],
        (amplitudes[:, None] * kernel)[inside],
        minlength=samples,
    )


def _fade_to_tail(generator, response, sample_rate, volume, distance, rt60):
    """Cross-fade from the image sources to decaying noise, power kept."""
    samples = len(response)
    time = np.arange(samples) / sample_rate
    power = 4 * np.pi * SPEED_OF_SOUND * distance**2 / volume / sample_rate
    # the tail's clock starts at the source, not at the direct sound
    decay = 10 ** (-3 * (time + distance / SPEED_OF_SOUND) / rt60)
    tail = np.sqrt(power) * decay * generator.standard_normal(samples)
    # mixing time of the room, about the root of its volume, in ms
    start = 1e-3 * np.sqrt(volume)
    share = np.clip((time - start) / (2 * start), 0, 1)
    return response * np.sqrt(1 - share) + tail * np.sqrt(share)


def indoors(generator, signal, sample_rate, *, shortest, longest):
    """Let a signal sound in a random room.

    Arguments
    ---------
    generator : numpy.random.Generator
        Source of the draws.
    signal : numpy.ndarray
        Shape (time,).
    sample_rate : int
        In Hz.
    shortest, longest : float
        Range of the RT60, in seconds.

    Returns
    -------
    signal : numpy.ndarray
        Shape (time,), the direct sound as it was; what rings on is cut.

    Example
    -------
    >>> click = np.eye(1, 400)[0]
    >>> heard = indoors(seeded(0), click, 8000, shortest=0.2, longest=0.3)
    >>> len(heard), round(float(heard[0]), 6)
    (400, 1.0)
    """
    rt60 = generator.uniform(shortest, longest)
    seed = generator.integers(2**32)
    room = make_room(sample_rate=sample_rate, seed=seed, rt60=rt60)
    return convolve(signal, room.response)
