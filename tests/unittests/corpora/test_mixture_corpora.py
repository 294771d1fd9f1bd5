"""Tests of WHAMR!, LibriMix and REAL-M on tiny trees of their layouts."""

import csv

import pytest
from trees import write_noise, write_voice

from speechbrain_ext.corpora import librimix, realm, whamr
from speechbrain_ext.dataio.recordings import read_recordings

WHAMR_NAMES = {
    "tr": ["01aa010b_0.97_209a010p_-0.97", "01aa010b_1.5_20ao0304_-1.5"],
    "cv": ["01aa010k_1.3_20ca010m_-1.3"],
    "tt": ["050a0501_1.6_442o030z_-1.6"],
}


@pytest.fixture
def whamr_folder(tmp_path):
    for split, names in WHAMR_NAMES.items():
        for name in names:
            folder = tmp_path / "whamr/wav8k/min" / split
            for part in ("s1_anechoic", "s2_anechoic", "s1_reverb"):
                write_voice(folder / part / f"{name}.wav", rate=8000)
            write_voice(folder / "s2_reverb" / f"{name}.wav", rate=8000)
            write_noise(folder / "noise" / f"{name}.wav", rate=8000)
    return tmp_path / "whamr"


@pytest.fixture
def librimix_folder(tmp_path):
    names = {
        "train-360": "4077-13754-0001_5142-33396-0065",
        "dev": "84-121123-0001_174-50561-0003",
        "test": "61-70968-0000_8455-210777-0012",
    }
    for split, name in names.items():
        folder = tmp_path / "storage/Libri2Mix/wav8k/min" / split
        for part in ("s1", "s2", "mix_both"):
            write_voice(folder / part / f"{name}.wav", rate=8000)
        write_noise(folder / "noise" / f"{name}.wav", rate=8000)
    return tmp_path / "storage"


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


def test_whamr_gives_every_utterance_once(tmp_path, whamr_folder):
    rows = read_recordings(whamr.prepare(whamr_folder, tmp_path / "out"))
    train = [row for row in rows if row.split == "train"]
    assert [(row.id, row.speaker) for row in train] == [
        ("noise/tr/01aa010b_0.97_209a010p_-0.97", ""),
        ("noise/tr/01aa010b_1.5_20ao0304_-1.5", ""),
        ("speech/tr/01aa010b", "01a"),
        ("speech/tr/209a010p", "209"),
        ("speech/tr/20ao0304", "20a"),
    ]
    assert {row.split for row in rows} == {"train", "valid", "test"}
    speech = {row.id: row.path for row in train if row.kind == "speech"}
    assert "/s1_anechoic/" in speech["speech/tr/01aa010b"]
    assert "/s2_anechoic/" in speech["speech/tr/209a010p"]


def test_whamr_can_be_reverberant(tmp_path, whamr_folder):
    manifest = whamr.prepare(whamr_folder, tmp_path / "out", condition="reverb")
    paths = [row.path for row in read_recordings(manifest, kind="speech")]
    assert all("_reverb/" in path for path in paths)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 44100}, "made at 8000 and 16000 Hz"),
        ({"condition": "wet"}, "condition='wet' is not one of"),
        ({"version": "max"}, "whamr_folder: there is no folder"),
    ],
)
def test_whamr_refuses(tmp_path, whamr_folder, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        whamr.prepare(whamr_folder, tmp_path / "out", **options)


def test_a_file_of_another_corpus_is_named(tmp_path, whamr_folder):
    folder = whamr_folder / "wav8k/min/tr/s1_anechoic"
    write_voice(folder / "notes.wav", rate=8000)
    whamr.prepare(whamr_folder, tmp_path / "out")
    listed = (tmp_path / "out/skipped.csv").read_text()
    assert "notes.wav,is not named like a mixture of WHAMR!" in listed
    for path in folder.iterdir():
        if path.name != "notes.wav":
            path.unlink()
    with pytest.raises(ValueError, match="notes.wav is not named like"):
        whamr.prepare(whamr_folder, tmp_path / "other")


def test_librimix_is_found_below_its_storage(tmp_path, librimix_folder):
    for folder in (librimix_folder, librimix_folder / "Libri2Mix"):
        manifest = librimix.prepare(folder, tmp_path / folder.name / "out")
        rows = read_recordings(manifest, kind="speech", split="train")
        assert [(row.id, row.speaker) for row in rows] == [
            ("speech/train-360/4077-13754-0001", "4077"),
            ("speech/train-360/5142-33396-0065", "5142"),
        ]
        assert len(read_recordings(manifest, kind="noise")) == 3


def test_librimix_of_three_needs_its_own_folder(tmp_path, librimix_folder):
    with pytest.raises(FileNotFoundError, match="s3"):
        librimix.prepare(
            librimix_folder / "Libri2Mix", tmp_path / "out", num_sources=3
        )


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
