"""Figures of many runs, which never mix configurations."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

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
