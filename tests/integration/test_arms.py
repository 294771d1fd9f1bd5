"""The table of all arms, made from finished runs."""

import argparse
import json
import sys

import pytest
from commands import HPARAMS, ROOT, SMALL, import_from, run

recipe = import_from(HPARAMS.parent, "arms")
arms_table = recipe.arms_table
arms = recipe.RingArms()


def finish(folder, entry, si_sdri, level, **configuration):
    """What a finished run leaves."""
    target = folder / entry.name
    target.mkdir(parents=True)
    figures = {
        "si_sdri": si_sdri,
        "residual_noise_db": level,
        "a_own": 0.5,
        "a_other": 0.25,
    }
    content = {
        "info": {
            "scer_weight": entry.overrides()["scer_weight"],
            "configuration": {"snr_db": [entry.snr] * 2, **configuration},
        },
        "metrics": {k: {"mean": v} for k, v in figures.items()},
    }
    (target / "metrics.json").write_text(json.dumps(content))


def test_the_plan_holds_every_arm_that_is_claimed():
    names = [entry.name for entry in arms.plan(["real", "mini"])]
    assert len(names) == len(set(names))
    for arm in "ABCD":
        assert f"real/alternating/{arm}/5dB/seed1" in names
        assert f"real/free/{arm}/5dB/seed1" in names
        assert f"mini/alternating/{arm}/5dB/seed1" in names
    for arm in "BC":
        for seed in (1, 2, 3):
            assert f"real/alternating/{arm}/5dB/seed{seed}" in names
        for snr in (0, 10):
            assert f"real/alternating/{arm}/{snr}dB/seed1" in names
            assert f"mini/alternating/{arm}/{snr}dB/seed1" in names
    assert sum("weight" in name for name in names) >= 6


def test_runs_at_0_db_start_from_the_same_arm_at_5_db(tmp_path):
    parser = argparse.ArgumentParser()
    arguments = arms.parse(
        parser, [f"--output={tmp_path}", "--only=mini/alternating/C/0dB"]
    )
    before, run_at_0 = arms.choose_runs(parser, arguments)
    assert before.name == "mini/alternating/C/5dB/seed1"
    assert before.start is None
    start = f"--start_from={tmp_path / before.name}"
    assert start in arms.command_line(run_at_0, arguments, tmp_path)
    assert start not in arms.command_line(before, arguments, tmp_path)


def test_seeds_are_averaged_and_unfinished_runs_left_out(tmp_path):
    runs = arms.plan(["real"])
    for entry in runs:
        if entry.snr == 5 and entry.arm in "BC" and entry.weight is None:
            if entry.setting == "alternating":
                shift = 4.0 if entry.arm == "C" else 0.0
                finish(tmp_path, entry, entry.seed + shift, -5.0 - shift)
    figures = arms.read_figures(runs, tmp_path)
    rows = arms_table.rows_of(runs, figures)
    assert [row["arm"] for row in rows] == ["B", "C"]
    assert [len(row["values"]) for row in rows] == [3, 3]
    assert rows[1]["si_sdri"] == pytest.approx(6.0)
    assert rows[1]["si_sdri_std"] == pytest.approx(1.0)
    arms.write_table(figures, tmp_path)
    table = (tmp_path / "results.md").read_text()
    assert (
        f"| C: ring + SCER | {recipe.SCER_WEIGHT:g} | 3 | 6.00 ± 1.00 dB "
        "| -9.00 ± 0.00 dB |" in table
    )
    for name in ("si_sdri_real.png", "residual_noise_real.png"):
        assert (tmp_path / name).stat().st_size > 0


def test_stored_figures_grow_and_never_mix_configurations(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(recipe.RingArms, "reference", tmp_path)
    first, second, third = arms.plan(["real"])[:3]
    for number, entry in enumerate((first, second)):
        folder = tmp_path / str(number)
        finish(folder, entry, 5.0 + number, -6.0, rings_per_epoch=500)
        arms.store(arms.read_figures([entry], folder))
    stored = arms.read_stored()["real"]["runs"]
    assert set(stored) == {first.name, second.name}
    assert stored[second.name]["metrics"]["si_sdri"] == 6.0
    table = (tmp_path / "arms_results.md").read_text()
    assert "| 5.00 dB |" in table and "| 6.00 dB |" in table

    finish(tmp_path / "other", third, 9.0, -9.0, rings_per_epoch=1)
    other = arms.read_figures([third], tmp_path / "other")
    with pytest.raises(ValueError, match="another rings_per_epoch"):
        arms.store(other)
    assert third.name not in arms.read_stored()["real"]["runs"]


def test_some_options_are_for_the_users_recordings_only():
    arguments = argparse.Namespace(
        data_folder="DIR",
        include="['a/*']",
        test_split="valid",
        prepared_folder="PREPARED",
        options=["--x"],
    )
    plan = {entry.corpus: entry for entry in arms.plan(arms.corpora)}
    own = {"--data_folder=DIR", "--include=['a/*']", "--test_split=valid"}
    own.add("--prepared_folder=PREPARED")
    for corpus, entry in plan.items():
        words = set(arms.command_line(entry, arguments, "OUT"))
        assert {"--x", "--output_folder=OUT"} <= words
        assert words & own == (own if corpus == arms.data_corpus else set())


@pytest.mark.slow
def test_one_arm_is_trained_once(recordings, tmp_path):
    options = {
        **SMALL,
        "include": "['*']",
        "prepared_folder": tmp_path / "data",
        "separator": "{channels: 8, hidden: 8, blocks: 2}",
        "number_of_epochs": 1,
    }
    command = [
        sys.executable,
        ROOT / "recipes/WHAMandWHAMR/ring_separation/arms.py",
        f"--data_folder={recordings}",
        f"--output={tmp_path / 'arms'}",
        "--only=real/alternating/A",
        *(f"--{key}={value}" for key, value in options.items()),
    ]
    output = run(command)
    assert "done   real/alternating/A/5dB/seed1" in output
    assert "| A: noisy targets, ordinary mixing | 0 | 1 |" in output
    again = run(command)
    assert "done" not in again
    assert "| A: noisy targets, ordinary mixing | 0 | 1 |" in again
    output = run([*command, "--gain_db=1.0"], expect=1)
    assert "was made with another gain_db" in output
    output = run([*command, "--only=nothing"], expect=1)
    assert "no run has this in its name" in output
