"""The manifest: one CSV that names every recording of a prepared corpus.

Every corpus gives the same manifest, so whatever reads recordings needs to
know this one format. Its columns, in this order, are

=============  ===========================================================
id             unique within the manifest
path           audio file; relative to the manifest's folder if below it
samples        length in samples
sample_rate    in Hz
kind           speech, noise, event, rir or mixture
split          train, valid, test, user_train, user_valid or user_test
speaker        speaker of a speech recording, else empty
sex            F, M or empty
label          class of an event or noise, else empty
text           what is said (by both talkers of a mixture), or a remark
source         corpus the recording comes from
licence        licence of the recording
=============  ===========================================================

Cells that a spreadsheet would run are quoted, see `quote_cell`. The
references of a mixture, where they are known, are the recordings whose
ids begin with its own, but for the kind: see ``dataio/references.py``.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

from speechbrain_ext.files import replaced, spreadsheet_safe

KINDS = ("speech", "noise", "event", "rir", "mixture")
SPLITS = ("train", "valid", "test", "user_train", "user_valid", "user_test")
SEXES = ("F", "M", "")


@dataclass(frozen=True)
class Recording:
    """One recording of a manifest.

    Arguments
    ---------
    id : str
        Unique name within the manifest, not empty.
    path : str
        Absolute path of the audio file.
    samples : int
        Length in samples, at least 1.
    sample_rate : int
        In Hz, at least 1.
    kind : str
        One of ``KINDS``.
    split : str
        One of ``SPLITS``.
    speaker, sex, label, text, source, licence : str
        As in the table of this module; empty where unknown. ``sex`` is one
        of ``SEXES``.

    Raises
    ------
    ValueError
        If a field holds a value outside its range.

    Example
    -------
    >>> recording = Recording(
    ...     "a", "/data/a.wav", 8000, 16000, "speech", "train", speaker="s1"
    ... )
    >>> recording.seconds
    0.5
    """

    id: str
    path: str
    samples: int
    sample_rate: int
    kind: str
    split: str
    speaker: str = ""
    sex: str = ""
    label: str = ""
    text: str = ""
    source: str = ""
    licence: str = ""

    def __post_init__(self):
        for name in ("id", "path"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; every recording needs one")
        for name in ("samples", "sample_rate"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it must be at least 1"
                )
        for name, valid in (("kind", KINDS), ("split", SPLITS), ("sex", SEXES)):
            if getattr(self, name) not in valid:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it must be one of "
                    f"{', '.join(value or '(empty)' for value in valid)}"
                )

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


COLUMNS = tuple(field.name for field in fields(Recording))


def read_manifest(
    path: str | os.PathLike,
    *,
    kind: str | None = None,
    split: str | None = None,
) -> list[Recording]:
    """Read a manifest, or the part of it with one kind and one split.

    The audio files themselves are not opened.

    Arguments
    ---------
    path : str or PathLike
        The CSV that ``write_manifest`` wrote.
    kind : str, optional
        Keep the recordings of this kind only.
    split : str, optional
        Keep the recordings of this split only.

    Returns
    -------
    recordings : list of Recording
        In the order of the file (by id), with absolute paths.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the columns are not those of a manifest, a row is malformed (its
        number is named), an id stands twice, or nothing is left.

    Example
    -------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "manifest.csv"
    >>> rows = [Recording("a", "/a.wav", 8, 8000, "noise", "train")]
    >>> write_manifest(path, rows)
    >>> read_manifest(path, kind="noise") == rows
    True
    """
    path = Path(os.path.abspath(path))
    if not path.is_file():
        raise FileNotFoundError(
            f"no manifest at {path}; run a corpus's prepare function first"
        )
    recordings = {}
    with (
        open(
            path, newline="", encoding="utf-8", errors="surrogateescape"
        ) as file,
        cells_of_any_length(),
    ):
        rows = csv.reader(file)
        header = tuple(next(rows, ()))
        if header != COLUMNS:
            raise ValueError(
                f"{path} has the columns {', '.join(header) or '(none)'}; a "
                f"manifest has {', '.join(COLUMNS)}"
            )
        for row in rows:
            try:
                recording = _from_row(row, path.parent)
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {rows.line_num}: {error}"
                ) from error
            if recording.id in recordings:
                raise ValueError(
                    f"{path}, line {rows.line_num}: the id {recording.id!r} "
                    "stands there twice; ids must be unique"
                )
            recordings[recording.id] = recording
    kept = [
        recording
        for recording in recordings.values()
        if kind in (None, recording.kind) and split in (None, recording.split)
    ]
    if not kept:
        there = sorted({(r.kind, r.split) for r in recordings.values()})
        raise ValueError(
            f"{path} has no recording with kind={kind or 'any'} and "
            f"split={split or 'any'}; it has "
            + (", ".join(f"{k}/{s}" for k, s in there) or "no rows at all")
            + _advice(kind, split, there)
        )
    return kept


def _advice(
    kind: str | None, split: str | None, there: list[tuple[str, str]]
) -> str:
    """Say which option takes another split, if a split is missing."""
    others = [s for k, s in there if kind in (None, k)]
    if split not in ("train", "valid", "test") or not others:
        return ""
    option = f"{split}_split"
    if kind in ("noise", "event", "rir"):
        option += f" (or {option.replace('_split', '_noise_split')})"
    return (
        f". Set {option} to one of these splits, such as "
        f"--{option.partition(' ')[0]}={others[-1]}, or add recordings of "
        f"the split {split}"
    )


@contextmanager
def cells_of_any_length() -> Iterator[None]:
    """Let `csv` read cells over 131,072 characters for a while.

    Example
    -------
    >>> with cells_of_any_length():
    ...     [[cell]] = csv.reader(["a" * 200_000])
    """
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def write_manifest(
    path: str | os.PathLike, recordings: Iterable[Recording]
) -> None:
    """Write a manifest, sorted by id, in one step.

    The file appears whole or not at all: it is written under another name
    and moved into place. Paths below its folder are written relative to it,
    so that the folder can be moved.

    Arguments
    ---------
    path : str or PathLike
        The CSV to write; its folder is made if missing.
    recordings : iterable of Recording
        With unique ids.

    Raises
    ------
    ValueError
        If two recordings have the same id.

    Example
    -------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "manifest.csv"
    >>> write_manifest(
    ...     path, [Recording("a", "/a.wav", 8, 8000, "rir", "test")]
    ... )
    >>> print(path.read_text(encoding="utf-8").splitlines()[1])
    a,/a.wav,8,8000,rir,test,,,,,,
    """
    path = Path(os.path.abspath(path))
    ordered = sorted(recordings, key=lambda recording: recording.id)
    for first, second in pairwise(ordered):
        if first.id == second.id:
            raise ValueError(
                f"the id {first.id!r} is given to {first.path} and to "
                f"{second.path}; ids must be unique"
            )
    write_table(
        path,
        COLUMNS,
        (
            [quote_cell(str(cell)) for cell in _to_row(recording, path.parent)]
            for recording in ordered
        ),
    )


def quote_cell(cell: str) -> str:
    """Make a cell safe for spreadsheets, so that it can be read back.

    Arguments
    ---------
    cell : str
        To be written into a CSV file.

    Returns
    -------
    cell : str
        With an apostrophe in front, if a spreadsheet would run it otherwise
        or without the apostrophes that it begins with.

    Example
    -------
    >>> [quote_cell(cell) for cell in ("=1+1", "'=1+1", "ann", "-3.5")]
    ["'=1+1", "''=1+1", 'ann', '-3.5']
    """
    return f"'{cell}" if _is_formula(cell.lstrip("'")) else cell


def unquote_cell(cell: str) -> str:
    """Undo `quote_cell`.

    Arguments
    ---------
    cell : str
        From a CSV file.

    Returns
    -------
    cell : str

    Example
    -------
    >>> [unquote_cell(cell) for cell in ("'=1+1", "'tis", "=1+1")]
    ['=1+1', "'tis", '=1+1']
    """
    if cell.startswith("'") and _is_formula(cell.lstrip("'")):
        return cell[1:]
    return cell


def _is_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would run a cell."""
    return spreadsheet_safe(cell) != cell


