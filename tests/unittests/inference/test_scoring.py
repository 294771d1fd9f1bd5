import csv
import json
import re

import numpy as np
import pytest
import soundfile
import torch
from estimator_folders import make_module, write_estimator
from hub_folders import write_folder
from torch import nn

from speechbrain_ext.commands.program import main
from speechbrain_ext.inference import (
    Separator,
    SISNREstimator,
    rank,
    score_files,
)
from speechbrain_ext.inference.recordings import read_recording
from speechbrain_ext.inference.scoring import find_estimates, rank_scores

RATE = 8000


@pytest.fixture
def estimator():
    return SISNREstimator(make_module(), sample_rate=RATE)


def write(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, "FLOAT")
    return path


@pytest.fixture
def tree(tmp_path):
    """Two mixtures, one in a folder of its own, with two estimates each."""
    generator = np.random.default_rng(0)
    for name in ("a", "inner/b"):
        sources = 0.1 * generator.standard_normal((2, RATE))
        write(tmp_path / f"in/{name}.wav", sources.sum(0))
        for number, source in enumerate(sources, start=1):
            write(tmp_path / f"out/{name}_source{number}.wav", source)
    return tmp_path


def test_estimates_are_found_by_their_names(tree):
    found = find_estimates(tree / "in", tree / "out")
    assert list(found) == [tree / "in/a.wav", tree / "in/inner/b.wav"]
    assert found[tree / "in/inner/b.wav"] == [
        tree / "out/inner/b_source1.wav",
        tree / "out/inner/b_source2.wav",
    ]
    # the tenth comes after the second
    (tree / "out/a_source10.wav").touch()
    found = find_estimates(tree / "in", tree / "out")
    assert [p.stem[-2:] for p in found[tree / "in/a.wav"]] == ["e1", "e2", "10"]


def test_names_that_do_not_fit_are_told(tree):
    (tree / "out/c_source1.wav").touch()
    with pytest.raises(ValueError, match="c_source1.wav belongs to no mixture"):
        find_estimates(tree / "in", tree / "out")
    (tree / "out/c_source1.wav").rename(tree / "out/a_sourceX.wav")
    with pytest.raises(ValueError, match="a_sourceX.wav belongs to no"):
        find_estimates(tree / "in", tree / "out")
    (tree / "out/a_sourceX.wav").unlink()
    (tree / "in/d.wav").touch()
    with pytest.raises(FileNotFoundError, match="d.wav has no estimates"):
        find_estimates(tree / "in", tree / "out")


def test_files_are_scored_one_by_one(tree, estimator):
    rows = score_files(estimator, find_estimates(tree / "in", tree / "out"))
    names = ("a_source1", "a_source2", "inner/b_source1", "inner/b_source2")
    assert [row["estimate"] for row in rows] == [
        f"{tree}/out/{name}.wav" for name in names
    ]
    mixture, _ = read_recording(tree / "in/a.wav")
    estimate, _ = read_recording(tree / "out/a_source1.wav")
    expected = estimator.score(
        mixture=mixture[None], estimates=estimate[None, None], sample_rate=RATE
    )
    assert rows[0]["si_snr"] == round(expected.item(), 2)
    assert "error" not in rows[0]


def test_the_typical_error_is_told_where_there_is_one(tree):
    certain = SISNREstimator(make_module(uncertainty=True), sample_rate=RATE)
    rows = score_files(certain, find_estimates(tree / "in", tree / "out"))
    assert all(0 < row["error"] < 30 for row in rows)


def test_every_silent_file_is_named(tree, estimator, caplog):
    for name in ("a_source2", "inner/b_source1"):
        write(tree / f"out/{name}.wav", np.zeros(RATE))
    rows = score_files(estimator, find_estimates(tree / "in", tree / "out"))
    assert [row["si_snr"] == -10 for row in rows] == [False, True, True, False]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tree}/out/{name}.wav is silent: scored as -10 dB"
        for name in ("a_source2", "inner/b_source1")
    ]


def test_two_files_for_one_place_are_refused(tree):
    (tree / "out/a_source01.wav").touch()
    with pytest.raises(ValueError, match="are both source 1 of .*in/a.wav"):
        find_estimates(tree / "in", tree / "out")
    (tree / "out/a_source01.wav").unlink()
    (tree / "in/a.flac").touch()
    with pytest.raises(ValueError, match=r"a\.wav have one name"):
        find_estimates(tree / "in", tree / "out")


@pytest.mark.parametrize(
    "samples, rate, message",
    [
        (RATE - 1, RATE, "length of 8000 samples, .*a_source2.wav one of 7999"),
        (
            RATE,
            2 * RATE,
            "sample rate of 8000 Hz, .*a_source2.wav one of 16000",
        ),
    ],
)
def test_files_of_another_kind_are_refused(
    tree, estimator, samples, rate, message
):
    write(tree / "out/a_source2.wav", 0.1 * np.ones(samples), rate)
    with pytest.raises(ValueError, match=message):
        score_files(estimator, find_estimates(tree / "in", tree / "out"))


