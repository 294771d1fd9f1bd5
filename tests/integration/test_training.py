"""The recipe as users run it: trained, interrupted, in several processes."""

import csv
import json

import pytest
import torch
from commands import (
    HPARAMS,
    SMALL,
    assert_equal,
    launch_here,
    mistake_in,
    run,
    train_command,
)
from workers import kill_at, train

FILE = HPARAMS / "ablation_real.yaml"
TINY = {
    **SMALL,
    "separator": "{channels: 8, hidden: 8, blocks: 2}",
    "precision": "fp32",
}


@pytest.fixture
def options(recordings, prepared, tmp_path):
    """Of a tiny run."""
    return {
        **TINY,
        "data_folder": recordings,
        "include": "['*']",
        "prepared_folder": prepared / "training",
        "output_folder": tmp_path / "out",
    }


@pytest.mark.slow
def test_everything_is_left_in_the_results_folder(options, tmp_path):
    options["test_snr_db"] = "[0.0, 5.0]"
    output = run(train_command(FILE, **options))
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
    launch_here(FILE, **options)
    again = json.loads((out / "metrics.json").read_text())
    assert again["metrics"] == content["metrics"]
    # with another option it is another run, which needs its own folder
    told = mistake_in(FILE, **options, scer_weight=0.7)
    assert "holds a run with another scer_weight" in told


@pytest.mark.slow
def test_interrupted_anywhere_it_goes_on_to_the_same_model(options, tmp_path):
    options |= {
        "batches_per_epoch": 40,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
    }
    (whole,) = train(tmp_path, FILE, **options)
    options["output_folder"] = tmp_path / "parts"
    history = tmp_path / "parts/history.csv"
    for step in (10, 50):
        kill_at(step, history, tmp_path, FILE, **options)
    (parts,) = train(tmp_path, FILE, **options)
    assert parts["optimizer_step"] == 80
    assert_equal(whole["parameters"], parts["parameters"])
    # no step is missing in the curve, none stands there twice
    other = tmp_path / "out/history.csv"
    assert history.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_ranks_end_with_the_same_parameters_as_one_process(options, tmp_path):
    first, second = train(tmp_path, FILE, processes=2, **options)
    assert first["wrapped"] and second["wrapped"]
    assert_equal(first["parameters"], second["parameters"])
    # one process that sees both rings of every step
    options |= {"batches_per_epoch": 6, "grad_accumulation_factor": 2}
    options["output_folder"] = tmp_path / "alone"
    (alone,) = train(tmp_path, FILE, **options)
    assert alone["optimizer_step"] == first["optimizer_step"] == 6
    moved = 0.0
    for name, value in alone["parameters"].items():
        torch.testing.assert_close(
            first["parameters"][name], value, rtol=1e-3, atol=2e-5
        )
        moved = max(moved, float(value.abs().max()))
    assert moved > 0


@pytest.mark.slow
def test_a_bad_batch_on_one_rank_is_skipped_on_all(options, tmp_path):
    first, second = train(tmp_path, FILE, processes=2, poison=2, **options)
    assert first["skipped_steps"] == second["skipped_steps"] == 1
    assert first["optimizer_step"] == second["optimizer_step"] == 6
    assert_equal(first["parameters"], second["parameters"])
    assert all(v.isfinite().all() for v in first["parameters"].values())


@pytest.mark.slow
def test_half_precision_trains(options, tmp_path):
    options |= {"number_of_epochs": 1, "precision": "bf16"}
    (held,) = train(tmp_path, FILE, **options)
    assert held["skipped_steps"] == 0


@pytest.mark.slow
def test_a_run_starts_from_the_model_of_another(options, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    launch_here(FILE, **options | {"output_folder": first})
    options |= {"start_from": first, "learning_rate": 0.0, "seed": 2}
    launch_here(FILE, **options | {"output_folder": second})
    weights = [
        torch.load(next(folder.glob("save/CKPT*/separator.ckpt")))
        for folder in (first, second)
    ]
    assert_equal(*weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong, message",
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
        ({"metrics": "pesq"}, "metrics: 'pesq' is no list of some of si_sdr"),
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
def test_bad_options_end_with_the_mend(options, tmp_path, wrong, message):
    if "include" in wrong:
        options["prepared_folder"] = tmp_path / "data"
    assert message in mistake_in(FILE, **options | wrong)
    assert not list((tmp_path / "out").glob("save/CKPT*"))
