"""The results page: figures, plots and sound, in one static file."""

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch

from speechbrain_ext.evaluation.metrics import column_of
from speechbrain_ext.evaluation.pages import (
    DASH,
    Item,
    Score,
    Track,
    address_of,
    format_number,
    write_page,
)
from speechbrain_ext.evaluation.sounds import named_signals, write_sounds
from speechbrain_ext.evaluation.tracks import draw, outline
from speechbrain_ext.outputs import mark_folder


@dataclass(frozen=True)
class Result:
    """One line of the table of figures.

    Arguments
    ---------
    name : str
        What the figure is.
    value : float or str
        The figure of this run; NaN is shown as a dash.
    unit : str
        Such as "dB".
    reference : float or None
        The stored figure to compare with.
    better : str
        "higher", "lower" or "" (no judgement): colors the difference.
    note : str
        Small print below the name.
    """

    name: str
    value: float | str
    unit: str = ""
    reference: float | None = None
    better: str = ""
    note: str = ""


@dataclass(frozen=True)
class Example:
    """One mixture to look at and to listen to.

    Arguments
    ---------
    name : str
        Heading.
    mixture : torch.Tensor
        Shape (time,).
    estimates : torch.Tensor
        Shape (sources, time), in the order of the references.
    sample_rate : int
        Hz.
    references : torch.Tensor or None
        Shape (sources, time), where they exist.
    scores : list of dict
        Per source, column (see `COLUMNS`) to value; may be empty.
    note : str
        Below the heading.
    """

    name: str
    mixture: torch.Tensor
    estimates: torch.Tensor
    sample_rate: int
    references: torch.Tensor | None = None
    scores: list = field(default_factory=list)
    note: str = ""


def results_of(summary, *, references=None):
    """Turn the summary of a `ScoreTable` into lines of the table of figures.

    Arguments
    ---------
    summary : dict of dict
        From `ScoreTable.summary`.
    references : dict or None
        Stored means by column.

    Returns
    -------
    results : list of Result
        One per column, with the label, the unit and the direction of
        `COLUMNS`; the note tells deviation, count and failures.

    Example
    -------
    >>> summary = {"si_sdr": {"mean": 9.0, "std": 2.0, "count": 4, "nan": 1}}
    >>> result = results_of(summary, references={"si_sdr": 7.5})[0]
    >>> result.name, result.value, result.unit, result.reference
    ('SI-SDR', 9.0, 'dB', 7.5)
    >>> result.note
    'deviation 2.00, 4 sources, 1 failed'
    """
    results = []
    for column, parts in summary.items():
        label, unit, better = column_of(column)
        plural = "" if parts["count"] == 1 else "s"
        notes = [f"{parts['count']} source{plural}"]
        if math.isfinite(parts["std"]):
            notes.insert(0, f"deviation {parts['std']:.2f}")
        if parts["nan"]:
            notes.append(f"{parts['nan']} failed")
        results.append(
            Result(
                name=label,
                value=parts["mean"],
                unit=unit,
                reference=(references or {}).get(column),
                better=better,
                note=", ".join(notes),
            )
        )
    return results


