"""Every hparams file trains, evaluates and reports, on tiny trees.

The rows of tests/recipes.csv hold the options of each file; `SMALL` makes
all of them short.  "tests/tmp" in the options stands for a temporary folder
that holds a tree of the layout of every corpus.
"""

import csv
import json
import math
import re
import sys
from pathlib import Path

import pytest
import speechbrain as sb
import torch
import yaml
from commands import (
    HPARAMS,
    ROOT,
    SMALL,
    launch_here,
    row_arguments,
    table_rows,
)
from estimator_folders import write_estimator
from hub_folders import write_spectral
from speechbrain.utils.checkpoints import Checkpointer
from trees import (
    make_folder,
    make_librispeech,
    make_voxceleb,
    make_wham,
    write_noise,
)

from hparams import load_hparams
from speechbrain_ext.commands.program import main as program
from speechbrain_ext.evaluation import COLUMNS
from speechbrain_ext.inference import Separator

ROWS = table_rows("ring_separation")
SOURCES = 2 * SMALL["batch_size"] * SMALL["test_batches"]
STEPS = SMALL["number_of_epochs"] * SMALL["batches_per_epoch"]


def four(first):
    """Speakers that fill a ring of four."""
    return [str(first + number) for number in range(4)]


@pytest.fixture(scope="session")
def trees(tmp_path_factory, recordings, prepared):
    """A tree of every layout."""
    folder = tmp_path_factory.mktemp("trees")
    (folder / "data").symlink_to(prepared)
    (folder / "recordings").symlink_to(recordings)
    # without splits a tenth of the speakers each is for validation and test
    make_folder(folder / "own", [f"speaker{number}" for number in range(40)])
    make_voxceleb(
        folder / "VoxCeleb1", [f"id{number}" for number in range(10000, 10040)]
    )
    make_wham(folder / "wham")
    subsets = {"train-clean-100": 19, "dev-clean": 84, "test-clean": 61}
    make_librispeech(
        folder / "LibriSpeech", {name: four(n) for name, n in subsets.items()}
    )
    for number in range(6):
        write_noise(folder / f"noise/rain/{number}.wav")
    write_estimator(folder / "estimator")
    write_spectral(folder / "separator")
    return folder


