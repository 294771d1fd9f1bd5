import csv
import math

import pytest

from speechbrain_ext.evaluation import ScoreTable


@pytest.fixture
def table():
    table = ScoreTable()
    table.add(utterance="a,1", source=0, si_sdr=8.0, pesq_nb=math.nan)
    table.add(utterance="a,1", source=1, si_sdr=10.0, pesq_nb=2.0)
    table.add(utterance="b", source=0, si_sdr=12.0, estoi=0.5)
    table.add(utterance="b", source=1, si_sdr=-math.inf)
    return table


def test_summary_counts_what_is_finite(table):
    summary = table.summary()
    assert list(summary) == ["si_sdr", "pesq_nb", "estoi"]
    assert summary["si_sdr"] == {"mean": 10.0, "std": 2.0, "count": 3, "nan": 1}
    assert summary["pesq_nb"]["count"] == summary["pesq_nb"]["nan"] == 1
    assert summary["pesq_nb"]["mean"] == 2.0
    assert math.isnan(summary["pesq_nb"]["std"])
    assert summary["estoi"]["count"] == 1 and summary["estoi"]["nan"] == 0
    assert len(table) == 4


def test_nothing_finite_has_no_mean():
    table = ScoreTable()
    table.add(utterance="a", source=0, pesq_nb=math.nan)
    summary = table.summary()["pesq_nb"]
    assert math.isnan(summary["mean"]) and summary["nan"] == 1
    assert ScoreTable().summary() == {}


def test_csv_holds_every_row_at_full_precision(table, tmp_path):
    table.add(utterance="c", source=0, si_sdr=1 / 3)
    path = table.write_csv(tmp_path / "scores.csv")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "utterance",
        "source",
        "si_sdr",
        "pesq_nb",
        "estoi",
    ]
    assert rows[0]["utterance"] == "a,1"
    assert rows[0]["pesq_nb"] == "nan" and rows[2]["pesq_nb"] == ""
    assert float(rows[4]["si_sdr"]) == 1 / 3
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_a_row_is_added_once(table):
    with pytest.raises(ValueError, match="'b', source 1 was added twice"):
        table.add(utterance="b", source=1, si_sdr=1.0)
