"""Writing files so that no one ever sees half of one."""

import os
from collections.abc import Iterator
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
