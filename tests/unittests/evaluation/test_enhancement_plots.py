"""Plots of personalized enhancement."""

import math

import pytest
import torch
from pictures import assert_picture

from speechbrain_ext.evaluation import improvement_boxes, snr_course


def test_a_box_for_each_arm_with_all_its_values(tmp_path, figures):
    groups = {"p = 1": [1.0, 2.0, 6.0], "predicted": [3.0, math.nan]}
    assert_picture(improvement_boxes(tmp_path / "boxes.png", groups=groups))
    (axes,) = figures[0].axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(groups)
    drawn = [
        sorted(line.get_ydata().tolist())
        for line in axes.lines
        if line.get_marker() == "."
    ]
    assert drawn == [[1.0, 2.0, 6.0], [3.0]]
    means = [
        float(line.get_ydata()[0])
        for line in axes.lines
        if line.get_marker() == "D"
    ]
    assert means == [3.0, 3.0]


def test_levels_stand_below_the_waveform(tmp_path, figures):
    levels = {"true": torch.arange(11.0), "predicted": torch.zeros(11)}
    assert_picture(
        snr_course(
            tmp_path / "levels.png",
            waveform=torch.randn(8099),
            levels=levels,
            sample_rate=8000,
            hop=800,
        )
    )
    _, bottom = figures[0].axes
    assert bottom.lines[0].get_ydata().tolist() == list(range(11))
    assert bottom.lines[0].get_xdata()[-1] == 1.0  # second
    assert len({line.get_linestyle() for line in bottom.lines}) == 2


def test_what_cannot_be_drawn_is_named(tmp_path):
    path = tmp_path / "plot.png"
    with pytest.raises(ValueError, match="there are no groups"):
        improvement_boxes(path, groups={})
    with pytest.raises(ValueError, match="'a' has no finite value"):
        improvement_boxes(path, groups={"a": [math.nan]})
    signal = {"waveform": torch.zeros(99), "sample_rate": 8000, "hop": 10}
    with pytest.raises(ValueError, match="there are no levels"):
        snr_course(path, levels={}, **signal)
    with pytest.raises(ValueError, match="'true' has 9 levels; .* 10 frames"):
        snr_course(path, levels={"true": torch.zeros(9)}, **signal)
    assert not path.exists()
