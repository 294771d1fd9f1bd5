"""Ablations: what runs, and the table made from finished runs."""

import json
import sys
from types import SimpleNamespace

import pytest
from commands import HPARAMS, ROOT, SMALL, run
from pictures import spare_drawing

from speechbrain_ext.commands.program import main
from speechbrain_ext.services.ablation import Ablation, merge

FILES = sorted(ROOT.glob("recipes/*/*/ablation.yaml"))
RING = HPARAMS.parent / "ablation.yaml"


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    spare_drawing(monkeypatch)


@pytest.fixture
def ring():
    return Ablation(RING)


def options_for(tmp_path, **more):
    values = {"data_folder": "DIR", "only": "", "missing": False, "options": []}
    return SimpleNamespace(output=str(tmp_path), **values | more)


def finish(folder, run, si_sdri, **settings):
    """What a finished run leaves."""
    target = folder / run.name
    target.mkdir(parents=True)
    figures = {"si_sdri": si_sdri, "residual_noise_db": -si_sdri}
    figures |= {"a_own": 0.5, "a_other": 0.25}
    content = {
        "info": {"settings": {"batch_size": 16, **settings}},
        "metrics": {name: {"mean": value} for name, value in figures.items()},
    }
    (target / "metrics.json").write_text(json.dumps(content))


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_ablation_can_be_planned(path, tmp_path):
    ablation = Ablation(path)
    names = [run.name for run in ablation.runs]
    assert len(names) > 3
    for found in ablation.runs:
        assert found.hparams_file.is_file()
        words = ablation.words(found, options_for(tmp_path))
        assert f"--output_folder={tmp_path / found.name}" in words
    stored = ablation.read_stored()
    known = {name for part in stored.values() for name in part["runs"]}
    assert known, "nothing is stored"
    assert known <= set(names)
    # the stored table is what the stored figures give
    table = ablation.write_table(stored, tmp_path)
    written = (ablation.reference / "ablation_results.md").read_text()
    assert table + "\n" == written


def test_a_run_has_the_options_of_its_variants(ring, tmp_path):
    found = {run.name: run for run in ring.runs}
    words = ring.words(
        found["real/free/C/5dB/seed1"], options_for(tmp_path, options=["--x=1"])
    )
    assert {
        *("--mixing=ring", "--targets=noisy", "--scer_weight=1.75"),
        *("--alternate_sexes=False", "--snr_db=[5.0, 5.0]", "--seed=1"),
        *("--data_folder=DIR", f"--prepared_folder={tmp_path}/data"),
        *("--x", "1"),
    } <= set(words)
    words = ring.words(
        found["mini/alternating/C-weight0.5/5dB/seed1"], options_for(tmp_path)
    )
    assert "--scer_weight=0.5" in words
    assert not [word for word in words if "data_folder" in word]


def test_what_a_run_needs_comes_before_it(ring, tmp_path):
    first, second = ring.choose(
        options_for(tmp_path, only="mini/alternating/C/0dB")
    )
    assert first.name == "mini/alternating/C/5dB/seed1"
    assert f"--start_from={tmp_path / first.name}" in ring.words(
        second, options_for(tmp_path)
    )
    with pytest.raises(ValueError, match="no run has this in its name"):
        ring.choose(options_for(tmp_path, only="nothing"))
    with pytest.raises(ValueError, match="need --data_folder"):
        ring.choose(options_for(tmp_path, only="real/", data_folder=None))


def test_seeds_are_averaged_and_unfinished_runs_left_out(ring, tmp_path):
    for found in ring.runs:
        if found.name.startswith(
            ("real/alternating/B/5", "real/alternating/C/5")
        ):
            shift = 4.0 if found.factors["arm"] == "C" else 0.0
            finish(tmp_path, found, found.factors["seed"] + shift)
    rows = ring.rows(ring.read_figures(tmp_path))
    assert [row["factors"]["arm"] for row in rows] == ["B", "C"]
    assert rows[1]["mean"]["si_sdri"] == pytest.approx(6.0)
    assert rows[1]["std"]["si_sdri"] == pytest.approx(1.0)
    table = ring.write_table(ring.read_figures(tmp_path), tmp_path)
    assert "| C: ring + SCER | 1.75 | 3 | 6.00 ± 1.00 dB |" in table
    assert (tmp_path / "ablation_si_sdri_real.png").stat().st_size > 0


@pytest.mark.slow
def test_stored_figures_grow_and_never_mix_settings(ring, tmp_path):
    ring.reference = tmp_path / "reference"
    first, second, third = ring.runs[:3]
    for number, found in enumerate((first, second)):
        finish(tmp_path / str(number), found, 5.0 + number)
        ring.store(ring.read_figures(tmp_path / str(number)))
    stored = ring.read_stored()["real"]["runs"]
    assert set(stored) == {first.name, second.name}
    assert stored[second.name]["si_sdri"] == 6.0
    finish(tmp_path / "other", third, 9.0, learning_rate=1.0)
    with pytest.raises(ValueError, match="another learning_rate"):
        ring.store(ring.read_figures(tmp_path / "other"))
    assert third.name not in ring.read_stored()["real"]["runs"]
    again = merge(ring.read_stored(), ring.read_figures(tmp_path / "0"))
    assert again == ring.read_stored()


def test_an_option_goes_to_the_runs_that_have_it(ring):
    mini, real = (
        next(run for run in ring.runs if run.corpus == corpus)
        for corpus in ("mini", "real")
    )
    words = ["--include=[a/*, b/*]", "--seed", "2", "--debug"]
    rest = ["--seed", "2", "--debug"]
    assert ring.shared_words(real, words) == ["--include", "[a/*, b/*]", *rest]
    assert ring.shared_words(mini, words) == rest
    # what no file has, and what is no option, is for the check to tell
    for wrong in (["--inclde", "a"], ["include=a", "--seed=2"]):
        assert ring.shared_words(mini, wrong) == wrong


@pytest.mark.slow
def test_one_run_is_trained_once(recordings, tmp_path, capsys):
    options = {
        **SMALL,
        "include": "['*']",
        "separator": "{channels: 8, hidden: 8, blocks: 2}",
        "number_of_epochs": 1,
    }
    words = [
        *("ablation", str(RING), f"--data_folder={recordings}"),
        f"--output={tmp_path / 'runs'}",
        "--only=real/alternating/A",
        *(f"--{key}={value}" for key, value in options.items()),
    ]
    output = run([sys.executable, "-m", "speechbrain_ext", *words])
    assert "done   real/alternating/A/5dB/seed1" in output
    assert "| A: noisy targets, ordinary mixing | 0 | 1 |" in output
    with pytest.raises(SystemExit):
        main([*words, "--gain_db=1.0"])
    assert "was made with another gain_db" in capsys.readouterr().err
    main(words)
    output = capsys.readouterr().out
    assert "done" not in output
    assert "| A: noisy targets, ordinary mixing | 0 | 1 |" in output
