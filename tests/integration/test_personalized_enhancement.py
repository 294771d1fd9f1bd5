"""The recipe of personalised enhancement: every stage and arm, and mistakes."""

import argparse
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
from trees import (
    make_fsd50k,
    make_librispeech,
    make_musan,
    voice,
    write_noise,
    write_voice,
)

from speechbrain_ext.hub import Card, build_release
from speechbrain_ext.hub.__main__ import main as publish_main
from speechbrain_ext.inference import Enhancer, load_predictor
from speechbrain_ext.models import SNRPredictor
from speechbrain_ext.training import load_hparams

RECIPE = ROOT / "recipes/LibriSpeech/personalized_enhancement"
REAL_FILE = RECIPE / "hparams/pse_real.yaml"
FOLDER_FILE = RECIPE / "hparams/pse_folder.yaml"
ROWS = table_rows(RECIPE.name)
USERS = ("u1", "u2")
SMALL = {
    "segment_seconds": 0.25,
    "batch_size": 4,
    "number_of_epochs": 2,
    "batches_per_epoch": 3,
    "valid_batches": 1,
    "test_draws": 1,
    "log_interval": 1,
    "num_workers": 0,
    "examples": 0,  # drawing them takes most of the time
    "metrics": "[si_sdr]",
}
SIZES = {
    "sample_rate": 8000,
    "window": 128,
    "hop": 32,
    "hidden": 8,
    "snr_predictor": "{hidden: 8, layers: 1}",
}
PREDICTOR = """
sample_rate: 8000
predictor: !new:speechbrain_ext.models.SNRPredictor
    n_fft: 128
    hop: 32
    hidden: 4
    layers: 1
modules: {predictor: !ref <predictor>}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables: {predictor: !ref <predictor>}
"""
SAYS = dict.fromkeys(
    ["name", "summary", "data", "command", "usage", "limits", "citation"], "x"
)


@pytest.fixture(scope="module")
def trees(tmp_path_factory, prepared):
    """Tiny trees of every corpus, and predictors that are not trained."""
    folder = tmp_path_factory.mktemp("trees")
    (folder / "data").symlink_to(prepared)
    make_people(folder / "people")
    for number in range(5):
        write_voice(folder / f"recordings/{number}.flac", rate=44100)
    for split in ("train", "valid", "test"):
        for number in range(3):
            write_noise(folder / f"noise/{split}/{number}.wav")
    speakers = {"train-clean-100": ["19", "26", "103", "104"]}
    libri = folder / "LibriSpeech"
    make_librispeech(libri, speakers, utterances=4, seconds=3.1)
    make_fsd50k(
        folder / "FSD50K",
        {"train": ["Rain"] * 3, "val": ["Rain"] * 3, "eval": ["Rain"]},
    )
    make_musan(folder / "musan")
    make_predictor(folder / "predictor", 5.0)
    make_predictor(folder / "deaf", -5.0)
    return folder


def make_people(folder):
    """Two speakers of train and valid, two users, and noises."""
    generator = np.random.default_rng(0)
    rows = ["path,kind,split,speaker"]
    for split, names in (
        *(("train", ("a", "b")), ("valid", ("c",))),
        ("user", USERS),
    ):
        for name in names:
            for number in range(6 if split == "user" else 2):
                path = folder / "speech" / name / f"{number}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, voice(generator, 1.2, 8000), 8000)
                place = path.relative_to(folder)
                rows.append(f"{place},speech,{split},{name}")
    for split in ("train", "valid"):
        for number in range(4):
            path = write_noise(folder / f"noise/{split}/{number}.wav")
            rows.append(f"{path.relative_to(folder)},noise,{split},")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def make_predictor(folder, bias):
    """It finds the same level in every frame, or nearly."""
    predictor = SNRPredictor(n_fft=128, hop=32, hidden=4, layers=1)
    torch.nn.init.constant_(predictor.network.output.bias, bias)
    build_release(
        folder,
        hyperparams=PREDICTOR,
        modules={"predictor": predictor},
        card=Card(license="mit", **SAYS),
    )


def arguments_of(row, trees, output):
    """The options of a row, after the hyperparameter file."""
    examples = int("folder" in row["Hparam_file"])
    options = {**SMALL, "examples": examples, "output_folder": output}
    return row_arguments(row, trees, **options)


