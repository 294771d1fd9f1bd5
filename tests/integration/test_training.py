"""The recipe as users run it: trained, interrupted, in several processes."""

import csv
import json

import pytest
import torch
from commands import (
    HPARAMS,
    SMALL,
    assert_equal,
    kill_at,
    load_rank,
    mistake_in,
    run,
    train_command,
    worker_command,
)

from speechbrain_ext.services.launcher import launch

TINY = {
    **SMALL,
    "separator": "{channels: 8, hidden: 8, blocks: 2}",
    "precision": "fp32",
}


def command_for(folder, tmp_path, worker=False, processes=1, **options):
    """The recipe, or the worker that saves what every rank holds."""
    options = {
        **TINY,
        "data_folder": folder,
        "include": "['*']",
        "prepared_folder": tmp_path.parent / f"{tmp_path.name}_data",
        "output_folder": tmp_path / "out",
        **options,
    }
    hparams_file = HPARAMS / "ablation_real.yaml"
    if worker:
        return worker_command(hparams_file, tmp_path, processes, **options)
    return train_command(hparams_file, **options)


@pytest.mark.slow
def test_everything_is_left_in_the_results_folder(recordings, tmp_path):
    output = run(command_for(recordings, tmp_path, test_snr_db="[0.0, 5.0]"))
    out = tmp_path / "out"
    assert "SI-SDR improvement" in output
    assert "Residual noise re speech" in output
    content = json.loads((out / "metrics.json").read_text())
    # a ring of 4 mixtures with 2 sources each
    assert content["rows"] == 8
    for name in ("si_sdri", "residual_noise_db", "a_own", "a_other"):
        assert content["metrics"][name]["count"] == 8
    assert list(content["info"]["other_tests"]) == ["0 dB", "5 dB"]
    with open(out / "test_results.csv", newline="") as file:
        tests = [row["test"] for row in csv.DictReader(file)]
    assert tests == ["test"] * 8 + ["0 dB"] * 8 + ["5 dB"] * 8
    with open(out / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["stage"] for row in rows].count("valid") == 2
    assert [int(r["step"]) for r in rows if r["stage"] == "train"] == [
        *range(1, 7)
    ]
    for name in ("index.html", "train_log.txt", "hyperparams.yaml"):
        assert (out / name).stat().st_size > 0, name
    assert list((out / "tensorboard").iterdir())
    assert list((out / "examples").rglob("*.wav"))
    # run again: nothing is trained twice, the same figures come out
    run(command_for(recordings, tmp_path, test_snr_db="[0.0, 5.0]"))
    again = json.loads((out / "metrics.json").read_text())
    assert again["metrics"] == content["metrics"]
    # with another option it is another run, which needs its own folder
    output = run(command_for(recordings, tmp_path, scer_weight=0.7), expect=1)
    assert "holds a run with another scer_weight" in output


@pytest.mark.slow
def test_interrupted_anywhere_it_goes_on_to_the_same_model(
    recordings, tmp_path
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    options = {
        "batches_per_epoch": 40,
        "prepared_folder": tmp_path / "data",
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
    }
    run(command_for(recordings, whole, worker=True, **options))
    command = command_for(recordings, parts, worker=True, **options)
    for step in (10, 50):
        kill_at(step, command, parts / "out/history.csv")
    run(command)
    assert load_rank(parts)["optimizer_step"] == 80
    assert_equal(load_rank(whole)["parameters"], load_rank(parts)["parameters"])
    # no step is missing in the curve, none stands there twice
    assert (parts / "out/history.csv").read_bytes() == (
        whole / "out/history.csv"
    ).read_bytes()


@pytest.mark.slow
def test_ranks_end_with_the_same_parameters_as_one_process(
    recordings, tmp_path
):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    options = {"worker": True, "prepared_folder": tmp_path / "data"}
    run(command_for(recordings, two, processes=2, **options))
    first, second = load_rank(two, 0), load_rank(two, 1)
    assert first["wrapped"] and second["wrapped"]
    assert_equal(first["parameters"], second["parameters"])
    # one process that sees both rings of every step
    run(
        command_for(
            recordings,
            one,
            **options,
            batches_per_epoch=6,
            grad_accumulation_factor=2,
        )
    )
    alone = load_rank(one)
    assert alone["optimizer_step"] == first["optimizer_step"] == 6
    moved = 0.0
    for name, value in alone["parameters"].items():
        torch.testing.assert_close(
            first["parameters"][name], value, rtol=1e-3, atol=2e-5
        )
        moved = max(moved, float(value.abs().max()))
    assert moved > 0


@pytest.mark.slow
def test_a_bad_batch_on_one_rank_is_skipped_on_all(recordings, tmp_path):
    run(
        command_for(recordings, tmp_path, worker=True, processes=2),
        POISON="2",
    )
    first, second = load_rank(tmp_path, 0), load_rank(tmp_path, 1)
    assert first["skipped_steps"] == second["skipped_steps"] == 1
    assert first["optimizer_step"] == second["optimizer_step"] == 6
    assert_equal(first["parameters"], second["parameters"])
    assert all(v.isfinite().all() for v in first["parameters"].values())


@pytest.mark.slow
def test_half_precision_trains(recordings, tmp_path):
    run(
        command_for(
            recordings,
            tmp_path,
            worker=True,
            number_of_epochs=1,
            precision="bf16",
        )
    )
    assert load_rank(tmp_path)["skipped_steps"] == 0


@pytest.mark.slow
def test_a_run_starts_from_the_model_of_another(recordings, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    run(command_for(recordings, tmp_path, output_folder=first))
    options = {"start_from": first, "learning_rate": 0.0, "seed": 2}
    run(command_for(recordings, tmp_path, output_folder=second, **options))
    weights = [
        torch.load(next(folder.glob("save/CKPT*/separator.ckpt")))
        for folder in (first, second)
    ]
    assert_equal(*weights)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scer_wait": 1}, "scer_wait: no such key; did you mean scer_weight"),
        ({"mixing": "rings"}, "mixing: 'rings' is none of 'ring', 'pairs'"),
        ({"batch_size": 2}, "batch_size: 2 is below 3"),
        (
            {"data_folder": "/nowhere"},
            "data_folder: there is no folder /nowhere",
        ),
        ({"test_split": "user_test"}, "user_test"),
        ({"scer_start": 0.9}, "scer_start: it lies after scer_end"),
        ({"mixing": "pairs"}, "scer_weight: SCER needs a ring"),
        ({"metrics": "pesq"}, "metrics: 'pesq' is no list, nor null"),
        (
            {"clean_speech_known": False, "selection": "clean"},
            "selection: clean needs clean_speech_known",
        ),
        ({"start_from": "/nowhere"}, "start_from: there is no folder"),
        ({"batch_size": 30}, "Add recordings or make batch_size smaller"),
        (
            {
                "include": "['*train0*', '*noise*']",
                "valid_split": "train",
                "test_split": "train",
                "alternate_sexes": False,
            },
            "split 'train': there are 1 speakers; at least",
        ),
    ],
)
def test_bad_options_end_with_the_mend(recordings, tmp_path, options, message):
    command = command_for(recordings, tmp_path, **options)
    assert message in mistake_in(launch, command[2:])
    assert not list((tmp_path / "out").glob("save/CKPT*"))
