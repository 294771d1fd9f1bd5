"""The MixIT recipe: every variant trains, goes on, and tells mistakes."""

import csv
import json
import math
import re

import numpy as np
import pytest
import soundfile
import speechbrain as sb
import torch
from commands import (
    ROOT,
    assert_equal,
    import_from,
    kill_at,
    load_rank,
    row_arguments,
    run,
    run_rows,
    table_rows,
    train_command,
    worker_command,
)
from trees import make_fuss, voice

from speechbrain_ext.evaluation import summarise
from speechbrain_ext.hub.__main__ import main as publish_main
from speechbrain_ext.inference import Separator
from speechbrain_ext.training import load_hparams

RECIPE = ROOT / "recipes/FUSS/mixit_separation"
FOLDER_FILE = RECIPE / "hparams/mixit_folder.yaml"
ROWS = table_rows(RECIPE.name)
BLIND = [n for n, row in enumerate(ROWS) if "mixtures" in row["Hparam_file"]]
KNOWN = [n for n in range(len(ROWS)) if n not in BLIND]
SMALL = {
    "clip_seconds": 0.5,
    "test_clip_seconds": 0.5,
    "batch_size": 4,
    "number_of_epochs": 2,
    "batches_per_epoch": 3,
    "valid_batches": 1,
    "test_batch_size": 4,
    "test_batches": 2,
    "log_interval": 1,
    "num_workers": 0,
    "examples": 0,  # drawing them takes most of the time
}
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
    counts = {"train": [0, 1, 2, 3] * 3, "validation": [0, 1, 3, 2]}
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


def arguments_of(row, trees, output):
    """The options of a row, after the hyperparameter file."""
    examples = int(re.search("mini|mixtures", row["Hparam_file"]) is not None)
    options = {**SMALL, "examples": examples, "output_folder": output}
    return row_arguments(row, trees, **options)


@pytest.fixture(scope="module")
def variants(trees, tmp_path_factory):
    """Folder and output of every row; those of FUSS in one process."""
    folder = tmp_path_factory.mktemp("runs")
    commands = [
        arguments_of(row, trees, folder / str(number))
        for number, row in enumerate(ROWS)
    ]
    return folder, commands, run_rows(folder, RECIPE, commands)