@pytest.fixture(scope="module")
def variants(trees, tmp_path_factory):
    """Folder and commands of every row, run in one process."""
    folder = tmp_path_factory.mktemp("runs")
    commands = [
        arguments_of(row, trees, folder / str(number))
        for number, row in enumerate(ROWS)
    ]
    return folder, commands, run_rows(folder, RECIPE, commands)


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ROWS)))
def test_every_variant_trains_and_reports(number, variants, trees, capsys):
    folder, commands, outputs = variants
    folder, row = folder / str(number), ROWS[number]
    checks = re.fullmatch(r"file_exists=\[(.*)\]", row["test_debug_checks"])
    for name in checks[1].split(","):
        assert (folder / name).stat().st_size > 0, name
    content = json.loads((folder / "metrics.json").read_text())
    info, flags = content["info"], row["test_debug_flags"]
    assert (info["steps"], info["skipped_steps"]) == (6, 0)
    history = read_csv(folder / "history.csv")
    assert [line["stage"] for line in history].count("valid") == 2
    assert all(math.isfinite(float(line["objective"])) for line in history)
    assert all(
        ("contrast" in line) == ("positive" in flags) for line in history
    )
    assert f"python -m speechbrain_ext.hub {folder} --repo" in outputs[number]
    publish_main([str(folder), "--repo", "me/pse", "--dry_run"])
    assert "README.md" in capsys.readouterr().out
    kept = 2 if "keep_checkpoints=all" in flags else 1
    assert len(list((folder / "save").iterdir())) == kept
    rows = read_csv(folder / "utterances.csv")
    assert len(rows) == content["rows"]
    users = {line["utterance"].partition("/")[0] for line in rows}
    if "snr_predictor" in flags.replace("--snr_predictor=", ""):
        check_predictor(folder, content)
        assert users == set(USERS)
        return
    assert users == set(info["improvements"])
    named = re.search(r"--user=(\w+)", flags)
    expected = {named[1]} if named else {"me"}
    if "generalist" in flags:
        expected = {
            "pse_real": set(USERS),
            "pse_librispeech": {"19", "26"},
        }.get(Path(row["Hparam_file"]).stem, users)
        assert len(users) > 1
    assert users == expected
    known = "pse_folder" not in row["Hparam_file"]
    valid = [line for line in history if line["stage"] == "valid"]
    personal = known and "generalist" not in flags
    assert all(("clean_si_sdri" in line) == personal for line in valid)
    assert math.isfinite(float(valid[0]["target_si_sdri"]))
    check_enhancer(folder, commands[number])
    page = (folder / "index.html").read_text()
    assert ("how well the recordings themselves" in page) == (not known)
    card = (folder / "release/README.md").read_text()
    assert str(folder) not in card and str(trees) not in card


def check_predictor(folder, content):
    figures = content["metrics"]
    assert figures["error_db"]["count"] == content["rows"]
    for name in ("noise_hidden", "speech_hidden"):
        assert 0 <= figures[name]["mean"] <= 100
    # frames that count less hold more noise than speech
    noise, speech = (
        figures[f"{name}_hidden_oracle"]["mean"] for name in ("noise", "speech")
    )
    assert noise > speech + 1
    released = load_predictor(folder, sample_rate=8000)
    assert released(torch.randn(1, 640)).shape == (1, 21)


def check_enhancer(folder, arguments):
    """The release enhances as the selected checkpoint does."""
    hparams_file, _, overrides = sb.parse_arguments(arguments)
    hparams = load_hparams(hparams_file, overrides)
    key = hparams["selection"]
    best = hparams["checkpointer"].find_checkpoint(min_key=key)
    expected = hparams["enhancers"][hparams["model"]].eval()
    expected.load_state_dict(torch.load(best.paramfiles["network"]))
    released = Enhancer.from_hparams(folder / "release")
    noisy = torch.randn(2, 4000)
    with torch.no_grad():
        assert torch.equal(released.module(noisy), expected(noisy))
    assert not released.match_level
    assert released.enhance(noisy, 8000).shape == noisy.shape


# One run, interrupted, and in several processes ------------------------------


def options_for(trees, output, **options):
    """A user's run over the CSV's corpus."""
    return {
        **SMALL,
        **SIZES,
        "data_folder": trees / "people",
        "prepared_folder": trees / "data/people",
        "predictor": trees / "predictor",
        "user": "u1",
        "output_folder": output,
        **options,
    }


def command_for(trees, tmp_path, processes=1, **options):
    """The worker that saves what every rank holds."""
    options = options_for(trees, tmp_path / "out", **options)
    return worker_command(REAL_FILE, tmp_path, processes, **options)


