"""The recognition recipe: every file trains, resumes, and tells mistakes."""

import csv
import json
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
    launch_here,
    row_arguments,
    table_rows,
    train_command,
)
from trees import make_librispeech, voice, write_noise
from workers import kill_at, train

from hparams import load_hparams
from speechbrain_ext.commands.program import main as program
from speechbrain_ext.inference import Transcriber
from speechbrain_ext.services import launcher
from speechbrain_ext.services.ablation import Ablation

RECIPE = ROOT / "recipes/LibriSpeech/robust_asr"
FOLDER_FILE = RECIPE / "hparams/robust_asr_folder.yaml"
ROWS = table_rows(RECIPE.name)
STAGES = ("enhancer", "clean", "multi", "frozen", "joint")
SMALL = {
    **{f"{stage}_epochs": 1 for stage in STAGES},
    "batch_size": 4,
    "valid_batch_size": 4,
    "num_clusters": 4,
    "tokenizer_passes": 2,
    "test_snr_db": "[0.0]",
    "metrics": "[si_sdr]",
    "log_interval": 1,
    "precision": "fp32",
    "examples": 0,  # drawing them takes most of the time
}
TINY = {
    **SMALL,
    "recognizer": "{channels: 4, mels: 20, layers: 1, heads: 2, "
    "feedforward: 16}",
    "enhancer": "{channels: 8, hidden: 8, blocks: 2}",
    "frame_size": 16,
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory, prepared):
    """Utterances with texts, and noise, of one's own and as LibriSpeech."""
    folder = tmp_path_factory.mktemp("trees")
    (folder / "data").symlink_to(prepared)
    subsets = ("train-clean-100", "train-clean-360", "train-other-500")
    speakers = {name: [f"{n}1", f"{n}2"] for n, name in enumerate(subsets, 1)}
    speakers |= {"dev-clean": ["81"], "test-clean": ["82"]}
    make_librispeech(folder / "LibriSpeech", speakers)
    for number in range(3):
        write_noise(folder / f"noise/{number}.wav")
    make_spoken(folder / "spoken")
    return folder


def make_spoken(folder):
    """Voices with short texts, and a noise, in each split."""
    generator = np.random.default_rng(0)
    rows = ["path,kind,split,speaker,text"]
    for split, number in (("train", 8), ("valid", 2), ("test", 2)):
        (folder / split).mkdir(parents=True)
        for index in range(number):
            path = folder / split / f"{index}.wav"
            signal = voice(generator, 1.1 + 0.05 * index, 8000)
            soundfile.write(path, signal, 8000)
            text = ("It's a test.", "Yes, one two!")[index % 2]
            name = f"{split}/{index}.wav"
            rows.append(f'{name},speech,{split},{split}{index},"{text}"')
        soundfile.write(
            folder / split / "noise.wav",
            0.1 * generator.standard_normal(16000),
            8000,
        )
        rows.append(f"{split}/noise.wav,noise,{split},,")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def arguments_of(row, trees, output):
    """The options of a row, after the hyperparameter file."""
    examples = int("token_ratio" in row["test_debug_flags"])
    options = {**SMALL, "examples": examples, "output_folder": output}
    return row_arguments(row, trees, **options)


