import numpy as np
import pytest
import soundfile

from speechbrain_ext.corpora import mixtures
from speechbrain_ext.dataio import read_recordings


def write(folder, *names):
    generator = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * generator.standard_normal(12000), 8000)


def test_files_are_divided_where_no_splits_are_given(tmp_path):
    write(tmp_path / "in", *(f"{n % 2}/{n}.wav" for n in range(10)))
    rows = read_recordings(mixtures.prepare(tmp_path / "in", tmp_path / "out"))
    assert {row.kind for row in rows} == {"mixture"}
    assert {row.label for row in rows} == {""}
    splits = [row.split for row in rows]
    assert [splits.count(s) for s in ("train", "valid", "test")] == [8, 1, 1]
    assert {row.sample_rate for row in rows} == {16000}


def test_splits_of_the_tree_are_kept(tmp_path):
    write(tmp_path / "in", "train/a.wav", "valid/b/c.flac", "test/d.wav")
    rows = read_recordings(mixtures.prepare(tmp_path / "in", tmp_path / "out"))
    assert {row.id: row.split for row in rows} == {
        "mixture/train/a": "train",
        "mixture/valid/b/c": "valid",
        "mixture/test/d": "test",
    }


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="data_folder"):
        mixtures.prepare(tmp_path / "none", tmp_path / "out")