@pytest.mark.slow
def test_interrupted_it_goes_on_to_the_same_model(trees, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    options = {
        "batches_per_epoch": 60,
        "number_of_epochs": 1,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
        "positive_weight": 0.1,
    }
    run(command_for(trees, whole, **options))
    command = command_for(trees, parts, **options)
    history = parts / "out/history.csv"
    kill_at(10, command, history)
    run(command)
    assert load_rank(parts)["optimizer_step"] == 60
    assert_equal(load_rank(whole)["parameters"], load_rank(parts)["parameters"])
    assert history.read_bytes() == (whole / "out/history.csv").read_bytes()


@pytest.mark.slow
def test_ranks_end_with_the_same_parameters(trees, tmp_path):
    run(command_for(trees, tmp_path, processes=2))
    first, second = load_rank(tmp_path, 0), load_rank(tmp_path, 1)
    assert first["wrapped"] and first["optimizer_step"] == 6
    assert_equal(first["parameters"], second["parameters"])
    assert first["batches"] != second["batches"]


# Mistakes --------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipe():
    return import_from(RECIPE, "train")


def configure(recipe, file, options):
    command = train_command(file, **options)
    return recipe.configure([str(word) for word in command[2:]])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stage": "personalise"}, "stage: 'personalise' is none of"),
        ({"user": "all"}, "user: personalize needs one user"),
        ({"loss": "mse"}, "purification: the loss mse has no frames"),
        ({"targets": "clean"}, "purification: clean targets need none"),
        ({"injected_snr_db": [5, -5]}, "injected_snr_db: .* is no list of"),
        ({"window": 1000}, "window: 1000 is no multiple of twice the hop"),
        ({"level_clamp_db": 0}, "level_clamp_db: 0 is no range"),
        ({"test_noise_split": "train"}, "noises of the test must be new"),
        ({"noise_sources": []}, "noise_sources: .* must have the keys"),
        ({"noise_labels_dropped": "a"}, "noise_labels_dropped: it is no list"),
        ({"metrics": "pesq"}, "metrics: 'pesq' is no list, nor null"),
        (
            {"positive_weight": 1, "batch_size": 6},
            "batch_size: 6 is no multiple of 4",
        ),
        ({"predictor": "null"}, "predictor: purification by predicted levels"),
        ({"predictor": "/nowhere"}, "predictor: there is no folder /nowhere"),
        ({"start_from": "/nowhere"}, "start_from: there is no checkpoint"),
        ({"purifikation": "none"}, "did you mean purification"),
    ],
)
def test_bad_options_are_told_before_data_is_touched(
    recipe, tmp_path, options, message
):
    options = {
        "data_folder": ".",
        "user": "u1",
        "output_folder": tmp_path,
        **options,
    }
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        configure(recipe, REAL_FILE, options)
    assert not (tmp_path / "hyperparams.yaml").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stage": "generalist"}, "generalist needs clean speech"),
        ({"purification": "oracle"}, "oracle needs clean_speech_known"),
        (
            {"targets": "clean", "purification": "none"},
            "targets: clean needs clean_speech_known",
        ),
        ({"selection": "clean"}, "selection: clean needs clean_speech_known"),
    ],
)
def test_a_users_folder_has_no_clean_speech(recipe, tmp_path, options, message):
    options = {"data_folder": ".", "predictor": "/nowhere", **options}
    with pytest.raises(ValueError, match=message):
        configure(recipe, FOLDER_FILE, {**options, "output_folder": tmp_path})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"user": "u3"}, "user: the corpus has no user 'u3'; it has u1, u2"),
        ({"predictor": "deaf"}, "seem to hold no speech: in 0.0 %"),
        ({"window": 256}, "window of 128 samples, and the window here is 256"),
        ({"sample_rate": 16000}, "is a predictor for 8000 Hz, and is to"),
    ],
)
def test_what_does_not_fit_the_data_is_told(
    recipe, trees, tmp_path, options, message
):
    if "predictor" in options:
        options = {"predictor": trees / options["predictor"]}
    options = options_for(trees, tmp_path / "out", **options)
    with pytest.raises(ValueError, match=message):
        configure(recipe, REAL_FILE, options)


@pytest.mark.parametrize("share, warned", [(0.2, True), (0.5, False)])
def test_little_speech_is_told(
    recipe, trees, tmp_path, monkeypatch, capsys, share, warned
):
    monkeypatch.setattr(
        recipe.checks, "share_with_speech", lambda *found: share
    )
    configure(recipe, REAL_FILE, options_for(trees, tmp_path / "out"))
    captured = capsys.readouterr()
    told = captured.out + captured.err
    assert f"In {100 * share:.0f} % of the frames" in told
    assert ("That is little" in told) == warned