@pytest.fixture(scope="module")
def variants(trees, tmp_path_factory):
    """Folder and arguments of every row."""
    folder = tmp_path_factory.mktemp("runs")
    commands = [
        arguments_of(row, trees, folder / str(number))
        for number, row in enumerate(ROWS)
    ]
    # the second and third take what the first has trained
    for number in (1, 2):
        commands[number].append(f"--start_from={folder / '0'}")
    for command in commands:
        launch_here(*command)
    return folder, commands


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ROWS)))
def test_every_variant_trains_and_reports(number, variants):
    folder, row = variants[0] / str(number), ROWS[number]
    checks = re.fullmatch(r"file_exists=\[(.*)\]", row["test_debug_checks"])
    for name in checks[1].split(","):
        assert (folder / name).stat().st_size > 0, name
    content = json.loads((folder / "metrics.json").read_text())
    metrics = content["metrics"]
    for test in ("0 dB", "clean", "noisy"):
        assert metrics[f"wer, {test}"]["mean"] >= 0
        assert 0 <= metrics[f"agreement, {test}"]["mean"] <= 1
    assert "si_sdr, noisy" in metrics and "si_sdr, clean" not in metrics
    rows = read_rows(folder)
    tests = [row["test"] for row in rows]
    hparams_file, *words = variants[1][number]
    command, _ = launcher.check_recipe(hparams_file, words)
    draws = command.checked.values["test_draws"]
    assert tests.count("0 dB") == draws * tests.count("clean") > 0
    wrong, words = (
        sum(int(row[name]) for row in rows if row["test"] == "0 dB")
        for name in ("word_errors", "words")
    )
    assert metrics["wer, 0 dB"]["mean"] == 100 * wrong / words
    stages = content["info"]["stages"]
    flags = row["test_debug_flags"]
    if "front_end=none" in flags:
        assert set(stages) == {"clean", "multi", "tokenizer"}
        return
    assert set(stages) == {*STAGES, "tokenizer"}
    weights = stages["joint"]["weights"]
    expected = {"cbpc", "info_nce"}
    if "token_ratio" in flags:
        expected = {"token"}
    elif "info_nce_ratio=0" in flags:
        expected = {"cbpc"}
    assert set(weights) == expected
    assert all(weight > 0 for weight in weights.values())
    shown = (folder / "index.html").read_text().count('<article class="item"')
    assert shown == (2 if "token_ratio" in flags else 0)