@pytest.mark.slow
@pytest.mark.parametrize("number", KNOWN)
def test_every_variant_trains_and_reports(number, variants, trees, capsys):
    folder, commands, outputs = variants
    folder, row = folder / str(number), ROWS[number]
    checks = re.fullmatch(r"file_exists=\[(.*)\]", row["test_debug_checks"])
    for name in checks[1].split(","):
        assert (folder / name).stat().st_size > 0, name
    content = json.loads((folder / "metrics.json").read_text())
    figures, info = content["metrics"], content["info"]
    assert (info["steps"], info["skipped_steps"]) == (6, 0)
    for name in ("msi_all", "one_source_all"):
        assert math.isfinite(figures[name])
    groups = figures["by_references"]
    with open(folder / "clips.csv", newline="") as file:
        clips = list(csv.DictReader(file))
    # the background of the last clip of FUSS is silent
    counts = {"1": 1, "2": 1, "3": 2} if "fuss" in row["Hparam_file"] else {}
    counts = counts or {str(count): 2 for count in (1, 2, 3, 4)}
    assert {count: g["clips"] for count, g in groups.items()} == counts
    assert len(clips) == figures["clips"] == sum(counts.values())
    with open(folder / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert [line["stage"] for line in history].count("valid") == 2
    flags = row["test_debug_flags"]
    for name in ("sparsity", "covariance", "semantic"):
        there = f"--{name}_weight" in flags
        assert all(bool(line.get(name)) == there for line in history), name
    supervised = "supervised" in flags
    for line in history:
        assert math.isfinite(float(line["objective"]))
        assert ("least_squares_missed" in line) != supervised
        if not supervised:
            assert 0 <= float(line["least_squares_missed"]) <= 1
            assert float(line["least_squares_cost_db"]) >= -1e-3
    assert (info["least_squares"] is None) == supervised
    if not supervised:
        assert [step for step, *_ in info["least_squares"]["course"]] == [
            *range(1, 7)
        ]
    assert f"python -m speechbrain_ext.hub {folder} --repo" in outputs[number]
    check_release(folder, commands[number])
    publish_main([str(folder), "--repo", "me/mixit", "--dry_run"])
    assert "separator.safetensors" in capsys.readouterr().out
    kept = 2 if "keep_checkpoints=all" in flags else 1
    if "mini" in row["Hparam_file"]:
        assert len(list(folder.glob("examples/*/spectrograms.png"))) == 4
    if "fuss" not in row["Hparam_file"]:
        assert len(list((folder / "save").iterdir())) == kept


@pytest.mark.slow
@pytest.mark.parametrize("number", BLIND)
def test_recordings_without_references_are_trained_on(number, variants):
    folder, commands, _ = variants
    folder = folder / str(number)
    content = json.loads((folder / "metrics.json").read_text())
    # the fifth clip of the test has no partner
    assert content["info"]["steps"] == 6
    assert set(content["metrics"]) == {"clips", "loss", "outputs"}
    assert content["metrics"]["clips"] == 4
    assert math.isfinite(content["metrics"]["loss"])
    with open(folder / "clips.csv", newline="") as file:
        clips = list(csv.DictReader(file))
    assert len({clip["sources"] for clip in clips}) == 4
    assert clips[0]["loss"] == clips[1]["loss"] != clips[2]["loss"]
    with open(folder / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert [line["stage"] for line in history].count("valid") == 2
    assert "msi" not in history[-1]
    assert not (folder / "separation.png").exists()
    assert "have no references" in (folder / "index.html").read_text()
    card = (folder / "release/README.md").read_text()
    assert "have no references" in card and "MSi" not in card
    assert list(folder.glob("examples/*/spectrograms.png"))
    check_release(folder, commands[number])


def check_release(folder, arguments):
    """It separates as the selected checkpoint does, levels untouched."""
    hparams_file, _, overrides = sb.parse_arguments(arguments)
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
    mixtures = import_from(RECIPE, "data").make_mixtures(hparams, sb.Stage.TEST)
    evaluate = import_from(RECIPE, "evaluate")
    small = Separator.from_hparams(RECIPE / "small")
    rows, _ = evaluate.score(
        small.module, mixtures, examples=0, sample_rate=small.sample_rate
    )
    summary = summarise(rows)
    card = (RECIPE / "small/README.md").read_text()
    for name, label in evaluate.FIGURES.items():
        (figure,) = re.findall(rf"\| {re.escape(label)} \| (\S+) dB \|", card)
        assert summary[name] == pytest.approx(float(figure), abs=0.05), name
    assert summary["msi"] > 2 and summary["one_source"] > 5


# One run, interrupted, and in several processes ------------------------------


def command_for(trees, tmp_path, processes=1, **options):
    """The worker that saves what every rank holds."""
    options = {
        **TINY,
        "data_folder": trees / "sounds",
        "prepared_folder": trees / "data/sounds",
        "semantic_weight": 1,
        "sparsity_weight": 1,
        **options,
    }
    return worker_command(FOLDER_FILE, tmp_path, processes, **options)


@pytest.mark.slow
def test_interrupted_it_goes_on_to_the_same_model(trees, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    options = {
        "batches_per_epoch": 40,
        "number_of_epochs": 1,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
    }
    run(command_for(trees, whole, **options))
    command = command_for(trees, parts, **options)
    kill_at(10, command, parts / "out/history.csv")
    run(command)
    found = load_rank(parts)
    assert found["optimizer_step"] == 40
    assert_equal(load_rank(whole)["parameters"], found["parameters"])
    assert (parts / "out/history.csv").read_bytes() == (
        whole / "out/history.csv"
    ).read_bytes()


@pytest.mark.slow
def test_ranks_end_with_the_same_parameters(trees, tmp_path):
    run(command_for(trees, tmp_path, processes=2))
    first, second = load_rank(tmp_path, 0), load_rank(tmp_path, 1)
    assert first["optimizer_step"] == 6
    assert_equal(first["parameters"], second["parameters"])
    read = [first["batches"], second["batches"]]
    assert [len(batches) for batches in read] == [6, 6]
    assert all(len(batch) == TINY["batch_size"] for batch in read[0])
    assert not any(batch in read[1] for batch in read[0])


# Mistakes --------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipe():
    return import_from(RECIPE, "train")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"most_sources": 1}, "most_sources: 1 is below 2"),
        ({"single_share": 1.0}, "MixIT has nothing to learn"),
        ({"single_share": "many"}, "single_share: 'many' is no float"),
        ({"most_voices": -1}, "most_voices: -1 is below 0"),
        ({"voice_share": 1.5}, "voice_share: 1.5 is above 1"),
        ({"level_range_db": -1}, "level_range_db: -1 is below 0"),
        ({"max_grad_norm": -1.0}, "max_grad_norm: -1.0 is below 0"),
        ({"noise_share": 0.5}, "noise_snr_db: noise_share is 0.5; give the"),
        ({"noise_snr_db": 5.0}, "noise_snr_db: 5.0 is no list of the lowest"),
        ({"noise_snr_db": [5, 0]}, r"noise_snr_db: \[5, 0\] is no list of"),
        (
            {
                "objective": "supervised",
                "noise_share": 0.5,
                "noise_snr_db": [0.0, 5.0],
            },
            "noise_share: supervised training draws clips like those of the",
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
        ({"num_sources": 17}, "at most 16 outputs; num_sources is 17"),
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
        ({"sparse_weight": 1}, "did you mean sparsity_weight"),
    ],
)
def test_bad_options_are_told_before_data_is_touched(
    recipe, tmp_path, options, message
):
    values = {"data_folder": "/nowhere", "output_folder": tmp_path, **options}
    command = train_command(FOLDER_FILE, **values)
    with pytest.raises(ValueError, match=message):
        recipe.configure([str(word) for word in command[2:]])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "dropped, message",
    [
        (r".*,event,.*\n", "there are no sound events; give recordings"),
        (r".*,speech,.*\n", "there is no speech; add some, or set voice_share"),
        (r"(?<=,)bell(?=\n)", "of the kind event and has no label"),
        (r".*(drum|horn|rain)\n", "most_sources is 4; 1 event classes and 1"),
    ],
)
def test_recordings_that_do_not_do(recipe, trees, tmp_path, dropped, message):
    text = re.sub(dropped, "", (trees / "sounds/manifest.csv").read_text())
    table = trees / "sounds/changed.csv"
    table.write_text(text)
    manifest = load_hparams(
        FOLDER_FILE,
        {
            "data_folder": str(table),
            "prepared_folder": str(tmp_path / "data"),
            "output_folder": str(tmp_path / "out"),
        },
    )
    manifest["prepare"]()
    with pytest.raises(ValueError, match=message):
        recipe.make_mixtures(manifest, sb.Stage.TEST)


