"""Figures and plots of an SI-SNR estimator, of the test results of a run.

A row of the results is a source that a separator gave: "separator",
"predicted" and "true" SI-SNR in dB and, of an estimator that tells its
uncertainty, "typical": its typical error in dB.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from speechbrain_ext.evaluation.agreement import agreement, rank_agreement
from speechbrain_ext.evaluation.estimator_plots import (
    course_over_epochs,
    predicted_against_true,
)

# what is kept of a separator, see `course`
KEPT = ("first", "middle", "last")


def sum_up(rows: Sequence[Mapping], values: Mapping) -> dict[str, dict]:
    """Compare predictions with the truth.

    Arguments
    ---------
    rows : sequence of mapping
        Of one test.
    values : mapping
        "snr_min" and "snr_max", the estimator's range in dB: beyond it, the
        nearer end counts as the truth.

    Returns
    -------
    figures : dict
        By name: "mean" and "count" (and "std" and "nan", as `ScoreTable` has
        them). The names are those of `agreement`; "error_within_range", the
        mean absolute error of the sources whose true SI-SNR lies in the
        range, and "ratio_within_range"; with "typical" errors
        "ratio_below_typical", of sources that are off by less: 0.68 of them
        should be; of two separators or more, "kendall" and "regret_db" of
        `rank_agreement`.

    Example
    -------
    >>> rows = [
    ...     {"separator": "a", "predicted": value + 1, "true": value}
    ...     for value in (1.0, 2.0, 6.0)
    ... ]
    >>> figures = sum_up(rows, {"snr_min": 0, "snr_max": 5})
    >>> figures["error_within_range"]["mean"]
    1.0
    """
    low, high = values["snr_min"], values["snr_max"]
    predicted = np.array([row["predicted"] for row in rows])
    true = np.array([row["true"] for row in rows])
    inside = (low <= true) & (true <= high)
    error = np.abs(predicted - true)[inside]
    figures = agreement(predicted=predicted, true=true.clip(low, high))
    count = figures.pop("count")
    figures["error_within_range"] = (
        float(error.mean()) if inside.any() else math.nan
    )
    figures["ratio_within_range"] = float(inside.mean())
    if "typical" in rows[0]:
        typical = np.array([row["typical"] for row in rows])
        off = np.abs(predicted - true.clip(low, high))
        figures["ratio_below_typical"] = float((off < typical).mean())
    groups = by_separator(rows)
    if len(groups) > 1:
        ranking = rank_agreement(
            **{
                kind: {
                    name: [row[kind] for row in group]
                    for name, group in groups.items()
                }
                for kind in ("predicted", "true")
            }
        )
        figures |= {name: ranking[name] for name in ("kendall", "regret_db")}
    return {
        name: {"mean": value, "std": math.nan, "count": count, "nan": 0}
        for name, value in figures.items()
    }


def by_separator(rows: Sequence[Mapping]) -> dict[str, list[Mapping]]:
    """Group rows by their separator, in the order of appearance."""
    groups = {}
    for row in rows:
        groups.setdefault(row["separator"], []).append(row)
    return groups


def predictions(path: Path, run, test: str) -> Path:
    """Draw predicted against true SI-SNR, a panel for each separator.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Of an estimator.
    test : str
        Name of the test.

    Returns
    -------
    path : Path
    """
    return predicted_against_true(
        path,
        groups=[
            {
                "name": name,
                "predicted": [row["predicted"] for row in rows],
                "true": [row["true"] for row in rows],
            }
            for name, rows in by_separator(run.rows_of(test)).items()
        ],
        low=run.values["snr_min"],
        high=run.values["snr_max"],
    )


def course(path: Path, run, test: str) -> Path | None:
    """Draw mean SI-SNR over the training of separators.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Of an estimator.
    test : str
        Name of the test.

    Returns
    -------
    path : Path or None
        None where no separator NAME was tested as NAME/first, NAME/middle
        and NAME/last.
    """
    groups, curves = by_separator(run.rows_of(test)), []
    for name in dict.fromkeys(key.rpartition("/")[0] for key in groups):
        kept = [f"{name}/{stage}" for stage in KEPT]
        if name and all(key in groups for key in kept):
            means = {
                kind: [
                    float(np.mean([row[kind] for row in groups[key]]))
                    for key in kept
                ]
                for kind in ("predicted", "true")
            }
            curves.append({"name": name, "epochs": [1, 2, 3], **means})
    return course_over_epochs(path, curves=curves) if curves else None
