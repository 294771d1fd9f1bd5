"""Whole recordings, and stretches that go round their ends."""

import numpy as np

from speechbrain_ext.dataio.recordings import Recording
from speechbrain_ext.dataio.segments import fill_from, open_recording


def read_whole(recording: Recording) -> np.ndarray:
    """Read a whole recording, silent or not.

    Arguments
    ---------
    recording : Recording
        Of a file as every corpus's prepare function leaves it.

    Returns
    -------
    samples : numpy.ndarray
        Shape (time,), float32, full scale at 1.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If the file cannot be read, or is not what the manifest says it is.

    Example
    -------
    >>> import soundfile
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, [0.5, -0.25], 8000)
    >>> read_whole(Recording("a", path, 2, 8000, "noise", "train"))
    array([ 0.5 , -0.25], dtype=float32)
    """
    samples = np.empty(recording.samples, np.float32)
    with open_recording(recording) as file:
        fill_from(file, 0, samples)
    return samples


def read_round(recording: Recording, *, start: int, samples: int) -> np.ndarray:
    """Read a stretch of a recording, going round where it ends.

    Arguments
    ---------
    recording : Recording
        Of a file as every corpus's prepare function leaves it.
    start : int
        First sample, below the recording's length.
    samples : int
        Length, at least 1; maybe longer than the recording.

    Returns
    -------
    stretch : numpy.ndarray
        Shape (samples,), float32, full scale at 1.

    Raises
    ------
    FileNotFoundError, ValueError
        As of `read_whole`.

    Example
    -------
    >>> import soundfile
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, [0.5, 0.25, 0.125], 8000)
    >>> recording = Recording("a", path, 3, 8000, "noise", "train")
    >>> read_round(recording, start=2, samples=5)
    array([0.125, 0.5  , 0.25 , 0.125, 0.5  ], dtype=float32)
    """
    stretch = np.empty(samples, np.float32)
    with open_recording(recording) as file:
        done = 0
        while done < samples:
            end = min(samples, done + recording.samples - start)
            fill_from(file, start, stretch[done:end])
            done, start = end, 0
    return stretch
