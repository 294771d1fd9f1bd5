"""Figures of runs with several tests, and of ratios such as word errors."""

import json

import pytest

from speechbrain_ext.services.run_folder import RunFolder

ROWS = """id,source,test,reference,hypothesis,stoi,word_errors,words
a,0,0 dB,one two,one,0.5,1,2
b,0,0 dB,1 2 3 4 5 6,1 2 3 4 5 6,0.7,0,6
a,0,5 dB,one two,one two,0.9,0,2
b,0,5 dB,1 2 3 4 5 6,nan,nan,6,6
a,0,clean,one two,one two,,0,2
"""
DESCRIPTION = {
    "ratios": {"wer": ["word_errors", "words"]},
    "groups": {"noisy": "test != 'clean'"},
    "stages": ["first", "second"],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text("seed: 1\n")
    (tmp_path / "test_results.csv").write_text(ROWS)
    place = tmp_path / "stages/second"
    place.mkdir(parents=True)
    (place / "finished.json").write_text('{"steps": 3}')
    return tmp_path


def read(folder, **more):
    """The run with a description."""
    text = json.dumps({**DESCRIPTION, **more})
    (folder / "report.yaml").write_text(text)
    return RunFolder(folder)


def test_ratios_are_those_of_sums(folder):
    summary = read(folder).summary()
    assert summary.keys() == {"stoi", "wer"}
    assert summary["wer"]["mean"] == 100 / 8
    assert summary["stoi"]["mean"] == pytest.approx(0.6)


def test_every_test_is_summed_up_by_its_name(folder):
    summary = read(folder, every_test=True).summary()
    means = {name: figures["mean"] for name, figures in summary.items()}
    assert means["wer, 0 dB"] == 100 / 8
    assert means["wer, 5 dB"] == 100 * 6 / 8
    assert means["wer, noisy"] == 100 * 7 / 16
    assert means["wer, clean"] == 0
    # a score that failed is counted, one that was not asked for is not there
    assert summary["stoi, 5 dB"]["nan"] == 1
    assert means["stoi, noisy"] == pytest.approx(0.7)
    assert "stoi, clean" not in means


def test_finished_stages_are_told(folder):
    assert read(folder).stages == {"second": {"steps": 3}}
