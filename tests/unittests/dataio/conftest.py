import pytest
import soundfile

from speechbrain_ext.dataio import Recording

RATE = 8000


@pytest.fixture
def write(tmp_path):
    """Writes samples to a file and describes it as a manifest would."""

    def write(name, samples, *, kind="speech", speaker="", **options):
        path = str(tmp_path / f"{name}.wav")
        soundfile.write(path, samples, RATE, **options)
        return Recording(
            name, path, len(samples), RATE, kind, "train", speaker=speaker
        )

    return write
