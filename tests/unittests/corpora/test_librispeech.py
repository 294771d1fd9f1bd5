"""Tests of LibriSpeech on a tiny tree of its layout."""

import pytest
from trees import make_librispeech

from speechbrain_ext.corpora.librispeech import prepare
from speechbrain_ext.dataio.recordings import read_recordings


@pytest.fixture
def corpus(tmp_path):
    """Make three subsets, a speaker and a chapter each."""
    root = tmp_path / "LibriSpeech"
    speakers = {"train-clean-100": ["103"], "dev-clean": ["84"]}
    make_librispeech(root, {**speakers, "test-clean": ["61"]})
    (root / "SPEAKERS.TXT").write_text(
        ";ID  |SEX| SUBSET           |MINUTES| NAME\n"
        "103  | F | train-clean-100  | 25.19 | Karen Savage\n"
        "84   | M | dev-clean        |  8.02 | Christie Nowak\n"
    )
    return root


def test_rows(tmp_path, corpus):
    rows = read_recordings(prepare(corpus, tmp_path / "out"))
    assert len(rows) == 6
    row = {row.id: row for row in rows}[
        "speech/train-clean-100/103/1240/103-1240-0001"
    ]
    assert (row.kind, row.split, row.speaker, row.sex, row.text) == (
        ("speech", "train", "103", "F", "IT WAS")
    )
    assert row.source == "LibriSpeech train-clean-100"
    assert {(r.split, r.speaker, r.sex) for r in rows} == {
        ("train", "103", "F"),
        ("valid", "84", "M"),
        ("test", "61", ""),
    }


def test_parent_folder_other_splits_and_noise(tmp_path, corpus, write_tone):
    write_tone(tmp_path / "noise" / "valid" / "rain" / "1.wav")
    manifest = prepare(
        corpus.parent,
        tmp_path / "out",
        sample_rate=8000,
        splits={"train": ["dev-clean", "test-clean"]},
        noise_folder=tmp_path / "noise",
    )
    rows = read_recordings(manifest)
    assert [(r.kind, r.split, r.speaker or r.label) for r in rows] == [
        ("noise", "valid", "rain"),
        *[("speech", "train", "84")] * 2,
        *[("speech", "train", "61")] * 2,
    ]


def test_missing_parts(tmp_path, corpus):
    with pytest.raises(FileNotFoundError, match="librispeech_folder: .*gone"):
        prepare(tmp_path / "gone", tmp_path / "out")
    with pytest.raises(
        FileNotFoundError, match="librispeech_folder: .*train-clean-360"
    ):
        prepare(corpus, tmp_path / "out", splits={"train": ["train-clean-360"]})
