import math

import pytest
from pictures import assert_picture, points

from speechbrain_ext.evaluation import (
    course_over_epochs,
    predicted_against_true,
)


def group(name, predicted, true):
    return {"name": name, "predicted": predicted, "true": true}


@pytest.mark.slow
def test_a_panel_per_group_with_its_correlation(tmp_path, figures):
    path = predicted_against_true(
        tmp_path / "true.png",
        groups=[
            group("one", [1.0, 2.0, math.nan, 3.0], [2.0, 4.0, 1.0, 6.0]),
            group("two", [3.0, 2.0, 1.0], [-5.0, 6.0, 17.0]),
            group("same", [3.0, 3.0, 3.0], [0.0, 1.0, 2.0]),
            group("four", [0.0, 2.0, 10.0], [0.0, 2.0, 10.0]),
        ],
        low=0.0,
        high=10.0,
    )
    assert_picture(path)
    panels = figures[0].axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "one\nr = 1.00",
        "two\nr = \N{MINUS SIGN}1.00",
        "same\nr = \N{EN DASH}",
        "four\nr = 1.00",
    ]
    (dots,) = panels[0].collections
    assert dots.get_offsets().tolist() == [[2.0, 1.0], [4.0, 2.0], [6.0, 3.0]]
    # one scale for all, from the lowest to the highest truth
    assert {axes.get_xlim() for axes in panels} == {(-5.88, 17.88)}
    assert {axes.get_ylim() for axes in panels} == {(-0.4, 10.4)}
    corners = points(panels[2].lines[0])
    assert corners == [(-5.88, 0), (0, 0), (10, 10), (17.88, 10)]


def test_wrong_groups_are_named(tmp_path):
    def draw(*groups, low=0, high=10):
        predicted_against_true(
            tmp_path / "true.png", groups=groups, low=low, high=high
        )

    good = group("good", [1, 2, 3], [1, 2, 3])
    with pytest.raises(ValueError, match="there are no groups"):
        draw()
    with pytest.raises(ValueError, match="low 5 dB must be below high 5 dB"):
        draw(good, low=5, high=5)
    with pytest.raises(ValueError, match=r"'b': predicted values \(2,\)"):
        draw(good, group("b", [1, 2], [1, 2, 3]))
    with pytest.raises(ValueError, match="'c': 2 of 3 pairs are finite"):
        draw(good, group("c", [1, 2, math.inf], [1, 2, 3]))
    assert not (tmp_path / "true.png").exists()


def test_each_curve_marks_the_epoch_it_would_choose(tmp_path, figures):
    path = course_over_epochs(
        tmp_path / "course.png",
        curves=[
            {
                "name": "one",
                "epochs": [10, 20, 30, 40],
                "predicted": [1.0, 5.0, 5.0, math.nan],
                "true": [2.0, 3.0, 4.0, math.inf],
            },
            {"name": "real", "epochs": [1], "predicted": [2.0], "true": None},
        ],
    )
    assert_picture(path)
    true, best_true, predicted, best_predicted, real, _ = (
        figures[0].axes[0].lines
    )
    assert points(true) == [(10, 2.0), (20, 3.0), (30, 4.0)]
    assert points(predicted) == [(10, 1.0), (20, 5.0), (30, 5.0)]
    assert points(best_true) == [(30, 4.0)]
    assert points(best_predicted) == [(20, 5.0)]
    assert (true.get_linestyle(), predicted.get_linestyle()) == ("-", "--")
    assert true.get_color() == predicted.get_color() != real.get_color()
    assert best_predicted.get_markerfacecolor() == "white"
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("one", "real", "true", "predicted", "epoch chosen")
    ]


def test_wrong_curves_are_named(tmp_path):
    path = tmp_path / "course.png"
    with pytest.raises(ValueError, match="there are no curves"):
        course_over_epochs(path, curves=[])
    curve = {"name": "a", "epochs": [1, 2], "predicted": [1.0]}
    with pytest.raises(ValueError, match="'a': 2 epochs but 1 of 'predicted'"):
        course_over_epochs(path, curves=[curve])
    curve = {"name": "a", "epochs": [1], "predicted": [1], "true": [math.nan]}
    with pytest.raises(ValueError, match="'a': no value of 'true' is finite"):
        course_over_epochs(path, curves=[curve])
    assert not path.exists()
