"""Anyone's own recordings: a tree of speakers, or a table."""

import csv
import logging
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.splits import fill_splits
from speechbrain_ext.corpora.tree import (
    list_audio,
    require_folder,
)
from speechbrain_ext.dataio.manifest import KINDS, SPLITS

logger = logging.getLogger(__name__)

SPLIT_FOLDERS = ("train", "valid", "test")
SPLIT_NAMES = {split: split for split in SPLITS} | {
    "dev": "valid",
    "val": "valid",
    "validation": "valid",
    "eval": "test",
    "user": "user",
    "": "",
}
SEX_NAMES = {"f": "F", "female": "F", "m": "M", "male": "M"}


class Found(NamedTuple):
    """Files found, and files refused as (id, path, reason)."""

    candidates: list[Candidate]
    skipped: list[tuple[str, str, str]]


def prepare(
    data_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 16000,
    noise_folder: str | os.PathLike | None = None,
    rir_folder: str | os.PathLike | None = None,
    event_folder: str | os.PathLike | None = None,
    include: Sequence[str] | None = None,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    minimum_seconds: float = 1.0,
    seed: int = 0,
) -> Path:
    """Turn a folder of recordings into a manifest, at any rate and format.

    The recordings may be given as

    - a tree ``SPEAKER/**/*.wav`` (or flac, ogg, opus, mp3 ...);
    - the same tree below each of ``train``, ``valid`` and ``test``, of
      which any may be missing;
    - a CSV, or a folder that holds a ``manifest.csv``. Its column ``path``
      is relative to the CSV. Further columns, all optional: ``speaker``
      (needed for speech), ``kind`` (speech by default), ``split``, ``sex``,
      ``label`` (for noise and events ``text`` stands in for it), ``text``,
      ``source``, ``licence``, and ``seconds``, which is checked against the
      file. Other columns are ignored.

    Where no splits are given, speech is divided by speaker and all else by
    file; with fewer than five speakers speech is divided by file too. The
    split ``user`` of a CSV is divided, for each speaker, into user_train,
    user_valid and user_test.

    Conversion, skipped files and resumption are those of
    ``speechbrain_ext.corpora.audio.convert_all``.

    Arguments
    ---------
    data_folder : str or PathLike
        The recordings.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    noise_folder, rir_folder, event_folder : str or PathLike, optional
        Trees of noises, room responses and sound events, with or without
        ``train``, ``valid`` and ``test``. The folder that a file lies in
        is its label.
    include : sequence of str, optional
        Take only those recordings of ``data_folder`` whose path relative
        to the tree or the CSV matches one of these patterns (``fnmatch``;
        ``*`` matches slashes as well), such as
        ``["speech/librispeech/*", "noise/*"]``.
    validation_share, test_share : float
        Shares of the speakers or files, where no splits are given.
    minimum_seconds : float
        Shorter files are skipped, except room responses.
    seed : int
        Of the division.

    Returns
    -------
    path : Path
        The manifest.

    Raises
    ------
    FileNotFoundError
        If a folder or the CSV is not there; the argument is named.
    ValueError
        If there is nothing usable, the CSV has no column ``path``, or a
        pattern of ``include`` matches nothing.

    Example
    -------
    >>> import tempfile
    >>> import numpy, soundfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for speaker in "abcde":
    ...     (root / "data" / speaker).mkdir(parents=True)
    ...     tone = numpy.sin(numpy.arange(16000) / 5)
    ...     soundfile.write(root / "data" / speaker / "1.flac", tone, 16000)
    >>> manifest = prepare(root / "data", root / "out", sample_rate=8000)
    >>> from speechbrain_ext.dataio.manifest import read_manifest
    >>> len(read_manifest(manifest, kind="speech", split="train"))
    3
    """
    folder = Path(os.path.abspath(folder))
    others = {
        "noise": noise_folder,
        "rir": rir_folder,
        "event": event_folder,
    }
    others = {kind: path for kind, path in others.items() if path is not None}
    table = _table_of(data_folder)
    if table is not None:
        found = _read_table(table)
    else:
        exclude = [folder / "audio", *others.values()]
        found = _read_tree(Path(os.path.abspath(data_folder)), exclude)
    if include is not None:
        root = table.parent if table is not None else data_folder
        found = _included(found, include, os.path.abspath(root))
    candidates = found.candidates
    for kind, path in others.items():
        candidates += find_others(path, kind, argument=f"{kind}_folder")
    candidates = fill_splits(
        candidates,
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
    )
    return convert_all(
        candidates,
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
        skipped=found.skipped,
    )


def find_others(
    folder: str | os.PathLike, kind: str, *, argument: str
) -> list[Candidate]:
    """Find the noises, events or room responses of a tree.

    Arguments
    ---------
    folder : str or PathLike
        The tree; top folders ``train``, ``valid`` and ``test`` are splits.
    kind : str
        noise, event or rir.
    argument : str
        Name of the caller's argument, for the errors.

    Returns
    -------
    candidates : list of Candidate
        The split is empty where the tree has none. The label is the name of
        the folder that the file lies in, if below the tree or its splits.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are no audio files in it.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp(), "train", "rain")
    >>> folder.mkdir(parents=True)
    >>> (folder / "a.wav").touch()
    >>> tree = folder.parent.parent
    >>> rain = find_others(tree, "noise", argument="noise_folder")[0]
    >>> rain.id, rain.split, rain.label
    ('noise/train/rain/a', 'train', 'rain')
    """
    root = Path(os.path.abspath(folder))
    candidates = []
    for path in list_audio(folder, argument=argument):
        parts = path.relative_to(root).parts
        split = parts[0] if parts[0] in SPLIT_FOLDERS else ""
        inner = parts[1:] if split else parts
        candidates.append(
            Candidate(
                source_path=str(path),
                id=_id(kind, *parts),
                kind=kind,
                split=split,
                label=inner[-2] if len(inner) > 1 and kind != "rir" else "",
            )
        )
    return candidates


