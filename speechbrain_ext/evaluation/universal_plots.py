"""Plots of universal separation, as PNG files.

Source: Wisdom et al., "Sparse, Efficient, and Semantic Mixture Invariant
Training", WASPAA 2021, arXiv 2106.00847, the figure of MSi against 1S.
"""

import math

from matplotlib import rc_context
from matplotlib.figure import Figure

from speechbrain_ext.evaluation.plot_style import (
    COLORS,
    INK,
    STYLE,
    look,
    save,
)
from speechbrain_ext.evaluation.plots import training_curves
from speechbrain_ext.losses.universal_separation import SEPARATIONS

# Color and hatch of each separation.
_LOOKS = {
    "under": (COLORS[4], "///"),
    "equal": (COLORS[2], ""),
    "over": (COLORS[5], "..."),
}
# Smaller shares have no room for a number.
_SMALLEST_NUMBERED = 0.06


def msi_against_one_source(path, *, arms):
    """Draw MSi against 1S, a point for each weight of a loss.

    Up and to the right is better: the first tells how well several sources
    are separated, the second how well one source is left whole.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    arms : list of dict
        A line each: "name"; "weights", what is written beside each point,
        such as the weight of the loss (None writes nothing); "one_source"
        and "msi", a value for each, in dB, from
        `speechbrain_ext.losses.average_scores`. Points that are not finite
        are left out.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no arms, the lists of one differ in length, or one has no
        finite point.

    Example
    -------
    >>> path = getfixture("tmp_path") / "msi.png"
    >>> arm = {
    ...     "name": "sparsity", "weights": [1, 10], "one_source": [10, 20],
    ...     "msi": [9, 8],
    ... }
    >>> msi_against_one_source(path, arms=[arm]).name
    'msi.png'
    """
    if not arms:
        raise ValueError("nothing to draw: there are no arms")
    points = [_points(arm) for arm in arms]
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 5.6), layout="constrained")
        axes = figure.add_subplot()
        for index, (arm, found) in enumerate(zip(arms, points, strict=True)):
            color, marker = look(index)
            again = index >= len(COLORS)  # which begin anew
            axes.plot(
                [x for _, x, _ in found],
                [y for _, _, y in found],
                marker,
                linestyle="--" if again else "-",
                fillstyle="none" if again else "full",
                linewidth=1.2,
                color=color,
                label=arm["name"],
            )
            for weight, x, y in found:
                if weight is not None:
                    axes.annotate(
                        f"{weight:g}",
                        (x, y),
                        xytext=(5, 5),
                        textcoords="offset points",
                        fontsize=9,
                        color=color,
                    )
        axes.margins(0.1)
        axes.set_xlabel("1S: SI-SNR of single sources (dB)")
        axes.set_ylabel("MSi: SI-SNRi of 2 to 4 sources (dB)")
        axes.set_title("Separating several against keeping one")
        figure.legend(loc="outside lower center", ncols=2)
        return save(figure, path)


def separation_shares(path, *, arms):
    """Draw which share of the clips is under-, equally and over-separated.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    arms : list of dict
        A bar each: "name"; "under", "equal" and "over", numbers of clips, as
        `speechbrain_ext.losses.average_scores` gives them.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no arms, or one has no clips.

    Example
    -------
    >>> path = getfixture("tmp_path") / "shares.png"
    >>> arm = {"name": "MixIT", "under": 1, "equal": 4, "over": 15}
    >>> separation_shares(path, arms=[arm]).name
    'shares.png'
    """
    if not arms:
        raise ValueError("nothing to draw: there are no arms")
    with rc_context(STYLE):
        figure = Figure(
            figsize=(6.4, 0.55 * len(arms) + 1.6), layout="constrained"
        )
        axes = figure.add_subplot()
        for index, arm in enumerate(arms):
            clips = sum(arm[name] for name in SEPARATIONS)
            if not clips:
                raise ValueError(f"arm {arm['name']!r} has no clips")
            left = 0.0
            for name in SEPARATIONS:
                share = arm[name] / clips
                _draw_share(axes, index, left, share, name)
                left += share
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        axes.set_yticks(range(len(arms)), [arm["name"] for arm in arms])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("share of the clips")
        axes.set_title("Active outputs against active references")
        handles, _ = axes.get_legend_handles_labels()
        figure.legend(
            handles[: len(SEPARATIONS)],
            ["fewer (under)", "as many (equal)", "more (over)"],
            loc="outside lower center",
            ncols=3,
        )
        return save(figure, path)


