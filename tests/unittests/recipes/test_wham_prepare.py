"""The tables of WHAM!, from a tree as its scripts write it."""

import csv

import pytest
from commands import HPARAMS, import_from
from trees import make_wham, write_noise

from speechbrain_ext.dataio.recordings import read_recordings

prepare = import_from(HPARAMS.parent, "wham_prepare").prepare_wham


def test_every_source_and_noise_is_listed(tmp_path):
    wham, out = make_wham(tmp_path / "wham"), tmp_path / "save"
    paths = prepare(str(wham), str(out))
    assert paths == [
        str(out / f"{kind}_{name}.csv")
        for kind in ("speech", "noise")
        for name in ("tr", "cv", "tt")
    ]
    rows = read_recordings(paths[0], root=wham)
    assert len(rows) == 8
    # the first speaker of a mixture is in s1, the second in s2
    speakers = {row.id.split("/")[0]: row.speaker for row in rows}
    assert {speakers["s1"][-1], speakers["s2"][-1]} == {"a", "b"}
    assert {row.speaker for row in rows} == {
        f"{number:02d}{letter}" for number in range(4) for letter in "ab"
    }
    assert {row.samples for row in rows} == {9600}
    noise = read_recordings(paths[3], root=wham)
    assert [row.speaker for row in noise] == [""] * 4
    with open(paths[0], newline="") as file:
        assert next(csv.reader(file)) == ["ID", "duration", "wav", "spk_id"]


def test_another_place_gives_the_same_tables(tmp_path):
    texts = []
    for name in ("here", "there"):
        wham = make_wham(tmp_path / name / "wham")
        paths = prepare(str(wham), str(tmp_path / name / "save"))
        texts.append([open(path).read() for path in paths])
    assert texts[0] == texts[1]


def test_skipped_it_writes_nothing(tmp_path):
    paths = prepare("/nowhere", str(tmp_path / "save"), skip_prep=True)
    assert len(paths) == 6
    assert not (tmp_path / "save").exists()


@pytest.mark.parametrize("rate", [16000, 11025])
def test_what_is_missing_is_named(tmp_path, rate):
    wham = make_wham(tmp_path / "wham")
    match = "data_folder: there is no .*wav16k/min/tr/s1"
    if rate == 11025:
        match = "sample_rate is 11025"
    with pytest.raises((FileNotFoundError, ValueError), match=match):
        prepare(str(wham), str(tmp_path / "save"), sample_rate=rate)


def test_a_folder_without_audio_is_named(tmp_path):
    wham = make_wham(tmp_path / "wham")
    for path in (wham / "wav8k/min/cv/noise").iterdir():
        path.unlink()
    (wham / "wav8k/min/cv/noise/notes.txt").write_text("")
    with pytest.raises(ValueError, match="cv/noise holds no WAV file"):
        prepare(str(wham), str(tmp_path / "save"))
    write_noise(wham / "wav8k/min/cv/noise/x.WAV", rate=8000)
    prepare(str(wham), str(tmp_path / "save"))
