"""A recipe of a few lines, between its checks and its results."""

import errno
import json
import os
from pathlib import Path

import pytest
from speechbrain.utils import logger

from speechbrain_ext.services import launcher

YAML = """
seed: 1
data_folder: a
output_folder: !ref results/<seed>
save_folder: !ref <output_folder>/save
learning_rate: 0.1
prepare: !name:tiny_prepare.prepare
    folder: !ref <output_folder>
separator: !new:speechbrain_ext.models.SpectralGRU {hidden: 8}
sample_rate: 8000
"""
TRAIN = """
import sys
from pathlib import Path
from hyperpyyaml import load_hyperpyyaml
import speechbrain as sb

file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
with open(file) as text:
    hparams = load_hyperpyyaml(text, overrides)
sb.create_experiment_directory(hparams["output_folder"], file, overrides)
Path(hparams["output_folder"], "rate").write_text(str(hparams["learning_rate"]))
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """What is launched: the YAML file of a recipe in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "recipe"
    (folder / "hparams").mkdir(parents=True)
    files = {
        "hparams/tiny.yaml": YAML,
        "train.py": TRAIN,
        "tiny_prepare.py": (
            "from pathlib import Path\n\n\ndef prepare(folder):\n"
            "    path = Path(folder, 'train.csv')\n"
            "    path.write_text('ID,wav\\n')\n    return path\n"
        ),
        "options.py": (
            "RULES = {'learning_rate': (float, 0, 1)}\n\n\n"
            "def find_conflicts(values):\n    return []\n"
        ),
        "report.yaml": "modules: [separator]\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    Path("a").mkdir()
    shown = []
    # which lists all packages
    monkeypatch.setattr(logger, "get_environment_description", lambda: "none")
    monkeypatch.setattr(
        launcher, "make_results", lambda folder, command: shown.append(command)
    )
    return folder / "hparams/tiny.yaml", shown


def test_a_recipe_is_given_the_checked_file(recipe):
    path, shown = recipe
    Path("b: <c> #1").mkdir()
    words = ["--learning_rate=1e-2", "--data_folder=b: <c> #1"]
    launcher.launch(path, [*words, "--output_folder=1/0"])
    assert Path("1/0/rate").read_text() == "0.01"
    saved = Path("1/0/hyperparams.yaml").read_text()
    assert "data_folder: 'b: <c> #1'" in saved
    assert "save_folder: 1/0/save" in saved
    assert shown[0].startswith("python train.py ")
    assert "--learning_rate=1e-2" in shown[0]
    identity = json.loads(Path("1/0/run.json").read_text())
    assert identity["learning_rate"] == 0.01
    assert len(identity["data"]) == 1


def test_mistakes_leave_nothing(recipe):
    with pytest.raises(ValueError, match="2.0 is above 1"):
        launcher.launch(recipe[0], ["--learning_rate=2"])
    assert not Path("results").exists()


def test_what_could_not_be_released_is_told_before_the_training(recipe):
    path, _ = recipe
    text = YAML.replace("speechbrain_ext.models.SpectralGRU", "torch.nn.Linear")
    path.write_text(text.replace("{hidden: 8}", "[2, 1]"))
    with pytest.raises(ValueError, match="could not be released") as raised:
        launcher.launch(path, [])
    assert "hub/allowed.py" in str(raised.value)
    assert "trust=True" not in str(raised.value)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    "network, told",
    [
        ("BandSeparator {heads: 3}", "separator: channels=64 is no multiple"),
        ("BandSeparator {head: 3}", "separator: Invalid argument to class"),
        ("SpectralGRU {hidden: [8]}", "separator: "),
    ],
    ids=["value", "name", "type"],
)
def test_what_cannot_be_built_is_told_before_data_is_touched(
    recipe, network, told
):
    path, _ = recipe
    text = YAML.replace("SpectralGRU {hidden: 8}", network)
    path.write_text(f"{text}modules:\n    separator: !ref <separator>\n")
    with pytest.raises(ValueError, match=f"^{told}"):
        launcher.launch(path, [])
    assert not Path("results").exists()


def test_a_preparation_that_fails_leaves_no_folder(recipe):
    path, _ = recipe
    text = YAML.replace("folder: !ref <output_folder>", "folder: nowhere")
    path.write_text(text)
    with pytest.raises(FileNotFoundError):
        launcher.launch(path, [])
    assert not Path("results/1").exists()
    # one that was there stays
    Path("results/1").mkdir()
    with pytest.raises(FileNotFoundError):
        launcher.launch(path, [])
    assert Path("results/1").exists()


def test_another_setting_is_refused_where_a_checkpoint_is(recipe):
    path, _ = recipe
    launcher.launch(path, [])
    # without a checkpoint no run has begun
    launcher.launch(path, ["--learning_rate=0.2"])
    Path("results/1/save/CKPT+1").mkdir(parents=True)
    Path("results/1/save/CKPT+1/CKPT.yaml").touch()
    launcher.launch(path, ["--learning_rate=0.2"])
    with pytest.raises(ValueError, match="another learning_rate"):
        launcher.launch(path, [])


def test_an_error_is_kept_in_the_log(recipe):
    path, _ = recipe
    script = path.parents[1] / "train.py"
    script.write_text(
        TRAIN + f"raise OSError({errno.ENOSPC}, 'No space left on device')\n"
    )
    with pytest.raises(OSError) as error:
        launcher.launch(path, [])
    assert error.value.filename == os.path.join("results", "1")
    log = Path("results/1/log.txt").read_text()
    assert "Traceback" in log and "No space left" in log
