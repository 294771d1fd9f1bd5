"""The table of arms and its plots, from the figures of finished runs."""

from collections import defaultdict
from statistics import fmean, stdev

from page import AGREEMENT, CLEAN, points

from speechbrain_ext.evaluation import COLUMNS, error_rate_against_snr
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
        "corpus", "arm", "seeds", "cpu_minutes" (the most of a seed), and
        "conditions": name to figure to a list with a value for each seed; the
        condition "mean" is that over all SNRs.
    """
    groups = defaultdict(list)
    for run in plan:
        entry = entry_of(run, figures)
        if entry is not None:
            groups[run.corpus, list(MEANING).index(run.arm)].append(entry)
    return [
        {
            "corpus": corpus,
            "arm": list(MEANING)[order],
            "seeds": len(entries),
            "cpu_minutes": max(entry["cpu_minutes"] for entry in entries),
            "conditions": gather([e["conditions"] for e in entries]),
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


def show(values, digits=1):
    """Write a mean, with its deviation where there are several seeds."""
    if not values:
        return "-"
    text = f"{fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {stdev(values):.{digits}f}"
    return text


def markdown(rows):
    """Write the README's two tables: words, and sound."""
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
    return "\n".join([*words, "", *sound])


def draw(rows, folder, prefix=""):
    """Plot the word error rates of each corpus against the SNR."""
    for corpus in sorted({row["corpus"] for row in rows}):
        arms = []
        for row in rows:
            if row["corpus"] == corpus:
                conditions = dict(row["conditions"])
                del conditions[NOISY]
                arms.append({"name": MEANING[row["arm"]], **points(conditions)})
        error_rate_against_snr(folder / f"{prefix}wer_{corpus}.png", arms=arms)
