"""The table of arms and its box plots, from the figures of finished runs."""

from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from scipy.stats import ttest_rel, wilcoxon

from speechbrain_ext.evaluation import improvement_boxes
from speechbrain_ext.training import entry_of

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


def rows_of(plan, figures):
    """Collect the improvements of each arm: by user, means over seeds.

    Arguments
    ---------
    plan : list of Run
        Tells what a run's name means.
    figures : dict
        As `speechbrain_ext.training.read_figures` gives them.

    Returns
    -------
    rows : list of dict
        "corpus", "model", "hidden", "arm", "seeds", "users" (user to the
        improvements of its mixtures, means over seeds) and "spread"
        (deviation of the mean over the seeds, or None).
    """
    groups = defaultdict(lambda: defaultdict(list))
    for run in plan:
        entry = entry_of(run, figures)
        if entry is None or run.arm not in MEANING:
            continue
        order = list(MEANING).index(run.arm)
        key = (run.corpus, run.model, run.hidden, order)
        for user, values in entry["improvements"].items():
            groups[key][user].append(values)
    rows = []
    for (corpus, model, hidden, order), users in sorted(groups.items()):
        seeds = min(len(runs) for runs in users.values())
        by_seed = [
            fmean(fmean(runs[seed]) for runs in users.values())
            for seed in range(seeds)
        ]
        rows.append(
            {
                "corpus": corpus,
                "model": f"{model} {hidden}" if model == "gru" else model,
                "arm": list(MEANING)[order],
                "seeds": seeds,
                "users": {
                    user: np.mean(runs, axis=0).tolist()
                    for user, runs in sorted(users.items())
                },
                "spread": stdev(by_seed) if seeds > 1 else None,
            }
        )
    return rows


def compare(row, control):
    """Compare an arm with its control, user by user.

    Arguments
    ---------
    row, control : dict
        From `rows_of`.

    Returns
    -------
    figures : dict or None
        "delta", the mean difference in dB; "users", the one of each user;
        "t" and "wilcoxon", p-values with users as pairs (none below two
        users), and "mixtures", Wilcoxon's with mixtures as pairs, which are
        not independent within a user. None if they share no user.
    """
    shared = sorted(row["users"].keys() & control["users"].keys())
    if not shared:
        return None
    ours, theirs = (
        [fmean(part["users"][user]) for user in shared]
        for part in (row, control)
    )
    differences = np.subtract(ours, theirs)
    figures = {
        "delta": float(differences.mean()),
        "users": dict(zip(shared, differences.tolist(), strict=True)),
        "t": None,
        "wilcoxon": None,
        "mixtures": None,
    }
    if len(shared) > 1 and differences.any():
        figures["t"] = float(ttest_rel(ours, theirs).pvalue)
        figures["wilcoxon"] = float(wilcoxon(differences).pvalue)
    every = np.concatenate(
        [
            np.subtract(row["users"][user], control["users"][user])
            for user in shared
        ]
    )
    if every.any():
        figures["mixtures"] = float(wilcoxon(every).pvalue)
    return figures


def markdown(rows):
    """Write the README's table."""
    lines = [
        "| corpus | model | arm | seeds | SI-SDRi, mean over users | by user "
        "| against p = 1 | p: t, Wilcoxon (users), Wilcoxon (mixtures) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    controls = {
        (row["corpus"], row["model"]): row
        for row in rows
        if row["arm"] == CONTROL
    }
    for row in rows:
        means = {user: fmean(values) for user, values in row["users"].items()}
        text = f"{fmean(means.values()):.2f}"
        if row["spread"] is not None:
            text += f" ± {row['spread']:.2f}"
        by_user = ", ".join(f"{u} {m:.2f}" for u, m in means.items())
        control = controls.get((row["corpus"], row["model"]))
        found = None
        if control is not None and row is not control:
            found = compare(row, control)
        delta = f"{found['delta']:+.2f} dB" if found else "-"
        tests = "-"
        if found:
            tests = ", ".join(
                "-" if found[name] is None else f"{found[name]:.3f}"
                for name in ("t", "wilcoxon", "mixtures")
            )
        lines.append(
            f"| {row['corpus']} | {row['model']} | {MEANING[row['arm']]} "
            f"| {row['seeds']} | {text} dB | {by_user} | {delta} | {tests} |"
        )
    return "\n".join(lines)


def draw(rows, folder, prefix=""):
    """Draw the box plots of each corpus and model: a box for each arm."""
    groups = defaultdict(dict)
    for row in rows:
        values = [v for part in row["users"].values() for v in part]
        groups[row["corpus"], row["model"]][MEANING[row["arm"]]] = values
    for (corpus, model), arms in groups.items():
        name = f"{prefix}boxes_{corpus}_{model.replace(' ', '')}.png"
        improvement_boxes(
            folder / name, groups=arms, title=f"{corpus}, {model}"
        )


def write_table(plan, figures, folder, prefix=""):
    """Write results.md and the plots into a folder; return the table."""
    folder = Path(folder)
    rows = rows_of(plan, figures)
    table = markdown(rows)
    (folder / f"{prefix}results.md").write_text(table + "\n")
    draw(rows, folder, prefix)
    return table
