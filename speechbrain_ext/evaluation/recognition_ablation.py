"""What an ablation of recognition in noise shows beside its table of means."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

from speechbrain_ext.evaluation.recognition_plots import (
    error_rate_against_snr,
    error_rate_differences,
)

CLEAN = "clean"
# the metric of each condition, "wer, 5 dB"; the mean over those with noise
PREFIX, NOISY = "wer, ", "noisy"
# a variant, and the one that it is compared with
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


def count_mistakes(folder: Path) -> dict[str, list[int]]:
    """Add up each utterance's wrong words over all SNRs and their noises.

    Arguments
    ---------
    folder : Path
        Output folder of a run.

    Returns
    -------
    mistakes : dict
        Utterance to four numbers: words that were recognized wrongly in noise
        and all of them, and the same two for clean speech.
    """
    mistakes = {}
    path = folder / "test_results.csv"
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            # further noises of an utterance have #2 and so on behind its id
            name = row["id"].partition("#")[0]
            found = mistakes.setdefault(name, [0, 0, 0, 0])
            first = 2 * (row["test"] == CLEAN)
            found[first] += int(row["word_errors"])
            found[first + 1] += int(row["words"])
    return mistakes


def count_minutes(folder: Path) -> float:
    """Add up the CPU minutes of all stages of a run."""
    content = json.loads((folder / "metrics.json").read_text())
    stages = content["info"]["stages"].values()
    return round(sum(stage["cpu_seconds"] for stage in stages) / 60, 1)


def compare(row: Mapping, control: Mapping) -> dict | None:
    """Compare the word errors of two rows: the same seeds and utterances.

    Arguments
    ---------
    row, control : Mapping
        From `speechbrain_ext.services.ablation.Ablation.rows`; their values
        hold "mistakes" and are those of the seeds 1, 2 and so on.

    Returns
    -------
    found : dict or None
        "noisy" and "clean", each with "delta", the difference of the word
        error rates in percent, "low" and "high", 95 % of what it is when the
        utterances are drawn again (bootstrap), and "seeds", the difference of
        each. None if they share no seed.
    """
    pairs = [
        (ours["mistakes"], theirs["mistakes"])
        for ours, theirs in zip(row["values"], control["values"], strict=False)
    ]
    if not pairs:
        return None
    names = sorted(pairs[0][0])
    # seeds, utterances, counts
    ours, theirs = (
        np.array([[pair[side][name] for name in names] for pair in pairs])
        for side in (0, 1)
    )
    found = {}
    for place, condition in enumerate((NOISY, CLEAN)):
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


def draw(folder: Path, rows: Sequence[Mapping]) -> str:
    """Plot word errors by SNR and differences; write a table of the latter.

    Arguments
    ---------
    folder : Path
        Where the PNG files are written.
    rows : sequence of Mapping
        From `speechbrain_ext.services.ablation.Ablation.rows`.

    Returns
    -------
    table : str
        Of the differences, empty where no two rows can be compared.
    """
    lines = []
    for corpus in dict.fromkeys(row["factors"]["corpus"] for row in rows):
        arms = {
            row["factors"]["arm"]: row
            for row in rows
            if row["factors"]["corpus"] == corpus
        }
        error_rate_against_snr(
            folder / f"ablation_wer_{corpus}.png",
            arms=[
                {"name": row["labels"]["arm"], **points(row)}
                for arm, row in arms.items()
                if arm not in UNDRAWN or len(arms) == 1
            ],
        )
        pairs = []
        for arm, control in COMPARED:
            both = arms.get(arm), arms.get(control)
            found = compare(*both) if all(both) else None
            if found is None:
                continue
            name, other = (row["labels"]["arm"] for row in both)
            if control == "joint":
                pairs.append({"name": name, **found})
            noisy, clean = (
                "{delta:+.1f} [{low:+.1f}, {high:+.1f}]".format(**figures)
                for figures in found.values()
            )
            seeds = ", ".join(f"{v:+.1f}" for v in found[NOISY]["seeds"])
            lines.append(
                f"| {corpus} | {name} | {other} | {noisy} | {seeds} | {clean} |"
            )
        if pairs:
            error_rate_differences(
                folder / f"ablation_differences_{corpus}.png", pairs=pairs
            )
    if not lines:
        return ""
    heads = ("corpus", "variant", "compared with", "WER in noise")
    heads += ("of each seed", "WER clean")
    return "\n".join(
        [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *lines]
    )


def points(row: Mapping) -> dict[str, list]:
    """Turn a row into points of a curve: SNRs, and rates of each seed."""
    names = [
        name.removeprefix(PREFIX)
        for name in row["mean"]
        if name.startswith(PREFIX) and name != PREFIX + NOISY
    ]
    return {
        "snr_db": [
            None if name == CLEAN else float(name.split()[0]) for name in names
        ],
        "wer": [
            [values[PREFIX + name] for values in row["values"]]
            for name in names
        ],
    }
