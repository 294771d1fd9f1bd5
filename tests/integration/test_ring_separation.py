"""Every hparams file trains, evaluates and reports, on tiny trees.

The rows of tests/recipes.csv hold the options of each file; `SMALL` makes
all of them short.  "tests/tmp" in the options stands for a temporary folder
that holds a tree of the layout of every corpus.
"""

import csv
import json
import math
import re
from pathlib import Path

import pytest
import speechbrain as sb
import torch
import yaml
from commands import (
    HPARAMS,
    ROOT,
    SMALL,
    row_arguments,
    run_rows,
    table_rows,
)
from estimator_folders import write_estimator
from trees import (
    make_folder,
    make_librispeech,
    make_voxceleb,
    make_wham_noise,
    make_wsj0,
    write_noise,
)

from speechbrain_ext.evaluation import COLUMNS
from speechbrain_ext.hub.__main__ import main as publish_main
from speechbrain_ext.inference import Separator
from speechbrain_ext.training import load_hparams

ROWS = table_rows("ring_separation")
SOURCES = 2 * SMALL["ring_size"] * SMALL["test_rings"]
STEPS = SMALL["number_of_epochs"] * SMALL["rings_per_epoch"]


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
    subsets = {"si_tr_s": 111, "si_dt_05": 221, "si_et_05": 331}
    make_wsj0(folder / "wsj0", {name: four(n) for name, n in subsets.items()})
    make_wham_noise(folder / "wham_noise")
    subsets = {"train-clean-100": 19, "dev-clean": 84, "test-clean": 61}
    make_librispeech(
        folder / "LibriSpeech", {name: four(n) for name, n in subsets.items()}
    )
    for number in range(6):
        write_noise(folder / f"noise/rain/{number}.wav")
    # of another configuration: the page has to say so
    stored = {"si_sdri": 1.25, "residual_noise_db": -3.5}
    reference = {
        "configuration": {"ring_size": SMALL["ring_size"]},
        "scer_weight": 0.0,
        "seed": 7,
        "sweep": [],
        "metrics": stored,
    }
    (folder / "reference.json").write_text(json.dumps(reference))
    write_estimator(folder / "estimator")
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
    outputs = run_rows(runs, HPARAMS.parent, commands)
    return list(zip(folders, commands, outputs, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    range(len(ROWS)),
    ids=[Path(row["Hparam_file"]).stem for row in ROWS],
)
def test_hparams_file_trains_and_reports(number, variants, trees, capsys):
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
    publish_main([str(folder), "--repo", "me/ring", "--dry_run"])
    assert "separator.safetensors" in capsys.readouterr().out
    if value_of("selection", row) == "last":
        epochs = SMALL["number_of_epochs"] if "=all" in flags else 1
        assert len(list((folder / "save").iterdir())) == epochs
    page = (folder / "index.html").read_text()
    swept = [point["snr"] for point in info["sweep"]]
    assert swept == (value_of("sweep_snr_db", row) or [])
    assert all(math.isfinite(point["level_db"]) for point in info["sweep"])
    if value_of("clean_speech_known", row):
        check_clean_figures(content, history, page, output)
    else:
        check_no_clean_figures(content, history, page, output)
    if "--selection=blind" in flags:
        check_blind_selection(info["steps"], history, output)
    elif value_of("selection", row) == "objective":
        valid = [line for line in history if line["stage"] == "valid"]
        best = min(valid, key=lambda line: float(line["objective"]))
        assert info["steps"] == int(best["step"])
    else:
        assert info["steps"] == STEPS
    if "--store_reference" in flags:
        stored = json.loads((trees / "stored.json").read_text())
        assert stored["configuration"] == info["configuration"]
        assert stored["metrics"].keys() == content["metrics"].keys()
    if "reference.json" in flags:
        assert "1.25 dB" in output and "-3.50 dB" in output
        for report in (output, page):
            differing = re.search(
                r"except for: (.*)|another (.*) differ", report
            )
            assert differing, "the other configuration is not told"
            assert "learning_rate" in differing[0]
            assert "ring_size" not in differing[0]


def value_of(key, row):
    text = (ROOT / row["Hparam_file"]).read_text()
    return yaml.safe_load(re.search(rf"(?m)^{key}: (.*)", text)[1])


def check_release(folder, command, figures, output):
    """It holds the selected model, and says what was done."""
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
    for name in ("si_sdr", "si_sdri"):
        label, unit, _ = COLUMNS[name]
        figure = f"{round(figures[name]['mean'], 3):g} {unit}"
        split = hparams["test_split"]
        assert f"| {corpus} | {split} | {label} | {figure} |" in card
    hparams_file = Path(hparams_file).relative_to(ROOT)
    assert f"python train.py {hparams_file} --ring_size=4 " in card
    assert "--output_folder=DIR --noprogressbar --" in card
    assert "arXiv preprint arXiv:2604.08415" in card
    assert f"python -m speechbrain_ext.hub {folder} --repo" in output
    # what this machine's folders are called is nobody's business
    for path in (folder / "release").glob("*.*"):
        assert bytes(folder.parent) not in path.read_bytes(), path


def check_blind_selection(steps, history, output):
    """The epoch with the highest score is chosen, whatever is true."""
    rows = [line for line in history if line["stage"] == "valid"]
    scores = [float(row["blind_si_snr"]) for row in rows]
    true = [float(row["clean_si_sdri"]) for row in rows]
    chosen = scores.index(max(scores))
    assert all(-10 < score < 20 for score in scores)
    assert steps == int(rows[chosen]["step"])
    assert (
        f"blind selection: epoch {chosen + 1}, "
        f"{max(true) - true[chosen]:.2f} dB clean SI-SDRi below the best"
    ) in output


def check_clean_figures(content, history, page, output):
    assert content["info"]["against"] == "clean speech"
    assert {"si_sdri", "residual_noise_db", "a_own", "a_other"} <= set(
        content["metrics"]
    )
    assert any(line["clean_si_sdri"] for line in history)
    assert "the clean speech of the split" in page
    assert re.search(r"against clean speech .*\nSI-SDR improvement", output)


def check_no_clean_figures(content, history, page, output):
    """The speech of the test set is noisy: nothing may call it clean."""
    assert content["info"]["against"] == "noisy speech"
    assert content["metrics"].keys() == {"si_sdr", "si_sdri"}
    assert not any("clean" in name for name in history[0])
    assert "the noisy speech of the split" in page
    assert "clean" not in page and "Residual noise" not in page
    assert "clean" not in output and "residual noise" not in output
    assert re.search(r"against noisy speech .*\nSI-SDR improvement", output)


def test_the_full_size_models_have_the_stated_parameters(tmp_path):
    stated = {}
    for name in ("wham_sepformer", "wham_convtasnet"):
        path = HPARAMS / f"{name}.yaml"
        number = re.search(r"([\d.]+) M parameter", path.read_text())[1]
        overrides = {
            "wsj0_folder": "-",
            "wham_noise_folder": "-",
            "output_folder": str(tmp_path / name),
        }
        separator = load_hparams(path, overrides)["separator"]
        parameters = sum(p.numel() for p in separator.parameters())
        assert round(parameters / 1e6, 1) == float(number), name
        stated[type(separator).__name__] = float(number)
    assert stated == {"SepFormer": 25.7, "ConvTasNet": 4.9}
