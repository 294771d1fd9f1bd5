"""Tests of VoxCeleb on a tiny tree of its layout."""

import csv

import pytest
from trees import make_voxceleb

from speechbrain_ext.corpora.voxceleb import prepare
from speechbrain_ext.dataio.recordings import read_recordings


@pytest.fixture
def corpus(tmp_path, write_tone):
    """Make six speakers of the first corpus and one of the second."""
    root = tmp_path / "vox"
    make_voxceleb(root, [f"id1000{number}" for number in range(4)])
    make_voxceleb(root / "test", ["id10004", "id10005"])
    aac = root / "aac" / "id00012" / "21Uxsk56VDQ"
    aac.mkdir(parents=True)
    (aac / "00001.m4a").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(500))
    write_tone(root / "elsewhere.wav")
    (root / "vox1_meta.csv").write_text(
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
        "id10000\tA.J._Buckley\tm\tIreland\tdev\n"
        "id10001\tA.R._Rahman\tf\tIndia\tdev\n"
    )
    (root / "vox2_meta.csv").write_text(
        "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012,n000012,m,dev\n"
    )
    return root


def test_rows(tmp_path, corpus):
    rows = read_recordings(prepare(corpus, tmp_path / "out"))
    assert len(rows) == 12
    assert "speech/id10005/1zcIwhmdeo4/00002" in {row.id for row in rows}
    sexes = {row.speaker: row.sex for row in rows}
    assert (sexes["id10000"], sexes["id10001"], sexes["id10002"]) == (
        ("M", "F", "")
    )
    splits = {}
    for row in rows:
        splits.setdefault(row.speaker, set()).add(row.split)
    assert all(len(where) == 1 for where in splits.values())
    with open(tmp_path / "out/skipped.csv", encoding="utf-8") as file:
        reasons = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons.keys() == {
        "speech/id00012/21Uxsk56VDQ/00001",
        "vox/elsewhere.wav",
    }
    assert "cannot be decoded" in reasons["speech/id00012/21Uxsk56VDQ/00001"]
    assert "does not lie in wav/idXXXXX" in reasons["vox/elsewhere.wav"]


def test_the_folder_wav_itself_and_noise(tmp_path, corpus, write_tone):
    write_tone(tmp_path / "noise" / "1.wav")
    manifest = prepare(
        corpus / "wav", tmp_path / "out", noise_folder=tmp_path / "noise"
    )
    assert len(read_recordings(manifest, kind="speech")) == 8
    assert len(read_recordings(manifest, kind="noise")) == 1


def test_missing_and_wrong_folders(tmp_path, corpus):
    with pytest.raises(FileNotFoundError, match="voxceleb_folder: .*gone"):
        prepare(tmp_path / "gone", tmp_path / "out")
    with pytest.raises(ValueError, match="none of the 2 audio files .* lies"):
        prepare(corpus / "wav" / "id10000" / "1zcIwhmdeo4", tmp_path / "out")
    (corpus / "vox1_meta.csv").write_text("id,name\n")
    with pytest.raises(ValueError, match="no column 'Gender'; .*id, name"):
        prepare(corpus, tmp_path / "out")