def test_the_mixture_is_named_where_estimates_are_not_its_own(tree, estimator):
    pairs = {tree / "in/a.wav": [tree / "out/inner/b_source1.wav"]}
    with pytest.raises(ValueError, match=r"in/a\.wav: the estimates of item 0"):
        score_files(estimator, pairs)


class Leaky(nn.Module):
    """Two outputs, of which one holds more or less of the other."""

    def __init__(self, leak):
        super().__init__()
        self.leak = leak

    def forward(self, mixture):
        low = torch.cumsum(mixture, -1) / 50
        rest = mixture - low
        return torch.stack((low + self.leak * rest, rest), 1)


def test_separators_are_ranked_by_their_mean_score(tree, estimator):
    separators = {
        name: Separator(Leaky(leak), sample_rate=RATE)
        for name, leak in (("a", 0.0), ("b", 0.5), ("c", 2.0))
    }
    paths = [tree / "in/a.wav", tree / "in/inner/b.wav"]
    rows = rank(estimator, separators, paths)
    means = {}
    for name, separator in separators.items():
        scores = []
        for path in paths:
            waveform, rate = read_recording(path)
            mixture = waveform[None]
            scores.append(
                estimator.score(
                    mixture=mixture,
                    estimates=separator.separate(mixture, rate),
                    sample_rate=rate,
                )
            )
        means[name] = torch.cat(scores).mean().item()
    expected = sorted(means, key=means.get, reverse=True)
    assert [row["separator"] for row in rows] == expected
    assert rows[0]["si_snr"] == pytest.approx(means[expected[0]], abs=1e-5)
    assert rows[0]["standard_error"] == 0
    with pytest.raises(ValueError, match="0 separators and 2 mixtures"):
        rank(estimator, {}, paths)


def test_the_spread_is_that_of_the_differences():
    """Mixtures that are hard for both tell nothing about which is better."""
    rows = rank_scores({"a": [0.0, 10.0, 20.0], "b": [1.0, 12.0, 21.0]})
    assert [row["separator"] for row in rows] == ["b", "a"]
    spread = np.std([1.0, 2.0, 1.0], ddof=1) / np.sqrt(3)
    assert rows[1]["standard_error"] == pytest.approx(spread)
    assert rows[1]["mixtures"] == 3
    rows = rank_scores({"a": [1.0], "b": [0.0]})
    assert [row["standard_error"] for row in rows] == [0.0, None]


# The command line ------------------------------------------------------------


@pytest.mark.slow
def test_separate_score_and_rank_work_together(tree, capsys):
    write_estimator(tree / "estimator")
    write_folder(tree / "separator")
    main(
        f"separate {tree}/in --model {tree}/separator --out {tree}/new".split()
    )
    written = capsys.readouterr().out.split()
    assert sorted(written) == [
        f"{tree}/new/a_source1.wav",
        f"{tree}/new/a_source2.wav",
        f"{tree}/new/inner/b_source1.wav",
        f"{tree}/new/inner/b_source2.wav",
    ]
    main(
        f"score {tree}/in {tree}/out --estimator {tree}/estimator "
        f"--csv {tree}/s.csv --json {tree}/s.json".split()
    )
    table = capsys.readouterr().out
    assert "range: -10 to 20 dB" in table and "mean of 4" in table
    rows = json.loads((tree / "s.json").read_text())
    with open(tree / "s.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["estimate"] for line in lines] == [
        row["estimate"] for row in rows
    ]
    assert [float(line["si_snr"]) for line in lines] == [
        row["si_snr"] for row in rows
    ]
    main(
        f"score {tree}/in/a.wav {tree}/out/a_source2.wav "
        f"--estimator {tree}/estimator".split()
    )
    assert f"{rows[1]['si_snr']:.1f} dB" in capsys.readouterr().out
    main(
        f"rank {tree}/in --separators {tree}/separator "
        f"--estimator {tree}/estimator --json {tree}/r.json".split()
    )
    assert "on 2 mixtures" in capsys.readouterr().out
    assert json.loads((tree / "r.json").read_text())[0]["mixtures"] == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("score {}/in {}/out/a_source1.wav", "give one folder of estimates"),
        ("score {}/in/none.wav {}/out", "none.wav"),
        ("rank {}/empty --separators {}/separator", "no file or folder"),
    ],
)
def test_mistakes_end_with_a_message(tree, capsys, arguments, message):
    write_estimator(tree / "estimator")
    write_folder(tree / "separator")
    arguments = arguments.replace("{}", str(tree)).split()
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--estimator", str(tree / "estimator")])
    assert ended.value.code == 1
    told = capsys.readouterr().err.strip()
    assert re.search(message, told) and "\n" not in told
