import math

import pytest
from pictures import assert_picture, points

from speechbrain_ext.evaluation import (
    msi_against_one_source,
    separation_shares,
)


def arm(name, weights, one_source, msi):
    return {
        "name": name,
        "weights": weights,
        "one_source": one_source,
        "msi": msi,
    }


def test_a_point_for_each_weight_with_the_weight_beside_it(tmp_path, figures):
    path = msi_against_one_source(
        tmp_path / "msi.png",
        arms=[
            arm("MixIT", [None], [11.0], [12.0]),
            arm("sparsity", [1, 3.5, 10], [20.0, 25.0, 30.0], [12, 11, 9]),
            arm("covariance", [1, 3], [15.0, math.nan], [10.0, 9.0]),
        ],
    )
    assert_picture(path)
    (axes,) = figures[0].axes
    assert [points(line) for line in axes.lines] == [
        [(11.0, 12.0)],
        [(20.0, 12.0), (25.0, 11.0), (30.0, 9.0)],
        [(15.0, 10.0)],
    ]
    written = {text.get_text(): text.xy for text in axes.texts}
    assert written == {
        "1": (15.0, 10.0),
        "3.5": (25.0, 11.0),
        "10": (30.0, 9.0),
    }
    assert len(axes.texts) == 4  # the 1 stands twice
    assert "1S" in axes.get_xlabel() and "MSi" in axes.get_ylabel()
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("MixIT", "sparsity", "covariance")
    ]
    assert len({line.get_marker() for line in axes.lines}) == 3


def test_arms_that_cannot_be_drawn_are_named(tmp_path):
    path = tmp_path / "msi.png"
    with pytest.raises(ValueError, match="there are no arms"):
        msi_against_one_source(path, arms=[])
    with pytest.raises(ValueError, match="'a': the lists .* 2 of 'weights', 1"):
        msi_against_one_source(path, arms=[arm("a", [1, 2], [1.0], [1.0])])
    with pytest.raises(ValueError, match="arm 'b' has no finite point"):
        msi_against_one_source(path, arms=[arm("b", [1], [1.0], [math.inf])])
    assert not path.exists()


def test_the_shares_of_each_arm_fill_its_bar(tmp_path, figures):
    path = separation_shares(
        tmp_path / "shares.png",
        arms=[
            {"name": "MixIT", "under": 1, "equal": 4, "over": 15},
            {"name": "sparse", "under": 10, "equal": 30, "over": 0},
        ],
    )
    assert_picture(path)
    (axes,) = figures[0].axes
    bars = {}
    for bar in axes.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        bars.setdefault(row, []).append((bar.get_x(), bar.get_width()))
    assert bars[0] == [
        pytest.approx((0.0, 0.05)),
        pytest.approx((0.05, 0.2)),
        pytest.approx((0.25, 0.75)),
    ]
    assert bars[1] == [
        pytest.approx((0.0, 0.25)),
        pytest.approx((0.25, 0.75)),
        pytest.approx((1.0, 0.0)),
    ]
    # 5 % has no room for its number
    assert [t.get_text() for t in axes.texts] == ["20", "75", "25", "75"]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["MixIT", "sparse"]
    looks = {(bar.get_facecolor(), bar.get_hatch()) for bar in axes.patches}
    assert len(looks) == 3 and len({hatch for _, hatch in looks}) == 3
    (legend,) = figures[0].legends
    for handle, bar in zip(legend.get_patches(), axes.patches, strict=False):
        assert handle.get_facecolor() == bar.get_facecolor()


def test_shares_of_nothing_are_refused(tmp_path):
    path = tmp_path / "shares.png"
    with pytest.raises(ValueError, match="there are no arms"):
        separation_shares(path, arms=[])
    empty = {"name": "none", "under": 0, "equal": 0, "over": 0}
    with pytest.raises(ValueError, match="arm 'none' has no clips"):
        separation_shares(path, arms=[empty])
