"""The recognition recipe: every file trains, goes on, and tells mistakes."""

import csv
import json
import re
from types import SimpleNamespace

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
from trees import make_librispeech, voice, write_noise

from speechbrain_ext.hub.__main__ import main as publish_main
from speechbrain_ext.inference import Transcriber
from speechbrain_ext.models import frame_mask
from speechbrain_ext.training import load_hparams

RECIPE = ROOT / "recipes/LibriSpeech/robust_asr"
FOLDER_FILE = RECIPE / "hparams/robust_asr_folder.yaml"
ROWS = table_rows(RECIPE.name)
STAGES = ("enhancer", "clean", "multi", "frozen", "joint")
ONE = "{" + ", ".join(f"{stage}: 1" for stage in STAGES) + "}"
SMALL = {
    "epochs": ONE,
    "batch_size": 4,
    "test_batch_size": 4,
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
    "recogniser": "{channels: 4, mels: 20, layers: 1, heads: 2, "
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
    examples = int("token_share" in row["test_debug_flags"])
    options = {**SMALL, "examples": examples, "output_folder": output}
    return row_arguments(row, trees, **options)


@pytest.fixture(scope="module")
def variants(trees, tmp_path_factory):
    """Folder and arguments of every row; all but the first in one process."""
    folder = tmp_path_factory.mktemp("runs")
    commands = [
        arguments_of(row, trees, folder / str(number))
        for number, row in enumerate(ROWS)
    ]
    # the second and third take over what the first has trained
    for number in (1, 2):
        commands[number].append(f"--start_from={folder / '0'}")
    return folder, commands, run_rows(folder, RECIPE, commands)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ROWS)))
def test_every_variant_trains_and_reports(number, variants):
    folder, commands, _ = variants
    folder, row = folder / str(number), ROWS[number]
    checks = re.fullmatch(r"file_exists=\[(.*)\]", row["test_debug_checks"])
    there = checks[1].split(",")
    if number in (1, 2):  # stages of the first run
        there = [n for n in there if not n.startswith("stages/tokenizer")]
    for name in there:
        assert (folder / name).stat().st_size > 0, name
    content = json.loads((folder / "metrics.json").read_text())
    assert set(content["metrics"]) == {"0 dB", "clean"}
    for figures in content["metrics"].values():
        assert figures["wer"] >= 0 and 0 <= figures["agreement"] <= 1
    assert "si_sdr" not in content["metrics"]["clean"]
    with open(folder / "utterances.csv", newline="") as file:
        utterances = list(csv.DictReader(file))
    number_of = content["metrics"]["clean"]["utterances"]
    draws = load(commands[number])["test_draws"]
    assert len(utterances) == (draws + 1) * number_of
    stages = content["info"]["stages"]
    flags = row["test_debug_flags"]
    if "front_end=none" in flags:
        assert set(stages) == {"clean", "multi", "tokenizer"}
        return
    assert set(stages) == {*STAGES, "tokenizer"}
    weights = stages["joint"]["weights"]
    expected = {"cbpc", "info_nce"}
    if "token_share" in flags:
        expected = {"token"}
    elif "info_nce_share=0" in flags:
        expected = {"cbpc"}
    assert set(weights) == expected
    assert all(weight > 0 for weight in weights.values())
    shown = list(folder.glob("examples/*/spectrograms.png"))
    assert len(shown) == (2 if "token_share" in flags else 0)


@pytest.mark.slow
def test_stages_of_another_run_are_taken_over(variants):
    folder, _, outputs = variants
    for name in ("enhancer", "clean", "multi"):
        assert f"The stage {name} is finished" in outputs[1]
    own = sorted(path.name for path in (folder / "1/stages").iterdir())
    assert own == ["frozen", "joint"]
    assert not (folder / "2/stages").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", (0, 2))
