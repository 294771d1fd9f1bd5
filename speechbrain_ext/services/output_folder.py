"""The folder that a run writes to: no one's recordings, and no other run's."""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from speechbrain_ext.console import DISK_FAULTS
from speechbrain_ext.outputs import MARK, mark_folder

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

LOCK = "run.lock"
# keys of what a run writes; the others in _folder are what it reads
_WRITTEN = (
    *("output_folder", "save_folder", "prepared_folder", "folder_prepared"),
    "pool_folder",
)


def find_place_mistakes(values: Mapping) -> list[str]:
    """List what is wrong with the places that a run reads and writes.

    Arguments
    ---------
    values : Mapping
        Of a hyperparameter file: output_folder, data_folder and others.

    Returns
    -------
    mistakes : list of str
        One line each.

    Example
    -------
    >>> find_place_mistakes({"data_folder": "a", "output_folder": "a/out"})
    []
    >>> find_place_mistakes({"data_folder": "a", "output_folder": "./a"})
    ['output_folder: ./a is the data_folder; results need a folder of ...']
    """
    mistakes, written = [], {}
    for key in _WRITTEN:
        if isinstance(values.get(key), str):
            written[key] = Path(os.path.realpath(values[key]))
    for key, place in written.items():
        there = next(p for p in (place, *place.parents) if os.path.exists(p))
        if not there.is_dir():
            return [f"{key}: {there} is a file, and no folder"]
    for key, value in values.items():
        if (
            key in written
            or not key.endswith("_folder")
            or not isinstance(value, str)
        ):
            continue
        source = Path(os.path.realpath(value))
        table = os.path.isfile(source)
        source = source.parent if table else source
        for name, place in written.items():
            if name == "output_folder" and (table or place != source):
                continue
            if place == source:
                mistakes.append(
                    f"{name}: {values[name]} is the {key}; results need a "
                    "folder of their own"
                )
            elif place in source.parents:
                mistakes.append(
                    f"{key}: {value} lies in the {name}, {values[name]}, "
                    "which is written by runs; move the recordings, or give "
                    f"another {name}"
                )
    return mistakes


def find_absent_sources(values: Mapping, given: Iterable[str]) -> list[str]:
    """List the given folders of recordings that are not there.

    Arguments
    ---------
    values : Mapping
        Of a hyperparameter file.
    given : iterable of str
        The keys that were given as options.

    Returns
    -------
    mistakes : list of str
        One line each; none where the recordings may be downloaded.

    Example
    -------
    >>> find_absent_sources({"data_folder": "/nowhere"}, ["data_folder"])
    ['data_folder: there is no folder /nowhere']
    """
    if values.get("download"):
        return []
    mistakes = []
    for key in given:
        place = values.get(key)
        source = key.endswith("_folder") and key not in _WRITTEN
        if source and isinstance(place, str) and not os.path.exists(place):
            table = place.lower().endswith((".csv", ".tsv", ".txt"))
            kind = "file" if table else "folder"
            mistakes.append(f"{key}: there is no {kind} {place}")
    return mistakes


def claim_output(
    folder: str | os.PathLike,
) -> IO[str]:
    """Create an output folder, mark it, and lock it against other runs.

    Arguments
    ---------
    folder : str or PathLike
        Where a run writes.

    Returns
    -------
    claim : file
        The lock lasts until it is closed or the process ends. (Some file
        systems know no locks.)

    Raises
    ------
    ValueError
        If another process has it, or if it cannot be written to.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "results"
    >>> claim = claim_output(folder)
    >>> claim.close()
    """
    try:
        mark_folder(folder, "train")
        claim = open(Path(folder, LOCK), "a")
    except OSError as error:
        if error.errno in DISK_FAULTS:
            raise
        raise ValueError(
            f"output_folder: {folder} cannot be written to: {error.strerror}. "
            "Give another one as --output_folder=DIR"
        ) from error
    if fcntl is None:
        return claim
    try:
        # of this process alone: what it forks has no part in it
        fcntl.lockf(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            claim.close()
            raise ValueError(
                f"output_folder: another process is training in {folder}. "
                "Wait until it ends, or give another folder"
            ) from error
    return claim


@contextmanager
def claimed(folder: str | os.PathLike) -> Iterator[None]:
    """Claim an output folder; a new one that an error leaves empty goes.

    Arguments
    ---------
    folder : str or PathLike
        See `claim_output`.
    """
    is_new = not os.path.lexists(folder)
    with claim_output(folder):
        try:
            yield
        except BaseException:
            if is_new and set(os.listdir(folder)) <= {MARK, LOCK}:
                for name in os.listdir(folder):
                    os.unlink(Path(folder, name))
                os.rmdir(folder)
            raise
