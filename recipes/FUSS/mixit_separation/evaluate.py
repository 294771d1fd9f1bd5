"""Evaluation of a trained separator of any sounds, and its results page."""

import csv
import json
import statistics
from pathlib import Path

import blind
import runs
import torch
from examples import make_example
from release import FIGURES, make_release
from tqdm import tqdm

from speechbrain_ext.evaluation import (
    Result,
    separation_shares,
    summarise,
    training_curves,
    universal_figures,
    without_nan,
    write_report,
)
from speechbrain_ext.files import replaced
from speechbrain_ext.hub import publish_command

SEPARATIONS = {
    "under": "under-separated clips: fewer active outputs than sources",
    "equal": "equally separated clips",
    "over": "over-separated clips",
}
COLUMNS = (
    *("clip", "references", "outputs", "separation"),
    *("si_snr", "si_snri", "sources"),
)
SOLVER = ("least_squares_missed", "least_squares_cost_db")


@torch.no_grad()
def score(separator, mixtures, *, examples, sample_rate):
    """Separate the test set and measure every clip.

    Arguments
    ---------
    separator : torch.nn.Module
        The bare module: only this process evaluates, and a DDP wrapper would
        wait for the others to exchange buffers.
    mixtures : SoundMixtures or ReadyMixtures
        The test set, on the separator's device.
    examples : int
        How many clips to keep of each number of sources.
    sample_rate : int
        In Hz.

    Returns
    -------
    rows, kept : list of dict, list of Example
        Of `universal_figures`, with "clip" and "sources".
    """
    separator.eval()
    rows, kept = [], {}
    for batch in tqdm(mixtures.loader, "test", dynamic_ncols=True):
        mixed = mixtures.mix(batch)
        estimates = separator(mixed.mixture).float()
        found = universal_figures(
            estimates=estimates,
            references=mixed.references,
            mixture=mixed.mixture,
        )
        for place, row in enumerate(found):
            row["clip"] = f"{len(rows):05d}"
            row["sources"] = batch["id"][place]
            rows.append(row)
            group = kept.setdefault(row["references"], [])
            if len(group) < examples:
                group.append(
                    make_example(
                        row,
                        estimates[place].cpu(),
                        mixed.references[place].cpu(),
                        mixed.mixture[place].cpu(),
                        sample_rate,
                    )
                )
    return rows, [
        example for _, group in sorted(kept.items()) for example in group
    ]


def evaluate(hparams, mixtures, arguments, info):
    """Score the selected checkpoint, write all results and print a summary.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the checkpoint to judge is loaded.
    mixtures : SoundMixtures or ReadyMixtures
        The test set, on the separator's device.
    arguments : list of str
        Of the command line, for the model card.
    info : dict
        What is known of the training, kept in metrics.json.
    """
    folder = Path(hparams["output_folder"])
    if hparams["references"]:
        rows, examples = score(
            hparams["separator"],
            mixtures,
            examples=hparams["examples"],
            sample_rate=hparams["sample_rate"],
        )
        summary, columns = summarise(rows), COLUMNS
        results = list_results(summary)
    else:
        rows, examples = blind.score(hparams, mixtures)
        summary, columns = blind.summarise(rows), blind.COLUMNS
        results = blind.list_results(summary)
    write_clips(folder / "clips.csv", rows, columns)
    info = {
        **info,
        "configuration": runs.configuration(hparams),
        "seed": hparams["seed"],
        "least_squares": least_squares_figures(
            solver_rows(folder / "history.csv")
        ),
    }
    with replaced(folder / "metrics.json") as partial:
        content = without_nan({"info": info, "metrics": summary})
        text = json.dumps(content, indent=2, allow_nan=False)
        partial.write_text(text + "\n")
    write_report(
        folder,
        title="Separation of any sounds",
        figures=results,
        notes=describe(hparams),
        plots=draw(folder, summary),
        examples=examples,
    )
    if hparams["references"]:
        print_summary(summary)
    else:
        blind.print_summary(summary)
    print_solver(info["least_squares"])
    release = make_release(hparams, summary, arguments)
    print(f"Figures and page with players: {folder}/index.html")
    print(f"Model to publish: {release}, by the command")
    print(f"  {publish_command(folder)}")


