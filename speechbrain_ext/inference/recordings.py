"""Reading recordings, and writing what became of them, block by block."""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import torch
from tqdm import tqdm

from speechbrain_ext.console import printable
from speechbrain_ext.corpora.decoding import AudioBlocks, UnusableAudio
from speechbrain_ext.outputs import written

# A WAV file tells its sizes in 32 bits; a longer one is written as RF64.
LARGEST_WAV = 2**32 - 1
# Recordings that take longer get a progress bar of their own.
PATIENCE_SECONDS = 10


class Recording(AudioBlocks):
    """A file that is read in blocks, and named by all errors of reading it.

    Arguments
    ---------
    path : str or Path
        Any file that libsndfile reads; channels are averaged.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnusableAudio
        If it is empty, damaged or not finite, here or while iterating.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.25]] * 100, 8000)
    >>> with Recording(path) as blocks:
    ...     sum(len(block) for block in blocks), blocks.sample_rate
    (100, 8000)
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = path
        with _naming(path):
            super().__init__(path)

    def __iter__(self) -> Iterator[np.ndarray]:
        with _naming(self.path):
            yield from super().__iter__()

    def require_sound(self) -> None:
        """Refuse a silent file, after an iteration."""
        with _naming(self.path):
            super().require_sound()

    def watched(
        self, progress: Callable[[float], object] | None = None
    ) -> Iterator[np.ndarray]:
        """Iterate, and tell the progress.

        Arguments
        ---------
        progress : Callable, optional
            Gets the seconds of each block; by default they go into a bar,
            if the whole takes long.

        Yields
        ------
        block : numpy.ndarray
            Shape (time,).
        """
        with tqdm(
            total=round(duration(self.path)) or None,
            desc=printable(Path(self.path).name, 40),
            unit="s",
            leave=False,
            delay=PATIENCE_SECONDS,
            disable=True if progress else None,
        ) as bar:
            for block in self:
                yield block
                (progress or bar.update)(len(block) / self.sample_rate)


def duration(path: str | os.PathLike) -> float:
    """Read the seconds of a recording off its header; 0 if they are unknown.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [0.5] * 4000, 8000)
    >>> duration(path), duration("nowhere.wav")
    (0.5, 0.0)
    """
    try:
        # what is no file, such as a pipe, would be waited for
        if os.path.isfile(path):
            return soundfile.info(os.fsencode(path)).duration
    except (soundfile.LibsndfileError, OverflowError):
        pass
    return 0.0


@contextmanager
def _naming(path: str | os.PathLike) -> Iterator[None]:
    """Let errors name a file."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}") from error
    except UnusableAudio as error:
        raise UnusableAudio(f"{path}: {error}") from error


@contextmanager
def naming_disk(path: str | os.PathLike) -> Iterator[None]:
    """Let errors of writing, such as a full disk, name a file or folder."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def read_recording(path: str | os.PathLike) -> tuple[torch.Tensor, int]:
    """Read a whole file at its own rate; channels are averaged.

    Arguments
    ---------
    path : str or Path
        Any file that libsndfile reads.

    Returns
    -------
    waveform : torch.Tensor
        Shape (time,).
    sample_rate : int
        In Hz.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnusableAudio
        If it is empty, damaged, not finite or silent; the message names it.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.25], [0, 0]] * 50, 8000)
    >>> waveform, sample_rate = read_recording(path)
    >>> waveform.shape, sample_rate, float(waveform[0])
    (torch.Size([100]), 8000, 0.375)
    """
    with Recording(path) as blocks:
        waveform = np.concatenate(list(blocks))
        blocks.require_sound()
    return torch.from_numpy(waveform), blocks.sample_rate


def write_recording(
    path: str | os.PathLike,
    blocks: Iterable[np.ndarray],
    *,
    frames: int,
    sample_rate: int,
    maker: str,
    source: str = "",
    overwrite: bool = False,
) -> None:
    """Write a WAV file of 32-bit floats, whole or not at all.

    The same samples give the same bytes; libsndfile would add the time.

    Arguments
    ---------
    path : str or Path
        The file; its folder is created and marked.
    blocks : iterable of numpy.ndarray
        Its samples, shape (time,), float32.
    frames : int
        How many there are in all.
    sample_rate : int
        In Hz.
    maker, source, overwrite
        See `speechbrain_ext.outputs.written`.

    Raises
    ------
    FileExistsError
        If such a file is there.

    Example
    -------
    >>> path = getfixture("tmp_path") / "out" / "a.wav"
    >>> blocks = [np.zeros(60, np.float32), np.ones(40, np.float32)]
    >>> write_recording(
    ...     path, blocks, frames=100, sample_rate=8000, maker="enhance"
    ... )
    >>> soundfile.read(path)[0].sum()
    np.float64(40.0)
    """
    with (
        written(path, maker, source=source, overwrite=overwrite) as partial,
        naming_disk(path),
        open(partial, "wb") as file,
    ):
        file.write(wav_header(frames, sample_rate))
        for block in blocks:
            file.write(block.astype("<f4").tobytes())


def wav_header(frames: int, sample_rate: int) -> bytes:
    """Make what stands before the samples of a mono WAV file of floats.

    Arguments
    ---------
    frames : int
        Number of samples.
    sample_rate : int
        In Hz.

    Returns
    -------
    header : bytes
        Of RF64 (EBU Tech 3306) where WAV cannot tell the size.
    """
    kind = struct.pack("<HHIIHHH", 3, 1, sample_rate, 4 * sample_rate, 4, 32, 0)
    size = 4 * frames
    chunks = b"WAVE" + b"fmt " + struct.pack("<I", len(kind)) + kind
    tail = b"fact" + struct.pack("<II", 4, min(frames, LARGEST_WAV))
    whole = len(chunks) + len(tail) + 8 + size
    if whole <= LARGEST_WAV:
        sizes = struct.pack("<4sI", b"RIFF", whole)
        return sizes + chunks + tail + struct.pack("<4sI", b"data", size)
    long = struct.pack("<4sIQQQI", b"ds64", 28, whole + 36, size, frames, 0)
    return (
        struct.pack("<4sI", b"RF64", LARGEST_WAV)
        + b"WAVE"
        + long
        + chunks[4:]
        + tail
        + struct.pack("<4sI", b"data", LARGEST_WAV)
    )