@pytest.mark.slow
def test_another_arm_needs_another_folder(recipe, trees, tmp_path, variants):
    folder, commands, _ = variants
    number = next(n for n, row in enumerate(ROWS) if "=u1" in str(row))
    arguments = [*commands[number], "--beta=2.0"]
    with pytest.raises(ValueError, match="holds a run with another beta"):
        recipe.configure(arguments)


@pytest.mark.slow
def test_a_run_starts_from_the_generalist(recipe, trees, tmp_path, variants):
    folder, _, _ = variants
    (number,) = [
        n
        for n, row in enumerate(ROWS)
        if "generalist" in str(row) and "pse_real" in row["Hparam_file"]
    ]
    start = folder / str(number)
    options = options_for(trees, tmp_path, start_from=start)
    hparams, _ = configure(recipe, REAL_FILE, options)
    path = recipe.start_of(hparams)
    gru = hparams["enhancers"]["gru"]
    recipe.load_start(gru, path)
    assert_equal(gru.state_dict(), torch.load(path))
    assert recipe.runs.configuration(hparams)["warm"]


@pytest.mark.slow
def test_noises_are_disjoint_by_file(recipe, trees, tmp_path, variants):
    data = import_from(RECIPE, "data")
    _, commands, _ = variants
    for arguments in commands:
        hparams_file, _, overrides = sb.parse_arguments(arguments)
        hparams = load_hparams(hparams_file, overrides)
        found = [
            {noise.path for noise in data.noises_of(hparams, split, role)}
            for split, role in (
                *(("train", role) for role in data.ROLES),
                (hparams["test_noise_split"], data.TEST),
            )
        ]
        assert all(found) and len(set().union(*found)) == sum(map(len, found))


# Arms ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arms():
    return import_from(RECIPE, "arms").PersonalArms()


def test_the_plan_holds_every_arm_that_is_claimed(arms):
    names = [entry.name for entry in arms.plan(arms.corpora)]
    assert len(names) == len(set(names))
    for arm in ("mse", "uniform", "predicted", "oracle", "clean", "warm"):
        assert f"real/{arm}/gru64/ls19/seed1" in names
    for seed in (1, 2, 3):
        for arm in ("uniform", "predicted", "oracle"):
            assert f"mini/{arm}/gru64/bf_emma/seed{seed}" in names
    assert "real/predicted/gru256/ls26/seed1" in names
    assert "real/generalist/gru256/seed1" in names
    assert "mini/oracle_noisy/gru64/bf_emma/seed1" in names
    for entry in arms.plan(arms.corpora):
        for first in arms.needed(entry):
            assert first.name in names


def finish(folder, entry, values, **configuration):
    """What a finished run leaves."""
    target = folder / entry.name
    target.mkdir(parents=True)
    mean = {"mean": 1.0 + entry.seed, "std": None, "count": 1, "nan": 0}
    info = {"configuration": configuration, "improvements": values}
    content = {"info": info, "rows": 1, "metrics": {"pesq_wb": mean}}
    (target / "metrics.json").write_text(json.dumps(content))


def table_of(arms, tmp_path):
    """The cells of the table that figures make, and the figures."""
    arms.store(arms.read_figures(arms.plan(["mini"]), tmp_path))
    table = (tmp_path / "reference/arms_results.md").read_text()
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_the_table_compares_arms_user_by_user(arms, tmp_path, monkeypatch):
    monkeypatch.setattr(type(arms), "reference", tmp_path / "reference")
    shift = {"uniform": 0.0, "predicted": 1.0, "oracle": 1.5}
    for entry in arms.plan(["mini"]):
        if entry.hidden != 64 or entry.noisy:
            continue
        if entry.arm in shift:
            own = 0.1 * len(entry.user) + entry.seed + shift[entry.arm]
            noise = 0.02 * shift[entry.arm] * len(entry.user)
            values = {entry.user: [own + noise, own + 2 + noise]}
            finish(tmp_path, entry, values, epochs=5, user=entry.user)
        if entry.arm == "generalist":
            values = {user: [0.0, 2.0] for user in ("af_heart", "bf_emma")}
            finish(tmp_path, entry, values, epochs=5)
    rows = table_of(arms, tmp_path)
    assert [row["arm"] for row in rows] == [
        "generalist",
        "pseudo-SE, frames, p = 1",
        "+ predicted purification",
        "+ oracle purification",
    ]
    assert [row["seeds"] for row in rows] == ["1", "3", "3", "3"]
    improvement, control = "SI-SDRi, mean over users", "against p = 1"
    assert rows[1][improvement] == "3.85 ± 1.00 dB"
    assert rows[1][control] == "-" and rows[2][control] == "+1.17 dB"
    assert [row["PESQ"] for row in rows] == ["2.00"] + ["3.00"] * 3
    # of the first seed alone, and of two users: 1 + 0.1 * 7.5
    assert rows[1]["against the generalist"] == "+1.75 dB"
    # four users of the same sign: the smallest that Wilcoxon's test can give
    tests = rows[2]["p: t, Wilcoxon (users), Wilcoxon (mixtures)"]
    assert tests.split(", ")[1] == "0.125"
    probability = import_from(RECIPE, "arms_table").show_probability
    assert [probability(p) for p in (None, 0.0, 0.0004, 0.0123)] == [
        *("-", "< 0.001", "< 0.001", "0.012")
    ]
    path = tmp_path / "reference/arms_boxes_mini_gru64.png"
    assert path.stat().st_size > 0
    stored = arms.read_stored()["mini"]
    assert stored["configuration"] == {"epochs": 5}


