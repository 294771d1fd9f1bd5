"""Scores and sounds of a test as files."""

import csv

import soundfile
import torch

from speechbrain_ext.training import ResultsWriter


def fill(folder, examples):
    writer = ResultsWriter(folder, 8000, examples=examples)
    sound = torch.linspace(-2, 2, 80)
    for name, sources in (("a/b", 2), ("c", 1), ("d", 2), ("e", 0)):
        writer.add(
            name,
            [{"si_sdr": 1.0 / 3}] * max(sources, 1),
            kind=sources,
            mixture=sound,
            estimate=[sound] * sources,
            reference=[0 * sound] * sources,
        )
    writer.write()
    return writer


def test_every_source_has_a_row_with_its_exact_score(tmp_path):
    fill(tmp_path, examples=0)
    with open(tmp_path / "test_results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [
        *["a/b"] * 2,
        "c",
        *["d"] * 2,
        "e",
    ]
    assert [row["source"] for row in rows] == ["0", "1", "0", "0", "1", "0"]
    assert {float(row["si_sdr"]) for row in rows} == {1.0 / 3}
    assert not (tmp_path / "examples").exists()


def test_the_first_of_each_kind_are_kept_and_named(tmp_path):
    fill(tmp_path, examples=1)
    names = [
        path.read_text() for path in sorted(tmp_path.glob("examples/*/id.txt"))
    ]
    assert names == ["test\nc", "test\na/b"]
    sounds = sorted(path.stem for path in tmp_path.glob("examples/02/*.wav"))
    assert sounds == [
        *("estimate_1", "estimate_2", "mixture", "reference_1", "reference_2")
    ]
    mixture, rate = soundfile.read(tmp_path / "examples/02/mixture.wav")
    # beyond full scale, and not rounded to 16 bits
    assert rate == 8000 and mixture[-1] == 2.0


def test_cleared_it_begins_anew(tmp_path):
    writer = fill(tmp_path, examples=1)
    writer.clear()
    writer.add("x", [{}], mixture=torch.zeros(8), estimate=[])
    writer.write()
    text = (tmp_path / "test_results.csv").read_text()
    assert text.split() == ["id,source,test", "x,0,test"]
