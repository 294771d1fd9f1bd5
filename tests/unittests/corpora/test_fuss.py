"""Tests of FUSS on a tiny tree of its layout."""

import csv
import hashlib
import tarfile

import numpy as np
import pytest
import soundfile
import torch
from file_server import serve
from trees import make_fuss

from speechbrain_ext.corpora import fuss
from speechbrain_ext.corpora.download import Archive
from speechbrain_ext.dataio import find_references, read_references
from speechbrain_ext.dataio.recordings import read_recordings

FOREGROUNDS = {"train": [0, 3], "validation": [1, 2], "eval": [2, 1]}


@pytest.fixture
def fuss_folder(tmp_path):
    return make_fuss(tmp_path / "fuss", FOREGROUNDS)


def reasons(folder):
    with open(folder / "skipped.csv", newline="", encoding="utf-8") as file:
        return {row["id"]: row["reason"] for row in csv.DictReader(file)}


def test_mixtures_and_their_sources_are_all_there(tmp_path, fuss_folder):
    rows = read_recordings(fuss.prepare(fuss_folder, tmp_path / "out"))
    train = [row for row in rows if row.split == "train"]
    assert [(row.id, row.kind) for row in train] == [
        ("event/train/example00001/foreground0", "event"),
        ("event/train/example00001/foreground1", "event"),
        ("event/train/example00001/foreground2", "event"),
        ("mixture/train/example00000", "mixture"),
        ("mixture/train/example00001", "mixture"),
        ("noise/train/example00000/background0", "noise"),
        ("noise/train/example00001/background0", "noise"),
    ]
    assert {row.split for row in rows} == {"train", "valid", "test"}
    # 16-bit files at the rate stay where they are
    assert all(row.path.startswith(str(fuss_folder)) for row in rows)
    assert {row.source for row in rows} == {"FUSS ssdata"}
    assert reasons(tmp_path / "out") == {}


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_the_sum_of_the_references_is_the_mixture(tmp_path, fuss_folder, split):
    manifest = fuss.prepare(fuss_folder, tmp_path / "out")
    name = fuss.SPLITS[split]
    found = find_references(manifest, split=split)
    assert [len(item.references) - 1 for item in found] == FOREGROUNDS[name]
    for item in found:
        references = read_references(item, sources=fuss.SOURCES)
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
    with pytest.raises(FileNotFoundError, match="fuss_folder: .*/ssdata$"):
        fuss.prepare(root, tmp_path / "out")
    manifest = fuss.prepare(root, tmp_path / "out", condition="reverb")
    rows = read_recordings(manifest, kind="mixture")
    assert len(rows) == 6 and "/ssdata_reverb/" in rows[0].path


def test_all_files_of_an_example_are_skipped_together(tmp_path, fuss_folder):
    """A source that is missing or cut would falsify the evaluation."""
    sources = fuss_folder / "ssdata/eval/example00000_sources"
    (sources / "foreground1_sound.wav").unlink()
    cut = fuss_folder / "ssdata/train/example00000.wav"
    cut.write_bytes(cut.read_bytes()[:-1000])
    silent = fuss_folder / "ssdata/validation/example00001.wav"
    soundfile.write(silent, np.zeros(19200), 16000)
    out = tmp_path / "out"
    rows = read_recordings(fuss.prepare(fuss_folder, out), kind="mixture")
    assert [row.id for row in rows] == [
        "mixture/eval/example00001",
        "mixture/train/example00001",
        "mixture/validation/example00000",
    ]
    listed = reasons(out)
    broken = "event/eval/example00000/foreground1"
    assert "No such file" in listed.pop(broken)
    assert "truncated" in listed["mixture/train/example00000"]
    assert "silent" in listed["mixture/validation/example00001"]
    assert listed["mixture/eval/example00000"] == (
        f"belongs to {broken}, which is not usable"
    )
    # three of the first, mixture and background, and four of the last
    assert len(listed) == 3 + 2 + 4


def test_other_rates_are_converted_with_the_references(tmp_path, fuss_folder):
    manifest = fuss.prepare(fuss_folder, tmp_path / "out", sample_rate=8000)
    (first, *_) = find_references(manifest, split="test")
    assert first.mixture.sample_rate == 8000
    mixture, rate = soundfile.read(first.mixture.path, dtype="float32")
    assert rate == 8000
    difference = read_references(first).sum(0) - torch.from_numpy(mixture)
    assert difference.abs().max() < 4 * 2**-15


def change_list(root, line):
    path = root / "ssdata/eval_example_list.txt"
    path.write_text(path.read_text() + line + "\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("eval/a.wav", "line 3: 0 sources, parted by tabs"),
        ("eval/a.wav eval/b.wav", "line 3: 0 sources"),
        ("\t".join("abcdef"), "line 3: 5 sources"),
        ("a.wav\ts/foreground0.wav\ts/foreground0.wav", "none of them twice"),
        ("a.wav\ts/dog.wav", "line 3: s/dog.wav is named neither"),
    ],
)
def test_lists_that_are_none_of_fuss(tmp_path, fuss_folder, line, message):
    change_list(fuss_folder, line)
    with pytest.raises(ValueError, match=message):
        fuss.prepare(fuss_folder, tmp_path / "out")


def test_what_is_not_there_is_named(tmp_path, fuss_folder):
    (fuss_folder / "ssdata/validation_example_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no list .*/validation_ex"):
        fuss.prepare(fuss_folder, tmp_path / "out")
    with pytest.raises(ValueError, match="condition='wet' is not one of"):
        fuss.prepare(fuss_folder, tmp_path / "out", condition="wet")


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
            manifest = fuss.prepare(
                tmp_path / "fuss", tmp_path / "out", download=True
            )
        assert server.asked == [0]
    assert len(read_recordings(manifest, kind="mixture")) == 6


def test_the_archives_are_those_of_the_record():
    for condition, archive in fuss.ARCHIVES.items():
        name = f"FUSS_{fuss.FOLDERS[condition]}.tar.gz"
        assert archive.url.startswith("https://zenodo.org/record/3743844/")
        assert archive.name == name
        assert len(bytes.fromhex(archive.sha256)) == 32
