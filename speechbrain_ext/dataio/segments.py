"""Segments of recordings, read at random and always the same way."""

import logging
import os
import struct
from collections.abc import Sequence

import numpy as np
import soundfile

from speechbrain_ext.dataio.recordings import Recording

# Mean power of a segment, re full scale, below which it counts as silent.
SILENCE_POWER = 10 ** (-50 / 10)
# A recording without any louder segment is merely quiet: a segment of it is
# silent where it lies 20 dB below the recording's loudest one.
QUIET_RATIO = 10 ** (-20 / 10)
REDRAWS = 5
PCM_STEP = np.float32(2**-15)
# RIFF, the "fmt " and "data" chunks of a WAV with nothing else before them
WAV_HEAD = struct.Struct("<4sI4s4sIHHIIHH4sI")
MONO_PCM_16 = (16, 1, 1), (2, 16)
# One recording in so many may be lost while a run goes on.
LOST_RATIO = 20

logger = logging.getLogger(__name__)


class SegmentReader:
    """Reads segments of one length at random places of recordings.

    A read seeks, so that it costs the same in a long recording as in a short
    one. Any file that libsndfile reads will do; of several channels the first
    is taken. Fastest is the mono PCM-16 WAV that our corpora leave.

    A file that vanishes or turns unreadable is told in a warning, and the
    recording after it is read in its place from then on, so that it does not
    end a run of days. More than one in twenty is an error.

    Arguments
    ---------
    recordings : sequence of Recording
        All at one sample rate.
    segment_samples : int
        Length of a segment, at least 1.

    Attributes
    ----------
    replaced : dict of int to int
        For each recording that was lost, which one is read in its place.

    Raises
    ------
    ValueError
        If there are no recordings, or more than one sample rate.
    """

    def __init__(
        self, recordings: Sequence[Recording], *, segment_samples: int
    ):
        if not recordings:
            raise ValueError("there are no recordings to read segments from")
        if segment_samples < 1:
            raise ValueError(
                f"segment_samples is {segment_samples}; it must be at least 1"
            )
        rates = {}
        for recording in recordings:
            rates.setdefault(recording.sample_rate, recording.path)
        if len(rates) > 1:
            raise ValueError(
                "the recordings have several sample rates: "
                + ", ".join(f"{rate} Hz ({rates[rate]})" for rate in rates)
                + "; prepare the corpus with one"
            )
        self.recordings = list(recordings)
        self.segment_samples = segment_samples
        self.sample_rate = recordings[0].sample_rate
        self._loudest = {}
        self.replaced = {}

    def __len__(self) -> int:
        return len(self.recordings)

    def read(
        self,
        index: int,
        generator: np.random.Generator,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Read a segment at random.

        A recording shorter than the segment stands whole at a random place
        with zeros around it. A silent segment (below -50 dB re full scale,
        or in a quiet recording 20 dB below its loudest segment) is drawn
        again up to 5 times; then the loudest one is taken. The result follows
        from the file and the generator's state alone.

        Arguments
        ---------
        index : int
            Which recording.
        generator : numpy.random.Generator
            Where the randomness comes from.
        out : numpy.ndarray, optional
            Where to write, shape (segment_samples,), float32.

        Returns
        -------
        segment : numpy.ndarray
            Shape (segment_samples,), float32, full scale at 1.

        Raises
        ------
        FileNotFoundError
            If the file is missing, and too many others are.
        ValueError
            If the file cannot be read, is not what the manifest says it is, or
            is silent throughout, and too many others are.
        """
        if out is None:
            out = np.empty(self.segment_samples, dtype=np.float32)
        self.place(index, generator, out)
        return out

    def place(
        self, index: int, generator: np.random.Generator, out: np.ndarray
    ) -> int:
        """Read a segment at random as `read` does, and tell where it was.

        Arguments
        ---------
        index, generator, out
            See `read`.

        Returns
        -------
        start : int
            Its first sample in the recording; negative if the recording is
            shorter and stands later in the segment. For `read_at`.
        """
        while True:
            index = self.actual(index)
            try:
                return self._place(index, generator, out)
            except (OSError, ValueError) as error:
                self._replace(index, error)

    def _replace(self, index, error):
        """Read the next recording from now on; raise after too many."""
        lost = {*self.replaced, index}
        if len(lost) * LOST_RATIO > len(self):
            raise error
        others = (index + step for step in range(1, len(self)))
        other = next(n % len(self) for n in others if n % len(self) not in lost)
        for former, now in self.replaced.items():
            if now == index:
                self.replaced[former] = other
        self.replaced[index] = other
        logger.warning(
            "%s. From now on %s is read in its place.",
            error,
            self.recordings[other].path,
        )

    def _place(self, index, generator, out):
        """Read a segment of this very recording; return its first sample."""
        recording = self.recordings[index]
        with open_recording(recording) as file:
            spare = recording.samples - self.segment_samples
            if spare <= 0:
                start = -int(generator.integers(1 - spare))
                if _fill_around(file, start, recording.samples, out) == 0:
                    raise _silent(recording)
                return start
            start = int(generator.integers(spare + 1))
            power = fill_from(file, start, out)
            if power < SILENCE_POWER:
                best, loudest = self._find_loudest(index, file)
                enough = min(SILENCE_POWER, QUIET_RATIO * loudest)
                for _ in range(REDRAWS):
                    if power >= enough:
                        break
                    start = int(generator.integers(spare + 1))
                    power = fill_from(file, start, out)
                if power < enough:
                    start = best
                    fill_from(file, start, out)
        return start

    def actual(self, index: int) -> int:
        """Return which recording is read at an index: itself, if not lost."""
        return self.replaced.get(index, index)

    def id_of(self, index: int) -> str:
        """Return the id of the recording that is read at an index."""
        return self.recordings[self.actual(index)].id

    def read_at(self, index: int, start: int, out: np.ndarray) -> None:
        """Read the segment that begins at a sample, silent or not.

        Arguments
        ---------
        index : int
            Which recording; nothing is read in its place.
        start : int
            What `place` gave for a recording of the same length.
        out : numpy.ndarray
            Where to write, shape (segment_samples,), float32.
        """
        recording = self.recordings[index]
        with open_recording(recording) as file:
            if recording.samples <= self.segment_samples:
                _fill_around(file, start, recording.samples, out)
            else:
                fill_from(file, start, out)

    def _find_loudest(self, index, file):
        """Find the start and mean power of a recording's loudest segment.

        It is searched once, in steps of a quarter of a segment.
        """
        if index not in self._loudest:
            step = max(1, self.segment_samples // 4)
            steps = self.segment_samples // step
            block = np.empty(step, np.float32)
            energies = [
                step * fill_from(file, number * step, block)
                for number in range(self.recordings[index].samples // step)
            ]
            sums = np.convolve(energies, np.ones(steps), mode="valid")
            best = int(sums.argmax())
            if sums[best] == 0:
                raise _silent(self.recordings[index])
            power = float(sums[best]) / (step * steps)
            last = self.recordings[index].samples - self.segment_samples
            self._loudest[index] = (min(best * step, last), power)
        return self._loudest[index]


class _PlainWave:
    """A WAV as our corpora leave it: mono PCM-16, samples after 44 bytes.

    It stands for a `soundfile.SoundFile`, and opens in a fifth of the time:
    opening takes longer than reading the seconds that a segment lasts.

    A ValueError says that a file is of another kind, or shorter than it says.
    """

    subtype, channels = "PCM_16", 1

    def __init__(self, path):
        self.name = path
        self._file = open(path, "rb", buffering=0)
        head = self._file.read(WAV_HEAD.size)
        fields = WAV_HEAD.unpack(head.ljust(WAV_HEAD.size))
        marks = fields[0], fields[2], fields[3], fields[11]
        kind = fields[4:7], fields[9:11]
        self.samplerate, self.frames = fields[7], fields[12] // 2
        there = os.fstat(self._file.fileno()).st_size - WAV_HEAD.size
        if (
            marks != (b"RIFF", b"WAVE", b"fmt ", b"data")
            or kind != MONO_PCM_16
            or not 0 < fields[12] <= there
        ):
            self._file.close()
            raise ValueError(f"{path} is no whole mono PCM-16 WAV")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file."""
        self._file.close()

    def seek(self, start):
        """Go to a sample."""
        self._file.seek(WAV_HEAD.size + 2 * start)

    def read(self, samples, dtype="int16"):
        """Read so many samples, shape (samples,), int16; fewer at the end."""
        found = np.empty(samples, "<i2")
        return found[: self._file.readinto(found) // 2]


def open_recording(recording):
    """Open a recording's file and hold it against the manifest."""
    path = recording.path
    try:
        file = _open(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is in the manifest but is missing; prepare the corpus "
            "again"
        ) from error
    except (OSError, soundfile.LibsndfileError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    found = (file.frames, file.samplerate)
    wanted = (recording.samples, recording.sample_rate)
    if found != wanted:
        file.close()
        raise ValueError(
            f"{path} has {found[0]} samples at {found[1]} Hz, the manifest "
            f"says {wanted[0]} at {wanted[1]} Hz; the file was changed or cut "
            "short: prepare the corpus again"
        )
    return file


def _open(path):
    """Open a file, in the fastest way that reads it."""
    try:
        return _PlainWave(path)
    except ValueError:
        return soundfile.SoundFile(path)


def fill_from(file, start, out):
    """Read samples from ``start`` into ``out``; return their mean power."""
    file.seek(start)
    # reading 16 bits and scaling here is five times faster than asking
    # libsndfile for floats, and gives the same values
    short = file.subtype == "PCM_16"
    samples = file.read(len(out), dtype="int16" if short else "float32")
    if file.channels > 1:
        samples = samples[:, 0]
    if len(samples) < len(out):
        raise ValueError(
            f"{file.name} ends before sample {start + len(out)}; the file was "
            "cut short: prepare the corpus again"
        )
    np.multiply(samples, PCM_STEP if short else 1, out=out)
    energy = float(np.dot(out, out))
    if not np.isfinite(energy):
        raise ValueError(
            f"{file.name} holds samples that are no finite numbers; leave the "
            "file out, or prepare the corpus again"
        )
    return energy / len(out)


def _fill_around(file, start, samples, out):
    """Put a whole recording between zeros; return its mean power."""
    end = samples - start
    out[:-start] = 0
    out[end:] = 0
    return fill_from(file, 0, out[-start:end])


def _silent(recording):
    return ValueError(
        f"{recording.path} is silent throughout; prepare the corpus again, "
        "which leaves such files out"
    )
