"""How well predicted values agree with true ones."""

import math

import numpy as np
from scipy import stats


def agreement(*, predicted, true):
    """Compare predictions with the truth, over the pairs that are finite.

    Source: Subakan et al., "REAL-M: Towards speech separation on real
    mixtures", ICASSP 2022, section 4 (Pearson correlation and mean absolute
    error of a blind SI-SNR estimator).

    Arguments
    ---------
    predicted : torch.Tensor or sequence of float
        Any shape, such as (batch, sources), in dB.
    true : torch.Tensor or sequence of float
        Same shape and unit.

    Returns
    -------
    figures : dict
        "pearson" and "spearman", NaN where one side is constant;
        "mean_absolute_error"; "bias", the mean of predicted minus true;
        "count" of finite pairs.

    Raises
    ------
    ValueError
        The shapes differ, or fewer than 3 pairs are finite.

    Example
    -------
    >>> figures = agreement(predicted=[2.0, 3.0, 4.0], true=[1.0, 2.0, 3.0])
    >>> figures["mean_absolute_error"], figures["bias"], figures["count"]
    (1.0, 1.0, 3)
    >>> round(figures["pearson"], 6)
    1.0
    """
    predicted, true = finite_pairs(predicted, true)
    pearson, spearman = correlations(predicted, true)
    difference = predicted - true
    return {
        "pearson": pearson,
        "spearman": spearman,
        "mean_absolute_error": float(np.abs(difference).mean()),
        "bias": float(difference.mean()),
        "count": len(true),
    }


def rank_agreement(*, predicted, true):
    """Tell whether predictions choose the right one of several systems.

    A system stands for its mean over the pairs that are finite: separators,
    or the checkpoints of one training.

    Arguments
    ---------
    predicted : dict
        By system: values as for `agreement`, in dB.
    true : dict
        By the same systems.

    Returns
    -------
    figures : dict
        "kendall", Kendall's tau-b between the two orders of the systems, NaN
        where all means of one side are equal; "chosen", the system of the
        highest predicted mean, and "best", that of the highest true mean
        (the first of equal ones); "same_best", whether none is truly better
        than the chosen one; "regret_db", the true mean of the best minus
        that of the chosen one.

    Raises
    ------
    ValueError
        The systems differ or are fewer than 2, or those of one have other
        shapes or fewer than 3 finite pairs.

    Example
    -------
    >>> figures = rank_agreement(
    ...     predicted={"early": [1.0, 2.0, 3.0], "late": [2.0, 3.0, 4.0]},
    ...     true={"early": [4.0, 4.0, 4.0], "late": [3.0, 3.0, 3.0]},
    ... )
    >>> figures["chosen"], figures["best"], figures["regret_db"]
    ('late', 'early', 1.0)
    """
    if predicted.keys() != true.keys():
        raise ValueError(
            f"predicted values of {sorted(predicted)} but true values of "
            f"{sorted(true)}: give both of the same systems"
        )
    if len(predicted) < 2:
        raise ValueError(
            f"an order needs at least 2 systems, not {len(predicted)}"
        )
    means = {}
    for name in predicted:
        pairs = finite_pairs(predicted[name], true[name], owner=f"{name!r}: ")
        means[name] = [float(values.mean()) for values in pairs]
    chosen = max(means, key=lambda name: means[name][0])
    best = max(means, key=lambda name: means[name][1])
    regret = means[best][1] - means[chosen][1]
    columns = np.array(list(means.values())).T
    constant = any(np.ptp(column) == 0 for column in columns)
    return {
        "kendall": math.nan
        if constant
        else float(stats.kendalltau(*columns).statistic),
        "chosen": chosen,
        "best": best,
        "same_best": regret == 0,
        "regret_db": regret,
    }


def finite_pairs(first, second, *, owner=""):
    """Return the pairs of two groups of values in which both are finite.

    Arguments
    ---------
    first : torch.Tensor or sequence of float
        Any shape.
    second : torch.Tensor or sequence of float
        Same shape.
    owner : str
        Put before errors: what the values belong to, with a colon.

    Returns
    -------
    first : numpy.ndarray
        Shape (pairs,), float64.
    second : numpy.ndarray
        Same shape.

    Raises
    ------
    ValueError
        The shapes differ, or fewer than 3 pairs are finite.
    """
    first, second = (np.asarray(side, dtype=float) for side in (first, second))
    if first.shape != second.shape:
        raise ValueError(
            f"{owner}predicted values {first.shape} and true values "
            f"{second.shape} must have one shape"
        )
    finite = np.isfinite(first) & np.isfinite(second)
    if finite.sum() < 3:
        raise ValueError(
            f"{owner}{finite.sum()} of {finite.size} pairs are finite, at "
            "least 3 are needed"
        )
    return first[finite], second[finite]


def correlations(first, second):
    """Return the Pearson and the Spearman correlation of finite values.

    Arguments
    ---------
    first : numpy.ndarray
        Shape (pairs,).
    second : numpy.ndarray
        Same shape.

    Returns
    -------
    pearson : float
        NaN with fewer than 3 pairs, or where one side is constant.
    spearman : float
        The same.
    """
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan, math.nan
    pearson = stats.pearsonr(first, second).statistic
    return float(pearson), float(stats.spearmanr(first, second).statistic)
