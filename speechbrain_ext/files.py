"""Writing files so that no one ever sees half of one."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: str | os.PathLike) -> Iterator[Path]:
    """Write to a file beside `path` that takes its place when it is whole.

    If writing fails or is interrupted, what `path` held before stays.  The
    folder is made where it is missing.

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
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_csv(path: str | os.PathLike, rows: Sequence[Mapping]) -> None:
    r"""Write rows as a CSV file, which is replaced whole.

    Arguments
    ---------
    path : str or Path
        The file; its columns stand in the order of their first appearance.
    rows : sequence of Mapping
        Column to value; a cell that a row lacks is empty.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> write_csv(path, [{"step": 1}, {"step": 2, "loss": 0.5}])
    >>> path.read_text()
    'step,loss\n1,\n2,0.5\n'
    """
    names = dict.fromkeys(name for row in rows for name in row)
    with (
        replaced(path) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
