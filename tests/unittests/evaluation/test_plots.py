import csv
import math

import pytest
from pictures import assert_picture, points

from speechbrain_ext.evaluation import (
    bars,
    residual_noise_against_snr,
    training_curves,
)

HISTORY = [
    {"step": 10, "stage": "train", "objective": 3.0, "learning_rate": 1e-3},
    {"step": 20, "stage": "train", "objective": 2.0, "learning_rate": 2e-3},
    {"step": 20, "stage": "valid", "objective": 2.5},
    {"step": 30, "stage": "train", "objective": 1.0, "learning_rate": 1e-3},
]


@pytest.mark.slow
@pytest.mark.parametrize("source", ["rows", "csv"])
def test_training_curves_draw_each_value_by_stage(tmp_path, figures, source):
    history = HISTORY
    if source == "csv":
        history = tmp_path / "history.csv"
        names = ["step", "stage", "objective", "learning_rate"]
        with open(history, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(HISTORY)
    path = training_curves(tmp_path / "curves.png", history=history)
    assert_picture(path)
    objective, rate = figures[0].axes
    train, valid = objective.lines
    assert points(train) == [(10, 3.0), (20, 2.0), (30, 1.0)]
    assert points(valid) == [(20, 2.5)]
    assert len(rate.lines) == 1
    assert rate.get_title(loc="left") == "learning rate"
    (legend,) = figures[0].legends
    assert [t.get_text() for t in legend.get_texts()] == ["train", "valid"]


def test_training_curves_name_what_is_wrong(tmp_path):
    path = tmp_path / "curves.png"
    with pytest.raises(ValueError, match="the rows: no value to draw"):
        training_curves(path, history=[{"step": 1, "stage": "train"}])
    with pytest.raises(ValueError, match="row 1 has no step or stage"):
        training_curves(path, history=[{"step": 1, "loss": 2.0}])
    empty = tmp_path / "history.csv"
    empty.write_text("step,stage\n")
    with pytest.raises(ValueError, match="history.csv: no value to draw"):
        training_curves(path, history=empty)
    assert not path.exists()


def test_residual_noise_is_the_mean_of_the_seeds(tmp_path, figures):
    arms = [
        {
            "name": "SCER",
            "snr": [5, 0, 5, 10],
            "level_db": [-13.0, -7.0, -15.0, math.nan],
        },
        {"name": "clean targets", "snr": [5], "level_db": [-19.0]},
    ]
    path = residual_noise_against_snr(tmp_path / "noise.png", arms=arms)
    assert_picture(path)
    lines = {line.get_label(): line for line in figures[0].axes[0].lines}
    assert points(lines["SCER"]) == [(0, -7.0), (5, -14.0)]
    assert points(lines["clean targets"]) == [(5, -19.0)]
    half = points(lines["half of both noises (a = 1/2)"])
    assert half[0][0] + half[0][1] == pytest.approx(-3.0103, abs=1e-3)
    full = points(lines["as in the noisy source"])
    assert full[1][0] + full[1][1] == pytest.approx(0.0)


def test_residual_noise_names_what_is_wrong(tmp_path):
    path = tmp_path / "noise.png"
    with pytest.raises(ValueError, match="there are no arms"):
        residual_noise_against_snr(path, arms=[])
    arm = {"name": "B", "snr": [0], "level_db": [math.nan]}
    with pytest.raises(ValueError, match="arm 'B' has no finite result"):
        residual_noise_against_snr(path, arms=[arm])
    arm = {"name": "C", "snr": [0, 5], "level_db": [-3.0]}
    with pytest.raises(ValueError, match="'C': 2 of 'snr' but 1 of 'level_db"):
        residual_noise_against_snr(path, arms=[arm])


@pytest.mark.slow
def test_bars_show_mean_and_seeds(tmp_path, figures):
    arms = [
        {"name": "ring", "values": [4.0, 5.0, math.nan]},
        {"name": "SCER", "values": [-6.5]},
    ]
    path = bars(tmp_path / "bars.png", arms=arms, label="SI-SDRi (dB)")
    assert_picture(path)
    axes = figures[0].axes[0]
    assert [bar.get_width() for bar in axes.patches] == [4.5, -6.5]
    assert points(axes.lines[0]) == [(4.0, 0), (5.0, 0)]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["4.50", "\N{MINUS SIGN}6.50"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["ring", "SCER"]
    arm = {"name": "D", "values": [math.nan]}
    with pytest.raises(ValueError, match="arm 'D' has no finite value"):
        bars(path, arms=[arm], label="dB")
