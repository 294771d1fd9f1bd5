"""Reading tables that people wrote: CSV in any encoding and dialect."""

import codecs
import csv
import io
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from speechbrain_ext.console import printable
from speechbrain_ext.dataio.recordings import cells_of_any_length
from speechbrain_ext.files import unquote_cell

# columns as SpeechBrain calls them
SPEECHBRAIN = {
    "wav": "path",
    "spk_id": "speaker",
    "license": "licence",
    "wrd": "text",
}
logger = logging.getLogger(__name__)

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Excel's first line may name what parts the cells.
SEPARATOR = re.compile(r'\s*"?sep=([^\w\s"]|\t)"?[ \t,;|]*(?=[\r\n]|$)', re.I)
# Marks and spaces of no width, which no one sees.
UNSEEN = "\ufeff\u200b\u200c\u200d\u200e\u2060"


class Row(NamedTuple):
    """A row of a table.

    Arguments
    ---------
    line : int
        Where it ends in the file.
    cells : dict
        Column to text, for the columns asked for; empty where there is none.
    fault : str
        Why the row cannot be taken; empty if it can.
    """

    line: int
    cells: dict[str, str]
    fault: str


class Table(NamedTuple):
    """What a CSV file holds.

    Arguments
    ---------
    encoding : str
        The file's, as Python calls it.
    columns : list of str
        Of those asked for, the ones that are there.
    rows : list of Row
        All but blank ones.
    """

    encoding: str
    columns: list[str]
    rows: list[Row]


def read_table(
    path: str | os.PathLike,
    columns: Iterable[str],
    *,
    needed: Iterable[str] = (),
    argument: str = "",
) -> Table:
    r"""Read a CSV file as people write them.

    It is UTF-8, UTF-16, or else taken for Windows-1252 with a warning; its
    cells are parted by commas, or by semicolons, tabs or bars where the
    header has those and no comma, or by what a first line ``sep=;`` names.
    Spaces around quotes are no part of a cell. Names of columns are trimmed
    and may be in any case. All cells but those of the column ``path`` are
    trimmed.

    Arguments
    ---------
    path : str or PathLike
        The file.
    columns : iterable of str
        The columns to read, in lower case; a line of the log names others.
    needed : iterable of str
        Those that must be there.
    argument : str
        Of the caller, for the errors.

    Returns
    -------
    table : Table

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be decoded, lacks a column that is needed, or has one
        of those asked for twice.

    Example
    -------
    >>> path = getfixture("tmp_path") / "list.csv"
    >>> _ = path.write_text("\n Path ; Speaker\na.wav; Ann \n\nb.wav\n")
    >>> [row.cells for row in read_table(path, ["path", "speaker"]).rows]
    [{'path': 'a.wav', 'speaker': 'Ann'}, {'path': 'b.wav', 'speaker': ''}]
    """
    path = Path(path)
    place = f"{argument}: {path}" if argument else str(path)
    if not path.is_file():
        named = f"{argument}: " if argument else ""
        raise FileNotFoundError(f"{named}there is no file {path}")
    columns, needed = list(columns), list(needed)
    text, encoding = _decoded(path.read_bytes(), place)
    text, delimiter = _without_separator(text.lstrip(UNSEEN), place)
    with cells_of_any_length():
        lines = _rows(_tightened(text, delimiter), delimiter)
    header = [
        cell.strip().strip(UNSEEN).strip().lower()
        for cell in (lines[0][1] if lines else [])
    ]
    for theirs, ours in SPEECHBRAIN.items():
        if ours in columns and ours not in header:
            header = [ours if name == theirs else name for name in header]
    absent = [name for name in needed if name not in header]
    if absent:
        raise ValueError(
            f"{place} has no column {', '.join(map(repr, absent))}; its "
            f"columns are {printable(', '.join(header)) or '(none)'}"
        )
    counts = Counter(name for name in header if name in columns)
    for name, count in counts.items():
        if count > 1:
            raise ValueError(f"{place} has the column {name!r} {count} times")
    ignored = sorted({name for name in header if name and name not in columns})
    if ignored:
        named = printable(", ".join(ignored))
        logger.info("%s: columns that are not read: %s", place, named)
    rows = [
        _row(number, cells, fault, header, columns)
        for number, cells, fault in lines[1:]
    ]
    return Table(encoding, list(counts), rows)


