"""Figures of an SI-SNR estimator."""

import math

import pytest

from speechbrain_ext.evaluation.estimator_scores import sum_up


def row(separator, predicted, true, **more):
    return {
        "separator": separator,
        "predicted": predicted,
        "true": true,
        **more,
    }


RANGE = {"snr_min": 0.0, "snr_max": 10.0}


def means(rows):
    return {k: v["mean"] for k, v in sum_up(rows, RANGE).items()}


def test_beyond_the_range_its_nearer_end_counts_as_the_truth():
    figures = means([row("a", 1, -5), row("a", 9, 30), row("a", 4, 6)])
    assert figures["mean_absolute_error"] == pytest.approx(4 / 3)
    assert figures["bias"] == pytest.approx(-2 / 3)
    # of the only one within
    assert figures["error_within_range"] == 2
    assert figures["ratio_within_range"] == pytest.approx(1 / 3)
    # one separator has no order, and no typical errors are told
    assert not {"kendall", "regret_db", "ratio_below_typical"} & figures.keys()


def test_nothing_within_the_range_is_no_error():
    figures = means([row("a", 1, -5), row("a", 2, -6), row("a", 3, 12)])
    assert math.isnan(figures["error_within_range"])


def test_how_many_errors_are_below_the_typical_one():
    rows = [
        row("a", k + off, k, typical=1.0)
        for k, off in enumerate((0, 2, 0.5, 3))
    ]
    assert means(rows)["ratio_below_typical"] == 0.5


def test_the_order_of_separators():
    rows = [row("a", 8, k) for k in (1, 2, 3)]
    rows += [row("b", 4, k) for k in (5, 6, 7)]
    figures = means(rows)
    assert figures["kendall"] == -1
    # the one that was chosen is 4 dB below the best
    assert figures["regret_db"] == 4
