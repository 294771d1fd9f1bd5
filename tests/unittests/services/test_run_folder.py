"""What a run left, read back for its page and its release."""

import pytest
import torch
from hub_folders import SEPFORMER, sepformer

from speechbrain_ext.services.release import count_parameters
from speechbrain_ext.services.results import read_examples
from speechbrain_ext.services.run_folder import RunFolder
from speechbrain_ext.training import ResultsWriter

REPORT = """
title: A run
modules: [net]
headline: [msi]
course: [missed]
scores: [si_snr]
"""


@pytest.fixture
def make_run(tmp_path):
    """Write a run of two clips, of two sources and of one."""

    def make_run(report=REPORT):
        files = {
            "hyperparams.yaml": "sample_rate: 8000\nseed: 1\n",
            "report.yaml": report,
            "history.csv": (
                "step,stage,missed,objective\n"
                "1,train,0.5,1\n2,train,,1\n2,valid,9,1\n3,train,1.0,1\n"
            ),
            "test_results.csv": (
                "id,source,test,si_snr,msi,outputs\n"
                "a,0,test,1.0,2.0,3\na,1,test,3.0,nan,\nb,0,test,5.0,,1\n"
            ),
        }
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return RunFolder(tmp_path)

    return make_run


def test_an_empty_cell_is_no_score_and_nan_is_one_that_failed(make_run):
    found = make_run().table().summary()
    assert found["si_snr"]["mean"] == 3.0 and found["si_snr"]["nan"] == 0
    assert (found["msi"]["count"], found["msi"]["nan"]) == (1, 1)
    assert (found["outputs"]["mean"], found["outputs"]["nan"]) == (2.0, 0)


def test_columns_of_the_training_are_averaged_where_they_are_asked_for(
    make_run,
):
    course = make_run().course()
    assert list(course) == ["missed"]
    assert (course["missed"]["mean"], course["missed"]["count"]) == (0.75, 2)
    assert make_run(REPORT.replace("course", "other")).course() == {}


@pytest.mark.parametrize("matched", [True, False], ids=["matched", "as-is"])
def test_examples_have_the_scores_of_the_mixture_that_they_name(
    make_run, tmp_path, matched
):
    constants = "" if matched else "constants: {match_level: False}\n"
    run = make_run(REPORT + constants)
    mixture = torch.sin(torch.arange(80.0))
    writer = ResultsWriter(tmp_path, 8000, examples=1)
    for name, scores in (("a", (1.0, 3.0)), ("b", (5.0,))):
        writer.add(
            name,
            [{"si_snr": score} for score in scores],
            kind=len(scores),
            mixture=mixture,
            estimate=[mixture / 4, mixture / 4],
        )
    writer.write()
    first, second = read_examples(run)
    assert (first.name[-1], second.name[-1]) == ("b", "a")
    # the second output of b stands for no source
    assert first.scores == [{"si_snr": 5.0}, {}]
    assert second.scores == [{"si_snr": 1.0}, {"si_snr": 3.0}]
    expected = mixture if matched else mixture / 4
    torch.testing.assert_close(first.estimates[0], expected)


def test_a_card_counts_parameters_without_buffers():
    module = sepformer()
    weights = module.state_dict()
    count = sum(p.numel() for p in module.parameters())
    assert sum(value.numel() for value in weights.values()) > count
    assert count_parameters(SEPFORMER) == count
