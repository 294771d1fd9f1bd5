"""Tests of REAL-M on a tiny tree of its layout."""

import csv

import pytest
from trees import write_voice

from speechbrain_ext.corpora import realm
from speechbrain_ext.dataio.recordings import read_recordings


@pytest.fixture
def realm_folder(tmp_path):
    root = tmp_path / "REAL-M-v0.1.0"
    tables = {
        "early_collection1": (
            ["sentence1", "sentence2", "WorkerId", "filename"],
            [["GOOD MORNING", "GOOD NIGHT", "w1", "mix1.mp3"]],
        ),
        "session7": (
            ["", "sentence1", "sentence2", "filename"],
            [["0", "ONE", "TWO", "a.wav"], ["1", "THREE", "FOUR", "b.wav"]],
        ),
    }
    for session, (columns, rows) in tables.items():
        path = root / "transcriptions" / f"{session}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
    audio = root / "audio_files_converted_8000Hz"
    write_voice(audio / "early_collection1/mix1.wav", rate=8000)
    write_voice(audio / "session7/a.wav", rate=8000)
    return root


def test_realm_keeps_both_transcripts(tmp_path, realm_folder, caplog):
    out = tmp_path / "out"
    rows = read_recordings(realm.prepare(realm_folder, out))
    assert [(row.id, row.kind, row.split) for row in rows] == [
        ("mixture/early_collection1/mix1", "mixture", "test"),
        ("mixture/session7/a", "mixture", "test"),
    ]
    texts = [realm.both_transcripts(row.text) for row in rows]
    assert texts == [("GOOD MORNING", "GOOD NIGHT"), ("ONE", "TWO")]
    assert "1 of the mixtures" in caplog.text
    assert "b.wav" in (out / "skipped.csv").read_text()


def test_realm_names_what_is_wrong(tmp_path, realm_folder):
    table = realm_folder / "transcriptions/session7.csv"
    table.write_text("sentence1,filename\nONE,a.wav\n")
    with pytest.raises(ValueError, match="session7.csv has no column 'sent"):
        realm.prepare(realm_folder, tmp_path / "out")
    table.write_text("sentence1,sentence2,filename\nA | B,C,a.wav\n")
    realm.prepare(realm_folder, tmp_path / "out")
    assert "a transcript holds" in (tmp_path / "out/skipped.csv").read_text()
    for path in (realm_folder / "transcriptions").glob("*.csv"):
        path.unlink()
    with pytest.raises(ValueError, match="no transcripts"):
        realm.prepare(realm_folder, tmp_path / "out")


def test_one_transcript_is_not_two():
    with pytest.raises(ValueError, match="holds 1 transcripts"):
        realm.both_transcripts("GOOD MORNING")