def test_the_semantic_loss_needs_labels(recipe, trees, tmp_path):
    hparams = load_hparams(
        RECIPE / "hparams/fuss_mixit.yaml",
        {
            "fuss_folder": str(trees / "fuss"),
            "prepared_folder": str(trees / "data/fuss"),
            "output_folder": str(tmp_path),
            "semantic_weight": 1.0,
            "num_workers": 0,
        },
    )
    hparams["prepare"]()
    with pytest.raises(ValueError, match="FUSS needs --labels=FILE.csv"):
        recipe.train(hparams, None)


# What makes a run another one -------------------------------------------------


def test_what_may_change_in_a_run_that_goes_on(recipe, tmp_path, monkeypatch):
    def identity(name="fuss_mixit", **options):
        key = "fuss_folder" if "fuss" in name else "data_folder"
        options = {
            key: "fuss",
            "output_folder": str(tmp_path),
            "network": {"channels": 16, "hidden": 8, "blocks": 2},
            **options,
        }
        file = RECIPE / f"hparams/{name}.yaml"
        return recipe.runs.identity(load_hparams(file, options))

    monkeypatch.chdir(tmp_path)
    known = identity()
    for same in (
        {"download": True},
        {"fuss_folder": str(tmp_path / "fuss")},
        {"number_of_epochs": 7},
    ):
        assert identity(**same) == known, same
    for other in (
        {"fuss_folder": "reverb"},
        {"precision": "bf16"},
        {"max_grad_norm": 1.0},
        {"network": {"channels": 16, "hidden": 8, "blocks": 2, "repeats": 3}},
        {"mixtures": {"max_sources": 5}},
    ):
        assert identity(**other) != known, other
    change = {"test_mixtures": {"most_sources": 3}}
    for objective in ("mixit", "supervised"):
        before, after = (
            identity("mixit_folder", objective=objective, **options)
            for options in ({}, change)
        )
        assert (before == after) == (objective == "mixit")


