import json
from functools import partial

import pytest

from speechbrain_ext.training import (
    data_identity,
    differences,
    remember_run,
    require_same_run,
)


@pytest.fixture
def folder(tmp_path):
    """A run with a checkpoint."""
    (tmp_path / "save/CKPT+1").mkdir(parents=True)
    remember_run(tmp_path, {"seed": 1, "pair": (1, 2)})
    return tmp_path


def test_the_same_run_goes_on(folder):
    # a tuple comes back from JSON as a list
    require_same_run(folder, {"seed": 1, "pair": (1, 2)})
    assert json.loads((folder / "run.json").read_text())["seed"] == 1


def test_another_run_is_refused_with_all_that_differs(folder):
    with pytest.raises(ValueError, match="another new, pair, seed; going on"):
        require_same_run(folder, {"seed": 2, "pair": (1, 3), "new": 0})


def test_a_run_counts_before_its_first_checkpoint(folder):
    (folder / "save/CKPT+1").rmdir()
    with pytest.raises(ValueError, match="another seed"):
        require_same_run(folder, {"seed": 2})


@pytest.mark.parametrize("text", ["", "{", "3"], ids=["empty", "cut", "number"])
def test_a_damaged_identity_is_named(folder, text):
    (folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match="run.json cannot be read"):
        require_same_run(folder, {"seed": 1})


def test_a_folder_of_no_run_is_free(tmp_path):
    require_same_run(tmp_path / "new", {"seed": 2})


def test_only_our_keys_are_compared():
    assert differences({"a": 1}, {"a": 1, "b": 2}) == []
    assert differences({"a": 1, "b": None}, {"a": 2}) == ["a"]


def test_data_are_the_same_from_wherever_they_are_called(tmp_path, monkeypatch):
    def identity(folder, **options):
        prepare = partial(print, data_folder=folder, noise_folder=None)
        prepare = partial(prepare, **options)
        return data_identity(
            {"manifest": f"{folder}/manifest.csv", "prepare": prepare}
        )

    whole = identity(str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert identity("data") == identity("data", download=True) == whole
    assert identity("data", seed=1) != whole
    assert identity("other") != whole


def test_where_data_are_prepared_is_no_matter(tmp_path):
    def identity(folder, manifest):
        prepare = partial(print, data_folder="in", folder=str(folder))
        return data_identity({"manifest": str(manifest), "prepare": prepare})

    first, second = tmp_path / "first", tmp_path / "second"
    whole = identity(first, first / "manifest.csv")
    assert identity(second, second / "manifest.csv") == whole
    assert identity(first, first / "other.csv") != whole
    assert identity(first, tmp_path / "manifest.csv") != whole