def test_the_release_recognises_as_the_run_did(number, variants, capsys):
    folder, commands, _ = variants
    folder = folder / str(number)
    publish_main([str(folder), "--repo", "me/asr", "--dry_run"])
    assert "README.md" in capsys.readouterr().out
    transcriber = Transcriber.from_hparams(folder / "release")
    assert (transcriber.enhancer is None) == (number == 2)
    with open(folder / "utterances.csv", newline="") as file:
        row = next(
            row for row in csv.DictReader(file) if row["condition"] == "clean"
        )
    hparams = load(commands[number])
    data = import_from(RECIPE, "data")
    utterances = data.make_utterances(hparams, sb.Stage.TEST, noisy=False)
    speech = utterances.mix(next(iter(utterances.loader)))
    place = speech.ids.index(row["utterance"])
    end = int(speech.lengths[place] * speech.clean.shape[1])
    heard = transcriber.transcribe(speech.clean[place : place + 1, :end], 8000)
    assert len(heard[0]) == pytest.approx(len(row["hypothesis"]), abs=4)
    card = (folder / "release/README.md").read_text()
    assert "word error rate, clean" in card
    assert str(folder) not in card
    # the stage of noisy speech made the tokens only
    learnt_noise = number == 0
    assert ("mixed at -5 to 15 dB" in card) == learnt_noise
    assert ("multi 1" in card) == learnt_noise


def load(arguments):
    """The hyperparameters of a command line."""
    hparams_file, _, overrides = sb.parse_arguments(arguments)
    return load_hparams(hparams_file, overrides)


@pytest.mark.slow
def test_utterances_are_heard_with_several_noises(variants):
    """The same ones at every SNR."""
    _, commands, _ = variants
    hparams = load(commands[0]) | {"test_draws": 2, "test_snr_db": [0.0, 6.0]}
    conditions = import_from(RECIPE, "evaluate").make_conditions(hparams)
    noises = {name: read_noises(part) for name, part in conditions.items()}
    assert set(noises) == {"0 dB", "6 dB", "clean"}
    number = len(noises["clean"])
    assert len(noises["0 dB"]) == 2 * number
    assert not any(noise.any() for noise in noises["clean"].values())
    for name in noises["clean"]:
        first, second = noises["0 dB"][name], noises["0 dB"][f"{name}#2"]
        assert not torch.allclose(first, second, atol=0.01 * first.abs().max())
        weaker = noises["6 dB"][name] * 10 ** (6 / 20)
        assert torch.allclose(first, weaker, atol=0.01 * first.abs().max())


def read_noises(utterances):
    """The noise of each utterance, by its name."""
    noises = {}
    for batch in utterances.loader:
        speech = utterances.mix(batch)
        found = speech.noisy - speech.clean
        noises |= dict(zip(speech.ids, found, strict=True))
    return noises


# Gradients -------------------------------------------------------------------


@pytest.mark.slow
def test_gradients_reach_the_enhancer_and_never_the_teacher(variants):
    """Nor the tokens' centroids, nor a recogniser that is frozen."""
    _, commands, _ = variants
    hparams = load(commands[0])
    objectives = import_from(RECIPE, "objectives")
    joint, tokenizer = hparams["joint"], hparams["tokenizer"]
    teacher = import_from(RECIPE, "stages").load_teacher(hparams)
    joint.train_only(["enhancer"])
    joint.train()
    clean, lengths = torch.randn(2, 9000), torch.tensor([1.0, 0.8])
    tokenizer.centroids.normal_()
    before = tokenizer.centroids.clone()
    output = joint(clean + torch.randn_like(clean), lengths)
    frames = teacher(clean, lengths).frames
    labels = tokenizer(frames)
    options = SimpleNamespace(**hparams)  # as a Brain has them
    places, chosen = objectives.choose_frames(labels, lengths, options, 1)
    assert frame_mask(lengths, labels.shape[1]).flatten()[places].all()
    modules = {"projection": hparams["projection"]}
    terms = objectives.contrastive_terms(
        modules, output.recognition.frames, frames, places, chosen, options
    )
    sum(terms.values()).backward()
    assert set(terms) == {"cbpc", "info_nce"}
    assert any(p.grad.abs().sum() > 0 for p in joint.enhancer.parameters())
    for module in (joint.recogniser, teacher):
        assert all(p.grad is None for p in module.parameters())
    assert torch.equal(tokenizer.centroids, before)


