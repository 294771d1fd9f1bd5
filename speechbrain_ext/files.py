"""Writing files so that no one ever sees half of one."""

import csv
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# A spreadsheet runs a cell that begins with one of these as a formula.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def replaced(path: str | os.PathLike) -> Iterator[Path]:
    """Write to a file beside `path` that takes its place when it is whole.

    If writing fails or is interrupted, `path` keeps its former content. The
    folder is created where it is missing. The temporary name is short, so
    that any name that the file system takes can be written.

    Arguments
    ---------
    path : str or Path
        The file to write or replace.

    Yields
    ------
    partial : Path
        Where to write, in the same folder.

    Example
    -------
    >>> path = getfixture("tmp_path") / "new" / "a.txt"
    >>> with replaced(path) as partial:
    ...     _ = partial.write_text("whole")
    >>> path.read_text()
    'whole'
    """
    path = Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(4)}.tmp")
    try:
        with naming(path):
            yield partial
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Let an OSError inside tell the path, if it tells none.

    What fails when a full disk is written to is no opening of a file, so
    Python's error names none.

    Arguments
    ---------
    path : str or PathLike
        What is written.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def write_csv(
    path: str | os.PathLike,
    rows: Sequence[Mapping],
    columns: Sequence[str] = (),
) -> None:
    r"""Write rows as a CSV file, which is replaced whole.

    Arguments
    ---------
    path : str or Path
        The file.
    rows : sequence of Mapping
        Column to value; a cell that a row lacks is empty. Texts are written
        as `spreadsheet_safe` gives them.
    columns : sequence of str
        The first columns; others follow in the order of their appearance.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> write_csv(path, [{"step": 1}, {"step": 2, "loss": 0.5}])
    >>> path.read_text()
    'step,loss\n1,\n2,0.5\n'
    """
    rows = [
        {name: spreadsheet_safe(cell) for name, cell in row.items()}
        for row in rows
    ]
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    # `csv` would leave a lone carriage return bare, and read it as an end
    is_broken = any("\r" in str(cell) for row in rows for cell in row.values())
    quoting = csv.QUOTE_ALL if is_broken else csv.QUOTE_MINIMAL
    with (
        replaced(path) as partial,
        open(
            partial,
            "w",
            newline="",
            encoding="utf-8",
            errors="surrogateescape",
        ) as file,
    ):
        writer = csv.DictWriter(
            file, names, lineterminator="\n", quoting=quoting
        )
        writer.writeheader()
        writer.writerows(rows)


def spreadsheet_safe(cell: object) -> object:
    """Quote a text that a spreadsheet would run as a formula.

    Arguments
    ---------
    cell : object
        What is to be written into a CSV file.

    Returns
    -------
    cell : object
        A text that begins with ``=``, ``+``, ``-`` or ``@`` and is no number
        gets an apostrophe in front; all else is returned as it is.

    Example
    -------
    >>> spreadsheet_safe("=1+1"), spreadsheet_safe("-3.5"), spreadsheet_safe(2)
    ("'=1+1", '-3.5', 2)
    """
    if not isinstance(cell, str) or not cell.startswith(FORMULA_SIGNS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def unquote_cell(cell: str) -> str:
    """Undo the quoting of what spreadsheets would run as a formula.

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
    text = cell.lstrip("'")
    quoted = cell.startswith("'") and spreadsheet_safe(text) != text
    return cell[1:] if quoted else cell
