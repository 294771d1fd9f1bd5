"""An ablation over users: its tables, with paired tests, and its box plots."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from scipy.stats import ttest_1samp, wilcoxon

from speechbrain_ext.evaluation.enhancement_plots import improvement_boxes

PREDICTOR, GENERALIST, CONTROL = "snr_predictor", "generalist", "uniform"
SCORES = ("pesq_wb", "estoi")


def markdown(rows: Sequence[Mapping]) -> str:
    """Write two tables: of the predictors, and of the enhancers.

    Arguments
    ---------
    rows : sequence of dict
        From `speechbrain_ext.services.ablation.Ablation.rows`: "factors"
        (corpus, hidden, noisy, arm), "labels", and "values", the metrics of
        each run, with what `read_each` gives as "each".

    Returns
    -------
    text : str
    """
    predictors = [row for row in rows if row["factors"]["arm"] == PREDICTOR]
    enhancers = [row for row in rows if row["factors"]["arm"] != PREDICTOR]
    parts = []
    if predictors:
        parts.append("\n".join(of_predictors(predictors)))
    if enhancers:
        parts.append("\n".join(of_enhancers(enhancers)))
    return "\n\n".join(parts)


def of_predictors(rows: Sequence[Mapping]) -> Iterable[str]:
    """Write the lines of the table of the predictors."""
    yield (
        "| corpus | seeds | error of a frame's level | correlation | noise "
        "hidden by predicted (true) weights | speech hidden likewise |"
    )
    yield "|---|---|---|---|---|---|"
    for row in rows:
        runs = row["values"]
        hidden = " | ".join(
            f"{mean_of(runs, name):.0f} ({mean_of(runs, name + '_oracle'):.0f})"
            " %"
            for name in ("noise_hidden", "speech_hidden")
        )
        yield (
            f"| {row['factors']['corpus']} | {len(runs)} "
            f"| {show_decibels([run['error_db'] for run in runs])} "
            f"| {mean_of(runs, 'correlation'):.2f} | {hidden} |"
        )


def of_enhancers(rows: Sequence[Mapping]) -> Iterable[str]:
    """Write the lines of the table of the enhancers."""
    yield (
        "| corpus | model | arm | seeds | SI-SDRi, mean over users | by user "
        "| PESQ | eSTOI | against the generalist | against p = 1 "
        "| p: t, Wilcoxon (users), Wilcoxon (mixtures) |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    controls = {tuple(row["factors"].values()): row for row in rows}
    for row in rows:
        corpus, hidden, noisy, _ = row["factors"].values()
        found = [
            None if control is None or control is row else compare(row, control)
            for control in (
                # it serves all users, however noisy they are
                controls.get((corpus, hidden, False, GENERALIST)),
                controls.get((corpus, hidden, noisy, CONTROL)),
            )
        ]
        deltas = " | ".join(
            f"{f['delta']:+.2f} dB" if f else "-" for f in found
        )
        tests = "-"
        if found[1]:
            tests = ", ".join(
                show_probability(found[1][name])
                for name in ("t", "wilcoxon", "mixtures")
            )
        users = users_of(row)
        seeds = sorted(set.intersection(*map(set, users.values())))
        means = [
            fmean(fmean(values[seed]) for values in users.values())
            for seed in seeds
        ]
        by_user = ", ".join(
            f"{user} {fmean(map(fmean, values.values())):.2f}"
            for user, values in users.items()
        )
        scores = " | ".join(
            f"{mean:.2f}" if mean is not None else "-"
            for mean in (mean_of(row["values"], name) for name in SCORES)
        )
        label = row["labels"]["arm"] + ", noisier users" * bool(noisy)
        yield (
            f"| {corpus} | GRU {hidden} | {label} | {len(seeds)} "
            f"| {show_decibels(means)} | {by_user} | {scores} | {deltas} "
            f"| {tests} |"
        )


def mean_of(runs: Sequence[Mapping], name: str) -> float | None:
    """Average a metric over runs; None where one has not measured it."""
    values = [run.get(name) for run in runs]
    return None if None in values else fmean(values)


def users_of(row: Mapping) -> dict[str, dict[int, list[float]]]:
    """Collect the improvements of the mixtures, by user and seed."""
    users = defaultdict(dict)
    for run in row["values"]:
        for user, values in run["each"]["si_sdri"].items():
            users[user][run["each"]["seed"]] = values
    return dict(sorted(users.items()))


def compare(row: Mapping, control: Mapping) -> dict | None:
    """Compare an arm with its control: the same users, the same seeds.

    Arguments
    ---------
    row, control : dict
        See `markdown`.

    Returns
    -------
    figures : dict or None
        "delta", the mean difference in dB; "t" and "wilcoxon", p-values with
        users as pairs (none below two users), and "mixtures", Wilcoxon's with
        mixtures as pairs, means over seeds, which are not independent within
        a user. None if no user has a seed of both.
    """
    differences, others = [], users_of(control)
    for user, seeds in users_of(row).items():
        theirs = others.get(user, {})
        pairs = [
            np.subtract(seeds[seed], theirs[seed])
            for seed in seeds.keys() & theirs.keys()
        ]
        if pairs:
            differences.append(np.mean(pairs, axis=0))
    if not differences:
        return None
    values = [float(part.mean()) for part in differences]
    every = np.concatenate(differences)
    figures = {"delta": fmean(values)}
    figures |= dict.fromkeys(("t", "wilcoxon", "mixtures"))
    if len(values) > 1 and any(values):
        figures["t"] = float(ttest_1samp(values, 0.0).pvalue)
        figures["wilcoxon"] = float(wilcoxon(values).pvalue)
    if every.any():
        figures["mixtures"] = float(wilcoxon(every).pvalue)
    return figures


def show_decibels(values: Sequence[float]) -> str:
    """Write a mean, and its deviation if there are several values.

    Example
    -------
    >>> show_decibels([1.0, 2.0]), show_decibels([1.0]), show_decibels([])
    ('1.50 ± 0.71 dB', '1.00 dB', '-')
    """
    if not values:
        return "-"
    deviation = f" ± {stdev(values):.2f}" if values[1:] else ""
    return f"{fmean(values):.2f}{deviation} dB"


def show_probability(value: float | None) -> str:
    """Write a p-value, which is never 0; a dash where there is none.

    Example
    -------
    >>> [show_probability(p) for p in (None, 0.0, 0.0004, 0.0123)]
    ['-', '< 0.001', '< 0.001', '0.012']
    """
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def read_each(folder: str | os.PathLike) -> dict:
    """Read the seed of a run, and the improvement of every mixture, by user.

    Arguments
    ---------
    folder : str or PathLike
        The output folder.

    Returns
    -------
    each : dict
        "seed", and "si_sdri": user to improvements.
    """
    content = json.loads((Path(folder) / "metrics.json").read_text())
    info = content["info"]
    return {"seed": info["seed"], "si_sdri": info["each"].get("si_sdri", {})}


def tables_and_boxes(folder: Path, rows: Sequence[Mapping]) -> str:
    """Draw a box for each arm, for each corpus and model; write the tables.

    Arguments
    ---------
    folder : Path
        Where the PNG files are written.
    rows : sequence of dict
        See `markdown`.

    Returns
    -------
    text : str
        See `markdown`.
    """
    groups = defaultdict(dict)
    for row in rows:
        corpus, hidden, noisy, arm = row["factors"].values()
        if arm != PREDICTOR:
            groups[corpus, hidden, noisy][row["labels"]["arm"]] = [
                value
                for seeds in users_of(row).values()
                for value in np.mean([*seeds.values()], axis=0)
            ]
    for (corpus, hidden, noisy), arms in groups.items():
        name = f"ablation_boxes_{corpus}_gru{hidden}" + "_noisy" * bool(noisy)
        title = f"{corpus}, GRU {hidden}" + ", noisier users" * bool(noisy)
        improvement_boxes(folder / f"{name}.png", groups=arms, title=title)
    return markdown(rows)
