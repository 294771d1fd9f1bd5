import math

import pytest
import torch

from speechbrain_ext.evaluation import agreement, rank_agreement

NAN = math.nan


def test_figures_of_orthogonal_parts():
    # true and the error do not correlate and have zero mean: r = 2/sqrt(5)
    true = torch.tensor([[2.0, 2.0], [-2.0, -2.0]])
    error = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    figures = agreement(predicted=true + error + 0.5, true=true)
    assert figures["pearson"] == pytest.approx(2 / math.sqrt(5))
    assert figures["bias"] == pytest.approx(0.5)
    assert figures["mean_absolute_error"] == pytest.approx(1.0)
    assert figures["count"] == 4


def test_spearman_sees_the_order_only():
    figures = agreement(predicted=[1, 10, 100, 1000], true=[-4, -3, -2, -1])
    assert figures["spearman"] == pytest.approx(1.0)
    assert figures["pearson"] < 0.9


def test_pairs_that_are_not_finite_are_left_out():
    figures = agreement(
        predicted=[1.0, NAN, 2.0, 3.0, 9.0], true=[3.0, 1.0, 2.0, 1.0, math.inf]
    )
    assert figures["count"] == 3
    assert figures["pearson"] == pytest.approx(-1.0)
    assert figures["bias"] == pytest.approx(0.0)
    assert figures["mean_absolute_error"] == pytest.approx(4 / 3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sides", [(0, 1), (1, 0)])
def test_a_constant_side_has_no_correlation(sides):
    values = [[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]]
    figures = agreement(predicted=values[sides[0]], true=values[sides[1]])
    assert math.isnan(figures["pearson"]) and math.isnan(figures["spearman"])
    assert figures["mean_absolute_error"] == pytest.approx(2 / 3)


def test_too_little_to_compare_is_named():
    with pytest.raises(ValueError, match="2 of 3 pairs are finite, at least 3"):
        agreement(predicted=[1.0, 2.0, NAN], true=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"\(2,\) and true values \(3,\)"):
        agreement(predicted=[1.0, 2.0], true=[1.0, 2.0, 3.0])


def test_rank_of_four_systems_with_one_swap():
    def means(*values):
        return zip("abcd", values, strict=True)

    # 5 of 6 pairs in one order, 1 in the other: tau = 4/6
    predicted = {n: [m - 1, m, m + 1] for n, m in means(1, 2, 4, 3)}
    true = {n: [m + 2, m, m - 2] for n, m in means(1, 2, 3, 4.5)}
    figures = rank_agreement(predicted=predicted, true=true)
    assert figures["kendall"] == pytest.approx(4 / 6)
    assert (figures["chosen"], figures["best"]) == ("c", "d")
    assert figures["regret_db"] == pytest.approx(1.5)
    assert figures["same_best"] is False


def test_systems_that_are_equally_good_are_no_regret():
    predicted = {"a": [1, 1, 1], "b": [2, 2, 2], "c": [0, 0, NAN, 0]}
    true = {"a": [5, 5, 5], "b": [5, 5, 5], "c": [1, 1, 99, 1]}
    figures = rank_agreement(predicted=predicted, true=true)
    assert (figures["chosen"], figures["best"]) == ("b", "a")
    assert figures["same_best"] is True and figures["regret_db"] == 0.0
    same = dict.fromkeys("abc", [1, 1, 1])
    figures = rank_agreement(predicted=same, true={**true, "c": [1, 1, 1]})
    assert math.isnan(figures["kendall"])


def test_what_cannot_be_ranked_is_named():
    three = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"\['a', 'b'\].*\['a', 'c'\]"):
        rank_agreement(
            predicted={"a": three, "b": three}, true={"a": three, "c": three}
        )
    with pytest.raises(ValueError, match="at least 2 systems, not 1"):
        rank_agreement(predicted={"a": three}, true={"a": three})
    with pytest.raises(ValueError, match="'b': 0 of 3 pairs are finite"):
        rank_agreement(
            predicted={"a": three, "b": three},
            true={"a": three, "b": [NAN] * 3},
        )
