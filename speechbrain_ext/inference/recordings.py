"""Reading whole recordings at their own rate."""

import os

import soundfile
import torch

from speechbrain_ext.corpora.decoding import UnusableAudio, decode


def read_recording(
    path: str | os.PathLike, *, allow_silence: bool = False
) -> tuple[torch.Tensor, int]:
    """Read a file at its own rate; channels are averaged.

    Arguments
    ---------
    path : str or Path
        Any file that libsndfile reads.
    allow_silence : bool
        Whether a silent file is usable.

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
        If it is empty, damaged or not finite, or silent; the message names
        it.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [[0.5, 0.25]] * 100, 8000)
    >>> waveform, sample_rate = read_recording(path)
    >>> waveform.shape, sample_rate, float(waveform[0])
    (torch.Size([100]), 8000, 0.375)
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}")
    try:
        rate = soundfile.info(path).samplerate
        decoded = decode(path, sample_rate=rate, allow_silence=allow_silence)
    except UnusableAudio as error:
        raise UnusableAudio(f"{path}: {error}") from error
    except soundfile.LibsndfileError as error:
        raise UnusableAudio(f"{path}: {error.error_string}") from error
    return torch.from_numpy(decoded.waveform), rate
