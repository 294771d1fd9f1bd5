"""The table of arms and its box plots, from the figures of finished runs."""

from collections import defaultdict
from statistics import fmean

import numpy as np
from scipy.stats import ttest_1samp, wilcoxon

from speechbrain_ext.evaluation import improvement_boxes
from speechbrain_ext.training import average_seeds, entry_of, show_decibels

MEANING = {
    "generalist": "generalist",
    "mse": "pseudo-SE, mean squares",
    "uniform": "pseudo-SE, frames, p = 1",
    "predicted": "+ predicted purification",
    "oracle": "+ oracle purification",
    "clean": "clean targets (upper bound)",
    "contrastive": "predicted + contrastive mixtures",
    "warm": "predicted, from the generalist",
}
CONTROL = "uniform"
SCORES = ("pesq_wb", "estoi")
PREDICTOR = "snr_predictor"


def rows_of(plan, figures):
    """Collect the figures of each arm, by user and seed.

    Arguments
    ---------
    plan : list of Run
        Tells what a run's name means.
    figures : dict
        As `speechbrain_ext.training.read_figures` gives them.

    Returns
    -------
    rows : list of dict
        "corpus", "model", "noisy" (whether users are in more noise), "arm",
        "seeds" (those that all users have), "users" (user to seed to the
        improvements of its mixtures), "si_sdri" (mean over users and seeds)
        with its deviation over the seeds, "pesq_wb" and "estoi" (means over
        the runs, where they were measured); before them those of
        `predictor_rows`.
    """
    groups = defaultdict(list)
    for run in plan:
        entry = entry_of(run, figures)
        if entry is not None and run.arm in MEANING:
            order = list(MEANING).index(run.arm)
            key = (run.corpus, run.hidden, run.noisy, order)
            groups[key].append((run.seed, entry))
    rows = predictor_rows(plan, figures)
    for (corpus, hidden, noisy, order), runs in sorted(
        groups.items(), key=lambda group: group[0]
    ):
        users = defaultdict(dict)
        for seed, entry in runs:
            for user, values in entry["improvements"].items():
                users[user][seed] = values
        seeds = sorted(set.intersection(*map(set, users.values())))
        row = {
            "corpus": corpus,
            "model": f"GRU {hidden}",
            "noisy": noisy,
            "arm": list(MEANING)[order],
            "seeds": seeds,
            "users": dict(sorted(users.items())),
        }
        scores = average_seeds([entry["metrics"] for _, entry in runs])
        row |= {name: scores[name] for name in SCORES if name in scores}
        if seeds:
            row |= average_seeds(
                [
                    {"si_sdri": fmean(fmean(u[seed]) for u in users.values())}
                    for seed in seeds
                ]
            )
        rows.append(row)
    return rows


def predictor_rows(plan, figures):
    """Average the figures of each corpus's predictors over seeds.

    Arguments
    ---------
    plan, figures
        See `rows_of`.

    Returns
    -------
    rows : list of dict
        "corpus", "arm" (PREDICTOR), "seeds" (how many), and the means of its
        results page.
    """
    found = defaultdict(list)
    for run in plan:
        entry = entry_of(run, figures)
        if entry is not None and run.arm == PREDICTOR:
            found[run.corpus].append(entry["metrics"])
    return [
        {
            "corpus": corpus,
            "arm": PREDICTOR,
            "seeds": len(metrics),
            **average_seeds(metrics),
        }
        for corpus, metrics in sorted(found.items())
    ]


def means_of(row):
    """Average each user's improvements over mixtures and seeds."""
    return {
        user: fmean(fmean(values) for values in seeds.values())
        for user, seeds in row["users"].items()
    }


