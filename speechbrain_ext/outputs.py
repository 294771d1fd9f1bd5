"""Folders that this project writes: marked, so that nothing is confused.

A folder that a command or a training run writes into gets a small file,
`.speechbrain_ext.jsonl`, with a line for the folder and a line for each file
written. It answers two questions. May this file be replaced? Only by what
made it, and only if it is unchanged since. Is this file data? Not if it was
written by this project: a search for recordings passes over it, also in a
copy of the folder.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from speechbrain_ext.files import replaced

MARK = ".speechbrain_ext.jsonl"
LARGEST_MARK = 2**26  # bytes; some 600,000 files


class Written(NamedTuple):
    """What a mark says of a file.

    Arguments
    ---------
    made : str
        The command, and what it made the file of.
    size, mtime_ns : int
        In bytes; in ns.
    digest : str
        Of the content.
    """

    made: str
    size: int
    mtime_ns: int
    digest: str


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
        Name to all that was written under it, a list of `Written`.
    """

    maker: str
    whole: bool
    files: dict[str, list[Written]] = field(default_factory=dict)


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
            if "whole" in entry:
                if not is_headed:  # two processes may have marked at once
                    found.maker = str(entry["maker"])
                    found.whole = bool(entry["whole"])
                    is_headed = True
            else:
                written = Written(
                    str(entry["made"]),
                    int(entry["size"]),
                    int(entry["mtime_ns"]),
                    str(entry["digest"]),
                )
                found.files.setdefault(entry["name"], []).append(written)
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


def find_written(
    path: str | os.PathLike, mark: Mark | None = None
) -> Written | None:
    """Find what a mark says of a file as it is.

    Arguments
    ---------
    path : str or PathLike
        The file.
    mark : Mark, optional
        Of its folder, if it has been read already.

    Returns
    -------
    written : Written or None
        None if it is not listed, or has been changed since.
    """
    path = Path(path)
    mark = mark or read_mark(path.parent)
    if mark is None or path.name not in mark.files:
        return None
    try:
        status = path.stat()
        entries = [
            entry
            for entry in mark.files[path.name]
            if entry.size == status.st_size
        ]
        for entry in reversed(entries):
            if entry.mtime_ns == status.st_mtime_ns:
                return entry
        # a copy may have another time, and has the same content
        digest = digest_of(path) if entries else ""
    except OSError:
        return None
    return next((e for e in reversed(entries) if e.digest == digest), None)


def is_output(path: str | os.PathLike, mark: Mark | None = None) -> bool:
    """Tell whether a file was written by this project, and not changed since.

    Arguments
    ---------
    path, mark
        See `find_written`.

    Returns
    -------
    output : bool
    """
    return find_written(path, mark) is not None


def digest_of(path: str | os.PathLike) -> str:
    """Give a digest of a file's content."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def require_free(
    targets: Iterable[tuple[str | os.PathLike, str]],
    *,
    overwrite: bool = False,
) -> None:
    """Raise if files stand where a command is going to write.

    Call it before the work starts.

    Arguments
    ---------
    targets : iterable of (path, made)
        The files that are going to be written, and what makes each: the
        command, and what it makes the file of.
    overwrite : bool
        Whether everything may be replaced.

    Raises
    ------
    FileExistsError
        Naming the files that exist and were not made by the same command of
        the same recording. They are left as they are.
    ValueError
        If a path is given twice: one result would replace another.

    Example
    -------
    >>> path = getfixture("tmp_path") / "talk_source1.wav"
    >>> _ = path.write_bytes(b"a recording")
    >>> require_free([(path, "separate talk.wav")])
    Traceback (most recent call last):
    FileExistsError: ...talk_source1.wav is there already (it was not written
    by this project, or changed since); choose another folder or name, or
    give --overwrite
    """
    marks, strangers, seen = {}, [], set()
    for path, made in targets:
        path = Path(path)
        place = (os.path.realpath(path.parent), path.name)
        if place in seen:
            raise ValueError(f"two results would be written to {path}")
        seen.add(place)
        if overwrite or not os.path.lexists(path):
            continue
        if path.parent not in marks:
            marks[path.parent] = read_mark(path.parent)
        mark = marks[path.parent]
        found = find_written(path, mark) if mark is not None else None
        if found is None:
            why = "it was not written by this project, or changed since"
            strangers.append(f"{path} is there already ({why})")
        elif found.made != made:
            strangers.append(f"{path} is there already (made by {found.made})")
    if strangers:
        named = ", ".join(strangers[:3])
        if len(strangers) > 3:
            named += f" and {len(strangers) - 3} more"
        raise FileExistsError(
            f"{named}; choose another folder or name, or give --overwrite"
        )


@contextmanager
def written(
    path: str | os.PathLike,
    maker: str,
    *,
    source: str | os.PathLike = "",
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
    source : str or PathLike
        What it makes the file of: only of the same may it be replaced.
    overwrite : bool
        Whether any other file may be replaced.
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
    path, made = Path(path), made_of(maker, source)
    require_free([(path, made)], overwrite=overwrite)
    mark_folder(path.parent, maker, whole=whole)
    with replaced(path) as partial:
        yield partial
        status = partial.stat()
        # before it gets its name: a kill leaves nothing that is not listed
        _append(
            path.parent,
            {
                "name": path.name,
                "made": made,
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "digest": digest_of(partial),
            },
        )


def made_of(maker: str, source: str | os.PathLike = "") -> str:
    """Say what makes a file, as marks have it.

    Arguments
    ---------
    maker : str
        The command.
    source : str or PathLike
        What it makes the file of.

    Returns
    -------
    made : str

    Example
    -------
    >>> made_of("separate", "/talks/a.wav")
    'separate of /talks/a.wav'
    """
    return f"{maker} of {os.fspath(source)}" if source else maker


def remove_outputs(paths: Iterable[str | os.PathLike], made: str) -> None:
    """Remove files that an earlier run wrote; leave all others alone.

    Arguments
    ---------
    paths : iterable of str or PathLike
        Files that need not exist.
    made : str
        From `made_of`: what else was made stays.
    """
    for path in map(Path, paths):
        found = find_written(path)
        if found is not None and found.made == made:
            path.unlink()


def _append(folder: Path, entry: dict) -> None:
    """Add a line to a mark in one write, which other processes cannot cut."""
    # what a full disk cut off does not swallow the next line
    line = f"\n{json.dumps(entry)}\n"
    with open(folder / MARK, "ab", buffering=0) as file:
        file.write(line.encode())