def write_clips(path, rows, columns):
    """Write a line for each clip; SI-SNRs are parted by semicolons."""
    with (
        replaced(path) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            line = {name: row[name] for name in columns}
            for name, value in line.items():
                if isinstance(value, list):
                    line[name] = ";".join(f"{each:.3f}" for each in value)
            writer.writerow(line)


def solver_rows(path):
    """Read the steps at which the solver was checked, and what was found."""
    with open(path, newline="", encoding="utf-8") as file:
        return [
            {name: row[name] for name in ("step", "stage", *SOLVER)}
            for row in csv.DictReader(file)
            if row.get(SOLVER[0])
        ]


def least_squares_figures(checks):
    """Average the checks of the training's steps, and keep their course.

    Arguments
    ---------
    checks : list of dict
        From `solver_rows`.

    Returns
    -------
    figures : dict or None
        The means, and "course": a list of [step, missed, cost]; None
        without checks.
    """
    course = [
        [int(row["step"]), *(round(float(row[name]), 4) for name in SOLVER)]
        for row in checks
        if row["stage"] == "train"
    ]
    if not course:
        return None
    means = {
        name: statistics.fmean(values)
        for name, values in zip(
            SOLVER, list(zip(*course, strict=True))[1:], strict=True
        )
    }
    return {**means, "course": course}


def draw(folder, summary):
    """Draw the plots of the results page: a list of (path, caption)."""
    training_curves(folder / "training.png", history=folder / "history.csv")
    plots = [(folder / "training.png", "The course of the training.")]
    if "by_references" in summary:
        plots.append(draw_separation(folder / "separation.png", summary))
    checks = solver_rows(folder / "history.csv")
    if checks:
        training_curves(folder / "least_squares.png", history=checks)
        caption = (
            "How often least squares chose a worse assignment than the exact "
            "one, and by how much its loss was higher on average, in dB."
        )
        plots.append((folder / "least_squares.png", caption))
    return plots


def draw_separation(path, summary):
    """Draw active outputs against active sources: (path, caption)."""
    groups = {"all": summary}
    for count, group in summary["by_references"].items():
        groups[f"{count} source{'s' * (count > 1)}"] = group
    separation_shares(
        path, arms=[{"name": name, **group} for name, group in groups.items()]
    )
    return path, "Active outputs against active sources."


def list_results(summary):
    """List the figures for the results page."""
    results = [
        Result(label, summary[name], "dB", better="higher")
        for name, label in FIGURES.items()
    ]
    results += [
        Result(label, float(100 * summary[name] / summary["clips"]), "%")
        for name, label in SEPARATIONS.items()
    ]
    results += [
        Result(
            f"clips of {count}: SI-SNR{'' if count == 1 else ' improvement'}",
            group["si_snr" if count == 1 else "si_snri"],
            "dB",
            note=f"{group['clips']} clips, {group['outputs']:.1f} active "
            "outputs on average",
        )
        for count, group in summary["by_references"].items()
    ]
    return results


def describe(hparams):
    """Say what was run, for the results page."""
    weights = ", ".join(
        f"{name} {hparams[name + '_weight']:g}"
        for name in ("sparsity", "covariance", "semantic")
    )
    active = (
        "An output is active if its power is above a hundredth of that of the "
        "weakest source."
    )
    if not hparams["references"]:
        active = blind.NOTE
    return [
        f"Objective {hparams['objective']}, solver {hparams['solver']}, "
        f"{hparams['num_sources']} outputs, mixture consistency "
        f"{hparams['consistency']}; weights: {weights}; seed "
        f"{hparams['seed']}; checkpoint selected by {hparams['selection']}.",
        f"Tested on the split {hparams['test_split']}. {active}",
    ]


def print_summary(summary):
    """Print the headline figures."""
    print()
    for name, label in FIGURES.items():
        print(f"{label:52s}{summary[name]:9.2f} dB")
    counts = ", ".join(f"{name} {summary[name]}" for name in SEPARATIONS)
    print(f"{'clips by separation':52s}  {counts}")


def print_solver(solver):
    """Print what least squares would have missed, if it was checked."""
    if solver:
        print(
            f"least squares would have missed the exact assignment in "
            f"{100 * solver[SOLVER[0]]:.1f} % of the examples, at a cost of "
            f"{solver[SOLVER[1]]:.3f} dB on average"
        )
