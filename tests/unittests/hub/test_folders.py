"""What names a model: folders here, results folders, repositories."""

import logging
import os
from pathlib import Path

import pytest
from hub_folders import PIECES

from speechbrain_ext.hub import download, find_release, load_folder
from speechbrain_ext.hub.folder import find_folder


@pytest.fixture
def no_hub(monkeypatch):
    """Fails a test that asks the hub."""
    monkeypatch.setattr(
        download, "snapshot_download", lambda **_: pytest.fail("hub was asked")
    )


PATHS = [
    "nothing",
    "./me/model",
    "../me/model",
    ".hidden",
    "/me/model",
    "~/model",
    "~nobody/model",
    "a/b/c",
    "results/model",
    "results/ring/1234",
    "me\\model",
    "here/model",
    "here/inner",
    "http://127.0.0.1/me/model",
    "-a/b",
    "me/mo del",
    "me/model\x1b[2J",
    "me/model\0",
    "a/" + "b" * 5000,
    "me//model",
    "me/model/",
]


@pytest.mark.parametrize("number", range(len(PATHS)))
def test_paths_that_are_not_there(number, tmp_path, monkeypatch, no_hub):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "inner").write_text("a file")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="there is no folder") as error:
        load_folder(PATHS[number])
    assert str(error.value).isprintable() and len(str(error.value)) < 1000


def test_what_hides_the_hub_is_named(tmp_path, monkeypatch):
    (tmp_path / "speechbrain").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="speechbrain is a folder here"):
        find_folder("speechbrain/sepformer-wsj02mix")
    assert find_folder("me/sepformer-wsj02mix") is None
    # the package in a checkout of SpeechBrain is no place for models
    (tmp_path / "speechbrain/__init__.py").touch()
    assert find_folder("speechbrain/sepformer-wsj02mix") is None


def test_a_path_object_is_never_a_repository(no_hub):
    with pytest.raises(FileNotFoundError, match="there is no folder me/model"):
        load_folder(Path("me/model"))


@pytest.mark.parametrize("source", ["", "  "], ids=["empty", "spaces"])
def test_an_empty_name_is_no_folder(source, no_hub):
    with pytest.raises(ValueError, match="name is empty"):
        load_folder(source)


def test_home_is_found(published, monkeypatch, no_hub):
    monkeypatch.setenv("HOME", str(published.parent))
    loaded = load_folder(f"~/{published.name}")
    assert loaded.folder == published


@pytest.mark.slow
def test_a_folder_that_shadows_a_repository_is_named(
    published, monkeypatch, caplog, no_hub
):
    monkeypatch.chdir(published.parent)
    os.makedirs("me")
    os.makedirs("results")
    published.rename("me/model")
    with caplog.at_level(logging.WARNING):
        assert load_folder("me/model").modules.keys() == set(PIECES)
    assert "me/model is a folder here" in caplog.text
    caplog.clear()
    os.rename("me/model", "results/model")
    for source in ("results/model", "./results/model", Path("results/model")):
        assert load_folder(source).modules.keys() == set(PIECES)
    assert caplog.text == ""


def test_a_results_folder_means_its_release(published, tmp_path, no_hub):
    results = tmp_path / "results"
    results.mkdir()
    published.rename(results / "release")
    assert load_folder(results).folder == results / "release"
    # what a training leaves is not read as a model
    text = "seed: 1\n__set_seed: !apply:torch.manual_seed [1]\nmodules: {}\n"
    (results / "hyperparams.yaml").write_text(text)
    assert load_folder(results).modules.keys() == set(PIECES)
    assert find_release(results / "release") == results / "release"


def test_a_release_beside_another_model_is_not_taken(published, no_hub):
    (published / "release").mkdir()
    assert load_folder(published).folder == published


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path, no_hub):
    with pytest.raises(FileNotFoundError, match="hyperparams.yaml is missing"):
        load_folder(tmp_path)
    (tmp_path / "hyperparams.yaml").write_text("seed: 1\n")
    with pytest.raises(ValueError, match="has no key pretrainer"):
        load_folder(tmp_path)
