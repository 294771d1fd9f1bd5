"""Tests of WHAM! on a tiny tree of its layout."""

import numpy as np
import pytest
import soundfile
from trees import make_wsj0, write_voice

from speechbrain_ext.corpora.wham import prepare
from speechbrain_ext.dataio.recordings import read_recordings


@pytest.fixture
def corpora(tmp_path):
    """Make wsj0 as on the discs, and the noise with two channels."""
    wsj0, noise = tmp_path / "wsj0", tmp_path / "wham_noise"
    make_wsj0(wsj0, {"si_tr_s": ["01t", "011"], "si_tr_j": ["4a0"]})
    make_wsj0(wsj0 / "disc", {"si_et_05": ["440"]})
    write_voice(wsj0 / "SI_DT_05/050/050A0501.WAV")
    (wsj0 / "doc").mkdir()
    (wsj0 / "doc" / "wsj0-train-spkrinfo.txt").write_text(
        ";; remarks\n011    F  native\n01T    M  native\n"
    )
    wave = np.outer(np.sin(np.arange(24000) / 5), [0.1, 0.3])
    for split in ("tr", "cv", "tt"):
        (noise / split).mkdir(parents=True)
        soundfile.write(noise / split / f"x_{split}.wav", wave, 16000)
    return wsj0, noise


def test_rows(tmp_path, corpora):
    rows = read_recordings(prepare(*corpora, tmp_path / "out"))
    assert [(r.id, r.split, r.speaker, r.sex) for r in rows] == [
        ("noise/cv/x_cv", "valid", "", ""),
        ("noise/tr/x_tr", "train", "", ""),
        ("noise/tt/x_tt", "test", "", ""),
        ("speech/si_dt_05/050/050a0501", "valid", "050", ""),
        ("speech/si_et_05/440/440c0201", "test", "440", ""),
        ("speech/si_tr_s/011/011c0201", "train", "011", "F"),
        ("speech/si_tr_s/01t/01tc0201", "train", "01t", "M"),
    ]
    assert {row.sample_rate for row in rows} == {8000}
    noise, rate = soundfile.read(rows[0].path)
    assert rate == 8000
    assert np.abs(noise[500:-500]).max() == pytest.approx(0.1, abs=1e-3)


def test_other_splits(tmp_path, corpora):
    splits = {"train": ["si_tr_s"], "test": ["si_dt_05", "si_et_05"]}
    manifest = prepare(*corpora, tmp_path / "out", splits=splits)
    tested = read_recordings(manifest, kind="speech", split="test")
    assert [row.speaker for row in tested] == ["050", "440"]


def test_missing_parts(tmp_path, corpora):
    wsj0, noise = corpora
    with pytest.raises(FileNotFoundError, match="wsj0_folder: .*gone"):
        prepare(tmp_path / "gone", noise, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="wham_noise_folder: .*gone"):
        prepare(wsj0, tmp_path / "gone", tmp_path / "out")
    with pytest.raises(
        ValueError, match="no audio for the split valid; looked for si_x/"
    ):
        prepare(wsj0, noise, tmp_path / "out", splits={"valid": ["si_x"]})
    (noise / "cv" / "x_cv.wav").unlink()
    with pytest.raises(ValueError, match="no audio files in .*cv"):
        prepare(wsj0, noise, tmp_path / "out")
