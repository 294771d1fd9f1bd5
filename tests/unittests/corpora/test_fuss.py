"""FUSS on a tiny tree of its layout, and its archives."""

import csv
import hashlib
import logging
import tarfile

import pytest
import soundfile
import torch
from checkout import ROOT
from file_server import serve
from trees import make_fuss

from speechbrain_ext.corpora import fuss
from speechbrain_ext.corpora.download import Archive
from speechbrain_ext.dataio import find_references, read_references
from speechbrain_ext.services.launcher import load_options as load_module

FOREGROUNDS = {"train": [0, 3], "validation": [1, 2], "eval": [2, 1]}
fuss_prepare = load_module(
    ROOT / "recipes/FUSS/mixit_separation/fuss_prepare.py"
)
prepare = fuss_prepare.prepare_fuss


@pytest.fixture
def fuss_folder(tmp_path):
    return make_fuss(tmp_path / "fuss", FOREGROUNDS)


def ids_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [row["ID"] for row in csv.DictReader(file)]


def test_mixtures_and_their_sources_are_all_there(tmp_path, fuss_folder):
    train, valid, test = prepare(fuss_folder, tmp_path / "out")
    assert ids_of(train) == [
        "event/train/example00001/foreground0",
        "event/train/example00001/foreground1",
        "event/train/example00001/foreground2",
        "mixture/train/example00000",
        "mixture/train/example00001",
        "noise/train/example00000/background0",
        "noise/train/example00001/background0",
    ]
    assert (len(ids_of(valid)), len(ids_of(test))) == (7, 7)
    again = prepare("/nowhere", tmp_path / "out", skip_prep=True)
    assert again == [train, valid, test]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_the_sum_of_the_references_is_the_mixture(tmp_path, fuss_folder, split):
    prepare(fuss_folder, tmp_path / "out")
    found = find_references(tmp_path / f"out/{split}.csv", root=fuss_folder)
    counts = FOREGROUNDS[fuss_prepare.SETS[split]]
    assert [len(item.references) - 1 for item in found] == counts
    for item in found:
        references = read_references(item, sources=4)
        assert references.shape == (4, item.mixture.samples)
        mixture, _ = soundfile.read(item.mixture.path, dtype="float32")
        difference = references.sum(0) - torch.from_numpy(mixture)
        assert difference.abs().max() <= 2**-16  # rounding to 16 bits
        assert not references[len(item.references) :].any()
    background = found[-1].references[0]
    assert "background" in background.id
    assert not read_references(found[-1])[0].any()


def test_reverberant_mixtures_lie_in_a_folder_of_their_own(tmp_path):
    root = make_fuss(tmp_path, FOREGROUNDS, condition="ssdata_reverb")
    with pytest.raises(FileNotFoundError, match="data_folder: .*/ssdata;"):
        prepare(root, tmp_path / "out")
    train, *_ = prepare(root, tmp_path / "out", condition="reverb")
    (first, _) = find_references(train, root=root)
    assert "/ssdata_reverb/" in first.mixture.path


def test_all_files_of_a_mixture_are_left_out_together(
    tmp_path, fuss_folder, caplog
):
    """A source that is missing or cut would falsify the evaluation."""
    sources = fuss_folder / "ssdata/eval/example00000_sources"
    (sources / "foreground1_sound.wav").unlink()
    cut = fuss_folder / "ssdata/train/example00000.wav"
    cut.write_bytes(cut.read_bytes()[:-1000])
    stereo = fuss_folder / "ssdata/validation/example00001.wav"
    soundfile.write(stereo, [[0.1, 0.2]] * 19200, 16000)
    with caplog.at_level(logging.WARNING):
        paths = prepare(fuss_folder, tmp_path / "out")
    kept = [i for path in paths for i in ids_of(path) if "mixture/" in i]
    assert kept == [
        "mixture/train/example00001",
        "mixture/validation/example00000",
        "mixture/eval/example00001",
    ]
    for name in ("foreground1_sound.wav", "example00000_sources", str(stereo)):
        assert name in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("eval/a.wav", "line 3: 0 sources, separated by tabs"),
        ("eval/a.wav eval/b.wav", "line 3: 0 sources"),
        ("\t".join("abcdef"), "line 3: 5 sources"),
        ("a.wav\ts/foreground0.wav\ts/foreground0.wav", "none of them twice"),
        ("a.wav\ts/dog.wav", "line 3: s/dog.wav is named neither"),
    ],
    ids=["alone", "blank", "many", "twice", "other"],
)
def test_lists_that_are_none_of_fuss(tmp_path, fuss_folder, line, message):
    path = fuss_folder / "ssdata/eval_example_list.txt"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message):
        prepare(fuss_folder, tmp_path / "out")


def test_what_is_not_there_is_named(tmp_path, fuss_folder):
    (fuss_folder / "ssdata/validation_example_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no list .*/validation_ex"):
        prepare(fuss_folder, tmp_path / "out")
    with pytest.raises(ValueError, match="sample_rate is 8000"):
        prepare(fuss_folder, tmp_path / "out", sample_rate=8000)
    with pytest.raises(ValueError, match="condition='wet' is not one of"):
        fuss.fetch(tmp_path / "fuss", condition="wet")


def test_the_archive_is_fetched_where_it_is_missing(tmp_path, monkeypatch):
    made = make_fuss(tmp_path / "made", FOREGROUNDS)
    with tarfile.open(tmp_path / "FUSS_ssdata.tar.gz", "w:gz") as archive:
        archive.add(made / "ssdata", "ssdata")
    content = (tmp_path / "FUSS_ssdata.tar.gz").read_bytes()
    with serve(content) as server:
        digest = hashlib.sha256(content).hexdigest()
        known = {"dry": Archive(server.url, len(content), digest, 10**6)}
        monkeypatch.setattr(fuss, "ARCHIVES", known)
        for _ in range(2):
            fuss.fetch(tmp_path / "fuss")
        assert server.asked == [0]
    train, *_ = prepare(tmp_path / "fuss", tmp_path / "out")
    assert len(ids_of(train)) == 7


def test_the_archives_are_those_of_the_record():
    for condition, archive in fuss.ARCHIVES.items():
        name = f"FUSS_{fuss.FOLDERS[condition]}.tar.gz"
        assert archive.url.startswith("https://zenodo.org/record/3743844/")
        assert archive.name == name
        assert len(bytes.fromhex(archive.sha256)) == 32