@pytest.mark.slow
def test_shuffled_labels_are_the_same_labels_elsewhere(variants):
    _, commands, _ = variants
    objectives = import_from(RECIPE, "objectives")
    options = SimpleNamespace(**load(commands[0]))
    labels, lengths = torch.arange(400).view(2, 200) // 3 % 7, torch.ones(2)
    places, plain = objectives.choose_frames(labels, lengths, options, 5)
    options.shuffle_labels = True
    same, shuffled = objectives.choose_frames(labels, lengths, options, 5)
    assert torch.equal(places, same)
    assert not torch.equal(plain, shuffled)
    assert torch.equal(plain.sort().values, shuffled.sort().values)


# One run, interrupted, and in several processes ------------------------------


def command_for(trees, tmp_path, processes=1, **options):
    """The worker that saves what every rank holds."""
    options = {
        **TINY,
        "data_folder": trees / "spoken",
        "prepared_folder": trees / "data/spoken",
        **options,
    }
    return worker_command(FOLDER_FILE, tmp_path, processes, **options)


@pytest.mark.slow
def test_interrupted_it_goes_on_to_the_same_model(trees, tmp_path):
    """Killed in the last stage, in the middle of an epoch."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    epochs = {**dict.fromkeys(STAGES, 1), "joint": 8}
    options = {
        "batch_size": 2,
        "epochs": json.dumps(epochs).replace('"', ""),
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
        "balance_steps": 12,
    }
    run(command_for(trees, whole, **options))
    command = command_for(trees, parts, **options)
    history = parts / "out/stages/joint/history.csv"
    kill_at(6, command, history)
    run(command)
    found = load_rank(parts)
    assert found["optimizer_step"] == 32
    assert_equal(load_rank(whole)["parameters"], found["parameters"])
    other = whole / "out/stages/joint/history.csv"
    assert history.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_ranks_end_with_the_same_parameters(trees, tmp_path):
    run(command_for(trees, tmp_path, processes=2, batch_size=2))
    first, second = load_rank(tmp_path, 0), load_rank(tmp_path, 1)
    assert first["optimizer_step"] == 2
    assert_equal(first["parameters"], second["parameters"])
    for mine, other in zip(first["batches"], second["batches"], strict=True):
        assert not set(mine) & set(other)


# Mistakes --------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipe():
    return import_from(RECIPE, "train")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"front_end": "fuse"}, "front_end: 'fuse' is none of 'none'"),
        ({"cbpc_share": 2.0}, "cbpc_share: 2.0 is above 1"),
        ({"cbpc_shar": 0.1}, "did you mean cbpc_share"),
        ({"alphabet": "aab"}, "no character stands twice"),
        ({"alphabet": "ab"}, "num_tokens: 29; the 2 characters"),
        ({"recogniser_training": "clean"}, "'clean' goes with front_end none"),
        (
            {"shuffle_labels": True, "cbpc_share": 0},
            "shuffle_labels: it is about the labels of CBPC",
        ),
        ({"snr_db": [5, 0]}, "the lower one comes first"),
        ({"snr_db": 5}, "snr_db: 5 is no list of two numbers"),
        ({"speeds": [0.0]}, "must be above 0"),
        ({"test_splits": []}, "test_splits: .. is no list of names"),
        ({"metrics": ["pesk"]}, "metrics: .'pesk'. is no list of some of si_s"),
        ({"epochs": {"joint": 0}}, "epochs: joint has 0, no number above 0"),
        ({"epochs": 3}, "a number for each of the stages enhancer, clean"),
        ({"learning_rate": {"joint": "x"}}, "learning_rate: joint has 'x'"),
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


def test_a_start_without_a_finished_stage_is_told(recipe, tmp_path):
    options = {"data_folder": ".", "start_from": tmp_path}
    command = train_command(FOLDER_FILE, **options)
    with pytest.raises(FileNotFoundError, match="no finished stage in"):
        recipe.configure([str(word) for word in command[2:]])


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "1 of 8 utterances have no text, such as train/3"),
        ("...", "1 of 8 utterances have no text"),
        ("Caf\u00e9 24", "hold the characters .'2', '4', '\u00e9'., such as"),
    ],
)
def test_texts_that_do_not_do(recipe, trees, tmp_path, text, message):
    lines = (trees / "spoken/manifest.csv").read_text().splitlines()
    lines[4] = f'train/3.wav,speech,train,train3,"{text}"'
    table = trees / "spoken/changed.csv"
    table.write_text("\n".join(lines) + "\n")
    hparams = data_of(recipe, tmp_path, data_folder=str(table))
    with pytest.raises(ValueError, match=message):
        recipe.make_both(hparams, False, "cpu")


def test_words_that_the_training_lacks(recipe, trees, tmp_path):
    text = (trees / "spoken/manifest.csv").read_text()
    table = trees / "spoken/open.csv"
    lines = text.splitlines()
    test = [n for n, line in enumerate(lines) if line.startswith("test/0")][0]
    lines[test] = 'test/0.wav,speech,test,test0,"Never heard"'
    table.write_text("\n".join(lines) + "\n")
    options = {"data_folder": str(table), "closed_vocabulary": True}
    hparams = data_of(recipe, tmp_path, **options)
    data = import_from(RECIPE, "data")
    found = data.read_speech(hparams, sb.Stage.TEST)
    assert [recording.id for recording in found] == ["test/1"]
    hparams |= {"longest_seconds": 0.6, "closed_vocabulary": False}
    with pytest.raises(ValueError, match="none of the 2 utterances is left"):
        data.read_speech(hparams, sb.Stage.TEST)


def data_of(recipe, tmp_path, **options):
    """The hyperparameters of a run whose data is prepared."""
    hparams = load_hparams(
        FOLDER_FILE,
        {
            "prepared_folder": str(tmp_path / "data"),
            "output_folder": str(tmp_path / "out"),
            "batch_size": 4,
            **options,
        },
    )
    hparams["prepare"]()
    return hparams


@pytest.mark.slow
def test_a_folder_of_other_options_is_refused(recipe, variants):
    folder, commands, _ = variants
    for options, message in (
        (["--clean_share=0.5"], "another clean_share"),
        (["--seed=9"], "another seed"),
        (["--info_nce_share=0"], "another info_nce_share"),
    ):
        with pytest.raises(ValueError, match=message):
            recipe.configure([*commands[0], *options])


# Arms, and the judge ----------------------------------------------------------


@pytest.fixture(scope="module")
def arms():
    return import_from(RECIPE, "arms").RobustArms()


def test_the_plan_holds_every_arm_that_is_claimed(arms):
    names = [entry.name for entry in arms.plan(["mini"])]
    assert len(names) == len(set(names))
    claimed = (
        *("noisy", "multi", "separate", "joint", "tokens", "cbpc"),
        *("info_nce", "both", "shuffled"),
    )
    for arm in claimed:
        assert f"mini/{arm}/seed1" in names
    for seed in (1, 2, 3):
        for arm in ("joint", "tokens", "cbpc", "both", "shuffled"):
            assert f"mini/{arm}/seed{seed}" in names
    for entry in arms.plan(["mini"]):
        start = entry.start
        assert (start is None) == (entry.arm == "separate")
        assert start is None or (start.seed == entry.seed)


def finish(folder, entry, wer):
    """What a finished run leaves."""
    clean = {"wer": wer / 2, "cer": 2.0, "stoi": 1.0, "agreement": 1.0}
    noisy = {**clean, "wer": wer, "si_sdr": 9.0, "agreement": 0.5}
    worse = {**noisy, "wer": wer + 10}
    content = {
        "info": {
            "configuration": {"batch_size": 8},
            "stages": {"clean": {"cpu_seconds": 90}},
        },
        "metrics": {"-5 dB": worse, "0 dB": noisy, "clean": clean},
        "mistakes": {
            "-5 dB": {"a": [round(wer), 100], "b": [0, 100]},
            "0 dB": {"a": [3, 100], "a#2": [2, 100], "b": [0, 100]},
            "clean": {"a": [1, 100], "b": [0, 100]},
        },
    }
    (folder / entry.name).mkdir(parents=True)
    (folder / entry.name / "metrics.json").write_text(json.dumps(content))


def test_the_table_averages_over_seeds(arms, tmp_path, monkeypatch):
    monkeypatch.setattr(type(arms), "reference", tmp_path / "reference")
    plan = arms.plan(["mini"])
    for entry in plan:
        if entry.arm in ("noisy", "both"):
            finish(tmp_path, entry, 20.0 + entry.seed)
        if entry.arm == "joint":
            finish(tmp_path, entry, 30.0 + entry.seed)
    arms.store(arms.read_figures(plan, tmp_path))
    table = (tmp_path / "reference/arms_results.md").read_text()
    assert (
        "| mini | joint + CBPC + InfoNCE | 3 | 32.0 ± 1.0 | 22.0 ± 1.0 "
        "| 11.0 ± 0.5 | 27.0 ± 1.0 | 2.0 ± 0.0 | 1.5 |" in table
    )
    assert (
        "| mini | noisy speech, recogniser of clean speech | 1 | 9.00 | 1.00 "
        "| 50.0 % |" in table
    )
    # ten words of 500, all of them in an utterance of 300
    assert (
        "| mini | joint + CBPC + InfoNCE | joint, without contrastive terms "
        "| -2.0 [-3.3, +0.0] | -2.0, -2.0, -2.0 | +0.0 [+0.0, +0.0] |" in table
    )
    for name in ("wer", "differences"):
        picture = tmp_path / f"reference/arms_{name}_mini.png"
        assert picture.stat().st_size > 0
    stored = arms.read_stored()["mini"]["runs"]["mini/both/seed1"]
    assert set(stored["conditions"]) == {"-5 dB", "0 dB", "clean"}
    assert stored["mistakes"] == {
        "a": [26, 300, 1, 100],
        "b": [0, 200, 0, 100],
    }


class Deaf:
    """A recogniser that hears the loudness."""

    def __init__(self, threads):
        assert threads >= 1

    def transcribe(self, waveform, sample_rate):
        assert waveform.ndim == 1 and sample_rate == 8000
        return self.say()

    def say(self):
        """More than there is to hear."""
        return "it's a test" + 6 * " again"


@pytest.mark.slow
def test_the_judge_compares_before_and_after(
    variants, trees, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("jiwer")
    folder, _, _ = variants
    judge = import_from(RECIPE, "judge")
    monkeypatch.setattr(judge, "Recogniser", Deaf)
    arguments = [
        str(trees / "spoken"),
        *("--enhancers", f"mine={folder / '0/release'}", "--snr_db", "0"),
        *("--utterances", "4", "--prepared_folder", str(tmp_path / "data")),
        *("--folder", str(tmp_path / "judged")),
    ]
    judge.main(arguments)
    output = capsys.readouterr().out
    assert "| (not enhanced) | " in output and "| mine | " in output
    rows = json.loads((tmp_path / "judged/judge.json").read_text())
    assert [row["snr_db"] for row in rows] == [0, 0, None, None]
    assert rows[0]["wer"] == rows[1]["wer"] > 100
    assert rows[0]["wer_bounded"] == 100
    with open(tmp_path / "judged/judge_utterances.csv", newline="") as file:
        texts = list(csv.DictReader(file))
    assert len(texts) == 4 * 4
    assert {row["hypothesis"] for row in texts} == {Deaf(1).say()}
    assert rows[0]["si_sdr"] == pytest.approx(0.0, abs=1.0)
    assert (tmp_path / "judged/judge.png").stat().st_size > 0
    with pytest.raises(ValueError, match="holds the modules|has 2 outputs"):
        judge.main([arguments[0], "--enhancers", str(folder / "2/release")])
    with pytest.raises(ValueError, match="mine is there twice"):
        judge.main([*arguments, "--enhancers", arguments[2], arguments[2]])
