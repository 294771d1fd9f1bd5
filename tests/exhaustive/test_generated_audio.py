"""Audio files whose headers were changed."""

import io

import numpy as np
import pytest
import soundfile

pytest.importorskip("hypothesis", reason="pip install '.[dev]'")

from generated import edited, edits, require_readable, try_all  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from speechbrain_ext.corpora.decoding import UnusableAudio, decode  # noqa: E402

pytestmark = pytest.mark.exhaustive

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float": ("WAV", "FLOAT"),
    "extensible": ("WAVEX", "PCM_24"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "nist": ("NIST", "PCM_16"),
}


def good_files():
    """A tenth of a second in each format."""
    time = np.arange(800)
    tone = 0.3 * np.sin(time / 3)
    wave = np.stack([tone, 0.5 * tone], axis=1)
    for name, (form, subtype) in FORMATS.items():
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, 8000, format=form, subtype=subtype)
        yield name, buffer.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_headers(name, tmp_path, record_property):
    content = dict(good_files())[name]
    path = tmp_path / f"a.{name}"
    outcomes = {"decoded": 0, "refused": 0}

    def check(changes):
        path.write_bytes(edited(content, changes))
        try:
            wave = decode(path, sample_rate=8000).waveform
        except (UnusableAudio, OSError) as error:
            require_readable(error)
            outcomes["refused"] += 1
        else:
            assert wave.dtype == np.float32 and wave.ndim == 1 and len(wave)
            assert np.isfinite(wave).all() and np.abs(wave).max() <= 1
            outcomes["decoded"] += 1

    drawn = edits(min(len(content), 400)) | st.just([])
    record_property("cases", try_all(drawn, 300, check))
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 3
