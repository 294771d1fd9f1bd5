"""Writing the CSV that names every recording of a prepared corpus.

Every corpus gives the same CSV, as `dataio.recordings` reads it. Cells that a
spreadsheet would run are quoted, see `quote_cell`. The references of a
mixture, where they are known, are the recordings whose ids begin with its
own, but for the kind: see ``dataio/references.py``.
"""

import csv
import io
import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from speechbrain_ext.dataio.recordings import COLUMNS, Recording
from speechbrain_ext.files import FORMULA_SIGNS, replaced


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
    a,0.001,/a.wav,8,8000,rir,test,,,,,,
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
        With an apostrophe in front, if it begins with one or if a spreadsheet
        may run it.

    Example
    -------
    >>> [quote_cell(cell) for cell in ("=1+1", "'=1+1", "ann", "-3.5")]
    ["'=1+1", "''=1+1", 'ann', "'-3.5"]
    """
    return f"'{cell}" if cell.startswith(("'", *FORMULA_SIGNS)) else cell


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


def _to_row(recording: Recording, folder: Path) -> list:
    """Turn a Recording into cells, its path relative where it can be."""
    cells = {key: getattr(recording, name) for key, name in COLUMNS.items()}
    path = Path(os.path.abspath(recording.path))
    if path.is_relative_to(folder):
        path = path.relative_to(folder)
    cells["wav"] = path.as_posix()
    return list(cells.values())
