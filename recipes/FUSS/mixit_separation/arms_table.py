"""The table of arms and its plots, from the figures of finished runs."""

from collections import defaultdict
from statistics import mean

from evaluate import SEPARATIONS, SOLVER
from release import FIGURES

from speechbrain_ext.evaluation import (
    msi_against_one_source,
    separation_shares,
    training_curves,
)
from speechbrain_ext.training import average_seeds, entry_of, show_decibels

MEANING = {
    "plain": "MixIT",
    "sparsity": "MixIT + sparsity",
    "covariance": "MixIT + covariance",
    "semantic": "MixIT + semantic",
    "supervised": "supervised (upper bound)",
}


def rows_of(plan, figures):
    """Average over seeds: a row per corpus, outputs, arm and weight.

    Arguments
    ---------
    plan : list of Run
        Tells what a run's name means.
    figures : dict
        As `speechbrain_ext.training.read_figures` gives them.

    Returns
    -------
    rows : list of dict
        "corpus", "outputs", "arm", "weight", "seeds", "course" (of least
        squares, of the first seed), and mean (and deviation, NAME_std) of each
        figure; a figure that a run has none of is left out.
    """
    groups = defaultdict(list)
    for run in plan:
        entry = entry_of(run, figures)
        if entry is not None:
            order = list(MEANING).index(run.arm)
            key = (run.corpus, run.outputs, order, run.weight)
            groups[key].append(entry)
    rows = []
    for (corpus, outputs, order, weight), entries in sorted(groups.items()):
        row = {
            "corpus": corpus,
            "outputs": outputs,
            "arm": list(MEANING)[order],
            "weight": weight,
            "seeds": len(entries),
            "course": entries[0]["least_squares"],
        }
        rows.append(row | average_seeds([e["metrics"] for e in entries]))
    return rows


def least_squares_means(row):
    """Average the course of a row: share missed and cost, or None."""
    if not row["course"]:
        return None
    return [
        mean(values) for values in list(zip(*row["course"], strict=True))[1:]
    ]


def markdown(rows):
    """Write the README's table."""
    lines = [
        "| corpus | outputs | arm | weight | seeds | MSi | 1S "
        "| MSi, all sources | 1S, all | under / equal / over "
        "| least squares wrong, cost |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = " | ".join(show_decibels(row, name) for name in FIGURES)
        shares = " / ".join(f"{100 * row[n]:.0f}" for n in SEPARATIONS)
        means = least_squares_means(row)
        wrong = f"{100 * means[0]:.0f} %, {means[1]:.2f} dB" if means else "-"
        lines.append(
            f"| {row['corpus']} | {row['outputs']} | {MEANING[row['arm']]} "
            f"| {row['weight']:g} | {row['seeds']} "
            f"| {figures} | {shares} % | {wrong} |"
        )
    return "\n".join(lines)


def draw(rows, folder, prefix=""):
    """Plot each corpus: MSi against 1S, shares, courses of least squares."""
    for corpus in sorted({row["corpus"] for row in rows}):
        mine = [row for row in rows if row["corpus"] == corpus]
        known = [row for row in mine if {"msi", "one_source"} <= row.keys()]
        if known:
            msi_against_one_source(
                folder / f"{prefix}msi_{corpus}.png", arms=lines_of(known)
            )
        separation_shares(
            folder / f"{prefix}separation_{corpus}.png",
            arms=[{"name": name_of(row), **row} for row in mine],
        )
        for row in mine:
            if row["arm"] == "plain" and row["course"]:
                name = f"{prefix}least_squares_{corpus}_M{row['outputs']}.png"
                training_curves(
                    folder / name,
                    history=[
                        {"step": step, "stage": "train"}
                        | dict(zip(SOLVER, values, strict=True))
                        for step, *values in row["course"]
                    ],
                )


def lines_of(rows):
    """Group rows into lines over the weights; plain MixIT is weight 0."""
    lines = {}
    for row in rows:
        lines.setdefault((row["outputs"], row["arm"]), []).append(row)
    for (outputs, arm), line in lines.items():
        plain = lines.get((outputs, "plain"))
        if plain and arm not in ("plain", "supervised"):
            line.insert(0, plain[0])
    return [
        {
            "name": f"{MEANING[arm]}, M = {outputs}",
            "weights": [row["weight"] or None for row in line],
            "one_source": [row["one_source"] for row in line],
            "msi": [row["msi"] for row in line],
        }
        for (outputs, arm), line in lines.items()
    ]


def name_of(row):
    """Name a row for a plot."""
    weight = f" {row['weight']:g}" if row["weight"] else ""
    return f"{MEANING[row['arm']]}{weight}, M = {row['outputs']}"
