import math

import pytest
from pictures import assert_picture, points

from speechbrain_ext.evaluation import (
    compare_with_listeners,
    listening_plot,
    read_scores,
)


def saved(path, *lines, head="listener,item,score"):
    path.write_text("".join(f"{line}\n" for line in (head, *lines)))
    return path


@pytest.fixture
def folder(tmp_path):
    """A test of four items, with predictions 1 to 4 dB."""
    saved(
        tmp_path / "predictions.csv",
        *("a,1.0", "b,2.0", "c,3.0", '"d,""4""",4.0'),
        head="item,predicted",
    )
    return tmp_path


def test_scores_by_listener_and_item(tmp_path):
    ann = saved(tmp_path / "1.csv", '"Ann, ""A""",a,5', "Bo,a,1")
    bo = tmp_path / "2.csv"
    # as a table program writes it
    bo.write_bytes(b"\xef\xbb\xbflistener,item,score\r\nBo,b,3\r\n")
    assert read_scores([ann, bo], items=["a", "b", "c"]) == {
        'Ann, "A"': {"a": 5},
        "Bo": {"a": 1, "b": 3},
    }


@pytest.mark.parametrize(
    "lines, message",
    [
        (["Ann,a,1", "Ann,e,1"], "1.csv:3: item 'e' is not one of the test"),
        (["Ann,a,0"], "1.csv:2: score '0' must be 1 to 5"),
        (["Ann,a,6"], "1.csv:2: score '6' must be 1 to 5"),
        (["Ann,a,2.5"], "1.csv:2: score '2.5' must be 1 to 5"),
        (["Ann,a,1", "Bo,a,1", "Ann,a,1"], "1.csv:4: 'Ann' has rated .* 'a'"),
        (["Ann,a,1,2"], "1.csv:2: 4 cells for 3 columns"),
        (["Ann,a,1", ""], "1.csv:3: 0 cells for 3 columns"),
        ([" ,a,1"], "1.csv:2: there is no listener"),
    ],
)
def test_wrong_lines_are_named(tmp_path, lines, message):
    path = saved(tmp_path / "1.csv", *lines)
    with pytest.raises(ValueError, match=message):
        read_scores([path], items=["a", "b"])


def test_wrong_files_are_named(tmp_path):
    first = saved(tmp_path / "1.csv", "Ann,a,1")
    second = saved(tmp_path / "2.csv", "Bo,a,1", "Ann,a,1")
    message = "2.csv:3: 'Ann' has rated item 'a' already, at .*1.csv:2"
    with pytest.raises(ValueError, match=message):
        read_scores([first, second], items=["a"])
    semicolons = saved(tmp_path / "3.csv", head="listener;item;score")
    with pytest.raises(ValueError, match="3.csv:1: columns 'listener;item;sc"):
        read_scores([semicolons], items=["a"])
    (tmp_path / "4.csv").write_text("")
    with pytest.raises(ValueError, match="4.csv:1: columns '' must be"):
        read_scores([tmp_path / "4.csv"], items=["a"])
    with pytest.raises(ValueError, match="1.csv': give a list of files"):
        read_scores(first, items=["a"])
    with pytest.raises(FileNotFoundError, match="absent.csv"):
        read_scores([tmp_path / "absent.csv"], items=["a"])


def test_means_and_correlations(folder):
    paths = [
        saved(folder / "1.csv", "Ann,a,1", "Ann,b,3", "Ann,c,5"),
        saved(folder / "2.csv", "Bo,a,3", "Bo,b,3", "Bo,c,3"),
        saved(folder / "3.csv", "Cy,b,3", "Cy,a,5"),
    ]
    result = compare_with_listeners(folder, paths)
    assert [row["item"] for row in result["items"]] == ["a", "b", "c"]
    assert [row["predicted"] for row in result["items"]] == [1.0, 2.0, 3.0]
    assert [row["mean"] for row in result["items"]] == [3.0, 3.0, 4.0]
    assert [row["count"] for row in result["items"]] == [3, 3, 2]
    spreads = [row["spread"] for row in result["items"]]
    assert spreads == pytest.approx([2.0, 0.0, math.sqrt(2)])
    assert result["unrated"] == ['d,"4"']
    # of (-1, 0, 1) with (-1, -1, 2): 3 / sqrt(2 * 6); the same for ranks
    assert result["pearson"] == pytest.approx(math.sqrt(3) / 2)
    assert result["spearman"] == pytest.approx(math.sqrt(3) / 2)
    ann, bo, cy = (result["listeners"][name] for name in ("Ann", "Bo", "Cy"))
    assert ann["pearson"] == pytest.approx(1.0) and ann["count"] == 3
    assert math.isnan(bo["pearson"]) and math.isnan(bo["spearman"])
    assert math.isnan(cy["pearson"]) and cy["count"] == 2


