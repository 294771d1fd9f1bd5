"""Decoding: any audio file in, one mono waveform at one rate out.

A file is either usable or refused with the reason; nothing in between.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from math import ceil, gcd
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torchaudio.transforms import Resample

# Endings of files that are taken for audio. Some of them (m4a ...) cannot
# be decoded here; they are found all the same, so that they are reported.
AUDIO_SUFFIXES = frozenset(
    ".wav .flac .ogg .opus .mp3 .aif .aiff .au .sph .m4a .aac .wma".split()
)

# Peak below which a file counts as silent: -80 dB of full scale, three
# steps of PCM-16.
SILENT_PEAK = 1e-4

BLOCK_SECONDS = 60
# Two rates whose reduced ratio p:q has a larger product than this need a
# resampling kernel of more than some 200 MB.
LARGEST_RATIO_PRODUCT = 30_000_000


def find_audio(
    root: str | os.PathLike, *, exclude: Iterable[str | os.PathLike] = ()
) -> list[Path]:
    """Find the audio files below a folder.

    Links are followed, but no folder is entered twice. Files and folders
    whose name begins with a dot are passed over.

    Arguments
    ---------
    root : str or PathLike
        The folder.
    exclude : iterable of str or PathLike
        Folders not to enter.

    Returns
    -------
    paths : list of Path
        Below `root` as it is given, sorted.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "a.wav").touch()
    >>> [path.name for path in find_audio(folder)]
    ['a.wav']
    """
    closed = {os.path.abspath(path) for path in exclude}
    found, entered = [], set()
    for parent, folders, names in os.walk(root, followlinks=True):
        if os.path.realpath(parent) in entered:
            folders.clear()
            continue
        entered.add(os.path.realpath(parent))
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".")
            and os.path.abspath(os.path.join(parent, name)) not in closed
        ]
        found += [
            Path(parent, name)
            for name in names
            if os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES
            and not name.startswith(".")
        ]
    return sorted(found)


class UnusableAudio(ValueError):
    """A file that cannot serve as a recording; the message is the reason."""


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
        Whether the file is a WAV of 16-bit integers.
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
    allow_silence: bool = False,
) -> Decoded:
    """Decode a file to mono at one rate, or say why it is not usable.

    The file is decoded and resampled in blocks, so that memory grows with
    the length of the result only, not with the rate and the channels of the
    file. Resampling is by a Kaiser-windowed sinc of 64 zero crossings: flat
    within 0.1 dB to 90 % of the lower Nyquist frequency, 6 dB down at 95 %,
    and free of aliases.

    Arguments
    ---------
    path : str or PathLike
        The file, in any format that libsndfile reads.
    sample_rate : int
        Rate of the result, in Hz.
    channel : int, optional
        The channel to keep, from 0. By default the mean of all channels.
    allow_silence : bool
        Whether a silent file is usable.

    Returns
    -------
    decoded : Decoded
        The waveform, and what the file was like.

    Raises
    ------
    UnusableAudio
        If the file is empty, no audio, truncated, silent (no sample above
        ``SILENT_PEAK``), has values that are not finite, lacks the channel,
        or has a rate that cannot be converted.
    OSError
        If the file cannot be opened.

    Example
    -------
    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "tone.wav")
    >>> tone = np.sin(np.arange(1600) / 5) * [[0.5], [0.3]]
    >>> soundfile.write(path, tone.T, 16000)
    >>> decode(path, sample_rate=8000).waveform.shape
    (800,)
    """
    if _lacks_its_end(path):
        raise UnusableAudio("truncated: its last part is missing")
    try:
        with soundfile.SoundFile(path) as file:
            declared = file.frames
            if channel is not None and channel >= file.channels:
                raise UnusableAudio(
                    f"has {file.channels} channels; channel {channel} was "
                    "asked for"
                )
            blocks = _Blocks(file, channel)
            pieces = list(resampled(blocks, file.samplerate, sample_rate))
            shape = (
                file.samplerate,
                file.channels,
                file.format in ("WAV", "WAVEX") and file.subtype == "PCM_16",
            )
    except soundfile.LibsndfileError as error:
        reason = error.error_string or "damaged or truncated"
        raise UnusableAudio(f"cannot be decoded: {reason}") from error
    if blocks.frames == 0:
        raise UnusableAudio("holds no samples")
    if blocks.frames < 0.98 * declared:  # an MP3 may only estimate it
        raise UnusableAudio(
            f"truncated: {blocks.frames} of {declared} samples are there"
        )
    if blocks.peak < SILENT_PEAK and not allow_silence:
        raise UnusableAudio(f"silent: no sample above {SILENT_PEAK:g}")
    waveform = np.concatenate(pieces)
    peak = np.abs(waveform).max()
    return Decoded(waveform / max(peak, np.float32(1.0)), *shape)


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
        Consecutive parts of the resampled waveform: the same values as if
        it had been resampled at once, ceil(time * sample_rate / rate) in
        all.

    Raises
    ------
    UnusableAudio
        If the ratio of the rates would need a kernel that is too large.

    Example
    -------
    >>> blocks = [np.ones(30, np.float32), np.ones(11, np.float32)]
    >>> sum(len(block) for block in resampled(blocks, 16000, 8000))
    21
    """
    if rate == sample_rate:
        yield from blocks
        return
    common = gcd(rate, sample_rate)
    if (rate // common) * (sample_rate // common) > LARGEST_RATIO_PRODUCT:
        raise UnusableAudio(
            f"its rate of {rate} Hz cannot be converted to {sample_rate} Hz; "
            "convert it with another program"
        )
    resample = _resampler(rate, sample_rate)
    # One second on either side of what is resampled is far more than the
    # kernel reaches; whole seconds keep the two sampling grids aligned.
    margin = np.zeros(rate, np.float32)
    held = margin
    for block in chain(blocks, (margin,)):
        held = np.concatenate((held, block))
        body = len(held) - 2 * rate
        if block is not margin:
            body -= body % rate
        if body > 0:
            piece = torch.from_numpy(held[: body + 2 * rate])
            stop = sample_rate + ceil(body * sample_rate / rate)
            yield resample(piece)[sample_rate:stop].numpy()
            held = held[body:]


class _Blocks:
    """Mono blocks of an open file; counts frames and finds the peak."""

    def __init__(self, file: soundfile.SoundFile, channel: int | None):
        self.file = file
        self.channel = channel
        self.frames = 0
        self.peak = 0.0

    def __iter__(self):
        size = BLOCK_SECONDS * self.file.samplerate
        while True:
            block = self.file.read(size, dtype="float32", always_2d=True)
            if not len(block):
                return
            if not np.isfinite(block).all():
                raise UnusableAudio("holds values that are not finite (NaN)")
            if self.channel is not None:
                mono = block[:, self.channel]
            elif block.shape[1] == 1:
                mono = block[:, 0]
            else:
                mono = block.mean(axis=1)
            self.frames += len(mono)
            self.peak = max(self.peak, float(np.abs(mono).max()))
            yield mono


@lru_cache(maxsize=4)
def _resampler(rate: int, sample_rate: int) -> Resample:
    """Make the resampler; its kernel costs more than many a short file."""
    return Resample(
        rate,
        sample_rate,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
    )


def _lacks_its_end(path: str | os.PathLike) -> bool:
    """Tell whether a WAV or Ogg file is shorter than its structure says.

    libsndfile reads such files without complaint. For the other formats the
    number of decoded samples tells.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            raise UnusableAudio("empty file")
        file.seek(0)
        magic = file.read(12)
        if magic[:4] == b"RIFF" and magic[8:] == b"WAVE":
            return _wav_lacks_its_end(file, size)
        if magic[:4] == b"OggS":
            return _ogg_lacks_its_end(file, size)
    return False


def _wav_lacks_its_end(file, size: int) -> bool:
    """Walk the chunks to the samples and compare lengths."""
    while len(header := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", header)
        if name == b"data":
            # Programs that write to a pipe leave a huge length behind.
            return file.tell() + length > size and length < 0x7FFFF000
        file.seek(length + length % 2, os.SEEK_CUR)
    return True


def _ogg_lacks_its_end(file, size: int) -> bool:
    """Look whether the last page is whole (RFC 3533, section 6)."""
    longest_page = 27 + 255 + 255 * 255
    file.seek(max(0, size - longest_page))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
