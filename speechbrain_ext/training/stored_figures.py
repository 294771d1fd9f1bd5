"""Figures of many runs, which never mix configurations."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from speechbrain_ext.training.same_run import differences

FIGURES = "metrics.json"


def read_figures(
    runs: Iterable,
    output: str | Path,
    *,
    entry: Callable[[Mapping], dict],
    varied: Iterable[str],
) -> dict:
    """Read what finished runs left.

    Arguments
    ---------
    runs : iterable
        With `corpus` and `name`, the folder below `output`.
    output : str or Path
        Folder of the runs.
    entry : Callable
        Of the content of a metrics.json, what is kept.
    varied : iterable of str
        Keys of "info", "configuration" that the runs differ in; all others
        are the same within a corpus.

    Returns
    -------
    figures : dict
        Corpus to "configuration" (what its runs share) and "runs" (name to
        entry).

    Raises
    ------
    ValueError
        If runs of one corpus do not share a configuration.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> folder = getfixture("tmp_path")
    >>> content = {"info": {"configuration": {"seed": 1, "rate": 8}}}
    >>> _ = (folder / "metrics.json").write_text(json.dumps(content))
    >>> run = SimpleNamespace(corpus="mini", name=".")
    >>> read_figures([run], folder, entry=lambda c: 5, varied=["seed"])
    {'mini': {'configuration': {'rate': 8}, 'runs': {'.': 5}}}
    """
    figures = {}
    for run in runs:
        file = Path(output) / run.name / FIGURES
        if not file.is_file():
            continue
        content = json.loads(file.read_text())
        shared = {
            key: value
            for key, value in content["info"]["configuration"].items()
            if key not in varied
        }
        found = {"configuration": shared, "runs": {run.name: entry(content)}}
        figures = merge(figures, {run.corpus: found})
    return figures


def merge(stored: Mapping, new: Mapping) -> dict:
    """Add new figures to stored ones; new ones of the same run prevail.

    Arguments
    ---------
    stored, new : Mapping
        As `read_figures` gives them.

    Returns
    -------
    figures : dict

    Raises
    ------
    ValueError
        If the two were made with another configuration.
    """
    merged = dict(stored)
    for corpus, found in new.items():
        before = merged.get(corpus, {**found, "runs": {}})
        differs = differences(found["configuration"], before["configuration"])
        if differs:
            raise ValueError(
                f"runs of {corpus!r} with another {', '.join(differs)} cannot "
                f"stand in one table ({', '.join(found['runs'])}); take "
                "another --output, or begin the stored table anew by deleting "
                "reference/arms_runs.json"
            )
        merged[corpus] = {
            "configuration": found["configuration"],
            "runs": {**before["runs"], **found["runs"]},
        }
    return merged


def entry_of(run: object, figures: Mapping) -> dict | None:
    """Find the entry of a run, or None.

    Arguments
    ---------
    run : object
        With `corpus` and `name`.
    figures : Mapping
        As `read_figures` gives them.

    Returns
    -------
    entry : dict or None
    """
    return figures.get(run.corpus, {"runs": {}})["runs"].get(run.name)


def average_seeds(metrics: Sequence[Mapping]) -> dict:
    """Average the figures of runs that differ in their seed alone.

    Arguments
    ---------
    metrics : sequence of Mapping
        Name to value, of each run; None where it was not measured.

    Returns
    -------
    row : dict
        Mean of each figure that all runs have and, of several runs, NAME_std,
        its standard deviation.

    Example
    -------
    >>> average_seeds([{"msi": 1.0, "pesq": None}, {"msi": 3.0, "pesq": 2.0}])
    {'msi': 2.0, 'msi_std': 1.4142135623730951}
    """
    row = {}
    for name in metrics[0]:
        values = [found.get(name) for found in metrics]
        if None in values:
            continue
        row[name] = mean(values)
        if len(values) > 1:
            row[f"{name}_std"] = stdev(values)
    return row


def show_decibels(row: Mapping, name: str) -> str:
    """Write a figure of `average_seeds` for a table.

    Arguments
    ---------
    row : Mapping
        With the figure, and its deviation if there is one.
    name : str
        Of the figure.

    Returns
    -------
    text : str
        In dB; a dash where there is none.

    Example
    -------
    >>> show_decibels({"msi": 2.0, "msi_std": 0.5}, "msi")
    '2.00 ± 0.50 dB'
    """
    if name not in row:
        return "-"
    text = f"{row[name]:.2f}"
    if f"{name}_std" in row:
        text += f" ± {row[f'{name}_std']:.2f}"
    return f"{text} dB"
