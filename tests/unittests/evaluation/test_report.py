import math
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import soundfile
import torch
from pages import Page
from pictures import spare_drawing

from speechbrain_ext.evaluation import (
    Example,
    Result,
    bars,
    results_of,
    write_report,
)

NASTY = "<script>alert(\"x\")</script> & 'y' $title"


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    spare_drawing(monkeypatch)


@pytest.fixture
def example():
    generator = torch.Generator().manual_seed(0)
    sources = 0.1 * torch.randn(2, 4000, generator=generator)
    return {
        "name": "mixture 1",
        "mixture": sources.sum(0),
        "estimates": 0.5 * sources,
        "references": sources,
        "sample_rate": 8000,
    }


def test_every_text_is_escaped(tmp_path, example):
    plot = bars(
        tmp_path / "a b&c.png",
        arms=[{"name": "x", "values": [1.0]}],
        label="dB",
    )
    example.update(name=NASTY, note=NASTY, scores=[{NASTY: 1.0}, {}])
    path = write_report(
        tmp_path / "results",
        title=NASTY,
        figures=[Result(NASTY, NASTY, unit=NASTY, reference=1.0, note=NASTY)],
        notes=[NASTY],
        plots=[(plot, NASTY)],
        examples=[Example(**example)],
        reference_name=NASTY,
    )
    page = Page(path)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "<script>alert" not in path.read_text(encoding="utf-8")
    # title, heading, note; name, value, two units, small print, column head;
    # caption; heading of the example, its note, its score
    assert page.text.count(NASTY) == 13
    attributes = [
        value for _, attrs in page.tags for value in attrs.values() if value
    ]
    # column head, caption; three parts of the player
    assert sum(NASTY in value for value in attributes) == 5


def test_the_page_needs_only_its_folder(tmp_path, example):
    folder = tmp_path / "results"
    outside = bars(
        tmp_path / "a b#c.png",
        arms=[{"name": "x", "values": [1.0]}],
        label="dB",
    )
    (tmp_path / "other").mkdir()
    twin = outside.rename(tmp_path / "other" / outside.name)
    outside.write_bytes(twin.read_bytes() + b"other")
    folder.mkdir()
    inside = folder / "noise.png"
    inside.write_bytes(twin.read_bytes())
    path = write_report(
        folder,
        title="Run",
        figures={"steps": 10},
        plots=[(outside, "one"), (twin, "two"), (inside, "three")],
        examples=[Example(**example), Example(**example)],
    )
    assert path == folder / "index.html"
    page = Page(path)
    assert len(page.links) == 2 * 3 + 2 * 5
    for link in page.links:
        assert (folder / unquote(link)).is_file(), link
        assert not set(link) & set(" #?"), link
    pictures = {unquote(link) for link in page.links if "c.png" in link}
    assert len(pictures) == 2
    contents = [(folder / name).read_bytes() for name in sorted(pictures)]
    assert contents == [outside.read_bytes(), twin.read_bytes()]
    assert "noise.png" in page.links
    assert not list(folder.glob("*.partial"))


def test_sounds_keep_their_level(tmp_path, example):
    write_report(
        tmp_path, title="Run", figures={}, examples=[Example(**example)]
    )
    folder = tmp_path / "examples" / "01"
    expected = {
        "mixture": example["mixture"],
        "estimate_1": example["estimates"][0],
        "estimate_2": example["estimates"][1],
        "reference_1": example["references"][0],
        "reference_2": example["references"][1],
    }
    assert {p.stem for p in folder.glob("*.wav")} == set(expected)
    for name, signal in expected.items():
        audio, rate = soundfile.read(folder / f"{name}.wav", dtype="float32")
        assert rate == 8000
        assert abs(torch.from_numpy(audio) - signal).max() < 1e-4
    assert "lowered" not in (tmp_path / "index.html").read_text()


def test_sounds_that_would_clip_are_lowered_together(tmp_path, example):
    example["estimates"] = example["estimates"] / 0.05
    peak = example["estimates"].abs().max().item()
    assert peak > 2
    write_report(
        tmp_path, title="Run", figures={}, examples=[Example(**example)]
    )
    gain = 0.99 / peak
    for name, signal in (
        ("estimate_2", example["estimates"][1]),
        ("mixture", example["mixture"]),
    ):
        audio, _ = soundfile.read(
            tmp_path / "examples" / "01" / f"{name}.wav", dtype="float32"
        )
        assert abs(torch.from_numpy(audio) - gain * signal).max() < 1e-4
    lowered = f"lowered by {-20 * math.log10(gain):.1f} dB"
    assert lowered in (tmp_path / "index.html").read_text()