def _table_of(data_folder: str | os.PathLike) -> Path | None:
    """Find the CSV that describes the data, if there is one."""
    path = Path(os.path.abspath(data_folder))
    if path.suffix.lower() == ".csv":
        if not path.is_file():
            raise FileNotFoundError(f"data_folder: there is no file {path}")
        return path
    require_folder(path, argument="data_folder")
    table = path / "manifest.csv"
    return table if table.is_file() else None


def _read_tree(root: Path, exclude: Sequence[str | os.PathLike]) -> Found:
    """Find the speech of a tree of speakers."""
    found = Found([], [])
    paths = list_audio(root, argument="data_folder", exclude=exclude)
    tops = {path.relative_to(root).parts[0] for path in paths}
    has_splits = bool(tops & set(SPLIT_FOLDERS))
    for path in paths:
        parts = path.relative_to(root).parts
        split, inner = (parts[0], parts[1:]) if has_splits else ("", parts)
        identity = _id("speech", *parts)
        if has_splits and split not in SPLIT_FOLDERS:
            reason = "lies outside train, valid and test, which are there"
            found.skipped.append((identity, str(path), reason))
        elif len(inner) < 2:
            reason = "lies in no speaker's folder"
            found.skipped.append((identity, str(path), reason))
        else:
            found.candidates.append(
                Candidate(
                    source_path=str(path),
                    id=identity,
                    kind="speech",
                    split=split,
                    speaker=inner[0],
                )
            )
    return found


def _read_table(table: Path) -> Found:
    """Find the recordings of a CSV."""
    with open(table, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        if "path" not in (reader.fieldnames or ()):
            raise ValueError(
                f"{table} has no column 'path'; its columns are "
                f"{', '.join(reader.fieldnames or ()) or '(none)'}"
            )
        rows = list(reader)
    has_split = {_kind(row) for row in rows if row.get("split")}
    found = Found([], [])
    seen = set()
    for row in rows:
        path = os.path.abspath(table.parent / row["path"])
        identity = _id(*PurePosixPath(row["path"] or "no path").parts)
        reason = _row_fault(row, has_split)
        if not reason and path in seen:
            reason = "is listed twice"
        if reason:
            found.skipped.append((identity, path, reason))
            continue
        seen.add(path)
        found.candidates.append(_from_row(row, path, identity))
    return found


def _kind(row: dict[str, str]) -> str:
    """Give the kind of a row; speech where nothing is said."""
    return (row.get("kind") or "speech").lower()


def _row_fault(row: dict[str, str], has_split: set[str | None]) -> str:
    """Say why a row of a CSV cannot be taken; empty if it can."""
    kind = _kind(row)
    split = row.get("split") or ""
    if not row["path"]:
        return "has no path"
    if kind not in KINDS:
        return f"is of the kind {kind!r}, not one of {', '.join(KINDS)}"
    if split.lower() not in SPLIT_NAMES:
        return f"is in the split {split!r}, not one of {', '.join(SPLITS)}"
    if not split and kind in has_split:
        return f"has no split, while other rows of the kind {kind} have one"
    if kind == "speech" and not row.get("speaker"):
        return "has no speaker"
    try:
        float(row.get("seconds") or 0)
    except ValueError:
        return f"has {row['seconds']!r} seconds, which is no number"
    return ""


def _from_row(row: dict[str, str], path: str, identity: str) -> Candidate:
    """Make a candidate of a row without fault."""
    kind = _kind(row)
    label, text = row.get("label") or "", row.get("text") or ""
    if kind in ("noise", "event") and not label:
        label, text = text, ""
    return Candidate(
        source_path=path,
        id=identity,
        kind=kind,
        split=SPLIT_NAMES[(row.get("split") or "").lower()],
        speaker=row.get("speaker") or "",
        sex=SEX_NAMES.get((row.get("sex") or "").lower(), ""),
        label=label,
        text=text,
        source=row.get("source") or "",
        licence=row.get("licence") or "",
        seconds=float(row.get("seconds") or 0),
    )


def _included(found: Found, include: Sequence[str], root: str) -> Found:
    """Keep what matches a pattern; every pattern must match something."""
    if isinstance(include, str):
        raise ValueError(
            f"include is {include!r}; it must be a list of patterns"
        )
    places = [item.source_path for item in found.candidates]
    places += [path for _, path, _ in found.skipped]
    places = {
        path: Path(os.path.relpath(path, root)).as_posix() for path in places
    }
    for pattern in include:
        if not any(fnmatchcase(place, pattern) for place in places.values()):
            example = next(iter(places.values()), "(none)")
            raise ValueError(
                f"include: no path matches {pattern!r}; they are relative to "
                f"{root}, such as {example}"
            )
    kept = {
        path
        for path, place in places.items()
        if any(fnmatchcase(place, pattern) for pattern in include)
    }
    logger.info("include takes %d of %d files", len(kept), len(places))
    return Found(
        [item for item in found.candidates if item.source_path in kept],
        [row for row in found.skipped if row[1] in kept],
    )


def _id(*parts: str) -> str:
    """Make an id of the parts of a path, its ending left out."""
    parts = [part for part in parts if part not in ("/", "..", ".")]
    return PurePosixPath(*parts).with_suffix("").as_posix()
