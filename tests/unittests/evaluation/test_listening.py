import csv
import math
import re

import pytest
import soundfile
import torch
from pages import Page

from speechbrain_ext.evaluation import (
    ListeningItem,
    choose_uniformly,
    write_listening_page,
)

NASTY = "<script>alert(\"x\")</script> & 'y' $title"


def item(name, *, sources=2, scale=0.1, predicted=3.0):
    generator = torch.Generator().manual_seed(sum(name.encode()))
    estimates = scale * torch.randn(sources, 800, generator=generator)
    return ListeningItem(name, estimates.sum(0), estimates, 8000, predicted)


# Which mixtures -------------------------------------------------------------


def test_one_item_of_each_bin():
    # 100 values a bin, far more at its lower end
    values = [place + (i / 100) ** 3 for place in range(10) for i in range(100)]
    chosen = choose_uniformly(values, 10, low=0.0, high=10.0)
    assert [int(values[index]) for index in chosen] == list(range(10))
    assert chosen == choose_uniformly(values, 10, low=0.0, high=10.0)
    others = [
        tuple(choose_uniformly(values, 10, low=0.0, high=10.0, seed=seed))
        for seed in range(20)
    ]
    assert len(set(others)) == 20
    # random inside the bin too: not always its first or last
    assert len({chosen[0] for chosen in others}) > 10


def test_an_empty_bin_takes_the_nearest_that_is_left_over():
    # bins of 1 from 0 to 4: three in the first, three in the last
    values = [0.2, 0.2, 0.2, 3.1, 3.1, 3.1]
    for seed in range(5):
        chosen = choose_uniformly(values, 4, low=0.0, high=4.0, seed=seed)
        assert [values[i] for i in chosen] == [0.2, 0.2, 3.1, 3.1]
        assert len(set(chosen)) == 4


