"""Decoding: any audio file in, mono blocks or one waveform out.

A file is either usable or refused with the reason; nothing in between.
"""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import soxr

from speechbrain_ext.corpora.containers import Sound, views_of
from speechbrain_ext.corpora.views import UnusableAudio, open_regular

# Largest deviation from its mean below which a file counts as silent: -80 dB
# of full scale, three steps of PCM-16.
SILENT_PEAK = 1e-4

BLOCK_BYTES = 8 * 2**20
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
MOST_CHANNELS = 64
MOST_SECONDS = 24 * 3600
# Longest result of `decode`: 4.6 hours at 16 kHz.
MOST_BYTES = 2**30
# A file that grows by more than this, to more than 16 MiB, holds next to no
# sound, and was made to fill a memory or a disk.
MOST_EXPANSION, LEAST_EXPANDED = 1_000, 2**24


class AudioBlocks:
    """A file as mono blocks: the memory it takes does not grow with it.

    Iterating reads the file from the start, each time anew.

    Arguments
    ---------
    path : str or PathLike
        The file, in any format that libsndfile reads.
    channel : int, optional
        The channel to keep, from 0. By default the mean of all channels.
    block_seconds : float
        Length of a block; shorter where a block of all channels would take
        more than ``BLOCK_BYTES``.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    channels : int
        Channels of the file.
    is_pcm16 : bool
        Whether the file is a WAV of 16-bit integers with a true header.
    frames : int
        Samples of a channel read so far: the length after an iteration.
    peak : float
        Largest deviation from the mean, of what was read so far.
    said_frames : int
        The length where the size of the file tells it, 0 otherwise.

    Raises
    ------
    UnusableAudio
        If the file is empty, no regular file, no audio, lacks the channel,
        or has a rate, number of channels or length that no recording has.
        While iterating: if it is damaged, truncated, holds no samples, or
        values that are not finite.
    OSError
        If the file cannot be opened or read.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.25], [-0.5, 0.25]] * 400, 8000)
    >>> with AudioBlocks(path, block_seconds=0.05) as blocks:
    ...     print([len(block) for block in blocks], blocks.peak)
    [400, 400] 0.25
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        channel: int | None = None,
        block_seconds: float = 10.0,
    ) -> None:
        self.channel = channel
        self.block_seconds = block_seconds
        self.frames = self.said_frames = 0
        self.peak = 0.0
        self._cancels = False
        self._file = open_regular(path)
        try:
            self._inspect()
        except BaseException:
            self._file.close()
            raise

    def _inspect(self) -> None:
        """Read the header, and refuse what no recording has."""
        self._size = os.fstat(self._file.fileno()).st_size
        self._views = views_of(self._file)
        with Sound(self._views[0]) as sound:
            self.sample_rate = sound.samplerate
            self.channels = sound.channels
            if sound.format not in ("FLAC", "MP3", "OGG"):
                self.said_frames = sound.said or 0
            self.is_pcm16 = (
                sound.format in ("WAV", "WAVEX")
                and sound.subtype == "PCM_16"
                and not self._views[0].is_changed
            )
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            raise UnusableAudio(
                f"has a rate of {self.sample_rate} Hz; rates from "
                f"{LOWEST_RATE} to {HIGHEST_RATE} Hz are read"
            )
        if self.channels > MOST_CHANNELS:
            raise UnusableAudio(
                f"has {self.channels} channels; at most {MOST_CHANNELS} are "
                "read"
            )
        if self.channel is not None and self.channel >= self.channels:
            raise UnusableAudio(
                f"has {self.channels} channels; channel {self.channel} was "
                "asked for"
            )

        self._check_length(self.said_frames)

    def _check_length(self, frames: int) -> None:
        """Refuse what is longer than any recording, or all but empty."""
        if frames > MOST_SECONDS * self.sample_rate:
            raise UnusableAudio(
                f"lasts longer than {MOST_SECONDS / 3600:g} hours; split it"
            )
        size = 4 * frames * self.channels
        if size > max(LEAST_EXPANDED, MOST_EXPANSION * self._size):
            raise UnusableAudio(
                f"expands to more than {MOST_EXPANSION} times its size"
            )

    def __enter__(self) -> "AudioBlocks":
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        size = min(
            int(self.block_seconds * self.sample_rate),
            BLOCK_BYTES // (4 * self.channels),
        )
        self.frames, self.peak, self._cancels = 0, 0.0, False
        total, low, high = 0.0, np.inf, -np.inf
        for block in self._decoded(max(1, size)):
            if self.channel is not None:
                mono = np.ascontiguousarray(block[:, self.channel])
            else:
                mono = block[:, 0].copy()
                # values that are not finite are refused below
                with np.errstate(over="ignore", invalid="ignore"):
                    for other in range(1, self.channels):
                        mono += block[:, other]
                mono /= np.float32(self.channels)
            ends = float(mono.min()), float(mono.max())
            if not np.isfinite(ends).all():
                raise UnusableAudio(
                    "holds values that are not finite (NaN or infinity)"
                )
            low, high = min(low, ends[0]), max(high, ends[1])
            self.frames += len(mono)
            self._check_length(self.frames)
            total += float(mono.sum(dtype=np.float64))
            mean = total / self.frames
            self.peak = max(high - mean, mean - low)
            if self.channel is None and self.peak < SILENT_PEAK:
                spread = np.max(block.max(axis=0) - block.min(axis=0))
                self._cancels |= bool(spread >= 2 * SILENT_PEAK)
            yield mono
        if self.frames == 0:
            raise UnusableAudio("holds no samples")

    def _decoded(self, size: int) -> Iterator[np.ndarray]:
        """Decode the views in turn, in blocks of shape (time, channels)."""
        for view in self._views:
            view.seek(0)
            with Sound(view) as sound:
                shape = sound.samplerate, sound.channels
                if shape != (self.sample_rate, self.channels):
                    raise UnusableAudio(
                        "its parts differ in their rates or channels"
                    )
                yield from sound.read_blocks(size)

    def require_sound(self) -> None:
        """Refuse a silent file, after an iteration.

        Raises
        ------
        UnusableAudio
            If no sample deviates from the mean by ``SILENT_PEAK``: an
            offset alone is no sound. Channels may have canceled each other.
        """
        if self.peak < SILENT_PEAK and self._cancels:
            raise UnusableAudio(
                "its channels cancel each other: their mean is silent; invert "
                "one of them, or keep one alone"
            )
        if self.peak < SILENT_PEAK:
            raise UnusableAudio(f"silent: no sample above {SILENT_PEAK:g}")


class Decoded(NamedTuple):
    """A decoded file.

    Arguments
    ---------
    waveform : numpy.ndarray
        Shape (time,), float32, at the rate asked for. No value exceeds 1 in
        magnitude: a louder file is scaled down to that peak.
    source_rate : int
        Rate of the file, in Hz.
    channels : int
        Channels of the file.
    is_pcm16 : bool
        Whether the file is a WAV of 16-bit integers with a true header.
    """

    waveform: np.ndarray
    source_rate: int
    channels: int
    is_pcm16: bool


def decode(
    path: str | os.PathLike,
    *,
    sample_rate: int,
    channel: int | None = None,
) -> Decoded:
    """Decode a file to mono at one rate, or say why it is not usable.

    The file is decoded and resampled in blocks, so that memory grows with
    the length of the result only, not with the rate and the channels of the
    file.

    Arguments
    ---------
    path : str or PathLike
        The file, in any format that libsndfile reads.
    sample_rate : int
        Rate of the result, in Hz.
    channel : int, optional
        The channel to keep, from 0. By default the mean of all channels.

    Returns
    -------
    decoded : Decoded
        The waveform, and what the file was like.

    Raises
    ------
    UnusableAudio
        If `AudioBlocks` refuses it, or if it is silent: nowhere further from
        its mean than ``SILENT_PEAK``.
    OSError
        If the file cannot be opened or read.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "tone.wav"
    >>> tone = np.sin(np.arange(1600) / 5) * [[0.5], [0.3]]
    >>> soundfile.write(path, tone.T, 16000)
    >>> decode(path, sample_rate=8000).waveform.shape
    (800,)
    """
    most = MOST_BYTES // 4
    too_long = UnusableAudio(
        f"lasts longer than the {most / sample_rate / 3600:.1f} hours that "
        "fit into memory; split it"
    )
    pieces, time = [], 0
    with AudioBlocks(path, channel=channel) as blocks:
        if blocks.said_frames / blocks.sample_rate > most / sample_rate:
            raise too_long
        for piece in resampled(blocks, blocks.sample_rate, sample_rate):
            pieces.append(piece)
            time += len(piece)
            if time > most:
                raise too_long
    blocks.require_sound()
    # the pieces go as the waveform grows: it is in memory once
    waveform = np.empty(time, np.float32)
    while pieces:
        piece = pieces.pop()
        waveform[time - len(piece) : time] = piece
        time -= len(piece)
    peak = max(waveform.max(), -waveform.min())
    if peak > 1:
        waveform /= peak
    return Decoded(
        waveform, blocks.sample_rate, blocks.channels, blocks.is_pcm16
    )


def resampled(
    blocks: Iterable[np.ndarray], rate: int, sample_rate: int
) -> Iterator[np.ndarray]:
    """Resample a waveform that comes in blocks, without seams.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        Consecutive parts of one waveform, shape (time,), float32.
    rate : int
        Their rate, in Hz.
    sample_rate : int
        The rate wanted, in Hz.

    Returns
    -------
    blocks : iterator of numpy.ndarray
        Consecutive parts of the resampled waveform, none above
        ``BLOCK_BYTES`` by much: the same values whatever the blocks,
        ceil(time * sample_rate / rate) in all.

    Example
    -------
    >>> blocks = [np.ones(30, np.float32), np.ones(11, np.float32)]
    >>> sum(len(block) for block in resampled(blocks, 16000, 8000))
    21
    """
    if rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, sample_rate, 1, quality="VHQ")
    # how much of a block to take at once, so that the result is bounded too
    size = max(1, BLOCK_BYTES // 4 * rate // max(rate, sample_rate))
    taken = given = 0
    for block in blocks:
        taken += len(block)
        for start in range(0, len(block), size):
            part = np.ascontiguousarray(block[start : start + size])
            piece = stream.resample_chunk(part)
            given += len(piece)
            if len(piece):
                yield piece
    # soxr rounds the length down: two samples more, of which some are cut off
    silence = np.zeros(2 * (rate // sample_rate + 1), np.float32)
    piece = stream.resample_chunk(silence, last=True)
    yield piece[: -(-taken * sample_rate // rate) - given]
