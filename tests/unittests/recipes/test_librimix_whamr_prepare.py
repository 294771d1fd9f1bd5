"""LibriMix and WHAMR! are prepared, on tiny trees of their layouts."""

import shutil

import pytest
from commands import ROOT, import_from
from trees import write_noise, write_voice

from speechbrain_ext.dataio.recordings import read_recordings

PREPARE = import_from(
    ROOT / "recipes/REAL-M/sisnr_estimation", "librimix_whamr_prepare"
)
WHAMR_NAMES = {
    "tr": ["01aa010b_0.97_209a010p_-0.97", "01aa010b_1.5_20ao0304_-1.5"],
    "cv": ["01aa010k_1.3_20ca010m_-1.3"],
    "tt": ["050a0501_1.6_442o030z_-1.6"],
}
LIBRIMIX_NAMES = {
    "train-360": ["4077-13754-0001_5142-33396-0065"],
    "dev": ["84-121123-0001_174-50561-0003"],
    "test": ["61-70968-0000_8455-210777-0012"],
}


def make_tree(root, names, parts):
    for split, stems in names.items():
        for stem in stems:
            for part in parts:
                path = root / f"wav8k/min/{split}/{part}/{stem}.wav"
                write_voice(path, rate=8000)
            write_noise(root / f"wav8k/min/{split}/noise/{stem}.wav", rate=8000)
    return root


@pytest.fixture(scope="module")
def whamr(tmp_path_factory):
    parts = [f"s{k}_{end}" for k in (1, 2) for end in ("anechoic", "reverb")]
    return make_tree(tmp_path_factory.mktemp("whamr"), WHAMR_NAMES, parts)


def read(path, root):
    return [
        (row.id, row.speaker, row.path.removeprefix(f"{root}/"))
        for row in read_recordings(path, root=root)
    ]


def test_whamr_gives_every_utterance_once(whamr, tmp_path):
    paths = PREPARE.prepare_whamr(str(whamr), str(tmp_path))
    names = [path.removeprefix(f"{tmp_path}/") for path in paths]
    assert names == [
        *("whamr_tr.csv", "whamr_noise_tr.csv", "whamr_cv.csv"),
        *("whamr_noise_cv.csv", "whamr_tt.csv", "whamr_noise_tt.csv"),
    ]
    speech = read(paths[0], whamr)
    assert [row[:2] for row in speech] == [
        ("01aa010b", "01a"),
        ("209a010p", "209"),
        ("20ao0304", "20a"),
    ]
    folders = [row[2].split("/")[3] for row in speech]
    assert folders == ["s1_anechoic", "s2_anechoic", "s2_anechoic"]
    assert [row[:2] for row in read(paths[1], whamr)] == [
        (name, "") for name in WHAMR_NAMES["tr"]
    ]
    wet = PREPARE.prepare_whamr(str(whamr), str(tmp_path), condition="reverb")
    assert "/s1_reverb/" in read(wet[0], whamr)[0][2]


def test_librimix_is_found_below_its_storage(tmp_path):
    inner = tmp_path / "storage/Libri2Mix"
    make_tree(inner, LIBRIMIX_NAMES, ["s1", "s2"])
    for root in (inner, inner.parent):
        paths = PREPARE.prepare_librimix(str(root), str(tmp_path / "out"))
        assert [row[:2] for row in read(paths[0], root)] == [
            ("4077-13754-0001", "4077"),
            ("5142-33396-0065", "5142"),
        ]


def test_files_of_another_corpus_are_told(whamr, tmp_path, caplog):
    root = shutil.copytree(whamr, tmp_path / "whamr")
    folder = root / "wav8k/min/cv/s1_anechoic"
    write_voice(folder / "notes.wav", rate=8000)
    paths = PREPARE.prepare_whamr(str(root), str(tmp_path / "out"))
    assert len(read(paths[2], root)) == 2
    assert "notes.wav is left out" in caplog.text
    # LibriMix has other names in folders of the same layout
    for name in ("s1", "s2"):
        (folder.parent / f"{name}_anechoic").rename(folder.parent / name)
    with pytest.raises(ValueError, match="is it another corpus"):
        PREPARE.prepare_librimix(str(root), str(tmp_path), sets=["cv"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 44100}, "sample_rate is 44100"),
        ({"condition": "wet"}, "there is no .*s1_wet"),
    ],
    ids=["rate", "condition"],
)
def test_what_is_not_there_is_told(whamr, tmp_path, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        PREPARE.prepare_whamr(str(whamr), str(tmp_path), **options)


def test_nothing_is_written_where_it_is_skipped(tmp_path):
    paths = PREPARE.prepare_whamr("/nowhere", str(tmp_path), skip_prep=True)
    assert len(paths) == 6
    assert not any(tmp_path.iterdir())