def write_table(
    path: str | os.PathLike,
    columns: Iterable[str],
    rows: Iterable[Iterable],
) -> None:
    """Write a CSV file in one step; leave it alone if it is right already.

    Arguments
    ---------
    path : str or PathLike
        The file to write; its folder is made if missing.
    columns : iterable of str
        Names of the columns.
    rows : iterable of iterable
        One value per column each. Names that are not UTF-8 are written as
        the bytes that they are on disk (Python's ``surrogateescape``).

    Example
    -------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "skipped.csv"
    >>> write_table(path, ("id", "reason"), [("a", "empty file")])
    >>> path.read_text(encoding="utf-8").split()
    ['id,reason', 'a,empty', 'file']
    """
    path = Path(os.path.abspath(path))
    content = io.StringIO(newline="")
    plain = csv.writer(content, lineterminator="\n")
    # `csv` would leave a lone carriage return bare, and read it as an end
    quoted = csv.writer(content, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in (columns, *rows):
        row = list(row)
        is_broken = any("\r" in str(cell) for cell in row)
        (quoted if is_broken else plain).writerow(row)
    content = content.getvalue().encode(errors="surrogateescape")
    if path.is_file() and path.read_bytes() == content:
        return
    with replaced(path) as partial:
        partial.write_bytes(content)


def _from_row(row: list[str], folder: Path) -> Recording:
    """Turn the cells of a row into a Recording with an absolute path."""
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} cells; there must be {len(COLUMNS)}")
    cells = dict(zip(COLUMNS, map(unquote_cell, row), strict=True))
    for name in ("samples", "sample_rate"):
        try:
            cells[name] = int(cells[name])
        except ValueError:
            raise ValueError(
                f"{name} is {cells[name]!r}; it must be a whole number"
            ) from None
    if cells["path"]:
        cells["path"] = os.path.join(folder, cells["path"])
    return Recording(**cells)


def _to_row(recording: Recording, folder: Path) -> list:
    """Turn a Recording into cells, its path relative where it can be."""
    row = [getattr(recording, name) for name in COLUMNS]
    path = Path(os.path.abspath(recording.path))
    if path.is_relative_to(folder):
        path = path.relative_to(folder)
    row[COLUMNS.index("path")] = path.as_posix()
    return row
