"""Personalized enhancement: every stage and loss, and mistakes."""

import csv
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from commands import (
    ROOT,
    assert_equal,
    import_from,
    launch_here,
    mistake_in,
    row_arguments,
    table_rows,
)
from speechbrain.utils import logger as sb_logger
from speechbrain.utils.checkpoints import Checkpointer
from trees import (
    make_fsd50k,
    make_librispeech,
    make_musan,
    voice,
    write_noise,
    write_voice,
)
from workers import train

from speechbrain_ext.commands.program import main as program
from speechbrain_ext.hub import Card, build_release
from speechbrain_ext.inference import Enhancer, load_predictor
from speechbrain_ext.models import SNRPredictor
from speechbrain_ext.services import launcher

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


def row_name(row):
    """What is special about a row, as the id of its test."""
    flags = re.findall(
        r"--(?:stage|user|purification|loss|model)=(\w+)",
        row["test_debug_flags"],
    )
    return "-".join([Path(row["Hparam_file"]).stem, *flags])


@pytest.fixture(scope="module")
def variants(trees, tmp_path_factory):
    """Folder, command and output of every row."""
    folder = tmp_path_factory.mktemp("runs")
    folders = [folder / str(number) for number in range(len(ROWS))]
    commands = [
        arguments_of(row, trees, place)
        for row, place in zip(ROWS, folders, strict=True)
    ]
    outputs = [launch_here(*command) for command in commands]
    return list(zip(folders, commands, outputs, strict=True))


def find_run(variants, *words):
    """The first run whose command has all these words."""
    return next(
        found
        for found in variants
        if all(any(word in part for part in found[1]) for word in words)
    )


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", range(len(ROWS)), ids=[row_name(row) for row in ROWS]
)
def test_every_variant_trains_and_reports(number, variants, trees, capsys):
    (folder, command, output), row = variants[number], ROWS[number]
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
    assert f"speechbrain-ext publish {folder} --repo" in output
    program(["publish", str(folder), "--repo", "me/pse", "--dry_run"])
    assert "README.md" in capsys.readouterr().out
    kept = 2 if "keep_checkpoints=all" in flags else 1
    assert len(list((folder / "save").iterdir())) == kept
    rows = read_csv(folder / "test_results.csv")
    assert len(rows) == content["rows"]
    users = {line["id"].partition("/")[0] for line in rows}
    card = (folder / "release/README.md").read_text()
    assert str(folder) not in card and str(trees) not in card
    if "--stage=snr_predictor" in flags:
        check_predictor(folder, content)
        assert users == set(USERS)
        return
    assert users == set(info["each"]["si_sdri"])
    named = re.search(r"--user=(\w+)", flags)
    expected = {named[1]} if named else {"me"}
    if "generalist" in flags:
        expected = {
            "pse_real": set(USERS),
            "release_enhancer": set(USERS),
            "pse_librispeech": {"19", "26"},
        }.get(Path(row["Hparam_file"]).stem, users)
        assert len(users) > 1
    assert users == expected
    known = "pse_folder" not in row["Hparam_file"]
    valid = [line for line in history if line["stage"] == "valid"]
    personal = known and "generalist" not in flags
    assert all(("clean_si_sdri" in line) == personal for line in valid)
    assert math.isfinite(float(valid[0]["target_si_sdri"]))
    check_enhancer(folder, command)
    page = (folder / "index.html").read_text()
    assert ("how well the recordings themselves" in page) == (not known)


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
    selection = re.findall(r"--selection=(\w+)", " ".join(arguments))
    best = Checkpointer(folder / "save").find_checkpoint(
        min_key=(selection or ["target"])[0]
    )
    released = Enhancer.from_hparams(folder / "release")
    expected = torch.load(best.paramfiles["separator"])
    assert_equal(released.module.state_dict(), expected)
    noisy = torch.randn(2, 4000)
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


class Interrupted(Exception):
    """The run ends in the middle of an epoch."""


def train_here(options, stop_at=None):
    """Train in this process, maybe until a step is made."""
    words = [f"--{key}={value}" for key, value in options.items()]
    command, _ = launcher.check_recipe(REAL_FILE, [*words, "--noprogressbar"])
    recipe = import_from(RECIPE, "train")
    plain = recipe.PersonalizedEnhancement

    class Stopped(plain):
        def on_fit_batch_end(self, *arguments):
            super().on_fit_batch_end(*arguments)
            if self.optimizer_step == stop_at:
                raise Interrupted

    recipe.PersonalizedEnhancement = Stopped
    with pytest.MonkeyPatch.context() as patch:
        # listing what is installed takes longer than the training
        patch.setattr(sb_logger, "get_environment_description", str)
        with launcher.arguments_of(command, RECIPE / "train.py"):
            recipe.main(sys.argv[1:])


def weights_of(folder):
    """What the last checkpoint of a run holds."""
    found = Checkpointer(folder / "save").find_checkpoint()
    return torch.load(found.paramfiles["separator"])