def test_the_predictors_have_a_table_of_their_own(arms, tmp_path, monkeypatch):
    monkeypatch.setattr(type(arms), "reference", tmp_path / "reference")
    for entry in arms.plan(["mini"]):
        if entry.arm == "snr_predictor":
            values = {
                "error_db": 5.0 + entry.seed,
                **{"correlation": 0.8, "noise_hidden": 60.4},
                **{"noise_hidden_oracle": 50.0, "speech_hidden": 30.0},
                "speech_hidden_oracle": 6.0,
            }
            metrics = {name: {"mean": mean} for name, mean in values.items()}
            target = tmp_path / entry.name
            target.mkdir(parents=True)
            content = {"info": {"configuration": {}}, "metrics": metrics}
            (target / "metrics.json").write_text(json.dumps(content))
    (row,) = table_of(arms, tmp_path)
    assert row["seeds"] == "3" and row["correlation"] == "0.80"
    assert row["error of a frame's level"] == "7.00 ± 1.00 dB"
    assert row["noise hidden by predicted (true) weights"] == "60 (50) %"
    assert row["speech hidden likewise"] == "30 (6) %"


def test_only_the_same_seeds_and_users_noise_are_compared(
    arms, tmp_path, monkeypatch
):
    monkeypatch.setattr(type(arms), "reference", tmp_path / "reference")
    for entry in arms.plan(["mini"]):
        if entry.hidden == 64 and entry.arm in ("uniform", "mse"):
            # seeds differ by far more than arms do
            value = 10 * entry.seed + 100 * entry.noisy
            if entry.arm == "mse":
                value += 1 + 1e-4 * len(entry.user)
            finish(tmp_path, entry, {entry.user: [value, value]}, epochs=5)
    rows = table_of(arms, tmp_path)
    assert [row["arm"] for row in rows] == [
        "pseudo-SE, mean squares",
        "pseudo-SE, frames, p = 1",
        "pseudo-SE, frames, p = 1, noisier users",
    ]
    assert rows[0]["against p = 1"] == "+1.00 dB"
    assert rows[2]["SI-SDRi, mean over users"] == "110.00 dB"
    assert rows[2]["against p = 1"] == "-"


def test_a_users_run_is_told_its_predictor(arms, tmp_path):
    words = [f"--output={tmp_path}", "--only=mini/warm/gru64/af_heart"]
    arguments = arms.parse(argparse.ArgumentParser(), words)
    chosen = arms.choose_runs(None, arguments)
    assert [entry.arm for entry in chosen] == [
        *("snr_predictor", "generalist", "warm")
    ]
    command = arms.command_line(chosen[-1], arguments, tmp_path / "x")
    assert f"--predictor={tmp_path / chosen[0].name}" in command
    assert f"--start_from={tmp_path / chosen[1].name}" in command
    options = arms.read_options(chosen[-1], arguments)
    assert options["user"] == "af_heart"
    assert options["user_snr_db"] == [0.0, 10.0]
    arguments = arms.parse(
        argparse.ArgumentParser(), [words[0], "--only=oracle_noisy/"]
    )
    chosen = arms.choose_runs(None, arguments)
    options = arms.read_options(chosen[-1], arguments)
    assert options["user_snr_db"] == [-5.0, 5.0]
    # stages that serve all users learn for longer than a user's
    first = arms.read_options(chosen[0], arguments)
    assert first["number_of_epochs"] > options["number_of_epochs"]
