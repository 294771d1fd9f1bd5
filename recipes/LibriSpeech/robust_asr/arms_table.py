"""The table of arms and its plots, from the figures of finished runs."""

from collections import defaultdict
from statistics import fmean, stdev

import numpy as np
from page import AGREEMENT, CLEAN, points
from scipy.stats import bootstrap

from speechbrain_ext.evaluation import (
    COLUMNS,
    error_rate_against_snr,
    error_rate_differences,
)
from speechbrain_ext.training import entry_of

MEANING = {
    "noisy": "noisy speech, recogniser of clean speech",
    "multi": "noisy speech, recogniser of noisy speech",
    "separate": "enhancer and recogniser trained apart",
    "joint": "joint, without contrastive terms",
    "tokens": "joint + cross-entropy on tokens",
    "cbpc": "joint + CBPC",
    "info_nce": "joint + InfoNCE",
    "both": "joint + CBPC + InfoNCE",
    "shuffled": "joint + CBPC with shuffled labels",
}
NOISY = "mean"
# an arm, and the one that it is held against
COMPARED = (
    ("joint", "separate"),
    ("tokens", "joint"),
    ("cbpc", "joint"),
    ("info_nce", "joint"),
    ("both", "joint"),
    ("cbpc", "tokens"),
    ("both", "tokens"),
    ("both", "separate"),
    ("shuffled", "joint"),
    ("cbpc", "shuffled"),
    ("both", "shuffled"),
)
RESAMPLES = 9999
# so bad that the others could not be told apart beside it
UNDRAWN = ("noisy",)


def rows_of(plan, figures):
    """Collect the seeds of every arm.

    Arguments
    ---------
    plan : list of Run
        Tells what a run's name means.
    figures : dict
        As `speechbrain_ext.training.read_figures` gives them.

    Returns
    -------
    rows : list of dict
        "corpus", "arm", "seeds", "cpu_minutes" (the most of a seed),
        "mistakes" (seed to utterance to counts), and "conditions": name to
        figure to a list with a value for each seed; the condition "mean" is
        that over all SNRs.
    """
    groups = defaultdict(dict)
    for run in plan:
        entry = entry_of(run, figures)
        if entry is not None:
            place = run.corpus, list(MEANING).index(run.arm)
            groups[place][run.seed] = entry
    return [
        {
            "corpus": corpus,
            "arm": list(MEANING)[order],
            "seeds": len(entries),
            "cpu_minutes": max(e["cpu_minutes"] for e in entries.values()),
            "mistakes": {s: e["mistakes"] for s, e in entries.items()},
            "conditions": gather([e["conditions"] for e in entries.values()]),
        }
        for (corpus, order), entries in sorted(groups.items())
    ]


def gather(seeds):
    """Put the figures of several seeds into lists, and average over SNRs.

    Arguments
    ---------
    seeds : list of dict
        Condition to figures, of each seed.

    Returns
    -------
    conditions : dict
        Condition to figure to list.
    """
    seeds = [
        {**conditions, NOISY: over_snrs(conditions)} for conditions in seeds
    ]
    return {
        condition: {
            name: [seed[condition][name] for seed in seeds]
            for name in figures
            if all(name in seed[condition] for seed in seeds)
        }
        for condition, figures in seeds[0].items()
    }


def over_snrs(conditions):
    """Average each figure over the SNRs, where all of them have it."""
    noisy = [v for name, v in conditions.items() if name != CLEAN]
    return {
        name: fmean(figures[name] for figures in noisy)
        for name in noisy[0]
        if all(name in figures for figures in noisy)
    }