def test_figures_are_compared_with_the_reference(tmp_path):
    path = write_report(
        tmp_path,
        title="Run",
        figures=[
            Result("SI-SDRi", 9.0, "dB", reference=7.5, better="higher"),
            Result("noise", -9.0, "dB", reference=-12.0, better="lower"),
            Result("neither", 1.0, reference=3.0),
            Result("same", 2.0, reference=2.0, better="lower"),
            Result("no reference", math.nan),
        ],
        reference_name="Ring mixing",
    )
    page = Page(path)
    rows = [
        re.sub("<[^>]+>", " ", row).split()
        for row in re.findall("(?s)<tr>.*?</tr>", path.read_text())
    ]
    assert rows == [
        ["Measure", "This", "run", "Ring", "mixing", "Difference"],
        ["SI-SDRi", "9.00", "dB", "7.50", "dB", "+1.50", "dB", "better"],
        ["noise", "−9.00", "dB", "−12.00", "dB", "+3.00", "dB", "worse"],
        ["neither", "1.00", "3.00", "−2.00"],
        ["same", "2.00", "2.00", "0.00"],
        ["no", "reference", "–", "–", "–"],
    ]
    assert "Examples" not in page.text and "Plots" not in page.text


def test_without_references_there_is_no_column_of_them(tmp_path):
    path = write_report(tmp_path, title="Run", figures={"steps": 1500})
    page = Page(path)
    assert "1500" in page.text
    assert "reference" not in page.text and "Difference" not in page.text


def test_results_of_a_summary_tell_failures():
    summary = {
        "residual_noise_db": {"mean": -9.0, "std": 1.0, "count": 4, "nan": 0},
        "mine": {"mean": 1.0, "std": math.nan, "count": 1, "nan": 3},
    }
    first, second = results_of(summary, references={"mine": 0.5})
    assert first.name == "Residual noise re speech"
    assert (first.unit, first.better) == ("dB", "lower")
    assert first.reference is None
    assert first.note == "deviation 1.00, 4 sources"
    assert second == Result(
        "mine", 1.0, reference=0.5, note="1 source, 3 failed"
    )


def test_an_example_without_references(tmp_path, example):
    example["references"] = None
    write_report(
        tmp_path, title="Run", figures={}, examples=[Example(**example)]
    )
    assert len(list((tmp_path / "examples" / "01").glob("*.wav"))) == 3
    assert len(Page(tmp_path / "index.html").links) == 3


def test_an_example_shows_all_that_belongs_to_a_source_together(
    tmp_path, example
):
    example["scores"] = [{"si_sdr": 7.5}, {"si_sdr": math.nan}]
    path = write_report(
        tmp_path, title="Run", figures={}, examples=[Example(**example)]
    )
    page = Page(path)
    tracks = re.findall(r"</kbd> <span>(.*?)</span>", path.read_text())
    kinds = ["estimate", "reference"]
    sources = [f"Source {n}, {kind}" for n in (1, 2) for kind in kinds]
    assert tracks == ["Mixture", *sources]
    assert [Path(link).stem for link in page.links] == [
        *("mixture", "estimate_1", "reference_1", "estimate_2", "reference_2")
    ]
    text = page.text
    assert "7.50 dB" in text and text.index("7.50") < text.index("Source 2")
    assert "SI-SDR \N{EN DASH}" in " ".join(text.split())


def test_wrong_use_is_named(tmp_path, example):
    def write(**options):
        write_report(tmp_path / "r", title="Run", figures={}, **options)

    with pytest.raises(FileNotFoundError, match="absent.png does not exist"):
        write(plots=[(tmp_path / "absent.png", "none")])
    bad = Example(**{**example, "mixture": example["mixture"][1:]})
    with pytest.raises(ValueError, match=r"estimate_1 \(4000,\).*\(3999,\)"):
        write(examples=[bad])
    bad = Example(**{**example, "scores": [{}]})
    with pytest.raises(ValueError, match="scores of 1 sources for 2"):
        write(examples=[bad])
    example["references"][0, 0] = torch.nan
    with pytest.raises(ValueError, match="'mixture 1': reference_1.*finite"):
        write(examples=[Example(**example)])
    assert not (tmp_path / "r" / "index.html").exists()
