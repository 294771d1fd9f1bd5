import pytest
import torch

from speechbrain_ext.training import AtomicCheckpointer, find_start, load_start


@pytest.fixture
def run(tmp_path):
    """A run with a checkpoint in half precision, and a release."""
    folder = tmp_path / "run"
    layer = torch.nn.Linear(2, 1).half()
    checkpointer = AtomicCheckpointer(folder / "save", {"separator": layer})
    checkpointer.save_checkpoint(meta={"last": -1})
    (folder / "release").mkdir()
    (folder / "release/hyperparams.yaml").touch()
    return folder


def find(folder, part="separator"):
    return find_start(folder, selection="last", part=part)


def test_half_precision_is_taken(run):
    layer = torch.nn.Linear(2, 1)
    load_start(layer, find(run))
    assert layer.weight.dtype == torch.float32
    assert torch.equal(layer.weight.half(), torch.load(find(run))["weight"])


def test_a_release_is_told_from_its_run(run, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        find(run / "release")
    assert f"such as {run}, whose release this is" in str(error.value)
    (run / "release").rename(tmp_path / "alone")
    with pytest.raises(FileNotFoundError, match="not a release"):
        find(tmp_path / "alone")


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*/none"):
        find(tmp_path / "none")


def test_a_run_of_another_recipe_is_told(run):
    with pytest.raises(ValueError, match="checkpoints hold no network"):
        find(run, part="network")
