"""The MixIT recipe: every variant trains, resumes, and tells mistakes."""

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import speechbrain as sb
import torch
from commands import (
    ROOT,
    assert_equal,
    launch_here,
    modules_of,
    row_arguments,
    run,
    table_rows,
    train_command,
    with_processes,
)
from trees import make_fuss, voice

from hparams import load_hparams
from speechbrain_ext.commands.program import main as program
from speechbrain_ext.hub.catalog import find_models
from speechbrain_ext.inference import Separator
from speechbrain_ext.losses.universal_separation import (
    average_scores,
    source_scores,
    universal_figures,
)
from speechbrain_ext.services.configuration import check_hparams
from speechbrain_ext.services.launcher import load_options as load_module
from speechbrain_ext.services.options import find_mistakes
from speechbrain_ext.training import History

RECIPE = ROOT / "recipes/FUSS/mixit_separation"
FOLDER_FILE = RECIPE / "hparams/mixit_folder.yaml"
ROWS = table_rows(RECIPE.name)
NAMES = [
    f"{Path(row['Hparam_file']).stem}{place}" for place, row in enumerate(ROWS)
]
SMALL = {
    "segment_seconds": 0.5,
    "test_segment_seconds": 0.5,
    "batch_size": 4,
    "number_of_epochs": 2,
    "batches_per_epoch": 2,
    "valid_batches": 1,
    "test_batch_size": 4,
    "test_batches": 2,
    "log_interval": 1,
    "num_workers": 0,
    "examples": 0,  # drawing them takes most of the time
}
STEPS = 4
TINY = {
    **SMALL,
    "network": "{channels: 8, hidden: 8, blocks: 2}",
    "precision": "fp32",
}
CLASSES = ("bell", "drum", "horn", "rain")


