"""Models by name and revision, wherever a model is asked for."""

import pytest
from hub_folders import LAYOUTS, write_folder

from speechbrain_ext.hub import load_folder
from speechbrain_ext.hub.catalog import find_models, resolve
from speechbrain_ext.inference import Separator


@pytest.fixture
def repository(hub, tmp_path):
    """A published separator of two states."""
    write_folder(tmp_path / "model", *LAYOUTS["sepformer"])
    files = {
        path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()
    }
    repo = hub.add("speechbrain/sepformer-wham", files)
    repo.tags["v1"] = repo.head
    text = files["hyperparams.yaml"].replace(b"8000", b"16000")
    hub.add(repo.name, {**files, "hyperparams.yaml": text})
    return repo


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["sepformer-wham", "speechbrain/sepformer-wham"]
)
def test_names_and_revisions(repository, name):
    assert load_folder(name).hparams["sample_rate"] == 16000
    assert load_folder(f"{name}@v1").hparams["sample_rate"] == 8000
    separator = Separator.from_hparams(name, revision="v1")
    assert separator.sample_rate == 8000
    for source in (f"{name}@", f"{name}@v2"):
        with pytest.raises(ValueError, match="one revision"):
            load_folder(source, revision="v1")


def test_a_folder_here_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "sepformer-wham", *LAYOUTS["sepformer"])
    assert resolve("sepformer-wham") == ("sepformer-wham", None)
    assert load_folder("sepformer-wham").hparams["sample_rate"] == 8000
    with pytest.raises(ValueError, match="has no revisions"):
        load_folder("sound_separator@v1")


@pytest.mark.parametrize("name", ["sisnr_estimator", "sound_separator"])
def test_what_comes_with_the_package_is_loaded(name):
    model = find_models()[name]
    loaded = load_folder(name)
    assert loaded.hparams["sample_rate"] == model.sample_rate
    # four bytes for each weight, and a header
    tensors = [
        x for m in loaded.modules.values() for x in m.state_dict().values()
    ]
    size = 4 * sum(tensor.numel() for tensor in tensors)
    assert size < model.size < 1.05 * size


def test_what_is_no_name_stays():
    for source in ("nowhere", "/nowhere", "a@b", "~/model", "a/b/c@d"):
        assert resolve(source) == (source, None)
