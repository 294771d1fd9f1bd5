"""The plot of error rates against the SNR."""

import numpy as np
import pytest
from pictures import assert_picture

from speechbrain_ext.evaluation import (
    error_rate_against_snr,
    error_rate_differences,
)


def arm(name="joint", **values):
    return {
        "name": name,
        "snr_db": [-5, 0, None],
        "wer": [[50.0, 60.0], 30.0, [8.0, 9.0]],
        **values,
    }


def test_means_of_seeds_with_clean_speech_apart(tmp_path, figures):
    path = error_rate_against_snr(
        tmp_path / "wer.png", arms=[arm(), arm("separate")]
    )
    assert_picture(path)
    (axes,) = figures[0].axes
    line, means = axes.lines[0], axes.containers[0][0]
    np.testing.assert_equal(line.get_ydata(), [55.0, 30.0, np.nan])
    np.testing.assert_equal(means.get_xdata(), [-5, 0, 5])
    np.testing.assert_equal(means.get_ydata(), [55.0, 30.0, 8.5])
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["-5", "0", "clean"]
    assert axes.get_ylim()[0] == 0
    (legend,) = figures[0].legends
    assert [t.get_text() for t in legend.get_texts()] == ["joint", "separate"]


@pytest.mark.slow
def test_without_clean_speech(tmp_path, figures):
    one = arm(snr_db=[0], wer=[20.0])
    error_rate_against_snr(tmp_path / "wer.png", arms=[one])
    (axes,) = figures[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0"]


def test_what_cannot_be_drawn(tmp_path):
    path = tmp_path / "wer.png"
    with pytest.raises(ValueError, match="there are no arms"):
        error_rate_against_snr(path, arms=[])
    with pytest.raises(ValueError, match="'joint': 1 SNRs for 3 error rates"):
        error_rate_against_snr(path, arms=[arm(snr_db=[0])])
    assert not path.exists()


def test_differences_with_their_intervals(tmp_path, figures):
    worse = {"delta": 1.0, "low": -1.0, "high": 4.0}
    better = {"delta": -2.0, "low": -3.0, "high": -0.5}
    pairs = [
        {"name": "first", "noisy": better, "clean": worse},
        {"name": "second", "noisy": worse, "clean": worse},
    ]
    path = error_rate_differences(tmp_path / "differences.png", pairs=pairs)
    assert_picture(path)
    (axes,) = figures[0].axes
    noisy, clean = axes.containers
    np.testing.assert_equal(noisy[0].get_xdata(), [-2.0, 1.0])
    np.testing.assert_equal(clean[0].get_xdata(), [1.0, 1.0])
    (bars,) = noisy[2]
    ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
    assert ends == [[-3.0, -0.5], [-1.0, 4.0]]
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first is on top
    with pytest.raises(ValueError, match="there are no pairs"):
        error_rate_differences(path, pairs=[])
