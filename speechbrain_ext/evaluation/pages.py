"""Writing pages: one look, one script for players, all text escaped."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import jinja2

from speechbrain_ext.evaluation.plot_style import two_decimals
from speechbrain_ext.files import replaced

# What stands for no figure.
DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Score:
    """A figure of a signal.

    Arguments
    ---------
    label : str
        What it is.
    value : float or str
        NaN is shown as a dash.
    unit : str
        Such as "dB".
    """

    label: str
    value: float | str
    unit: str = ""


@dataclass(frozen=True)
class Track:
    """A signal to look at and to listen to.

    Arguments
    ---------
    name : str
        What it is called beside the others of its item.
    sound : str
        Address of its sound; empty if there is none to play.
    wave, columns, spectrogram
        From `speechbrain_ext.evaluation.tracks.draw`; the last one may be
        empty.
    scores : sequence of Score
        Its figures.
    """

    name: str
    sound: str
    wave: str
    columns: int
    spectrogram: str
    scores: Sequence[Score] = ()


@dataclass(frozen=True)
class Item:
    """Signals of one length that are played in sync.

    Arguments
    ---------
    name : str
        Heading.
    tracks : sequence of Track
        The first one is heard first.
    seconds : float
        Length of all.
    sample_rate : int
        Of all, in Hz.
    notes : sequence of str
        Paragraphs below the heading.
    """

    name: str
    tracks: Sequence[Track]
    seconds: float
    sample_rate: int
    notes: Sequence[str] = field(default=())


def format_number(value: object) -> str:
    """Format a figure: two decimals, a true minus, a dash for nothing.

    Example
    -------
    >>> [format_number(value) for value in (-1.0, 3, "none", None)]
    ['−1.00', '3', 'none', '–']
    """
    if value is None:
        return DASH
    return two_decimals(value) if isinstance(value, float) else str(value)


def format_time(seconds: float) -> str:
    """Format a length of time.

    Example
    -------
    >>> format_time(5.25), format_time(3725)
    ('0:05', '1:02:05')
    """
    minutes, rest = divmod(math.floor(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    lead = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{lead}:{rest:02d}"


def address_of(path: str | os.PathLike, page: str | os.PathLike) -> str:
    """Give the address of a file, relative to the page that links to it.

    Example
    -------
    >>> address_of("out/a b#.wav", "out/index.html")
    'a%20b%23.wav'
    """
    relative = os.path.relpath(path, Path(page).parent)
    return quote(os.fsencode(Path(relative).as_posix()))


TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("speechbrain_ext.evaluation"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {"number": format_number, "time": format_time}


def write_page(path: str | os.PathLike, template: str, **values) -> None:
    """Write a page that needs nothing from elsewhere.

    Arguments
    ---------
    path : str or PathLike
        The file, which is replaced whole.
    template : str
        A name in templates/.
    **values
        What it shows. All text is escaped.

    Example
    -------
    >>> path = getfixture("tmp_path") / "index.html"
    >>> values = dict.fromkeys(["notes", "heads", "rows", "plots", "items"], ())
    >>> write_page(path, "report.html", title="<Run>", **values)
    >>> "<h1>&lt;Run&gt;</h1>" in path.read_text()
    True
    """
    text = TEMPLATES.get_template(template).render(**values)
    with replaced(path) as partial:
        partial.write_text(text, "utf-8", "backslashreplace")