@pytest.mark.slow
def test_interrupted_it_resumes_to_the_same_model(trees, tmp_path):
    whole, parts = (
        options_for(
            trees,
            tmp_path / name,
            number_of_epochs=2,
            batches_per_epoch=10,
            ckpt_interval_minutes=0,
            ckpt_interval_steps=3,
            positive_weight=0.1,
        )
        for name in ("whole", "parts")
    )
    train_here(whole)
    for step in (5, 17):
        with pytest.raises(Interrupted):
            train_here(parts, stop_at=step)
    train_here(parts)
    assert_equal(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))
    for name in ("history.csv", "test_results.csv"):
        one, other = (tmp_path / part / name for part in ("whole", "parts"))
        assert one.read_bytes() == other.read_bytes(), name


@pytest.mark.slow
def test_ranks_end_with_the_same_parameters(trees, tmp_path):
    options = options_for(trees, tmp_path / "out")
    first, second = train(tmp_path, REAL_FILE, processes=2, **options)
    assert first["wrapped"] and first["optimizer_step"] == 6
    assert_equal(first["parameters"], second["parameters"])
    assert first["batches"] != second["batches"]


@pytest.mark.slow
def test_a_run_starts_from_the_generalist(trees, tmp_path, variants):
    generalist, _, _ = find_run(variants, "=generalist", "pse_real")
    best = Checkpointer(generalist / "save").find_checkpoint(min_key="target")
    wanted = torch.load(best.paramfiles["separator"])
    for number, start in enumerate((generalist, generalist / "release")):
        # nothing is learned, so that it ends as it began
        options = options_for(
            trees,
            tmp_path / str(number),
            start_from=start,
            learning_rate=0.0,
            number_of_epochs=1,
            batches_per_epoch=1,
        )
        train_here(options)
        assert_equal(weights_of(tmp_path / str(number)), wanted)


# Mistakes --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, message",
    [
        ({"stage": "personal"}, "stage: 'personal' is none of"),
        ({"user": "all"}, "user: personalize needs one user"),
        ({"loss": "mse"}, "purification: the loss mse has no frames"),
        ({"targets": "clean"}, "purification: clean targets need none"),
        ({"injected_snr_db": [5, -5]}, "injected_snr_db: .* is no list of"),
        ({"window": 1000}, "window: 1000 is no multiple of twice the hop"),
        ({"level_clamp_db": 0}, "level_clamp_db: 0 is no range"),
        ({"test_noise_split": "train"}, "noises of the test must be new"),
        ({"noise_sources": []}, "noise_sources: .* must have the keys"),
        (
            {"noise_sources": "{users: null}"},
            "noise_sources: .*users.* and no others than injected",
        ),
        ({"noise_labels_dropped": "a"}, "noise_labels_dropped: 'a' is no list"),
        ({"metrics": "pesq"}, "metrics: 'pesq' is no list of some of si_sdr"),
        (
            {"positive_weight": 1, "batch_size": 6},
            "batch_size: 6 is no multiple of 4",
        ),
        ({"predictor": "null"}, "predictor: purification by predicted levels"),
        ({"predictor": "/nowhere"}, "predictor: there is no folder /nowhere"),
        (
            {"start_from": "/nowhere", "predictor": "shipped"},
            "start_from: there is no folder",
        ),
        ({"purifikation": "none"}, "did you mean purification"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_options_are_told_before_data_is_touched(
    tmp_path, options, message
):
    options = {
        "data_folder": ".",
        "user": "u1",
        "output_folder": tmp_path,
        **options,
    }
    assert re.search(message, mistake_in(REAL_FILE, **options))
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
    ids=["stage", "purification", "targets", "selection"],
)
def test_a_users_folder_has_no_clean_speech(tmp_path, options, message):
    options = {"data_folder": ".", "output_folder": tmp_path, **options}
    assert message in mistake_in(FOLDER_FILE, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, message",
    [
        ({"user": "u3"}, "user: the corpus has no user 'u3'; it has u1, u2"),
        ({"predictor": "deaf"}, "seem to hold no speech: in 0.0 %"),
        ({"window": 256}, "window of 128 samples, and the window here is 256"),
        ({"sample_rate": 16000}, "is a predictor for 8000 Hz, and is to"),
    ],
    ids=["user", "predictor", "window", "rate"],
)
def test_what_does_not_fit_the_data_is_told(trees, tmp_path, options, message):
    if "predictor" in options:
        options = {"predictor": trees / options["predictor"]}
    options = options_for(trees, tmp_path / "out", **options)
    assert message in mistake_in(REAL_FILE, **options)
    assert not (tmp_path / "out/history.csv").exists()


@pytest.mark.slow
def test_other_settings_need_another_folder(variants):
    _, command, _ = find_run(variants, "--user=u1")
    told = mistake_in(*command, "--beta=2.0")
    assert "holds a run with another beta" in told
