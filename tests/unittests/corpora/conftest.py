"""Audio for the tests of the corpora."""

import numpy as np
import pytest
import soundfile


@pytest.fixture
def write_tone():
    """Give a function that writes a file with a tone, folders included."""

    def write(path, *, rate=16000, seconds=1.2, level=0.3, **kwargs):
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(round(rate * seconds)) / rate
        wave = level * np.sin(2 * np.pi * 440 * time)
        soundfile.write(path, wave, rate, **kwargs)
        return path

    return write