def separations_of_run(path, run):
    """Draw the separations of a run's test clips, by their sources.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Its test results have a row for every source.

    Returns
    -------
    path : Path or None
        None where the sources are not known.
    """
    clips, groups = {}, {}
    for row in run.results:
        clips.setdefault(row["id"], []).append(row)
    for rows in clips.values():
        if SEPARATIONS[0] in rows[0]:
            count = len(rows)
            name = f"{count} source{'s' * (count > 1)}"
            for key in ((0, "all"), (count, name)):
                group = groups.setdefault(key, dict.fromkeys(SEPARATIONS, 0))
                for separation in SEPARATIONS:
                    group[separation] += rows[0][separation]
    if not groups:
        return None
    arms = [{"name": key[1], **groups[key]} for key in sorted(groups)]
    return separation_shares(path, arms=arms)


def least_squares_of_run(path, run):
    """Draw how often least squares would have been wrong, and its cost.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Its history tells what was checked.

    Returns
    -------
    path : Path or None
        None where nothing was checked.
    """
    names = ("step", "stage", "least_squares_missed", "least_squares_cost_db")
    rows = [
        {name: row[name] for name in names}
        for row in run.history
        if row.get(names[2])
    ]
    return training_curves(path, history=rows) if rows else None


def draw_ablation(folder, rows):
    """Draw MSi against 1S, and the separations, of each corpus.

    Arguments
    ---------
    folder : Path
        Where the PNG files are written.
    rows : sequence of dict
        From `speechbrain_ext.services.ablation.Ablation.rows`.
    """
    for corpus in sorted({row["factors"]["corpus"] for row in rows}):
        mine = [row for row in rows if row["factors"]["corpus"] == corpus]
        known = [
            row for row in mine if {"msi", "one_source"} <= set(row["mean"])
        ]
        if known:
            msi_against_one_source(
                folder / f"ablation_msi_{corpus}.png", arms=_lines(known)
            )
        separation_shares(
            folder / f"ablation_separation_{corpus}.png",
            arms=[
                {
                    "name": _name(row, weight=True),
                    **{name: row["mean"][name] for name in SEPARATIONS},
                }
                for row in mine
            ],
        )


def _lines(rows):
    """Group rows into lines over the weights; plain MixIT is weight 0."""
    lines = {}
    for row in rows:
        lines.setdefault((row["factors"]["outputs"], _name(row)), []).append(
            row
        )
    plain = {
        row["factors"]["outputs"]: row
        for row in rows
        if row["factors"]["loss"] == "plain"
    }
    found = []
    for (outputs, name), line in lines.items():
        if line[0]["factors"]["weight"] and outputs in plain:
            line = [plain[outputs], *line]
        found.append(
            {
                "name": name,
                "weights": [row["factors"]["weight"] or None for row in line],
                "one_source": [row["mean"]["one_source"] for row in line],
                "msi": [row["mean"]["msi"] for row in line],
            }
        )
    return found


def _name(row, weight=False):
    """Name a row of an ablation."""
    factors = row["factors"]
    shown = f" {factors['weight']:g}" if weight and factors["weight"] else ""
    return f"{row['labels']['loss']}{shown}, M = {factors['outputs']}"


def _draw_share(axes, index, left, share, name):
    """Draw one part of a bar, with its number where there is room."""
    color, hatch = _LOOKS[name]
    axes.barh(
        index,
        share,
        left=left,
        height=0.6,
        color=color,
        hatch=hatch,
        edgecolor="white",
        label=name,
    )
    if share >= _SMALLEST_NUMBERED:
        axes.text(
            left + share / 2,
            index,
            f"{100 * share:.0f}",
            color=INK,
            ha="center",
            va="center",
            bbox={"boxstyle": "round", "facecolor": "white", "linewidth": 0},
        )


def _points(arm):
    """Return (weight, x, y) of the points of an arm that are finite."""
    names = ("weights", "one_source", "msi")
    lengths = {name: len(arm[name]) for name in names}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"{arm['name']!r}: the lists differ in length: "
            + ", ".join(f"{count} of {n!r}" for n, count in lengths.items())
        )
    points = [
        point
        for point in zip(*(arm[name] for name in names), strict=True)
        if math.isfinite(point[1]) and math.isfinite(point[2])
    ]
    if not points:
        raise ValueError(f"arm {arm['name']!r} has no finite point")
    return points