# Arms ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arms():
    return import_from(RECIPE, "arms").MixITArms()


def test_the_plan_holds_every_arm_that_is_claimed(arms):
    names = [entry.name for entry in arms.plan(arms.corpora)]
    assert len(names) == len(set(names))
    for corpus in arms.corpora:
        for arm in ("plain", "sparsity20", "covariance30", "semantic10"):
            for outputs in (4, 8):
                assert f"{corpus}/{arm}/M{outputs}/seed1" in names
    assert "folder/supervised/M4/seed1" in names
    for outputs, weights in ((4, (5, 10, 20, 40)), (8, (20, 30, 40, 80))):
        for weight in weights:
            assert f"folder/sparsity{weight}/M{outputs}/seed1" in names
    for seed in (1, 2, 3):
        for arm in ("plain", "sparsity20"):
            assert f"folder/{arm}/M4/seed{seed}" in names


def finish(folder, entry, msi, one_source, **configuration):
    """What a finished run leaves."""
    figures = {
        "msi": msi,
        "msi_all": msi - 1,
        "one_source": one_source,
        "one_source_all": None,
        **{"clips": 8, "under": 1, "equal": 3, "over": 4},
    }
    course = [[50, 0.5, 0.25], [100, 0.3, 0.15]]
    squares = None if entry.arm == "supervised" else {"course": course}
    info = {"least_squares": squares, "configuration": configuration}
    target = folder / entry.name
    target.mkdir(parents=True)
    content = {"info": info, "metrics": figures}
    (target / "metrics.json").write_text(json.dumps(content))


def test_the_table_averages_over_seeds(arms, tmp_path, monkeypatch):
    monkeypatch.setattr(type(arms), "reference", tmp_path / "reference")
    plan = arms.plan(["folder"])
    for entry in plan:
        if entry.arm in ("plain", "sparsity", "supervised"):
            finish(
                tmp_path, entry, 5.0 + entry.seed, 9.0 + entry.weight, epochs=5
            )
    arms.store(arms.read_figures(plan, tmp_path))
    table = (tmp_path / "reference/arms_results.md").read_text()
    assert (
        "| folder | 4 | MixIT + sparsity | 20 | 3 | 7.00 ± 1.00 dB "
        "| 29.00 ± 0.00 dB | 6.00 ± 1.00 dB | - | 12 / 38 / 50 % "
        "| 40 %, 0.20 dB |" in table
    )
    assert "| folder | 4 | supervised (upper bound) | 0 | 1 | 6.00 dB" in table
    for name in ("msi", "separation", "least_squares"):
        tail = "_M4" if name == "least_squares" else ""
        path = tmp_path / f"reference/arms_{name}_folder{tail}.png"
        assert path.stat().st_size > 0
    stored = arms.read_stored()["folder"]
    assert stored["configuration"] == {"epochs": 5}
    other = tmp_path / "other"
    finish(other, plan[0], 1.0, 1.0, epochs=6)
    with pytest.raises(ValueError, match="another epochs"):
        arms.store(arms.read_figures(plan, other))
