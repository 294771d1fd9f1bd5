"""Folders of prepared data: what is in them, and who works there.

A prepared folder belongs to the data and the options that it was made from.
They are written into it before any audio is, and other data are never
prepared over them: a training that reads the folder would continue on
another's recordings.
"""

import errno
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from speechbrain_ext.console import printable
from speechbrain_ext.files import replaced
from speechbrain_ext.outputs import mark_folder

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

logger = logging.getLogger(__name__)

FORMAT = 2
IDENTITY = "prepared.json"
LOCK = ".preparation.lock"
AUDIO = "audio"
MANIFEST = "manifest.csv"
JOURNAL = "conversion.jsonl"
SKIPPED = "skipped.csv"


def absolute_path(path: str | os.PathLike, *, argument: str) -> Path:
    """Give the absolute path that an argument names.

    Arguments
    ---------
    path : str or PathLike
        A leading ``~`` is the home folder.
    argument : str
        Its name, for the error.

    Returns
    -------
    path : Path
        Links are not resolved.

    Raises
    ------
    ValueError
        If it is empty, or no path. ``Path("")`` counts as empty: the folder
        that the program runs in is given as the text ``"."``.

    Example
    -------
    >>> absolute_path("", argument="data_folder")
    Traceback (most recent call last):
    ValueError: data_folder is empty; give a path
    """
    if not isinstance(path, str | os.PathLike) and path is not None:
        raise ValueError(f"{argument} is {path!r}; it must be a path")
    text = "" if path is None else os.fspath(path)
    if not text.strip() or (text == "." and path != "."):
        raise ValueError(f"{argument} is empty; give a path")
    if "\0" in text:
        raise ValueError(f"{argument} holds a NUL character")
    return Path(os.path.abspath(os.path.expanduser(text)))


class PreparedFolder(os.PathLike):
    """A folder, and what is prepared into it.

    Arguments
    ---------
    path : str or PathLike
        The folder; it need not exist.
    made_from : Mapping
        Name to value of all that decides what is written: the data, by their
        resolved paths, and every option.

    Raises
    ------
    ValueError
        If the path is empty.

    Example
    -------
    >>> path = getfixture("tmp_path") / "prepared"
    >>> with PreparedFolder(path, {"data_folder": "/ann"}).taken():
    ...     pass  # convert the recordings, write the manifest
    >>> _ = (path / "manifest.csv").write_text("")
    >>> PreparedFolder(path, {"data_folder": "/bob"}).require_same()
    Traceback (most recent call last):
    ValueError: ... holds data prepared from data_folder='/ann'; now it is
    data_folder='/bob'. The data there stay as they are: choose another
    prepared_folder (or output_folder), or delete the folder
    """

    def __init__(self, path: str | os.PathLike, made_from: Mapping) -> None:
        self.path = absolute_path(path, argument="folder")
        self.made_from = json.loads(
            json.dumps({"format": FORMAT, **made_from}, default=_plain)
        )
        self._is_taken = False

    def __fspath__(self) -> str:
        return str(self.path)

    def require_same(self) -> None:
        """Raise if the folder holds what was made from something else.

        Raises
        ------
        ValueError
            Naming the folder, what differs, and what to do.
        """
        there = [
            name
            for name in (MANIFEST, JOURNAL, SKIPPED, AUDIO)
            if os.path.lexists(self.path / name)
        ]
        advice = (
            "The data there stay as they are: choose another prepared_folder "
            "(or output_folder), or delete the folder"
        )
        found = self._read_identity()
        if found is None:
            if there:
                raise ValueError(
                    f"{self.path} holds {' and '.join(there)}, and no "
                    f"{IDENTITY} that tells what they were made from. {advice}"
                )
            return
        wanted = self.made_from
        names = [
            name
            for name in dict.fromkeys((*wanted, *found))
            if name not in found
            or name not in wanted
            or found[name] != wanted[name]
        ]
        if names and not {MANIFEST, JOURNAL}.isdisjoint(there):
            raise ValueError(
                f"{self.path} holds data prepared from "
                f"{_listed(found, names)}; now it is "
                f"{_listed(wanted, names)}. {advice}"
            )

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Work in the folder alone; other processes wait.

        The folder is created and marked as output, and what it is made from
        is written down. Within one object this may be nested.

        Raises
        ------
        ValueError
            See `require_same`; nothing is written then.
        """
        if self._is_taken:
            yield
            return
        self.require_same()
        mark_folder(self.path, "prepare")
        with locked(self.path / LOCK):
            self.require_same()  # another process may have been faster
            if self._read_identity() != self.made_from:
                with replaced(self.path / IDENTITY) as partial:
                    text = json.dumps(self.made_from, indent=2) + "\n"
                    partial.write_text(text, encoding="utf-8")
            mark_folder(self.path / AUDIO, "prepare")
            self._is_taken = True
            try:
                yield
            finally:
                self._is_taken = False

    def _read_identity(self) -> dict | None:
        """Read what the folder was made from; None if nothing tells."""
        try:
            found = json.loads((self.path / IDENTITY).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def leads_outside(path: str | os.PathLike, folder: str | os.PathLike) -> str:
    """Say where a file would really be written; empty if below its folder.

    Arguments
    ---------
    path : str or PathLike
        The file; it need not exist.
    folder : str or PathLike
        Where it must lie, with all links resolved.

    Returns
    -------
    place : str

    Example
    -------
    >>> leads_outside("/data/audio/../../a.wav", "/data/audio")
    '/'
    """
    root = os.path.realpath(folder)
    parent = os.path.realpath(os.path.dirname(path))
    return "" if os.path.commonpath((root, parent)) == root else parent


@contextmanager
def locked(path: str | os.PathLike) -> Iterator[None]:
    """Exclude other processes that lock the same file.

    On a file system without locks, or where the file cannot be opened, work
    goes on without one.

    Arguments
    ---------
    path : str or PathLike
        A file, created if missing, or a folder that is there.

    Example
    -------
    >>> with locked(getfixture("tmp_path") / "lock"):
    ...     pass
    """
    handle = None
    try:
        if os.path.isdir(path):
            handle = os.open(path, os.O_RDONLY)
        else:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        _lock(handle, path)
    except OSError as error:
        logger.warning(
            "%s cannot be locked (%s): make sure that no other process works "
            "there",
            path,
            error.strerror,
        )
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int, path: str | os.PathLike) -> None:
    """Lock an open file, and say so if that has to wait."""
    if fcntl is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.warning(
            "another process works in %s; waiting for it",
            os.path.dirname(path),
        )
        fcntl.flock(handle, fcntl.LOCK_EX)


def _plain(value: object) -> object:
    """Turn an option into what JSON knows."""
    return dict(value) if isinstance(value, Mapping) else str(value)


def _listed(values: Mapping, names: list[str]) -> str:
    """Name options with their values."""
    return ", ".join(
        f"{name}={printable(repr(values.get(name)))}" for name in names
    )
