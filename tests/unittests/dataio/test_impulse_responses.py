import numpy as np
import pytest
import soundfile

from speechbrain_ext.dataio.corpus import read_impulse_responses
from speechbrain_ext.dataio.recordings import Recording


def make(tmp_path, name, samples, rate=8000):
    path = tmp_path / f"{name}.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return Recording(name, str(path), len(samples), 8000, "rir", "train")


def test_responses_are_padded_to_one_length(tmp_path):
    rooms = [
        make(tmp_path, "long", np.array([0.0, 1.0, 0.5])),
        make(tmp_path, "short", np.array([1.0])),
    ]
    responses = read_impulse_responses(rooms)
    assert responses.tolist() == [[0.0, 1.0, 0.5], [1.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    "samples, rate, message",
    [
        (np.ones(4), 16000, "not mono at 8000 Hz"),
        (np.ones((4, 2)), 8000, "not mono at 8000 Hz"),
        (np.zeros(4), 8000, "silent or not finite"),
        (np.array([1.0, np.nan]), 8000, "silent or not finite"),
    ],
)
def test_bad_responses_are_refused(tmp_path, samples, rate, message):
    with pytest.raises(ValueError, match=f"bad.wav is {message}"):
        read_impulse_responses([make(tmp_path, "bad", samples, rate)])