@pytest.fixture(scope="module")
def trees(tmp_path_factory, prepared):
    """FUSS with labels; voices, events and noise of one's own."""
    folder = tmp_path_factory.mktemp("trees")
    (folder / "data").symlink_to(prepared)
    counts = {"train": [0, 1, 2, 3], "validation": [0, 1, 3, 2]}
    counts["eval"] = [0, 1, 2, 3]
    make_fuss(folder / "fuss", counts)
    lines = ["mixture,labels"]
    for split, numbers in counts.items():
        for number in range(len(numbers)):
            labels = ";".join(CLASSES[: number % 3])
            lines.append(f"{split}/example{number:05d},{labels}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    make_sounds(folder / "sounds")
    make_recordings(folder / "recorded")
    return folder


def make_recordings(folder):
    """Five long ones in each split, nothing else known."""
    generator = np.random.default_rng(1)
    for split in ("train", "valid", "test"):
        for number in range(5):
            path = folder / split / "street" / f"{number}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, voice(generator, 3.0, 8000), 8000)


def make_sounds(folder):
    """Two voices, four classes and a noise in each split."""
    generator = np.random.default_rng(0)
    rows = ["path,kind,split,speaker,label"]
    for split in ("train", "valid", "test"):
        sounds = [("speech", f"{split}{n}", "") for n in range(2)]
        sounds += [("event", "", name) for name in CLASSES]
        sounds += [("noise", "", "hum")]
        for kind, speaker, label in sounds:
            path = folder / split / f"{kind}_{speaker}{label}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, voice(generator, 1.2, 8000), 8000)
            name = path.relative_to(folder)
            rows.append(f"{name},{kind},{split},{speaker},{label}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_every_variant_trains_and_reports(row, trees, tmp_path, capsys):
    out, flags = tmp_path / "out", row["test_debug_flags"]
    fuss, blind = "fuss" in flags, "recorded" in flags
    options = {**SMALL, "examples": int(blind), "output_folder": out}
    arguments = row_arguments(row, trees, **options)
    printed = launch_here(*arguments)
    assert f"speechbrain-ext publish {out} --repo" in printed
    checks = re.fullmatch(r"file_exists=\[(.*)\]", row["test_debug_checks"])
    for name in checks[1].split(","):
        assert (out / name).stat().st_size > 0, name
    content = json.loads((out / "metrics.json").read_text())
    figures, info = content["metrics"], content["info"]
    assert (info["steps"], info["skipped_steps"]) == (STEPS, 0)
    history = read_rows(out / "history.csv")
    assert [line["stage"] for line in history].count("valid") == 2
    supervised = "supervised" in flags
    for line in history:
        assert math.isfinite(float(line["objective"]))
        assert ("least_squares_missed" in line) != supervised
        for name in ("sparsity", "covariance", "semantic"):
            assert bool(line.get(name)) == (f"--{name}_weight" in flags), name
    missed = [line.get("least_squares_missed") for line in history]
    trained = [
        float(value)
        for value, line in zip(missed, history, strict=True)
        if line["stage"] == "train" and not supervised
    ]
    assert ("least_squares_missed" in figures) != supervised
    if not supervised:
        mean = figures["least_squares_missed"]["mean"]
        assert mean == pytest.approx(sum(trained) / STEPS)
    (check_blind if blind else check_figures)(out, figures, fuss)
    check_release(out, arguments)
    program(["publish", str(out), "--repo", "me/mixit", "--dry_run"])
    assert "separator.safetensors" in capsys.readouterr().out
    kept = 2 if "keep_checkpoints=all" in flags else 1
    if not fuss:  # its files keep the best one, and the last one
        assert len(list((out / "save").iterdir())) == kept


def read_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def check_figures(out, figures, fuss):
    """A row for every source of every clip, and means of them."""
    clips = {}
    for row in read_rows(out / "test_results.csv"):
        clips.setdefault(row["id"], []).append(row)
    # the background of the last clip of FUSS is silent
    counts = [1, 2, 3, 3] if fuss else [1, 1, 2, 2, 3, 3, 4, 4]
    assert sorted(map(len, clips.values())) == counts
    for name in ("under", "equal", "over", "outputs"):
        assert figures[name]["count"] == len(counts)
    several = [row for rows in clips.values() if rows[1:] for row in rows]
    mean = sum(float(row["si_snri"]) for row in several) / len(several)
    assert figures["msi_all"]["mean"] == pytest.approx(mean)
    single = [rows[0] for rows in clips.values() if not rows[1:]]
    mean = sum(float(row["si_snr"]) for row in single) / len(single)
    assert figures["one_source_all"]["mean"] == pytest.approx(mean)


def check_blind(out, figures, fuss):
    """The loss of pairs, and what can be told without references."""
    assert {"mixit_loss", "outputs"} < figures.keys() and "msi" not in figures
    rows = read_rows(out / "test_results.csv")
    # the fifth clip of the test has no partner
    assert len({row["id"] for row in rows}) == len(rows) == 4
    losses = [row["mixit_loss"] for row in rows]
    assert losses[0] == losses[1] != losses[2] == losses[3]
    assert "msi" not in read_rows(out / "history.csv")[-1]
    assert not (out / "separation.png").exists()
    assert "have no references" in (out / "index.html").read_text()
    card = (out / "release/README.md").read_text()
    assert "have no references" in card and "MSi" not in card
    assert '<article class="item"' in (out / "index.html").read_text()


def check_release(folder, arguments):
    """It separates as the selected checkpoint does, levels untouched."""
    hparams_file, _, overrides = sb.parse_arguments(arguments)
    with modules_of(RECIPE):
        hparams = load_hparams(hparams_file, overrides)
    best = hparams["checkpointer"].find_checkpoint(min_key=hparams["selection"])
    expected = hparams["separator"].eval()
    expected.load_state_dict(torch.load(best.paramfiles["separator"]))
    released = Separator.from_hparams(folder / "release")
    mixture = torch.randn(2, 4000)
    with torch.no_grad():
        assert torch.equal(released.module(mixture), expected(mixture))
    assert not released.match_level
    estimates = released.separate(mixture, released.sample_rate)
    assert estimates.shape[1] == hparams["num_sources"]
    torch.testing.assert_close(estimates.sum(1), mixture, atol=1e-3, rtol=1e-3)
    card = (folder / "release/README.md").read_text()
    assert "for any sounds, trained on" in card
    assert str(folder) not in card


@pytest.mark.slow
def test_the_small_model_gives_the_figures_of_its_card(prepared):
    mini = f"prepared_folder: {prepared}/mini_8000"
    hparams = load_hparams(RECIPE / "hparams/mixit_mini.yaml", mini)
    hparams["prepare"]()
    recipe = load_module(RECIPE / "train.py")
    mixtures = recipe.dataio_prep(hparams)[sb.Stage.TEST]
    separator = Separator.from_hparams("sound_separator").module.eval()
    scores = []
    for batch in mixtures.loader:
        mixed = mixtures.mix(batch)
        with torch.no_grad():
            estimates = separator(mixed.mixture)
        for row in universal_figures(
            estimates=estimates,
            references=mixed.references,
            mixture=mixed.mixture,
        ):
            scores += source_scores(row)
    means = average_scores(scores)
    labels = {
        "msi": "MSi: SI-SNR improvement, clips of 2 to 4 sources",
        "one_source": "1S: SI-SNR, clips of one source",
        "msi_all": "MSi, sources without an active output counted too",
        "one_source_all": "1S, counted likewise",
    }
    folder = Path(find_models()["sound_separator"].source)
    card = (folder / "README.md").read_text()
    for name, label in labels.items():
        (figure,) = re.findall(rf"\| {re.escape(label)} \| (\S+) dB \|", card)
        assert means[name] == pytest.approx(float(figure), abs=0.05), name
    assert means["msi"] > 2 and means["one_source"] > 5


# One run, interrupted, and in several processes ------------------------------


def options_for(trees, folder, **options):
    """Options of a tiny run."""
    return {
        **TINY,
        "data_folder": trees / "sounds",
        "prepared_folder": trees / "data/sounds",
        "output_folder": folder,
        "semantic_weight": 1,
        "sparsity_weight": 1,
        **options,
    }


def weights_of(folder):
    """The separator and the classifier of a run's last checkpoint."""
    (checkpoint,) = (folder / "save").iterdir()
    return {
        f"{name}.{key}": value
        for name in ("separator", "classifier")
        for key, value in torch.load(checkpoint / f"{name}.ckpt").items()
    }


@pytest.mark.slow
def test_interrupted_it_resumes_to_the_same_model(trees, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = {
        "batches_per_epoch": 9,
        "number_of_epochs": 1,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
    }
    launch_here(FOLDER_FILE, **options_for(trees, whole, **options))
    write = History.write

    def interrupted(history, *, step, stage, **values):
        if step == 6:
            raise RuntimeError("the power is out")
        return write(history, step=step, stage=stage, **values)

    monkeypatch.setattr(History, "write", interrupted)
    command = options_for(trees, parts, **options)
    with pytest.raises(RuntimeError, match="the power is out"):
        launch_here(FOLDER_FILE, **command)
    monkeypatch.undo()
    assert len(read_rows(parts / "history.csv")) == 5
    # it is another run with another loss
    with pytest.raises(ValueError, match="another sparsity_weight"):
        launch_here(FOLDER_FILE, **{**command, "sparsity_weight": 2})
    launch_here(FOLDER_FILE, **command)
    assert_equal(weights_of(whole), weights_of(parts))
    for name in ("history.csv", "test_results.csv"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_two_processes_end_as_one_that_sees_all_batches(trees, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    launch_here(
        FOLDER_FILE,
        **options_for(trees, one, batches_per_epoch=4),
        grad_accumulation_factor=2,
    )
    command = train_command(FOLDER_FILE, **options_for(trees, two))
    run(with_processes(command, 2))
    alone, together = weights_of(one), weights_of(two)
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        torch.testing.assert_close(
            together[name], value, rtol=1e-3, atol=2e-5, msg=name
        )


# Mistakes --------------------------------------------------------------------


@pytest.fixture(scope="module")
def told_of():
    """Tell the mistakes of options of mixit_folder.yaml."""
    options = load_module(RECIPE / "options.py")
    needed = {"data_folder": "-", "output_folder": "-"}
    values = check_hparams(FOLDER_FILE, needed).values

    def told_of(changed):
        changed = values | changed
        return find_mistakes(changed, options.RULES) or options.find_conflicts(
            changed
        )

    return told_of


@pytest.mark.parametrize(
    "options, message",
    [
        ({"most_sources": 1}, "most_sources: 1 is below 2"),
        ({"single_ratio": 1.0}, "MixIT has nothing to learn"),
        ({"single_ratio": "many"}, "single_ratio: 'many' is no float"),
        ({"most_voices": -1}, "most_voices: -1 is below 0"),
        ({"voice_probability": 1.5}, "voice_probability: 1.5 is above 1"),
        ({"gain_db": -1}, "gain_db: -1 is below 0"),
        ({"max_grad_norm": -1.0}, "max_grad_norm: -1.0 is below 0"),
        ({"noise_probability": 0.5}, "snr_db: noise_probability is 0.5; give"),
        ({"snr_db": 5.0}, "snr_db: 5.0 is no list of two numbers"),
        (
            {
                "objective": "supervised",
                "noise_probability": 0.5,
                "snr_db": [0.0, 5.0],
            },
            "noise_probability: supervised training draws clips like",
        ),
        (
            {"references": False, "objective": "supervised"},
            "references: supervised training needs them",
        ),
        (
            {"references": False, "test_batch_size": 3},
            "test_batch_size: without references the test sums two",
        ),
        ({"num_sources": 1}, "num_sources: 1 is below 2"),
        (
            {"penalty_start": 0.5, "penalty_end": 0.25},
            "penalty_end: 0.25 lies before penalty_start, 0.5",
        ),
        (
            {"num_sources": 17, "solver_check": False},
            "solver: .* at most 16 outputs; num_sources is 17",
        ),
        ({"batch_size": 3}, "two mixtures make an example; it is odd"),
        ({"solver": "exakt"}, "solver: 'exakt' is none of 'exact'"),
        ({"selection": "blind"}, "selection: 'blind' is none of"),
        (
            {"objective": "supervised", "sparsity_weight": 1},
            "sparsity_weight: it goes with objective mixit",
        ),
        (
            {"objective": "supervised", "num_sources": 3},
            "3 outputs cannot hold the 4 sources",
        ),
    ],
)
def test_bad_options_are_told(told_of, options, message):
    (mistake,) = told_of(options)
    assert re.search(message, mistake), mistake


def test_what_is_legal_is_not_told(told_of):
    noise = {"noise_probability": 0.5, "snr_db": [0.0, 10.0]}
    many = {"num_sources": 17, "solver": "least_squares", "solver_check": False}
    for options in (
        *({}, noise, many, {"objective": "supervised"}, {"references": False}),
        {"objective": "supervised", "batch_size": 3, "single_ratio": 1.0},
    ):
        assert told_of(options) == [], options


def test_mistakes_are_told_together_before_data_is_touched(tmp_path):
    values = {"data_folder": "/nowhere", "output_folder": tmp_path}
    with pytest.raises(ValueError) as error:
        launch_here(FOLDER_FILE, **values, sparse_weight=1, solver="exakt")
    told = str(error.value)
    assert "did you mean sparsity_weight" in told
    assert "solver: 'exakt' is none of 'exact'" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "dropped, message",
    [
        (r".*,event,.*\n", "there are no sound events; give recordings"),
        (r".*,speech,.*\n", "there is no speech; add some, or set voice_prob"),
        (r"(?<=,)bell(?=\n)", "of the kind event and has no label"),
        (r".*(drum|horn|rain)\n", "most_sources is 4; 1 event classes and 1"),
    ],
    ids=["events", "speech", "label", "classes"],
)
def test_recordings_that_do_not_do(trees, tmp_path, dropped, message):
    text = re.sub(dropped, "", (trees / "sounds/manifest.csv").read_text())
    table = trees / "sounds/changed.csv"
    table.write_text(text)
    options = {
        "data_folder": str(table),
        "prepared_folder": str(tmp_path / "data"),
        "output_folder": str(tmp_path / "out"),
        "train_split": "test",
    }
    hparams = load_hparams(FOLDER_FILE, options)
    hparams["prepare"]()
    with pytest.raises(ValueError, match=message):
        hparams["test_mixtures"](
            hparams["test_data"],
            split="test",
            segment_seconds=0.5,
            batch_size=2,
            batches=1,
        )


def test_the_semantic_loss_needs_labels():
    recipe = load_module(RECIPE / "train.py")
    with pytest.raises(ValueError, match="give a CSV of them as labels"):
        recipe.add_classifier({}, [])
