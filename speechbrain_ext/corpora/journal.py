"""The journal of a conversion: what was made of which file."""

import json
import os
from pathlib import Path

from speechbrain_ext.dataio.prepared import AUDIO, leads_outside


class Journal:
    """Finished conversions, a line of JSON for each.

    A line is written before a file is converted and another when it is done,
    so that only files that were made here are ever replaced. Names that are
    not UTF-8 stand there as JSON escapes of Python's surrogates.

    Arguments
    ---------
    path : Path
        The file; it need not exist. What is not understood, such as a line
        cut off by a kill, is ignored.

    Example
    -------
    >>> path = getfixture("tmp_path") / "conversion.jsonl"
    >>> with Journal(path) as journal:
    ...     journal.write({"id": "a"})
    >>> sorted(Journal(path).begun)
    ['a']
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun: set[str] = set()
        self.done: dict[str, dict] = {}
        if not path.exists():
            return
        with open(path, "rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(entry, dict):
                    continue
                identity = entry.get("id")
                if not isinstance(identity, str):
                    continue
                self.begun.add(identity)
                self.done.pop(identity, None)
                if {"reason", "source"} <= entry.keys():
                    self.done[identity] = entry

    def __enter__(self) -> "Journal":
        self._file = open(self.path, "a", encoding="utf-8")
        self._file.write("\n")  # ends a line that a kill may have cut off
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def write(self, entry: dict) -> None:
        """Add a line at once."""
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        self.begun.add(entry["id"])


def target_of(identity: str, folder: Path) -> Path:
    """Say where the converted audio of an id lies."""
    return folder / AUDIO / f"{identity}.wav"


def state_of(path: Path) -> list[int] | None:
    """Give size and time of change of a file; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def target_fault(identity: str, folder: Path, begun: set[str]) -> str:
    """Say why a conversion must not be written; empty if it may.

    Arguments
    ---------
    identity : str
        Its id.
    folder : Path
        That is prepared.
    begun : set of str
        The ids of the journal: their files may be replaced.

    Returns
    -------
    fault : str
    """
    target = target_of(identity, folder)
    if outside := leads_outside(target, folder):
        return f"would be written outside of {folder}, to {outside}"
    if identity not in begun and os.path.lexists(target):
        return f"{target} is there already and was not made by a preparation"
    return ""