@pytest.fixture(scope="module")
def variants(trees, tmp_path_factory):
    """Folder, arguments and output of every row."""
    runs = tmp_path_factory.mktemp("runs")
    folders = [runs / str(number) for number in range(len(ROWS))]
    commands = [
        row_arguments(row, trees, **SMALL, output_folder=folder)
        for row, folder in zip(ROWS, folders, strict=True)
    ]
    outputs = [launch_here(*command) for command in commands]
    return list(zip(folders, commands, outputs, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    range(len(ROWS)),
    ids=[Path(row["Hparam_file"]).stem for row in ROWS],
)
def test_hparams_file_trains_and_reports(number, variants, capsys):
    row, flags = ROWS[number], ROWS[number]["test_debug_flags"]
    folder, command, output = variants[number]
    checks = re.fullmatch(r"file_exists=\[(.*)\]", row["test_debug_checks"])
    for name in checks[1].split(","):
        assert (folder / name).stat().st_size > 0, name
    content = json.loads((folder / "metrics.json").read_text())
    info = content["info"]
    assert content["rows"] == SOURCES
    assert info["skipped_steps"] == 0
    for name, figure in content["metrics"].items():
        assert (figure["count"], figure["nan"]) == (SOURCES, 0), name
        assert math.isfinite(figure["mean"]), name
    with open(folder / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert len(history) == STEPS + SMALL["number_of_epochs"]
    assert all(
        math.isfinite(float(value))
        for line in history
        for name, value in line.items()
        if value and name != "stage"
    )
    check_release(folder, command, content["metrics"], output)
    program(["publish", str(folder), "--repo", "me/ring", "--dry_run"])
    assert "separator.safetensors" in capsys.readouterr().out
    if value_of("selection", row) == "last":
        epochs = SMALL["number_of_epochs"] if "=all" in flags else 1
        assert len(list((folder / "save").iterdir())) == epochs
    page = (folder / "index.html").read_text()
    others = [f"{snr:g} dB" for snr in value_of("test_snr_db", row) or []]
    assert list(info["other_tests"]) == others
    for figures in info["other_tests"].values():
        assert all(math.isfinite(value) for value in figures.values())
    if value_of("clean_speech_known", row):
        check_clean_figures(content, history, page, output)
    else:
        check_no_clean_figures(content, history, page, output)
    if "--selection=blind" in flags:
        check_blind_selection(folder, history)
    if row["Hparam_file"].endswith("ring_sepformer.yaml"):
        # the stored figures are of another configuration
        for report in (output, page):
            differing = re.search(r"another configuration: (.*) differ", report)
            assert "batch_size" in differing[1]
            assert "seed" not in differing[1].split(", ")


def value_of(key, row):
    text = (ROOT / row["Hparam_file"]).read_text()
    return yaml.safe_load(re.search(rf"(?m)^{key}: (.*)", text)[1])


def check_release(folder, command, figures, output):
    """It holds the selected model, and says what was done."""
    sys.path.insert(0, str(HPARAMS.parent))  # of its prepare script
    hparams_file, _, overrides = sb.parse_arguments(command)
    hparams = load_hparams(hparams_file, overrides)
    best = hparams["checkpointer"].find_checkpoint(min_key=hparams["selection"])
    expected = hparams["separator"].eval()
    expected.load_state_dict(torch.load(best.paramfiles["separator"]))
    released = Separator.from_hparams(folder / "release")
    assert released.sample_rate == hparams["sample_rate"]
    mixture = torch.randn(2, 4000)
    with torch.no_grad():
        assert torch.equal(released.module(mixture), expected(mixture))
    card = (folder / "release/README.md").read_text()
    corpus = hparams["prepare"].func.__module__.rpartition(".")[2]
    corpus = corpus.removesuffix("_prepare")
    for name in ("si_sdr", "si_sdri"):
        label, unit, _ = COLUMNS[name]
        figure = f"{round(figures[name]['mean'], 3):g} {unit}"
        split = hparams["test_split"] or "test"
        assert f"| {corpus} | {split} | {label} | {figure} |" in card
    hparams_file = Path(hparams_file).relative_to(ROOT)
    assert f"python train.py {hparams_file} --batch_size=4 " in card
    assert "--output_folder=DIR --noprogressbar --" in card
    assert "arXiv preprint arXiv:2604.08415" in card
    assert f"speechbrain-ext publish {folder} --repo" in output
    # what this machine's folders are called is nobody's business
    for path in (folder / "release").glob("*.*"):
        assert bytes(folder.parent) not in path.read_bytes(), path


def check_blind_selection(folder, history):
    """The epoch with the highest score is chosen, whatever is true."""
    rows = [line for line in history if line["stage"] == "valid"]
    scores = [float(row["blind_si_snr"]) for row in rows]
    assert all(-10 < score < 20 for score in scores)
    found = Checkpointer(folder / "save").find_checkpoint(min_key="blind")
    assert found.meta["blind"] == pytest.approx(-max(scores))


def check_clean_figures(content, history, page, output):
    assert {"si_sdri", "residual_noise_db", "a_own", "a_other"} <= set(
        content["metrics"]
    )
    assert any(line["clean_si_sdri"] for line in history)
    assert "the clean speech of the split" in page


def check_no_clean_figures(content, history, page, output):
    """The speech of the test set is noisy: nothing may call it clean."""
    assert content["metrics"].keys() == {"si_sdr", "si_sdri"}
    assert not any("clean" in name for name in history[0])
    assert "the noisy speech of the split" in page
    assert "clean" not in page and "Residual noise" not in page
    assert "Residual noise" not in output


@pytest.mark.slow
def test_the_full_size_models_have_the_stated_parameters(tmp_path):
    sys.path.insert(0, str(HPARAMS.parent))
    stated = {}
    for name in ("wham_sepformer", "wham_convtasnet"):
        path = HPARAMS / f"{name}.yaml"
        number = re.search(r"([\d.]+) M parameter", path.read_text())[1]
        overrides = {
            "data_folder": "-",
            "output_folder": str(tmp_path / name),
        }
        separator = load_hparams(path, overrides)["separator"]
        parameters = sum(p.numel() for p in separator.parameters())
        assert round(parameters / 1e6, 1) == float(number), name
        stated[type(separator).__name__] = float(number)
    assert stated == {"SepFormer": 25.7, "ConvTasNet": 4.9}