def test_the_ends_belong_to_the_range():
    values = [5.0, 0.0, 10.0, -0.1, 10.1, math.nan, math.inf]
    assert choose_uniformly(values, 3, low=0.0, high=10.0) == [1, 0, 2]
    assert sorted(choose_uniformly(values, 5)) == [0, 1, 2, 3, 4]
    assert sorted(choose_uniformly([1.0] * 4, 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("values", [[], [math.nan] * 3, [1.0, 2.0, math.inf]])
def test_too_few_finite_values_are_counted(values):
    finite = sum(map(math.isfinite, values))
    message = f"3 items are wanted but {finite} of {len(values)} have"
    with pytest.raises(ValueError, match=message):
        choose_uniformly(values, 3)
    with pytest.raises(ValueError, match="but 1 of 2 have .* from 1.5 to 2.0"):
        choose_uniformly([1.0, 2.0], 2, low=1.5)
    with pytest.raises(ValueError, match="count 0 must be at least 1"):
        choose_uniformly([1.0], 0)


# The page -------------------------------------------------------------------


def test_every_item_is_played_and_rated(tmp_path):
    items = [item("a"), item("b", sources=3), item("c", scale=2.0)]
    path = write_listening_page(
        tmp_path / "test", title="Test", items=items, notes=["Use headphones."]
    )
    page = Page(path)
    names = [a["data-item"] for tag, a in page.tags if tag == "article"]
    assert sorted(names) == ["a", "b", "c"]
    assert len(page.links) == 3 + 4 + 3
    wanted = {i.name: i for i in items}
    for number, name in enumerate(names, start=1):
        folder = tmp_path / "test" / "sounds" / f"{number:02d}"
        signals = {"mixture": wanted[name].mixture}
        for source, signal in enumerate(wanted[name].estimates, start=1):
            signals[f"source_{source}"] = signal
        peak = max(signal.abs().max().item() for signal in signals.values())
        gain = 0.99 / peak if name == "c" else 1.0
        for file, signal in signals.items():
            assert f"sounds/{number:02d}/{file}.wav" in page.links
            audio, _ = soundfile.read(folder / f"{file}.wav", dtype="float32")
            assert abs(torch.from_numpy(audio) - gain * signal).max() < 1e-4
        # five radio buttons, of one name, which no other item has
        radios = [
            a["value"]
            for tag, a in page.tags
            if tag == "input" and a.get("name") == f"score{number}"
        ]
        assert radios == ["1", "2", "3", "4", "5"]
    assert page.text.count("Lowered by") == 1
    assert "0 of 3 rated" in page.text and "Use headphones." in page.text
    progress = [a for tag, a in page.tags if tag == "progress"]
    assert [a["max"] for a in progress] == ["3"]
    save = [a for _, a in page.tags if a.get("id") == "save"]
    assert "disabled" in save[0]


def test_every_element_that_the_script_wants_is_there(tmp_path):
    path = write_listening_page(tmp_path, title="Test", items=[item("a")])
    script = path.read_text().partition("<script>")[2].partition("</script>")[0]
    wanted = set(re.findall(r'find\("#(\w+)"\)', script))
    assert len(wanted) == 10
    ids = [a["id"] for _, a in Page(path).tags if "id" in a]
    assert sorted(ids) == sorted({*wanted, "name-1"})
    assert "$" in script and "$$" not in script


def test_every_text_is_escaped(tmp_path):
    path = write_listening_page(
        tmp_path,
        title=NASTY,
        items=[item(NASTY)],
        notes=[NASTY],
        question=NASTY,
    )
    page = Page(path)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "<script>alert" not in path.read_text()
    assert page.text.count(NASTY) == 4  # title, heading, note, question
    names = [a["data-item"] for tag, a in page.tags if tag == "article"]
    assert names == [NASTY]


def test_nothing_on_the_page_tells_a_prediction(tmp_path):
    names = "abcdefghij"
    first, second = (
        [item(n, predicted=sign * (0.5 + i)) for i, n in enumerate(names)]
        for sign in (1, -1)
    )
    pages = [
        write_listening_page(tmp_path / folder, title="Test", items=items)
        for folder, items in (("1", first), ("2", second))
    ]
    assert pages[0].read_text() == pages[1].read_text()
    assert "predict" not in pages[0].read_text()
    with open(tmp_path / "2" / "predictions.csv", newline="") as file:
        rows = [
            (r["item"], float(r["predicted"])) for r in csv.DictReader(file)
        ]
    assert rows == [(i.name, i.predicted) for i in second]
    # items that come in the order of their predictions are shuffled
    shown = re.findall('data-item="(.)"', pages[0].read_text())
    assert sorted(shown) == list(names)
    assert shown not in (list(names), list(reversed(names)))
    other = write_listening_page(
        tmp_path / "3", title="Test", items=first, seed=1
    )
    assert re.findall('data-item="(.)"', other.read_text()) != shown


def test_answers_belong_to_one_set_of_sounds(tmp_path):
    def key(items):
        path = write_listening_page(tmp_path, title="Test", items=items)
        return re.search('data-test="(\\w+)"', path.read_text())[1]

    first = key([item("a"), item("b")])
    assert first == key([item("a"), item("b")])
    assert first != key([item("a"), item("b", scale=0.2)])
    assert key([item("a", scale=0.0)]) != key([item("b", scale=0.0)])


def test_wrong_items_are_named(tmp_path):
    def write(*items):
        write_listening_page(tmp_path / "test", title="Test", items=items)

    with pytest.raises(ValueError, match="there are no items"):
        write()
    with pytest.raises(ValueError, match="two items have the name 'a'"):
        write(item("a"), item("b"), item("a"))
    for name in ("", " ", "a\nb"):
        with pytest.raises(ValueError, match="a name needs a visible"):
            write(item(name))
    with pytest.raises(ValueError, match="'a': its prediction nan is not fin"):
        write(item("a", predicted=math.nan))
    wrong = ListeningItem("a", torch.zeros(4), torch.zeros(2, 3), 8000, 1.0)
    with pytest.raises(ValueError, match=r"item 'a': source_1 \(3,\).*\(4,\)"):
        write(wrong)
    assert not (tmp_path / "test" / "index.html").exists()
