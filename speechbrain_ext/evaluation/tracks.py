"""Signals on a page: waveform, spectrogram and sound, read block by block."""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import soundfile
from matplotlib import colormaps
from PIL import Image

#: Columns and rows of a picture, at most.
WIDTH, HEIGHT = 600, 128
# What a spectrogram shows below the loudest of its recording.
RANGE_DB = 70.0
# Windows that a column of a spectrogram is the mean of, at most.
WINDOWS = 8
WINDOW_SECONDS = 0.032
# Up to here windows cover all of a recording.
COVERED_SECONDS = WIDTH * WINDOWS * WINDOW_SECONDS
# Shades of a spectrogram: about 1 dB each.
SHADES = 64


@dataclass(frozen=True)
class Outline:
    """What is drawn of a signal.

    Arguments
    ---------
    low, high : numpy.ndarray
        Shape (columns,): the least and the largest sample of each.
    power : numpy.ndarray
        Shape (rows, columns): of a spectrogram, from 0 Hz upwards.
    """

    low: np.ndarray
    high: np.ndarray
    power: np.ndarray

    @property
    def peak(self) -> float:
        """The largest magnitude."""
        return float(max(self.high.max(), -self.low.min()))


def outline(
    blocks: Iterable[np.ndarray], *, frames: int, sample_rate: int
) -> Outline:
    """Outline a signal, in memory that does not grow with its length.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        Consecutive parts of the signal, shape (time,).
    frames : int
        Samples in all, at least 1.
    sample_rate : int
        In Hz.

    Returns
    -------
    outline : Outline
        Each column of the spectrogram is the mean of windows of 32 ms that
        are spread evenly over it, `WINDOWS` of them at most.

    Example
    -------
    >>> tone = np.sin(np.arange(8000))
    >>> outline([tone[:99], tone[99:]], frames=8000, sample_rate=8000).peak
    0.999...
    """
    size = max(2 * round(WINDOW_SECONDS * sample_rate / 2), 16)
    count = min(WIDTH, frames)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)

    def watched() -> Iterator[np.ndarray]:
        """Take the extremes of the columns on the way."""
        time = 0
        for block in filter(len, blocks):
            columns = np.arange(time, time + len(block)) * count // frames
            columns = np.minimum(columns, count - 1)
            starts = np.flatnonzero(np.diff(columns, prepend=-1))
            columns = columns[starts]
            for ends, choose in ((low, np.minimum), (high, np.maximum)):
                ends[columns] = choose(
                    ends[columns], choose.reduceat(block, starts)
                )
            time += len(block)
            yield block

    power = _spectrogram(watched(), frames, size)
    # what was promised and did not come is silence
    return Outline(
        np.where(np.isfinite(low), low, 0),
        np.where(np.isfinite(high), high, 0),
        power,
    )


def _spectrogram(
    blocks: Iterable[np.ndarray], frames: int, size: int
) -> np.ndarray:
    """Compute mean powers, shape (rows, columns)."""
    columns = max(1, min(WIDTH, 4 * frames // size))
    each = min(max(1, 2 * frames // (columns * size)), WINDOWS)
    centers = (np.arange(columns * each) + 0.5) * frames / (columns * each)
    # `size` zeros stand in front of the signal, and as many behind it
    starts = np.round(centers + size / 2).astype(int)
    edges = np.linspace(0, size // 2 + 1, HEIGHT + 1).astype(int)
    edges = np.unique(edges[:-1])
    window = np.hanning(size)
    rest, offset, done, found = np.zeros(size), 0, 0, []
    for block in chain(blocks, [np.zeros(size)]):
        rest = np.concatenate((rest, block))
        last = offset + len(rest) - size
        stop = int(np.searchsorted(starts, last, side="right"))
        if stop > done:
            views = np.lib.stride_tricks.sliding_window_view(rest, size)
            spectrum = np.fft.rfft(views[starts[done:stop] - offset] * window)
            power = np.add.reduceat(np.abs(spectrum) ** 2, edges, axis=1)
            found.append(power.astype(np.float32))
            done = stop
        next_start = starts[done] if done < len(starts) else last + size
        used = min(int(next_start) - offset, len(rest))
        rest, offset = rest[used:], offset + used
    power = np.concatenate(found)
    missing = columns * each - len(power)
    power = np.pad(power, ((0, missing), (0, 0)))
    return power.reshape(columns, each, -1).mean(1).T


def draw_waveform(outline: Outline, peak: float) -> str:
    """Give the path of a waveform, for SVG.

    Arguments
    ---------
    outline : Outline
        Of the signal.
    peak : float
        What reaches the edges, at 0 and 100.

    Returns
    -------
    path : str
        For a view box as wide as there are columns.
    """
    scale = 49 / peak if peak > 0 else 0.0
    # as thick as a line, so that silence is seen, too
    upper = 49.5 - scale * outline.high
    lower = 50.5 - scale * outline.low
    ahead = [f"{x} {y:.0f}" for x, y in enumerate(upper)]
    back = [f"{x} {y:.0f}" for x, y in enumerate(lower)]
    return f"M{'L'.join(ahead + back[::-1])}Z"


def draw_spectrogram(outline: Outline, peak: float) -> str:
    """Draw a spectrogram.

    Arguments
    ---------
    outline : Outline
        Of the signal.
    peak : float
        The power that is shown brightest; the darkest lies 70 dB below.

    Returns
    -------
    address : str
        A PNG, as a data URI.
    """
    relative = outline.power / peak if peak > 0 else outline.power
    levels = 10 * np.log10(np.maximum(relative, 10 ** (-RANGE_DB / 10)))
    shades = np.round((SHADES - 1) * (1 + levels / RANGE_DB))
    shades = np.clip(shades, 0, SHADES - 1).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(shades[::-1]), "P")
    colors = colormaps["magma"](np.linspace(0, 1, SHADES), bytes=True)
    image.putpalette(colors[:, :3].tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return data_uri(file.getvalue(), "image/png")


def draw(outlines: Sequence[Outline]) -> list[dict]:
    """Draw signals that belong together, on one scale.

    Arguments
    ---------
    outlines : sequence of Outline
        Of a recording and of what became of it.

    Returns
    -------
    pictures : list of dict
        "wave", "columns" and "spectrogram" of each; see `draw_waveform` and
        `draw_spectrogram`.
    """
    peak = max(outline.peak for outline in outlines)
    power = max(float(outline.power.max()) for outline in outlines)
    return [
        {
            "wave": draw_waveform(outline, peak),
            "columns": len(outline.high),
            "spectrogram": draw_spectrogram(outline, power),
        }
        for outline in outlines
    ]


def encode(
    blocks: Iterable[np.ndarray], *, sample_rate: int, gain: float = 1.0
) -> bytes:
    """Encode a signal as FLAC of 16 bits, which all browsers play.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        Consecutive parts of the signal, shape (time,).
    sample_rate : int
        In Hz.
    gain : float
        What it is multiplied by.

    Returns
    -------
    encoded : bytes
    """
    file = io.BytesIO()
    options = {"format": "FLAC", "subtype": "PCM_16"}
    with soundfile.SoundFile(file, "w", sample_rate, 1, **options) as sound:
        for block in blocks:
            sound.write(gain * block)
    return file.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """Write a file into an address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
