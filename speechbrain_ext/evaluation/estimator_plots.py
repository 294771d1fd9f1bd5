"""Plots of a blind SI-SNR estimator against the truth, as PNG files.

Source: Subakan et al., "REAL-M: Towards speech separation on real mixtures",
ICASSP 2022, figures 2, 3 and 5.
"""

import math

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from speechbrain_ext.evaluation.agreement import correlations, finite_pairs
from speechbrain_ext.evaluation.plot_style import (
    COLORS,
    INK,
    STYLE,
    look,
    save,
    two_decimals,
)

# Distances of the ticks, times a power of ten.
_STEPS = [1, 2, 5, 10]


def predicted_against_true(path, *, groups, low, high):
    """Draw predicted against true SI-SNR, a panel per separator or corpus.

    A dashed line shows the best that an estimator of this range can do: the
    diagonal, level where the truth leaves the range.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    groups : list of dict
        A panel each: "name"; "predicted" and "true", a value each per source,
        in dB.
    low : float
        Lower end of the estimator's range, in dB.
    high : float
        Upper end.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no groups, the range is empty, or the lists of a group
        differ in length or have fewer than 3 finite pairs.

    Example
    -------
    >>> path = getfixture("tmp_path") / "true.png"
    >>> group = {"name": "a", "predicted": [1, 2, 4], "true": [1, 3, 12]}
    >>> predicted_against_true(path, groups=[group], low=0, high=10).name
    'true.png'
    """
    if not groups:
        raise ValueError("nothing to draw: there are no groups")
    if not low < high:
        raise ValueError(f"low {low} dB must be below high {high} dB")
    pairs = [
        finite_pairs(g["predicted"], g["true"], owner=f"{g['name']!r}: ")
        for g in groups
    ]
    ends = {  # of the axes
        "true": _ends([low, high, *(x for _, true in pairs for x in true)]),
        "predicted": _ends([low, high, *(x for p, _ in pairs for x in p)]),
    }
    columns = min(len(groups), 3)
    lines = math.ceil(len(groups) / columns)
    with rc_context(STYLE):
        figure = Figure(
            figsize=(max(3.1 * columns, 4.6), 3.1 * lines + 0.5),
            layout="constrained",
        )
        for index, (group, (predicted, true)) in enumerate(
            zip(groups, pairs, strict=True)
        ):
            axes = figure.add_subplot(lines, columns, index + 1)
            axes.scatter(
                true, predicted, 14, COLORS[0], alpha=0.45, linewidths=0
            )
            first, last = ends["true"]
            corners = [min(first, low), low, high, max(last, high)]
            axes.plot(
                corners,
                np.clip(corners, low, high),
                color=INK,
                linewidth=1.2,
                linestyle="--",
            )
            axes.set_xlim(ends["true"])
            axes.set_ylim(ends["predicted"])
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
            pearson, _ = correlations(predicted, true)
            axes.set_title(f"{group['name']}\nr = {two_decimals(pearson)}")
        figure.supxlabel("true SI-SNR (dB)", fontsize=11)
        figure.supylabel("predicted SI-SNR (dB)", fontsize=11)
        return save(figure, path)


def course_over_epochs(path, *, curves):
    """Draw predicted and true SI-SNR over the epochs of trainings.

    The epoch that each curve would choose, that of its highest value (the
    first of equal ones), is marked by a star: filled on the true curve,
    hollow on the predicted one.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    curves : list of dict
        A training each: "name"; "epochs"; "predicted", the mean prediction
        at each epoch, in dB; "true", the mean true SI-SNR, absent or None
        where it is not known (real mixtures).  What is not finite is left
        out.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no curves, the lists of one differ in length, or one has
        no finite value.

    Example
    -------
    >>> path = getfixture("tmp_path") / "course.png"
    >>> curve = {"name": "a", "epochs": [1, 2], "predicted": [3.0, 4.0]}
    >>> course_over_epochs(path, curves=[curve]).name
    'course.png'
    """
    if not curves:
        raise ValueError("nothing to draw: there are no curves")
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.8), layout="constrained")
        axes = figure.add_subplot()
        handles = []
        for index, curve in enumerate(curves):
            color, marker = look(index)
            for kind, dash, fill in (
                ("true", "-", color),
                ("predicted", "--", "white"),
            ):
                if curve.get(kind) is None:
                    continue
                epochs, values = _course(curve, kind)
                axes.plot(
                    epochs,
                    values,
                    marker,
                    linestyle=dash,
                    color=color,
                    markersize=4,
                    markerfacecolor=fill,
                )
                best = values.index(max(values))
                axes.plot(
                    epochs[best],
                    values[best],
                    "*",
                    color=color,
                    markersize=15,
                    markerfacecolor=fill,
                    zorder=3,
                )
            handles.append(
                Line2D([], [], color=color, marker=marker, label=curve["name"])
            )
        handles += [
            Line2D([], [], color=INK, label="true"),
            Line2D([], [], color=INK, linestyle="--", label="predicted"),
            Line2D(
                [],
                [],
                color=INK,
                marker="*",
                markersize=12,
                linestyle="",
                label="epoch chosen",
            ),
        ]
        axes.set_xlabel("epoch")
        axes.set_ylabel("SI-SNR (dB)")
        axes.set_title("SI-SNR over the training")
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=_STEPS, integer=True))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        return save(figure, path)


def _ends(values):
    """Return the ends of an axis that shows all values, with a margin."""
    margin = 0.04 * (max(values) - min(values))
    return min(values) - margin, max(values) + margin


def _course(curve, kind):
    """Return the epochs and the values of a curve that are finite."""
    values = [float(value) for value in curve[kind]]
    if len(values) != len(curve["epochs"]):
        raise ValueError(
            f"{curve['name']!r}: {len(curve['epochs'])} epochs but "
            f"{len(values)} of {kind!r}"
        )
    pairs = [
        pair
        for pair in zip(curve["epochs"], values, strict=True)
        if math.isfinite(pair[1])
    ]
    if not pairs:
        raise ValueError(f"{curve['name']!r}: no value of {kind!r} is finite")
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]