def read_rows(folder):
    """The test results of a run."""
    with open(folder / "test_results.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_stages_of_another_run_are_taken(variants):
    first, second, third = (variants[0] / n / "stages" for n in "012")
    for name in ("enhancer", "clean", "multi", "tokenizer", "frozen"):
        same = [
            (folder / name / "finished.json").read_bytes()
            for folder in (first, second)
        ]
        # other contrastive terms make another front end
        assert (same[0] == same[1]) == (name != "frozen"), name
    assert sorted(p.name for p in third.iterdir()) == [
        *("clean", "multi", "tokenizer"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("number", (0, 2))
def test_the_release_recognizes_as_the_run_did(number, variants, capsys):
    folder, command = variants[0] / str(number), variants[1][number]
    program(["publish", str(folder), "--repo", "me/asr", "--dry_run"])
    assert "README.md" in capsys.readouterr().out
    transcriber = Transcriber.from_hparams(folder / "release")
    assert (transcriber.enhancer is None) == (number == 2)
    row = next(row for row in read_rows(folder) if row["test"] == "clean")
    hparams, recipe = load(command), import_from(RECIPE, "train")
    data = recipe.dataio_prep(hparams)
    utterances = recipe.make_utterances(hparams, data, sb.Stage.TEST, None)
    speech = utterances.mix(next(iter(utterances.loader)))
    place = speech.ids.index(row["id"])
    end = int(speech.lengths[place] * speech.clean.shape[1])
    heard = transcriber.transcribe(speech.clean[place : place + 1, :end], 8000)
    assert len(heard[0]) == pytest.approx(len(row["hypothesis"]), abs=4)
    card = (folder / "release/README.md").read_text()
    assert "Word error rate, clean" in card
    assert str(folder) not in card
    # the stage of noisy speech made the tokens only
    learned_noise = number == 0
    assert ("noise at -5 to 15 dB" in card) == learned_noise
    assert ("multi 1" in card) == learned_noise


def load(arguments):
    """The hyperparameters of a command line."""
    hparams_file, _, overrides = sb.parse_arguments(arguments)
    return load_hparams(hparams_file, overrides)


@pytest.mark.slow
def test_utterances_are_heard_with_several_noises(variants):
    """The same ones at every SNR."""
    hparams = load(variants[1][0]) | {"test_draws": 2}
    recipe = import_from(RECIPE, "train")
    data = recipe.dataio_prep(hparams)
    noises = {
        snr: read_noises(
            recipe.make_utterances(
                hparams, data, sb.Stage.TEST, snr and (snr, snr)
            )
        )
        for snr in (1.0, 7.0, None)
    }
    assert len(noises[1.0]) == 2 * len(noises[None])
    assert not any(noise.any() for noise in noises[None].values())
    for name in noises[None]:
        first, second = noises[1.0][name], noises[1.0][f"{name}#2"]
        assert not torch.allclose(first, second, atol=0.01 * first.abs().max())
        weaker = noises[7.0][name] * 10 ** (6 / 20)
        assert torch.allclose(first, weaker, atol=0.01 * first.abs().max())


def read_noises(utterances):
    """The noise of each utterance, by its name."""
    noises = {}
    for batch in utterances.loader:
        speech = utterances.mix(batch)
        found = speech.noisy - speech.clean
        noises |= dict(zip(speech.ids, found, strict=True))
    return noises


# One run, interrupted, and in several processes ------------------------------


@pytest.fixture
def options(trees, tmp_path):
    """Of a tiny run over one's own recordings."""
    folders = {
        "data_folder": trees / "spoken",
        "prepared_folder": trees / "data/spoken",
    }
    more = {"batch_size": 2, "output_folder": tmp_path / "out"}
    return {**TINY, **folders, **more}


@pytest.mark.slow
def test_interrupted_it_resumes_to_the_same_model(options, tmp_path):
    """Killed in the last stage, in the middle of an epoch."""
    options |= {
        "joint_epochs": 8,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
        "balance_steps": 12,
    }
    (whole,) = train(tmp_path, FOLDER_FILE, fits=5, **options)
    options["output_folder"] = tmp_path / "parts"
    history = tmp_path / "parts/stages/joint/history.csv"
    kill_at(6, history, tmp_path, FOLDER_FILE, fits=5, **options)
    (parts,) = train(tmp_path, FOLDER_FILE, fits=5, **options)
    assert parts["optimizer_step"] == 32
    assert_equal(whole["parameters"], parts["parameters"])
    other = tmp_path / "out/stages/joint/history.csv"
    assert history.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_ranks_end_with_the_same_parameters(options, tmp_path):
    first, second = train(tmp_path, FOLDER_FILE, processes=2, fits=5, **options)
    assert first["optimizer_step"] == 2
    assert_equal(first["parameters"], second["parameters"])
    for mine, other in zip(first["batches"], second["batches"], strict=True):
        assert not set(mine) & set(other)


# Mistakes --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, message",
    [
        ({"front_end": "fuse"}, "front_end: 'fuse' is none of 'none'"),
        ({"cbpc_ratio": 2.0}, "cbpc_ratio: 2.0 is above 1"),
        ({"cbpc_rati": 0.1}, "did you mean cbpc_ratio"),
        ({"alphabet": "aab"}, "no character stands twice"),
        ({"alphabet": "ab"}, "num_tokens: 29; the 2 characters"),
        ({"recognizer_training": "clean"}, "'clean' goes with front_end none"),
        (
            {"shuffle_labels": True, "cbpc_ratio": 0},
            "shuffle_labels: it is about the labels of CBPC",
        ),
        ({"snr_db": [5, 0]}, "the lower one first"),
        ({"snr_db": 5}, "snr_db: 5 is no list of two numbers"),
        ({"speeds": [0.0]}, "must be above 0"),
        ({"test_split": []}, "test_split: .. names no split"),
        ({"metrics": ["pesk"]}, "metrics: .'pesk'. is no list of some of si_s"),
        ({"joint_epochs": 0}, "joint_epochs: 0 is below 1"),
        ({"joint_learning_rate": 0}, "joint_learning_rate: it must be above"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_options_are_told_before_data_is_touched(
    tmp_path, options, message
):
    values = {"data_folder": "/nowhere", "output_folder": tmp_path, **options}
    with pytest.raises(ValueError, match=message):
        check(**values)
    assert not list(tmp_path.iterdir())


def check(**options):
    """Check the options of the file for one's own recordings."""
    words = [str(word) for word in train_command(FOLDER_FILE, **options)[3:]]
    return launcher.check_recipe(FOLDER_FILE, words)


def test_a_start_without_a_finished_stage_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no finished stage in"):
        check(data_folder=".", start_from=tmp_path)


def test_stages_name_settings_that_are_there():
    declared = launcher.load_options(RECIPE / "options.py")
    keys = load_hparams(FOLDER_FILE, {"data_folder": "-"}).keys()
    for name, unread in declared.STAGES.items():
        assert unread <= keys, name


@pytest.mark.slow
@pytest.mark.parametrize(
    "option, place",
    [
        ("clean_probability=0.5", "stages/enhancer"),
        ("seed=9", ""),
        ("info_nce_ratio=0", "stages/frozen"),
        ("selection=objective", ""),
    ],
    ids=("noise", "seed", "contrast", "selection"),
)
def test_a_folder_of_other_options_is_refused(variants, option, place):
    hparams_file, *words = variants[1][0]
    command, declared = launcher.check_recipe(
        hparams_file, [*words, f"--{option}"]
    )
    folder = variants[0] / "0"
    key = option.partition("=")[0]
    with pytest.raises(ValueError, match=f"{folder} .*another.* {key}"):
        launcher.identify(command, folder, declared)
    # without what was made of all stages, the first one that read it
    saved, away = folder / "save", variants[0] / "away"
    saved.rename(away)
    try:
        with pytest.raises(ValueError, match=f"{place} .*another.* {key}"):
            launcher.identify(command, folder, declared)
    finally:
        away.rename(saved)


# Ablation, and the outside recognizer ----------------------------------------


@pytest.fixture(scope="module")
def ablation():
    return Ablation(RECIPE / "ablation.yaml")


def test_the_plan_holds_every_run_that_is_claimed(ablation):
    names = [run.name for run in ablation.runs]
    claimed = (
        *("noisy", "multi", "separate", "joint", "tokens", "cbpc"),
        *("info_nce", "both", "shuffled"),
    )
    for arm in claimed:
        assert f"mini/{arm}/seed1" in names
    for seed in (1, 2, 3):
        for arm in ("joint", "tokens", "cbpc", "both", "shuffled"):
            assert f"mini/{arm}/seed{seed}" in names
    for entry in ablation.runs:
        needed = [other.factors for _, other in entry.needed]
        if entry.factors["arm"] == "separate":
            assert not needed
        else:
            assert needed == [entry.factors | {"arm": "separate"}]


def finish(folder, entry, wer):
    """What a finished run leaves."""
    figures = {
        **{"wer, -5 dB": wer + 10, "wer, 0 dB": wer, "wer, clean": wer / 2},
        **{"wer, noisy": wer + 5, "cer, noisy": 2.0, "stoi, noisy": 1.0},
        **{"si_sdr, noisy": 9.0, "agreement, noisy": 0.5},
    }
    content = {
        "info": {
            "settings": {"batch_size": 8},
            "stages": {"clean": {"cpu_seconds": 90}},
        },
        "metrics": {name: {"mean": value} for name, value in figures.items()},
    }
    folder = folder / entry.name
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(content))
    rows = [
        *(("a", "-5 dB", round(wer)), ("b", "-5 dB", 0), ("a", "0 dB", 3)),
        *(("a#2", "0 dB", 2), ("b", "0 dB", 0)),
        *(("a", "clean", 1), ("b", "clean", 0)),
    ]
    lines = [f"{name},{test},{wrong},100" for name, test, wrong in rows]
    text = "\n".join(["id,test,word_errors,words", *lines])
    (folder / "test_results.csv").write_text(text)


@pytest.mark.slow
def test_the_table_averages_over_seeds(ablation, tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "reference", tmp_path / "reference")
    for entry in ablation.runs:
        arm, seed = entry.factors["arm"], entry.factors["seed"]
        if entry.corpus == "mini" and arm in ("noisy", "both"):
            finish(tmp_path, entry, 20.0 + seed)
        if entry.corpus == "mini" and arm == "joint":
            finish(tmp_path, entry, 30.0 + seed)
    ablation.store(ablation.read_figures(tmp_path))
    table = (tmp_path / "reference/ablation_results.md").read_text()
    assert (
        "| mini | joint + CBPC + InfoNCE | 3 | 32.0 ± 1.0 | 22.0 ± 1.0 "
        "| - | - | - | 11.0 ± 0.5 | 27.0 ± 1.0 | 2.0 ± 0.0 | 1.5 |" in table
    )
    assert "| 9.00 | - | 1.00 | - | 50.0 % |" in table
    assert "| 9.00 ± 0.00 | - | 1.00 ± 0.00 | - | 50.0 ± 0.0 % |" in table
    # as in the file, not by their names
    assert table.index("| noisy speech, rec") < table.index("| joint, without")
    # ten words of 500, all of them in an utterance of 300
    assert (
        "| mini | joint + CBPC + InfoNCE | joint, without contrastive terms "
        "| -2.0 [-3.3, +0.0] | -2.0, -2.0, -2.0 | +0.0 [+0.0, +0.0] |" in table
    )
    for name in ("wer", "differences"):
        picture = tmp_path / f"reference/ablation_{name}_mini.png"
        assert picture.stat().st_size > 0
    stored = ablation.read_stored()["mini"]["runs"]["mini/both/seed1"]
    assert stored["mistakes"] == {
        "a": [26, 300, 1, 100],
        "b": [0, 200, 0, 100],
    }


class Deaf:
    """A recognizer that hears the loudness."""

    def __init__(self, threads):
        assert threads >= 1

    def transcribe(self, waveform, sample_rate):
        assert waveform.ndim == 1 and sample_rate == 8000
        return self.say()

    def say(self):
        """More than there is to hear."""
        return "it's a test" + 6 * " again"


@pytest.mark.slow
def test_an_outside_recognizer_compares_before_and_after(
    variants, trees, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("jiwer")
    folder, _ = variants
    script = import_from(RECIPE, "outside_recognizer")
    monkeypatch.setattr(script, "Whisper", Deaf)
    arguments = [
        str(trees / "spoken"),
        *("--enhancers", f"mine={folder / '0/release'}", "--snr_db", "0"),
        *("--utterances", "4", "--prepared_folder", str(tmp_path / "data")),
        *("--folder", str(tmp_path / "scored")),
    ]
    script.main(arguments)
    output = capsys.readouterr().out
    assert "| (not enhanced) | " in output and "| mine | " in output
    place = tmp_path / "scored/outside_recognizer"
    rows = json.loads(place.with_suffix(".json").read_text())
    assert [row["snr_db"] for row in rows] == [0, 0, None, None]
    assert rows[0]["wer"] == rows[1]["wer"] > 100
    assert rows[0]["wer_bounded"] == 100
    with open(f"{place}_utterances.csv", newline="") as file:
        texts = list(csv.DictReader(file))
    assert len(texts) == 4 * 4
    assert {row["hypothesis"] for row in texts} == {Deaf(1).say()}
    assert rows[0]["si_sdr"] == pytest.approx(0.0, abs=1.0)
    assert place.with_suffix(".png").stat().st_size > 0
    with pytest.raises(ValueError, match="holds the modules|has 2 outputs"):
        script.main([arguments[0], "--enhancers", str(folder / "2/release")])
    with pytest.raises(ValueError, match="mine is there twice"):
        script.main([*arguments, "--enhancers", arguments[2], arguments[2]])
