"""Room impulse responses, read once and kept on the device."""

from collections.abc import Sequence

import numpy as np
import soundfile
import torch

from speechbrain_ext.dataio.recordings import Recording


def read_impulse_responses(recordings: Sequence[Recording]) -> torch.Tensor:
    """Read room impulse responses into one tensor.

    Arguments
    ---------
    recordings : sequence of Recording
        Of the kind rir, all at one sample rate.

    Returns
    -------
    responses : torch.Tensor
        Shape (rooms, taps), float32; shorter ones end in zeros.

    Raises
    ------
    ValueError
        If a response is not mono at its rate, silent, or not finite.

    Example
    -------
    >>> path = str(getfixture("tmp_path") / "room.wav")
    >>> soundfile.write(path, [1.0, 0.5], 8000, subtype="FLOAT")
    >>> room = Recording("room", path, 2, 8000, "rir", "train")
    >>> read_impulse_responses([room])
    tensor([[1.0000, 0.5000]])
    """
    taps = max(recording.samples for recording in recordings)
    responses = np.zeros((len(recordings), taps), np.float32)
    for row, recording in zip(responses, recordings, strict=True):
        response, rate = soundfile.read(recording.path, dtype="float32")
        if rate != recording.sample_rate or response.ndim != 1:
            raise ValueError(
                f"{recording.path} is not mono at {recording.sample_rate} "
                "Hz; prepare the corpus again"
            )
        if not np.isfinite(response).all() or not response.any():
            raise ValueError(
                f"{recording.path} is silent or not finite; prepare the "
                "corpus again, which leaves such files out"
            )
        row[: len(response)] = response
    return torch.from_numpy(responses)