def test_the_order_of_the_lines_does_not_matter(folder):
    lines = ["Ann,a,1", "Ann,b,2", "Ann,c,2", 'Ann,"d,""4""",5']
    first = compare_with_listeners(folder, [saved(folder / "1.csv", *lines)])
    second = compare_with_listeners(
        folder, [saved(folder / "2.csv", *reversed(lines))]
    )
    assert first["items"] == second["items"]
    for name in ("pearson", "spearman"):
        assert first["listeners"]["Ann"][name] == pytest.approx(first[name])
        assert second["listeners"]["Ann"][name] == pytest.approx(first[name])


def test_too_little_to_compare_is_named(folder, tmp_path_factory):
    path = saved(folder / "1.csv", "Ann,a,1", "Ann,b,1")
    with pytest.raises(ValueError, match="2 of 4 items are rated"):
        compare_with_listeners(folder, [path])
    with pytest.raises(FileNotFoundError, match="predictions.csv does not"):
        compare_with_listeners(tmp_path_factory.mktemp("other"), [path])


def test_plot_of_means_with_their_regression(tmp_path, figures):
    # 1 + x / 2 with residuals (1, -1, -1, 1) / 2, orthogonal to 1 and x
    rows = [
        {"predicted": x, "mean": 1 + x / 2 + r / 2, "spread": spread}
        for x, r, spread in (
            *((0.0, 1, 0.5), (2.0, -1, math.nan)),
            *((4.0, -1, 1.0), (6.0, 1, 0.5)),
        )
    ]
    comparison = {
        **{"items": rows, "pearson": -0.25, "spearman": math.nan},
        "listeners": {"Ann": {}},
    }
    path = listening_plot(tmp_path / "mos.png", comparison=comparison)
    assert_picture(path)
    (axes,) = figures[0].axes
    dots, line = axes.lines
    assert points(dots) == [(0, 1.5), (2, 1.5), (4, 2.5), (6, 4.5)]
    (first, second) = points(line)
    assert first == pytest.approx((0.0, 1.0))
    assert second == pytest.approx((6.0, 4.0))
    (bars,) = axes.collections
    heights = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert heights == [[1.0, 2.0], [1.5, 1.5], [1.5, 3.5], [4.0, 5.0]]
    title = axes.get_title(loc="left")
    assert "Pearson \N{MINUS SIGN}0.25, Spearman \N{EN DASH}" in title
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "regression: 0.50 per dB",
        "mixture: mean and spread over 1 listener",
    ]


def test_names_of_listeners_are_normalized(tmp_path):
    lines = [
        *("Ann  Lee,a,1", " ANN LEE\t,b,2", "ann/lee,c,3"),
        *("Jos\u00e9,a,4", "Jose\u0301,b,5", "'=cmd(),a,1", f"{'x' * 500},a,2"),
    ]
    scores = read_scores([saved(tmp_path / "1.csv", *lines)], items="abc")
    assert scores == {
        "Ann Lee": {"a": 1, "b": 2, "c": 3},
        "Jos\u00e9": {"a": 4, "b": 5},
        "=cmd()": {"a": 1},
        "x" * 100: {"a": 2},
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ann ,a,2", "'Ann' has rated item 'a' already"),
        ("\x1b\x00/,a,2", "there is no listener"),
        ("\u200b,a,2", "there is no listener"),
    ],
    ids=["case", "control", "invisible"],
)
def test_names_that_are_the_same_or_none(tmp_path, line, message):
    path = saved(tmp_path / "1.csv", "Ann,a,1", line)
    with pytest.raises(ValueError, match=message):
        read_scores([path], items=["a"])
