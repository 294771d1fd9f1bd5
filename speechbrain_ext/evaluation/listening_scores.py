"""What listeners said, beside what the estimator predicted."""

import csv
import math
import os
import statistics
import unicodedata
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy import stats

from speechbrain_ext.dataio.recordings import cells_of_any_length
from speechbrain_ext.evaluation.agreement import correlations
from speechbrain_ext.evaluation.listening import PREDICTIONS
from speechbrain_ext.evaluation.plot_style import (
    COLORS,
    STYLE,
    save,
    two_decimals,
)
from speechbrain_ext.files import unquote_cell

LONGEST_NAME = 100


def read_scores(paths, *, items):
    r"""Read the CSV files that listeners saved.

    Arguments
    ---------
    paths : sequence of str or Path
        Files with the columns listener, item and score.
    items : collection of str
        The items of the test; listeners need not have rated all of them.

    Returns
    -------
    scores : dict of dict
        By listener, then by item: 1 to 5. Names of listeners are those of
        `listener_name`; case does not part them.

    Raises
    ------
    ValueError
        By file and line: other columns, no listener, an item that is not of
        the test, a score that is not 1 to 5, or an item that a listener has
        rated already, in any of the files.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores_ann.csv"
    >>> _ = path.write_text("listener,item,score\nAnn,a,4\nAnn,b,2\n")
    >>> read_scores([path], items=["a", "b", "c"])
    {'Ann': {'a': 4, 'b': 2}}
    """
    if isinstance(paths, str | os.PathLike):
        raise ValueError(f"paths {str(paths)!r}: give a list of files")
    scores, places, spelled = {}, {}, {}
    for path in paths:
        for place, (listener, item, score) in _rows(
            path, ["listener", "item", "score"]
        ):
            listener = listener_name(listener)
            listener = spelled.setdefault(listener.casefold(), listener)
            if not listener:
                raise ValueError(f"{place}: there is no listener")
            if item not in items:
                raise ValueError(
                    f"{place}: item {item!r} is not one of the test: is the "
                    "file of another test?"
                )
            if score not in ("1", "2", "3", "4", "5"):
                raise ValueError(f"{place}: score {score!r} must be 1 to 5")
            if (listener, item) in places:
                raise ValueError(
                    f"{place}: {listener!r} has rated item {item!r} already, "
                    f"at {places[listener, item]}: keep one file of each "
                    "listener, and give two of one name different ones"
                )
            places[listener, item] = place
            scores.setdefault(listener, {})[item] = int(score)
    return scores


def listener_name(text):
    r"""Normalize the name that a listener typed.

    Arguments
    ---------
    text : str
        Of any length, from a stranger's file.

    Returns
    -------
    name : str
        In Unicode's form NFC, of at most 100 characters, without control
        characters, slashes, and needless spaces; it may be empty.

    Example
    -------
    >>> listener_name("  Ann\t /  Bo ")
    'Ann Bo'
    """
    text = unicodedata.normalize("NFC", text[: 10 * LONGEST_NAME])
    kept = "".join(
        character if character.isprintable() and character not in "/\\" else " "
        for character in text
    )
    return " ".join(kept.split())[:LONGEST_NAME].strip()


def compare_with_listeners(folder, paths):
    """Compare the predictions of a listening test with its scores.

    Arguments
    ---------
    folder : str or Path
        Where `write_listening_page` wrote the test.
    paths : sequence of str or Path
        The CSV files that listeners saved.

    Returns
    -------
    comparison : dict
        "items", a dict per rated item: "item", "predicted" in dB, "mean"
        score, "spread" (sample standard deviation over the listeners, NaN
        with one) and "count" of scores; "unrated", the names of the others;
        "pearson" and "spearman" of prediction and mean score over the items,
        NaN where one side is constant; "listeners", by name the same two of
        one listener's scores, NaN also below 3 items, and their "count".

    Raises
    ------
    FileNotFoundError
        The folder has no predictions.
    ValueError
        A file is not valid, see `read_scores`, or fewer than 3 items are
        rated.
    """
    predictions = _read_predictions(Path(folder) / PREDICTIONS)
    by_listener = read_scores(paths, items=predictions)
    rows, unrated = [], []
    for item, predicted in predictions.items():
        scores = [s[item] for s in by_listener.values() if item in s]
        if not scores:
            unrated.append(item)
            continue
        rows.append(
            {
                "item": item,
                "predicted": predicted,
                "mean": statistics.fmean(scores),
                "spread": statistics.stdev(scores) if scores[1:] else math.nan,
                "count": len(scores),
            }
        )
    if len(rows) < 3:
        raise ValueError(
            f"{len(rows)} of {len(predictions)} items are rated: a "
            "correlation needs 3"
        )
    pearson, spearman = correlations(
        np.array([row["predicted"] for row in rows]),
        np.array([row["mean"] for row in rows]),
    )
    listeners = {}
    for name, scores in by_listener.items():
        one = correlations(
            np.array([predictions[item] for item in scores]),
            np.array([float(score) for score in scores.values()]),
        )
        listeners[name] = {
            "pearson": one[0],
            "spearman": one[1],
            "count": len(scores),
        }
    return {
        "items": rows,
        "unrated": unrated,
        "pearson": pearson,
        "spearman": spearman,
        "listeners": listeners,
    }


