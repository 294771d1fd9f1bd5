"""Evaluation of a blind SI-SNR estimator, as in the paper."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from data import kept_epochs, oracle
from tqdm import tqdm

from speechbrain_ext.evaluation import (
    Result,
    agreement,
    course_over_epochs,
    predicted_against_true,
    rank_agreement,
    training_curves,
    without_nan,
    write_report,
)
from speechbrain_ext.files import replaced, write_csv

COLUMNS = (
    *("corpus", "group", "separator", "mixture", "source"),
    *("predicted", "true", "typical"),
)
GROUPS = {
    "members": "of the training",
    "unseen": "never met in training",
}
FIGURES = {
    "pearson": ("Pearson", "", "higher"),
    "spearman": ("Spearman", "", "higher"),
    "mean_absolute_error": ("mean absolute error", "dB", "lower"),
    "bias": ("bias", "dB", ""),
    "share_below_typical": ("share below the typical error", "", ""),
}


def split_members(hparams):
    """Tell which separators the training uses, and which it never meets.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.

    Returns
    -------
    used, others : list of str, list of str
        With the strategy "single" the first member alone is used.
    """
    members, unseen = hparams["members"], hparams["unseen"] or []
    number = 1 if hparams["strategy"] == "single" else len(members)
    return members[:number], [*members[number:], *unseen]


@torch.no_grad()
def judge(estimator, mixtures, pool, *, description):
    """Let the estimator judge what every separator makes of the mixtures.

    Arguments
    ---------
    estimator : speechbrain_ext.models.SISNREstimator
        In evaluation mode.
    mixtures : CorpusMixtures
        Of the test split.
    pool : Pool
        The separators.
    description : str
        For the progress bar.

    Returns
    -------
    rows : list of dict
        "separator", "mixture", "source"; "predicted", "true" and, of a network
        with uncertainty, "typical": its typical error, all in dB.
    """
    rows = []
    for batch in tqdm(mixtures.loader, description, dynamic_ncols=True):
        formed = mixtures.mix(batch)
        for member, name in enumerate(pool.names):
            chosen = np.full(len(formed.mixture), member)
            estimates = pool.separate(formed.mixture, chosen)
            estimates, true = oracle(estimates, formed.speech)
            scores = estimator(formed.mixture, estimates)
            values = {"true": true}
            if estimator.uncertainty:
                scores, values["typical"] = scores
            values["predicted"] = scores
            for item, source in np.ndindex(*true.shape):
                speakers = batch["id"][2 * item : 2 * item + 2]
                rows.append(
                    {
                        "separator": name,
                        "mixture": "+".join(speakers),
                        "source": source,
                        **{
                            kind: round(float(found[item, source]), 3)
                            for kind, found in values.items()
                        },
                    }
                )
    return rows


def figures_of(rows, *, low, high):
    """Compare predictions with the truth.

    Arguments
    ---------
    rows : list of dict
        From `judge`.
    low, high : float
        The estimator's range: beyond it, the nearer end counts as the truth.

    Returns
    -------
    figures : dict
        Those of `agreement`; "error_within_range", the mean absolute error
        of the sources whose true SI-SNR lies in the range, and
        "share_within_range"; of a network with uncertainty
        "share_below_typical", of sources that are off by less than it says:
        half of them should be.
    """
    predicted = np.array([row["predicted"] for row in rows])
    true = np.array([row["true"] for row in rows])
    inside = (low <= true) & (true <= high)
    error = np.abs(predicted - true)[inside]
    calibration = {}
    if "typical" in rows[0]:
        typical = np.array([row["typical"] for row in rows])
        off = np.abs(predicted - true.clip(low, high))
        calibration["share_below_typical"] = float((off < typical).mean())
    return {
        **agreement(predicted=predicted, true=true.clip(low, high)),
        "error_within_range": float(error.mean()) if inside.any() else math.nan,
        "share_within_range": float(inside.mean()),
        **calibration,
    }


def by_separator(rows):
    """Group rows by their separator, in the order of appearance."""
    groups = {}
    for row in rows:
        groups.setdefault(row["separator"], []).append(row)
    return groups


def rank(rows):
    """Compare the order of separators with the true one."""
    groups = by_separator(rows)
    if len(groups) < 2:
        return None
    return rank_agreement(
        **{
            kind: {
                name: [row[kind] for row in group]
                for name, group in groups.items()
            }
            for kind in ("predicted", "true")
        }
    )


def courses(rows, hparams):
    """Collect mean SI-SNR against epoch, for separators with kept epochs."""
    groups = by_separator(rows)
    epochs = kept_epochs(hparams)
    curves = []
    for name in dict.fromkeys(key.rpartition("/")[0] for key in groups):
        kept = [f"{name}/{stage}" for stage in epochs]
        if name and all(key in groups for key in kept):
            curves.append(
                {
                    "name": name,
                    "epochs": list(epochs.values()),
                    **{
                        kind: [
                            float(np.mean([r[kind] for r in groups[key]]))
                            for key in kept
                        ]
                        for kind in ("predicted", "true")
                    },
                }
            )
    return curves


def evaluate(hparams, mixtures, pools, *, device, **info):
    """Judge all separators on all corpora, write results, print a summary.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the checkpoint to evaluate is loaded.
    mixtures : dict of CorpusMixtures
        Test mixtures by corpus.
    pools : dict of Pool
        "members" of the training and "unseen" ones.
    device : torch.device
        Where to run.
    **info
        Kept in metrics.json.

    Returns
    -------
    metrics : dict
        What metrics.json holds.
    """
    folder = Path(hparams["output_folder"])
    estimator = hparams["estimator"].to(device).eval()
    low, high = estimator.snr_min, estimator.snr_max
    rows, corpora, plots = [], {}, []
    for corpus, source in mixtures.items():
        source.to(device)
        corpora[corpus] = {}
        for group, pool in pools.items():
            if not len(pool):
                continue
            found = judge(
                estimator,
                source,
                pool.to(device),
                description=f"{corpus}, {group}",
            )
            rows += [{"corpus": corpus, "group": group, **r} for r in found]
            corpora[corpus][group] = {
                **figures_of(found, low=low, high=high),
                "separators": {
                    name: figures_of(part, low=low, high=high)
                    for name, part in by_separator(found).items()
                },
                "ranking": rank(found),
            }
            plots += draw(hparams, corpus, group, found, low, high)
    write_csv(folder / "sources.csv", rows, COLUMNS)
    metrics = {
        "info": {
            "seed": hparams["seed"],
            "strategy": hparams["strategy"],
            "members": split_members(hparams)[0],
            "range_db": [low, high],
            **info,
        },
        "corpora": corpora,
    }
    with replaced(folder / "metrics.json") as partial:
        text = json.dumps(without_nan(metrics), indent=2, allow_nan=False)
        partial.write_text(text + "\n")
    if hparams["store_reference"] is not None:
        store_reference(hparams["store_reference"], metrics)
    reference = read_reference(hparams)
    training_curves(folder / "training.png", history=folder / "history.csv")
    plots.append((folder / "training.png", "The course of the training."))
    write_report(
        folder,
        title="Blind SI-SNR estimator",
        figures=results(metrics, reference),
        notes=[
            f"Strategy {hparams['strategy']}, seed {hparams['seed']}; range "
            f"{low:g} to {high:g} dB. Beyond the range, its nearer end counts "
            "as the truth; errors within the range leave such sources out.",
        ],
        plots=plots,
        reference_name="Reference run",
    )
    print_summary(metrics, reference)
    return metrics


def draw(hparams, corpus, group, rows, low, high):
    """Draw the plots of one corpus and one group of separators."""
    folder = Path(hparams["output_folder"])
    path = folder / f"{corpus}_{group}.png"
    predicted_against_true(
        path,
        groups=[
            {
                "name": name,
                "predicted": [row["predicted"] for row in part],
                "true": [row["true"] for row in part],
            }
            for name, part in by_separator(rows).items()
        ],
        low=low,
        high=high,
    )
    plots = [(path, f"{corpus}: every source, separators {GROUPS[group]}.")]
    curves = courses(rows, hparams)
    if curves:
        path = folder / f"{corpus}_{group}_course.png"
        course_over_epochs(path, curves=curves)
        plots.append(
            (
                path,
                f"{corpus}: mean SI-SNR of what separators {GROUPS[group]} "
                "gave after their first, middle and last epoch.",
            )
        )
    return plots


def read_reference(hparams):
    """Read the figures of the run to compare with, or None."""
    if hparams["reference"] is None:
        return None
    return json.loads(Path(hparams["reference"]).read_text())


def store_reference(path, metrics):
    """Keep the figures, but for those of each separator."""
    kept = {
        "info": metrics["info"],
        "corpora": {
            corpus: {
                group: {
                    key: round(value, 4) if isinstance(value, float) else value
                    for key, value in values.items()
                    if key != "separators"
                }
                for group, values in groups.items()
            }
            for corpus, groups in metrics["corpora"].items()
        },
    }
    with replaced(path) as partial:
        text = json.dumps(without_nan(kept), indent=2, allow_nan=False)
        partial.write_text(text + "\n")


def results(metrics, reference):
    """List the figures for the results page."""
    lines = []
    for corpus, groups in metrics["corpora"].items():
        for group, values in groups.items():
            other = (reference or {"corpora": {}})["corpora"]
            other = other.get(corpus, {}).get(group, {})
            lines += [
                Result(
                    name=f"{corpus}, {group}: {label}",
                    value=values[key],
                    unit=unit,
                    reference=other.get(key),
                    better=better,
                    note=f"{values['count']} sources",
                )
                for key, (label, unit, better) in FIGURES.items()
                if key in values
            ]
    return lines


def print_summary(metrics, reference):
    """Print the figures of all corpora, beside those of the reference."""
    print(
        f"\n{'corpus, separators':34s}{'Pearson':>9s}{'Spearman':>10s}"
        f"{'MAE':>9s}{'in range':>10s}{'bias':>9s}"
    )
    runs = [(metrics, "")]
    if reference is not None:
        runs.append((reference, f" ({reference['info']['strategy']})"))
    for run, mark in runs:
        for corpus, groups in run["corpora"].items():
            for group, values in groups.items():
                # what JSON has no word for
                values = {
                    key: math.nan if value is None else value
                    for key, value in values.items()
                }
                print(
                    f"{f'{corpus}, {group}{mark}':34s}"
                    f"{values['pearson']:9.3f}{values['spearman']:10.3f}"
                    f"{values['mean_absolute_error']:6.2f} dB"
                    f"{values['error_within_range']:7.2f} dB"
                    f"{values['bias']:+6.2f} dB"
                )
                if "share_below_typical" in values:
                    print(
                        f"    off by less than the typical error: "
                        f"{values['share_below_typical']:.0%} (of 50 %)"
                    )
                ranking = groups[group]["ranking"]
                if ranking and not mark:
                    print(
                        f"    order of the separators: Kendall "
                        f"{ranking['kendall']:.2f}; chosen "
                        f"{ranking['chosen']}, {ranking['regret_db']:.2f} dB "
                        "below the best"
                    )