def read_text(path: str | os.PathLike, *, argument: str) -> str:
    """Read a text file, in UTF-8 or else as `read_table` does.

    Arguments
    ---------
    path : str or PathLike
        The file.
    argument : str
        Of the caller, for the errors and the log.

    Returns
    -------
    text : str
    """
    return _decoded(Path(path).read_bytes(), f"{argument}: {path}")[0]


def _decoded(data: bytes, place: str) -> tuple[str, str]:
    """Decode a file, and say which encoding it seems to have."""
    marked = [name for mark, name in MARKS.items() if data.startswith(mark)]
    marked = marked or _wide_encodings(data)
    try:
        encoding = (marked or ["utf-8"])[0]
        return data.decode(encoding), encoding
    except UnicodeDecodeError as error:
        if marked and marked[0] != "utf-8-sig":
            raise ValueError(
                f"{place} begins like {encoding} and is none; save it as UTF-8"
            ) from error
        first = error.start
    for encoding in ("cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    start = data.rfind(b"\n", 0, first) + 1
    logger.warning(
        "%s is not UTF-8; read as %s, in which line %d is %s",
        place,
        encoding,
        data.count(b"\n", 0, first) + 1,
        printable(data[start:].split(b"\n", 1)[0].decode(encoding).strip()),
    )
    return text, encoding


def _wide_encodings(data: bytes) -> list[str]:
    """Tell UTF-16 and UTF-32 without a mark by the NULs of plain letters."""
    start = data[:4096]
    if start[1:4] == b"\0\0\0" or start[:3] == b"\0\0\0":
        return ["utf-32-le" if start[0] else "utf-32-be"]
    first, second = start[::2].count(0), start[1::2].count(0)
    if 8 * max(first, second) < len(start) or min(first, second):
        return []
    return ["utf-16-le" if second else "utf-16-be"] * (first != second)


def _without_separator(text: str, place: str) -> tuple[str, str]:
    """Take Excel's line of the separator away; give the separator too."""
    if found := SEPARATOR.match(text):
        return text[found.end() :], found[1]
    return text, _delimiter(text, place)


def _tightened(text: str, delimiter: str) -> str:
    """Remove the spaces around the quotes of quoted cells."""
    sign = re.escape(delimiter)
    return re.sub(
        rf'(^|[{sign}\r\n]) *("[^"]*(?:""[^"]*)*") *(?=[{sign}\r\n]|$)',
        r"\1\2",
        text,
    )


def _delimiter(text: str, place: str) -> str:
    """Find what parts the cells of the header."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if sign in header and "," not in header:
            logger.info("%s: its cells are parted by %s", place, name)
            return sign
    return ","


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str], str]]:
    """Part a text into (line, cells, fault), without blank rows.

    A quote that is not closed would swallow all that follows; where there is
    one, every line is a row of its own, and the lines with faults are told.
    """

    def parted(lines: Iterable[str]) -> Iterator[tuple[int, list[str], str]]:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells, ""

    try:
        return list(parted(io.StringIO(text, newline="")))
    except csv.Error:
        pass
    rows = []
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        try:
            rows += [(number, cells, "") for _, cells, _ in parted([line])]
        except csv.Error as error:
            cells = line.strip().split(delimiter)
            rows.append((number, cells, f"is no row of a CSV file: {error}"))
    return rows


def _row(
    number: int,
    cells: list[str],
    fault: str,
    header: list[str],
    columns: list[str],
) -> Row:
    """Assign cells to columns."""
    extra = [cell for cell in cells[len(header) :] if cell.strip()]
    if extra and not fault:
        fault = f"has {len(cells)} cells for {len(header)} columns"
    found = dict.fromkeys(columns, "")
    for name, cell in zip(header, cells, strict=False):
        if name in found:
            text = unquote_cell(cell)
            found[name] = text if name == "path" else text.strip()
    if not fault and any("\0" in cell for cell in found.values()):
        fault = "holds a NUL character"
    return Row(number, found, f"line {number} {fault}" if fault else "")
