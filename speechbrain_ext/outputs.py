"""Folders that this project writes: marked, so that nothing is confused.

A folder that a command or a training run writes into gets a small file,
`.speechbrain_ext.jsonl`, with a line for the folder and a line for each file
written. It answers two questions. May this file be replaced? Only if it is
listed and unchanged since. Is this file data? Not if it was written by this
project: a search for recordings passes over it.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from speechbrain_ext.files import replaced

MARK = ".speechbrain_ext.jsonl"
LARGEST_MARK = 2**26  # bytes; some 600,000 files


@dataclass
class Mark:
    """What the mark of a folder says.

    Arguments
    ---------
    maker : str
        The command or recipe that wrote there first.
    whole : bool
        Whether the folder was new or empty then: all of it is output. Where
        it held files already, only the files listed are.
    files : dict
        Name to (size, modification time in ns) of each file written.
    """

    maker: str
    whole: bool
    files: dict[str, tuple[int, int]] = field(default_factory=dict)


def read_mark(folder: str | os.PathLike) -> Mark | None:
    """Read the mark of a folder.

    Arguments
    ---------
    folder : str or PathLike
        Any folder.

    Returns
    -------
    mark : Mark or None
        None for a folder without one. Lines that are not understood are
        passed over.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "results"
    >>> mark_folder(folder, "separate")
    >>> read_mark(folder)
    Mark(maker='separate', whole=True, files={})
    """
    path = Path(folder, MARK)
    if not path.is_file() or path.stat().st_size > LARGEST_MARK:
        return None
    found, is_headed = Mark("unknown", whole=False), False
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
            if "maker" in entry:
                if not is_headed:  # two processes may have marked at once
                    found.maker = str(entry["maker"])
                    found.whole = bool(entry["whole"])
                    is_headed = True
            else:
                size, time = entry["size"], entry["mtime_ns"]
                found.files[entry["name"]] = (int(size), int(time))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            continue
    return found


def mark_folder(
    folder: str | os.PathLike, maker: str, *, whole: bool = True
) -> None:
    """Create a folder where it is missing, and mark it as output.

    A mark that is there already stays.

    Arguments
    ---------
    folder : str or PathLike
        Where something is going to be written.
    maker : str
        The command or recipe that writes.
    whole : bool
        Whether a folder that is new or empty is output as a whole.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MARK).is_file():
        return
    whole = whole and all(path.name == MARK for path in folder.iterdir())
    _append(folder, {"maker": maker, "whole": whole})


def is_output(path: str | os.PathLike, mark: Mark | None = None) -> bool:
    """Tell whether a file was written by this project, and not changed since.

    Arguments
    ---------
    path : str or PathLike
        The file.
    mark : Mark, optional
        Of its folder, if it has been read already.

    Returns
    -------
    output : bool
    """
    path = Path(path)
    mark = mark or read_mark(path.parent)
    if mark is None or path.name not in mark.files:
        return False
    try:
        status = path.stat()
    except OSError:
        return False
    return mark.files[path.name] == (status.st_size, status.st_mtime_ns)


def require_free(
    paths: Iterable[str | os.PathLike], *, overwrite: bool = False
) -> None:
    """Raise if files stand where a command is going to write.

    Call it before the work starts.

    Arguments
    ---------
    paths : iterable of str or PathLike
        The files that are going to be written.
    overwrite : bool
        Whether everything may be replaced.

    Raises
    ------
    FileExistsError
        Naming the files that exist and that no earlier run has written. They
        are left as they are.
    ValueError
        If a path stands there twice: one result would replace another.

    Example
    -------
    >>> path = getfixture("tmp_path") / "talk_source1.wav"
    >>> _ = path.write_bytes(b"a recording")
    >>> require_free([path])
    Traceback (most recent call last):
    FileExistsError: ...talk_source1.wav is there already and was not written
    by an earlier run; choose another folder, or give --overwrite
    """
    marks, strangers, seen = {}, [], set()
    for path in map(Path, paths):
        if path in seen:
            raise ValueError(f"two results would be written to {path}")
        seen.add(path)
        if overwrite or not os.path.lexists(path):
            continue
        if path.parent not in marks:
            marks[path.parent] = read_mark(path.parent)
        mark = marks[path.parent]
        if mark is None or not is_output(path, mark):
            strangers.append(path)
    if strangers:
        several = len(strangers) > 1
        named = ", ".join(map(str, strangers[:3]))
        if len(strangers) > 3:
            named += f" and {len(strangers) - 3} more"
        raise FileExistsError(
            f"{named} {'are' if several else 'is'} there already and "
            f"{'were' if several else 'was'} not written by an earlier run; "
            "choose another folder, or give --overwrite"
        )


@contextmanager
def written(
    path: str | os.PathLike,
    maker: str,
    *,
    overwrite: bool = False,
    whole: bool = True,
) -> Iterator[Path]:
    """Write a file whole or not at all, and list it in its folder's mark.

    Arguments
    ---------
    path : str or PathLike
        The file; its folder is created and marked.
    maker : str
        The command that writes.
    overwrite : bool
        Whether a file that is not ours may be replaced.
    whole : bool
        See `mark_folder`; False for a table beside which people may put
        recordings later.

    Yields
    ------
    partial : Path
        Where to write, in the same folder.

    Raises
    ------
    FileExistsError
        See `require_free`.

    Example
    -------
    >>> path = getfixture("tmp_path") / "out" / "a.txt"
    >>> for text in ("first", "second"):
    ...     with written(path, "enhance") as partial:
    ...         _ = partial.write_text(text)
    >>> path.read_text(), is_output(path)
    ('second', True)
    """
    path = Path(path)
    require_free([path], overwrite=overwrite)
    mark_folder(path.parent, maker, whole=whole)
    with replaced(path) as partial:
        yield partial
    status = path.stat()
    _append(
        path.parent,
        {
            "name": path.name,
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
        },
    )


def remove_outputs(paths: Iterable[str | os.PathLike]) -> None:
    """Remove files that an earlier run wrote; leave all others alone.

    Arguments
    ---------
    paths : iterable of str or PathLike
        Files that need not exist.
    """
    for path in map(Path, paths):
        if is_output(path):
            path.unlink()


def _append(folder: Path, entry: dict) -> None:
    """Add a line to a mark in one write, which other processes cannot cut."""
    line = json.dumps(entry) + "\n"
    with open(folder / MARK, "ab", buffering=0) as file:
        file.write(line.encode())
