"""The results page: figures, plots and sound, in one static file."""

import html
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import torch

from speechbrain_ext.evaluation.metrics import COLUMNS, column_of
from speechbrain_ext.evaluation.report_page import EXAMPLE, PAGE, PLAYER, SOURCE
from speechbrain_ext.evaluation.sounds import named_signals, write_sounds
from speechbrain_ext.evaluation.spectrograms import spectrogram_grid
from speechbrain_ext.files import replaced
from speechbrain_ext.outputs import mark_folder

# What stands for no figure.
_DASH = "\N{EN DASH}"


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
    and on a phone.  All text is escaped.

    The sounds of an example are 16-bit WAV files that keep their levels; only
    where one of them would clip, all of them are lowered together, and the
    page says by how much.  A separator trained with a scale-invariant loss
    has no level of its own: bring its estimates to that of the mixture first,
    see `match_mixture_level`.

    Arguments
    ---------
    folder : str or Path
        Made if absent.  Written: index.html, ``examples/NN/*.wav`` and
        spectrograms.png; plots from elsewhere are copied to plots/.
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
    parts = {
        "title": html.escape(title),
        "notes": "".join(f"<p>{html.escape(note)}</p>" for note in notes),
        "figures": _figures(figures, reference_name),
        "plots": _plots(folder, plots),
        "examples": _examples(folder, examples),
    }
    path = folder / "index.html"
    with replaced(path) as partial:
        partial.write_text(PAGE.substitute(parts), encoding="utf-8")
    return path


def _figures(results, reference_name):
    """Make the table of figures."""
    if not results:
        return ""
    compared = any(result.reference is not None for result in results)
    heads = ["Measure", "This run"]
    if compared:
        heads += [reference_name, "Difference"]
    rows = []
    for result in results:
        note = f"<small>{html.escape(result.note)}</small>"
        cells = [
            f'<th scope="row">{html.escape(result.name)}'
            f"{note if result.note else ''}</th>",
            f'<td class="value">{_number(result.value, result.unit)}</td>',
        ]
        if compared:
            for head, cell in (
                (reference_name, _number(result.reference, result.unit)),
                ("Difference", _difference(result)),
            ):
                empty = ' class="empty"' if cell == _DASH else ""
                label = html.escape(head)
                cells.append(f'<td{empty} data-label="{label}">{cell}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in heads)
    return (
        f"<section><h2>Figures</h2><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></section>"
    )


def _number(value, unit=""):
    """Format a figure: two decimals, a true minus, a dash for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _DASH
    if isinstance(value, float):
        value = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
    unit = f" <span>{html.escape(unit)}</span>" if unit else ""
    return f"{html.escape(str(value))}{unit}"


def _difference(result):
    """Format the distance from the reference, with a verdict."""
    numbers = (result.value, result.reference)
    if not all(isinstance(x, int | float) for x in numbers):
        return _DASH
    difference = float(result.value - result.reference)
    if not math.isfinite(difference):
        return _DASH
    text = _number(difference, result.unit)
    if difference > 0:
        text = f"+{text}"
    if not result.better or abs(difference) < 0.005:
        return text
    better = (difference > 0) == (result.better == "higher")
    verdict = "better" if better else "worse"
    return f'{text} <b class="{verdict}">{verdict}</b>'


def _plots(folder, plots):
    """Make the figures of the plots, copying those from elsewhere."""
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
        caption = html.escape(caption)
        items.append(
            f"<figure>{_picture(folder, path, caption)}"
            f"<figcaption>{caption}</figcaption></figure>"
        )
    if not items:
        return ""
    return (
        '<section><h2>Plots</h2><div class="plots">'
        f"{''.join(items)}</div></section>"
    )


def _picture(folder, path, text):
    """Make a picture that opens in full size; the text is escaped already."""
    link = _link(folder, path)
    return f'<a href="{link}"><img src="{link}" alt="{text}"></a>'


def _link(folder, path):
    """Return the address of a file, relative to the page."""
    relative = path.resolve().relative_to(folder.resolve())
    return html.escape(quote(relative.as_posix()))


def _examples(folder, examples):
    """Write sounds and spectrograms; make their part of the page."""
    if not examples:
        return ""
    parts = []
    # sounds that are no one's data
    mark_folder(folder / "examples", "train")
    for number, example in enumerate(examples, start=1):
        place = folder / "examples" / f"{number:02d}"
        place.mkdir(parents=True, exist_ok=True)
        parts.append(_example(folder, place, example))
    return f"<section><h2>Examples</h2>{''.join(parts)}</section>"


def _example(folder, place, example):
    """Write the files of one example; make its part of the page."""
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
    picture = spectrogram_grid(
        place / "spectrograms.png",
        mixture=example.mixture,
        estimates=example.estimates,
        references=example.references,
        sample_rate=example.sample_rate,
    )
    paths, lowered_db = write_sounds(
        place, signals=signals, sample_rate=example.sample_rate
    )
    notes = [example.note] if example.note else []
    if lowered_db:
        notes.append(
            f"All sounds are lowered by {lowered_db:.1f} dB to avoid clipping."
        )
    players = {
        name: PLAYER.substitute(
            name=name.partition("_")[0].capitalize(), link=_link(folder, path)
        )
        for name, path in paths.items()
    }
    sources = []
    for index in range(len(example.estimates)):
        scores = example.scores[index] if example.scores else {}
        sources.append(
            SOURCE.substitute(
                number=index + 1,
                estimate=players[f"estimate_{index + 1}"],
                scores=_scores(scores),
                reference=players.get(f"reference_{index + 1}", ""),
            )
        )
    return EXAMPLE.substitute(
        name=html.escape(example.name),
        notes="".join(f"<p>{html.escape(note)}</p>" for note in notes),
        picture=_picture(
            folder, picture, f"Spectrograms of {html.escape(example.name)}"
        ),
        mixture=players["mixture"],
        sources="".join(sources),
    )


def _scores(scores):
    """Make the short list of an estimate's scores."""
    items = []
    for column, value in scores.items():
        label, unit, _ = COLUMNS.get(column, (column, "", ""))
        items.append(
            f"<li>{html.escape(label)} <b>{_number(value, unit)}</b></li>"
        )
    return f"<ul>{''.join(items)}</ul>" if items else ""