def write_report(
    folder,
    *,
    title,
    figures,
    notes=(),
    plots=(),
    examples=(),
    reference_name="Stored reference",
):
    """Write index.html and what it shows into a results folder.

    The page needs nothing but the folder: it opens from disk, without
    scripts, fonts or pictures from elsewhere, in light and dark, on a screen
    and on a phone.  All text is escaped.  The signals of an example are shown
    as waveforms and spectrograms of one scale, and played in sync.

    The sounds of an example are 16-bit WAV files that keep their levels; only
    where one of them would clip, all of them are lowered together, and the
    page says by how much.  A separator trained with a scale-invariant loss
    has no level of its own: bring its estimates to that of the mixture first,
    see `match_mixture_level`.

    Arguments
    ---------
    folder : str or Path
        Made if absent.  Written: index.html and ``examples/NN/*.wav``; plots
        from elsewhere are copied to plots/.
    title : str
        Heading of the page.
    figures : dict or sequence of Result
        {name: value}, or lines with unit and stored reference.
    notes : sequence of str
        Paragraphs below the heading: what was run, on what.
    plots : sequence of (path, caption)
        PNG files.
    examples : sequence of Example
        To look at and to listen to.
    reference_name : str
        Heading of the column of references.

    Returns
    -------
    path : Path
        Of index.html.

    Raises
    ------
    FileNotFoundError
        A plot does not exist.
    ValueError
        The signals of an example do not belong together or are not finite.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_report(folder, title="Run", figures={"steps": 500}).name
    'index.html'
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(figures, dict):
        figures = [Result(name, value) for name, value in figures.items()]
    path = folder / "index.html"
    compared = any(result.reference is not None for result in figures)
    heads = ["Measure", "This run"]
    if compared:
        heads += [reference_name, "Difference"]
    write_page(
        path,
        "report.html",
        title=title,
        notes=notes,
        heads=heads,
        rows=[_row(result, compared) for result in figures],
        plots=_plots(folder, plots),
        items=_items(folder, examples),
    )
    return path


def _row(result, compared):
    """Make a row of the table of figures."""
    texts = [(format_number(result.value), "")]
    if compared:
        texts += [(format_number(result.reference), ""), _difference(result)]
    cells = [
        {"text": text, "verdict": verdict, "is_figure": text != DASH}
        for text, verdict in texts
    ]
    return {
        "name": result.name,
        "note": result.note,
        "unit": result.unit,
        "cells": cells,
    }


def _difference(result):
    """Format the distance from the reference; give a verdict with it."""
    numbers = (result.value, result.reference)
    if not all(isinstance(x, int | float) for x in numbers):
        return DASH, ""
    difference = float(result.value - result.reference)
    if not math.isfinite(difference):
        return DASH, ""
    text = format_number(difference)
    if difference > 0:
        text = f"+{text}"
    if not result.better or abs(difference) < 0.005:
        return text, ""
    better = (difference > 0) == (result.better == "higher")
    return text, "better" if better else "worse"


def _plots(folder, plots):
    """Give address and caption of the plots, copying those from elsewhere."""
    items = []
    for number, (path, caption) in enumerate(plots, start=1):
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"plot {path} does not exist")
        inside = path.resolve().is_relative_to(folder.resolve())
        if not inside:
            target = folder / "plots" / f"{number:02d}_{path.name}"
            target.parent.mkdir(exist_ok=True)
            path = Path(shutil.copyfile(path, target))
        link = address_of(path.resolve(), folder.resolve() / "index.html")
        items.append((link, caption))
    return items


def _items(folder, examples):
    """Write the sounds of the examples; make their parts of the page."""
    items = []
    if examples:
        # sounds that are no one's data
        mark_folder(folder / "examples", "train")
    for number, example in enumerate(examples, start=1):
        place = folder / "examples" / f"{number:02d}"
        items.append(_item(folder, place, example))
    return items


def _item(folder, place, example):
    """Write the sounds of one example; make its part of the page."""
    signals = named_signals(
        f"example {example.name!r}",
        mixture=example.mixture,
        estimate=example.estimates,
        reference=() if example.references is None else example.references,
    )
    if example.scores and len(example.scores) != len(example.estimates):
        raise ValueError(
            f"example {example.name!r}: scores of {len(example.scores)} "
            f"sources for {len(example.estimates)} estimates"
        )
    paths, lowered_db = write_sounds(
        place, signals=signals, sample_rate=example.sample_rate
    )
    notes = [example.note] if example.note else []
    if lowered_db:
        notes.append(
            f"All sounds are lowered by {lowered_db:.1f} dB to avoid clipping."
        )
    rate = example.sample_rate
    frames = len(example.mixture)
    pictures = draw(
        [
            outline([signal.numpy()], frames=frames, sample_rate=rate)
            for signal in signals.values()
        ]
    )
    tracks = []
    for (name, path), picture in zip(paths.items(), pictures, strict=True):
        kind, _, number = name.partition("_")
        scores = {}
        if kind == "estimate" and example.scores:
            scores = example.scores[int(number) - 1]
        track = Track(
            name=f"Source {number}, {kind}" if number else "Mixture",
            sound=address_of(path, folder / "index.html"),
            scores=[
                Score(column_of(name).label, value, column_of(name).unit)
                for name, value in scores.items()
            ],
            **picture,
        )
        tracks.append((int(number or 0), track))
    # an estimate stands beside its reference
    tracks = [track for _, track in sorted(tracks, key=lambda pair: pair[0])]
    return Item(example.name, tracks, frames / rate, rate, notes)