def compare(row, control):
    """Compare an arm with its control: the same users, the same seeds.

    Arguments
    ---------
    row, control : dict
        From `rows_of`.

    Returns
    -------
    figures : dict or None
        "delta", the mean difference in dB; "users", the one of each user;
        "t" and "wilcoxon", p-values with users as pairs (none below two
        users), and "mixtures", Wilcoxon's with mixtures as pairs, means over
        seeds, which are not independent within a user. None if no user has a
        seed of both.
    """
    differences = {}
    for user, seeds in row["users"].items():
        theirs = control["users"].get(user, {})
        pairs = [
            np.subtract(seeds[seed], theirs[seed])
            for seed in seeds.keys() & theirs.keys()
        ]
        if pairs:
            differences[user] = np.mean(pairs, axis=0)
    if not differences:
        return None
    users = {user: float(part.mean()) for user, part in differences.items()}
    values, every = (
        list(users.values()),
        np.concatenate([*differences.values()]),
    )
    figures = {
        "delta": fmean(values),
        "users": users,
        "t": None,
        "wilcoxon": None,
        "mixtures": None,
    }
    if len(values) > 1 and any(values):
        figures["t"] = float(ttest_1samp(values, 0.0).pvalue)
        figures["wilcoxon"] = float(wilcoxon(values).pvalue)
    if every.any():
        figures["mixtures"] = float(wilcoxon(every).pvalue)
    return figures


def markdown(rows):
    """Write the README's two tables: of the predictors, and of the arms."""
    predictors = [row for row in rows if row["arm"] == PREDICTOR]
    arms = [row for row in rows if row["arm"] != PREDICTOR]
    parts = [
        table(part)
        for table, part in ((of_predictors, predictors), (of_arms, arms))
        if part
    ]
    return "\n\n".join(parts)


def of_predictors(rows):
    """Write the table of the predictors."""
    lines = [
        "| corpus | seeds | error of a frame's level | correlation | noise "
        "hidden by predicted (true) weights | speech hidden likewise |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        hidden = " | ".join(
            f"{row[name]:.0f} ({row[name + '_oracle']:.0f}) %"
            for name in ("noise_hidden", "speech_hidden")
        )
        lines.append(
            f"| {row['corpus']} | {row['seeds']} "
            f"| {show_decibels(row, 'error_db')} "
            f"| {row['correlation']:.2f} | {hidden} |"
        )
    return "\n".join(lines)


def of_arms(rows):
    """Write the table of the arms."""
    lines = [
        "| corpus | model | arm | seeds | SI-SDRi, mean over users | by user "
        "| PESQ | eSTOI | against the generalist | against p = 1 "
        "| p: t, Wilcoxon (users), Wilcoxon (mixtures) |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    controls = {(row["arm"], *setting_of(row)): row for row in rows}
    for row in rows:
        corpus, model, noisy = setting_of(row)
        found = [
            None if control is None or control is row else compare(row, control)
            for control in (
                # it serves all users, however noisy they are
                controls.get(("generalist", corpus, model, False)),
                controls.get((CONTROL, corpus, model, noisy)),
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
        by_user = ", ".join(f"{u} {m:.2f}" for u, m in means_of(row).items())
        scores = " | ".join(
            f"{row[name]:.2f}" if name in row else "-" for name in SCORES
        )
        arm = MEANING[row["arm"]] + ", noisier users" * row["noisy"]
        lines.append(
            f"| {row['corpus']} | {row['model']} | {arm} "
            f"| {len(row['seeds'])} | {show_decibels(row, 'si_sdri')} "
            f"| {by_user} | {scores} | {deltas} | {tests} |"
        )
    return "\n".join(lines)


def show_probability(value):
    """Write a p-value, which is never 0; a dash where there is none."""
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def setting_of(row):
    """Name what a row shares with its control."""
    return row["corpus"], row["model"], row["noisy"]


def draw(rows, folder, prefix=""):
    """Draw the box plots of each corpus and model: a box for each arm."""
    groups = defaultdict(dict)
    for row in rows:
        if row["arm"] == PREDICTOR:
            continue
        values = [
            value
            for seeds in row["users"].values()
            for value in np.mean([*seeds.values()], axis=0)
        ]
        groups[setting_of(row)][MEANING[row["arm"]]] = values
    for (corpus, model, noisy), arms in groups.items():
        name = f"{corpus}_{model.lower().replace(' ', '')}"
        name += "_noisy" * noisy
        title = f"{corpus}, {model}" + ", noisier users" * noisy
        improvement_boxes(
            folder / f"{prefix}boxes_{name}.png", groups=arms, title=title
        )