def listening_plot(path, *, comparison, title="Listeners and the estimator"):
    """Draw the mean opinion score of each item against its prediction.

    Source: figure 4 of the REAL-M paper.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    comparison : dict
        From `compare_with_listeners`.
    title : str
        Above the plot.

    Returns
    -------
    path : Path

    Example
    -------
    >>> rows = [
    ...     {"predicted": p, "mean": m, "spread": 0.5}
    ...     for p, m in [(1.0, 2.0), (4.0, 3.0), (8.0, 5.0)]
    ... ]
    >>> comparison = {
    ...     **{"items": rows, "pearson": 0.99, "spearman": 1.0},
    ...     "listeners": {"Ann": {}, "Bo": {}},
    ... }
    >>> path = getfixture("tmp_path") / "listeners.png"
    >>> listening_plot(path, comparison=comparison).name
    'listeners.png'
    """
    rows = comparison["items"]
    predicted = np.array([row["predicted"] for row in rows])
    means = np.array([row["mean"] for row in rows])
    spreads = np.array([row["spread"] for row in rows])
    count = len(comparison["listeners"])
    listeners = f"{count} listener{'' if count == 1 else 's'}"
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.8), layout="constrained")
        axes = figure.add_subplot()
        # no bar at all where one listener alone tells no spread
        axes.errorbar(
            predicted,
            means,
            np.nan_to_num(spreads),
            fmt="o",
            color=COLORS[0],
            ecolor=(COLORS[0], 0.3),
            elinewidth=1.2,
            label=f"mixture: mean and spread over {listeners}",
        )
        if np.ptp(predicted) > 0:
            line = stats.linregress(predicted, means)
            ends = np.array([predicted.min(), predicted.max()])
            axes.plot(
                ends,
                line.intercept + line.slope * ends,
                color=COLORS[1],
                linestyle="--",
                label=f"regression: {two_decimals(line.slope)} per dB",
            )
        axes.set_ylim(0.8, 5.2)
        axes.set_yticks(range(1, 6))
        axes.set_xlabel("predicted SI-SNR (dB)")
        axes.set_ylabel("mean opinion score")
        axes.set_title(
            f"{title}\nPearson {two_decimals(comparison['pearson'])}, "
            f"Spearman {two_decimals(comparison['spearman'])}, "
            f"{len(rows)} mixtures"
        )
        figure.legend(loc="outside lower center", ncols=1)
        return save(figure, path)


def _rows(path, names):
    """Yield (file and line, cells) of a CSV file, after checking it."""
    # utf-8-sig: a table program may have put a mark in front
    with (
        open(
            path, newline="", encoding="utf-8-sig", errors="surrogateescape"
        ) as file,
        cells_of_any_length(),
    ):
        reader = csv.reader(file)
        head = next(reader, [])
        if head != names:
            raise ValueError(
                f"{path}:1: columns {','.join(head)!r} must be "
                f"{','.join(names)!r}"
            )
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if len(cells) != len(names):
                raise ValueError(
                    f"{place}: {len(cells)} cells for {len(names)} columns"
                )
            yield place, [unquote_cell(cell) for cell in cells]


def _read_predictions(path):
    """Return {item: predicted} in the order of the file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: give the folder that "
            "write_listening_page wrote"
        )
    return {
        item: float(predicted)
        for _, (item, predicted) in _rows(path, ["item", "predicted"])
    }