def compare(row, control):
    """Compare the word errors of two arms: the same seeds and utterances.

    Arguments
    ---------
    row, control : dict
        From `rows_of`.

    Returns
    -------
    found : dict or None
        "noisy" and "clean", each with "delta", the difference of the word
        error rates in percent, "low" and "high", 95 % of what it is when the
        utterances are drawn again (bootstrap), and "seeds", the difference of
        each. None if they share no seed.
    """
    seeds = sorted(row["mistakes"].keys() & control["mistakes"].keys())
    if not seeds:
        return None
    names = sorted(row["mistakes"][seeds[0]])
    # seeds, utterances, counts
    ours, theirs = (
        np.array([[arm["mistakes"][s][name] for name in names] for s in seeds])
        for arm in (row, control)
    )
    found = {}
    for place, condition in enumerate(("noisy", CLEAN)):
        words = ours[0, :, 2 * place + 1]
        more = ours[:, :, 2 * place] - theirs[:, :, 2 * place]
        drawn = bootstrap(
            (more.mean(0), words),
            lambda more, words, axis: 100 * more.sum(axis) / words.sum(axis),
            paired=True,
            method="percentile",
            n_resamples=RESAMPLES,
            rng=0,
        ).confidence_interval
        found[condition] = {
            "delta": 100 * more.mean(0).sum() / words.sum(),
            "low": drawn.low,
            "high": drawn.high,
            "seeds": (100 * more.sum(1) / words.sum()).tolist(),
        }
    return found


def differences(rows):
    """Write the table of arms against others."""
    lines = [
        "| corpus | arm | against | WER in noise | of each seed | WER clean |",
        "|---" * 6 + "|",
    ]
    arms = {(row["corpus"], row["arm"]): row for row in rows}
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        for arm, control in COMPARED:
            pair = arms.get((corpus, arm)), arms.get((corpus, control))
            found = compare(*pair) if all(pair) else None
            if found is None:
                continue
            cells = [
                "{delta:+.1f} [{low:+.1f}, {high:+.1f}]".format(**figures)
                for figures in found.values()
            ]
            seeds = ", ".join(f"{v:+.1f}" for v in found["noisy"]["seeds"])
            lines.append(
                f"| {corpus} | {MEANING[arm]} | {MEANING[control]} "
                f"| {cells[0]} | {seeds} | {cells[1]} |"
            )
    return lines if len(lines) > 2 else []


def show(values, digits=1):
    """Write a mean, with its deviation where there are several seeds."""
    if not values:
        return "-"
    text = f"{fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {stdev(values):.{digits}f}"
    return text


def markdown(rows):
    """Write the README's tables: words, sound, and differences."""
    if not rows:
        return ""
    names = [n for n in rows[0]["conditions"] if n != NOISY] + [NOISY]
    words = [
        f"| corpus | arm | seeds | {' | '.join(f'WER {n}' for n in names)} "
        "| CER mean | CPU minutes |",
        "|---" * (len(names) + 5) + "|",
    ]
    quality = [
        name
        for name in COLUMNS
        if any(name in row["conditions"][NOISY] for row in rows)
    ]
    labels = " | ".join(COLUMNS[name].label for name in quality)
    sound = [
        f"| corpus | arm | seeds | {labels} | tokens as in clean speech |",
        "|---" * (len(quality) + 4) + "|",
    ]
    for row in rows:
        begin = f"| {row['corpus']} | {MEANING[row['arm']]} | {row['seeds']} "
        conditions, mean = row["conditions"], row["conditions"][NOISY]
        cells = [show(conditions.get(n, {}).get("wer")) for n in names]
        words.append(
            f"{begin}| {' | '.join(cells)} | {show(mean['cer'])} "
            f"| {row['cpu_minutes']:g} |"
        )
        cells = [show(mean.get(name), 2) for name in quality]
        shares = [100 * share for share in mean[AGREEMENT]]
        sound.append(f"{begin}| {' | '.join(cells)} | {show(shares)} % |")
    return "\n".join([*words, "", *sound, "", *differences(rows)]).strip()


def draw(rows, folder, prefix=""):
    """Plot each corpus: errors against the SNR, and differences from joint."""
    for corpus in sorted({row["corpus"] for row in rows}):
        arms = {row["arm"]: row for row in rows if row["corpus"] == corpus}
        lines = []
        for arm, row in arms.items():
            if arm not in UNDRAWN or len(arms) == 1:
                conditions = dict(row["conditions"])
                del conditions[NOISY]
                lines.append({"name": MEANING[arm], **points(conditions)})
        error_rate_against_snr(folder / f"{prefix}wer_{corpus}.png", arms=lines)
        pairs = [
            {"name": MEANING[arm], **found}
            for arm, control in COMPARED
            if control == "joint" and {arm, control} <= arms.keys()
            if (found := compare(arms[arm], arms[control]))
        ]
        if pairs:
            error_rate_differences(
                folder / f"{prefix}differences_{corpus}.png", pairs=pairs
            )
