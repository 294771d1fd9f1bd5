"""Anyone's own recordings: a tree of speakers, or a table."""

import logging
import math
import os
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from speechbrain_ext.console import printable
from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.splits import (
    TREE_SPLITS,
    fill_splits,
    find_splits,
)
from speechbrain_ext.corpora.tables import Row, read_table
from speechbrain_ext.corpora.tree import (
    distinct_files,
    list_audio,
    require_folder,
    speaker_of,
)
from speechbrain_ext.dataio.prepared import AUDIO, MANIFEST
from speechbrain_ext.dataio.recordings import KINDS, SPLITS

logger = logging.getLogger(__name__)

SPLIT_NAMES = {
    **{split: split for split in SPLITS},
    **TREE_SPLITS,
    "user": "user",
    "": "",
}
COLUMNS = (
    *("path", "kind", "split", "speaker", "sex", "label", "text"),
    *("source", "licence", "seconds"),
)
SEX_NAMES = {"f": "F", "female": "F", "m": "M", "male": "M"}


class Found(NamedTuple):
    """Files found, and files refused as (id, path, reason)."""

    candidates: list[Candidate]
    skipped: list[tuple[str, str, str]]


@prepares
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

    - a tree ``SPEAKER/**/*.wav`` (or flac, ogg, opus, mp3 ...); a file in no
      speaker's folder counts as a speaker of its own;
    - the same tree below folders of splits, see
      ``speechbrain_ext.corpora.splits.find_splits``;
    - a CSV, or a folder that holds a ``manifest.csv``; see
      ``speechbrain_ext.corpora.tables.read_table``. Its column ``path`` is
      relative to the CSV. Further columns, all optional: ``speaker``
      (needed for speech), ``kind`` (speech by default), ``split``, ``sex``,
      ``label`` (for noise and events ``text`` stands in for it), ``text``,
      ``source``, ``licence``, and ``seconds``, which is checked against the
      file. Other columns are ignored.

    Where no splits are given, speech is divided by speaker and all else by
    file; with fewer than five speakers speech is divided by file too. The
    split ``user`` of a CSV is divided, for each speaker, into user_train,
    user_valid and user_test.

    A file that is reached by several names counts once. Conversion, skipped
    files and resumption are those of
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
        folders of splits. The folder that a file lies in is its label.
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
        If there is nothing usable, the CSV has no column ``path``, a
        pattern of ``include`` matches nothing, or the folder holds what was
        prepared from something else.

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
    >>> from speechbrain_ext.dataio.recordings import read_recordings
    >>> len(read_recordings(manifest, kind="speech", split="train"))
    3
    """
    others = {"noise": noise_folder, "rir": rir_folder, "event": event_folder}
    others = {kind: path for kind, path in others.items() if path is not None}
    table = _table_of(data_folder)
    if table is not None:
        found = _read_table(table)
    else:
        exclude = [Path(folder) / AUDIO, *others.values()]
        found = _read_tree(Path(data_folder), exclude)
    if include is not None:
        root = str(table.parent if table is not None else data_folder)
        found = _included(found, include, root)
    candidates = found.candidates
    for kind, path in others.items():
        candidates += find_others(
            path, kind, argument=f"{kind}_folder", exclude=[folder]
        )
    candidates = fill_splits(
        distinct_files(candidates, found.skipped),
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
    folder: str | os.PathLike,
    kind: str,
    *,
    argument: str,
    exclude: Sequence[str | os.PathLike] = (),
) -> list[Candidate]:
    """Find the noises, events or room responses of a tree.

    Arguments
    ---------
    folder : str or PathLike
        The tree, with or without folders of splits.
    kind : str
        noise, event, rir or mixture.
    argument : str
        Name of the caller's argument, for the errors.
    exclude : sequence of str or PathLike
        Folders not to enter.

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
    paths = list_audio(folder, argument=argument, exclude=exclude)
    places = [path.relative_to(root).parts for path in paths]
    splits = find_splits(places, place=f"{argument}: {root}")
    candidates = []
    for path, parts in zip(paths, places, strict=True):
        split = splits.get(parts[0], "") if len(parts) > 1 else ""
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
    path = Path(data_folder)
    if path.suffix.lower() in (".csv", ".tsv", ".txt") and not path.is_dir():
        return path
    require_folder(path, argument="data_folder")
    table = path / MANIFEST
    return table if table.is_file() else None


def _read_tree(root: Path, exclude: Sequence[str | os.PathLike]) -> Found:
    """Find the speech of a tree of speakers."""
    found = Found([], [])
    paths = list_audio(root, argument="data_folder", exclude=exclude)
    places = [path.relative_to(root).parts for path in paths]
    splits = find_splits(
        places, place=f"data_folder: {root}", has_speakers=True
    )
    own = 0
    for path, parts in zip(paths, places, strict=True):
        identity = _id("speech", *parts)
        split = splits.get(parts[0], "") if len(parts) > 1 else ""
        if splits and not split:
            reason = f"lies outside {', '.join(splits)}, which are splits"
            found.skipped.append((identity, str(path), reason))
            continue
        inner = parts[1:] if split else parts
        own += len(inner) == 1
        found.candidates.append(
            Candidate(
                source_path=str(path),
                id=identity,
                kind="speech",
                split=split,
                speaker=speaker_of(inner[0] if len(inner) > 1 else path.stem),
            )
        )
    if own:
        logger.info(
            "data_folder: %d files lie in no speaker's folder; each counts as "
            "a speaker of its own",
            own,
        )
    return found


def _read_table(path: Path) -> Found:
    """Find the recordings of a CSV."""
    table = read_table(path, COLUMNS, needed=["path"], argument="data_folder")
    if not table.rows:
        raise ValueError(
            f"data_folder: nothing usable in {path}: there are no rows below "
            "its header"
        )
    sexes = Counter(row.cells["sex"] for row in table.rows)
    unknown = [sex for sex in sexes if sex and sex.lower() not in SEX_NAMES]
    if unknown:
        logger.warning(
            "data_folder: %s: %d rows have a sex that is none of %s, such as "
            "%r; it is left open",
            printable(path),
            sum(sexes[sex] for sex in unknown),
            ", ".join(SEX_NAMES),
            printable(unknown[0], 80),
        )
    has_split = {_kind(r.cells) for r in table.rows if r.cells["split"]}
    found = Found([], [])
    seen = set()
    for row in table.rows:
        place = _locate(row, path.parent, table.encoding)
        identity = _id(*row.cells["path"].split("/"))
        reason = row.fault or _row_fault(row.cells, has_split)
        if not reason and place in seen:
            reason = "is listed twice"
        if reason:
            found.skipped.append((identity, place, reason))
            continue
        seen.add(place)
        found.candidates.append(_from_row(row.cells, place, identity))
    return found


def _locate(row: Row, folder: Path, encoding: str) -> str:
    """Find the file that a row names.

    Spaces around it may be part of the name or not. A name in a table that is
    not UTF-8 may stand on the disk in the bytes of the table.
    """
    text = row.cells["path"]
    names = [text] if text == text.strip() else [text, text.strip()]
    if encoding in ("cp1252", "latin-1"):
        names.append(os.fsdecode(text.encode(encoding)))
    places = [
        os.path.abspath(os.path.join(folder, os.path.expanduser(name)))
        for name in names
    ]
    # a name with a NUL is nowhere
    return next(filter(os.path.lexists, places), places[0])


def _kind(row: dict[str, str]) -> str:
    """Give the kind of a row; speech where nothing is said."""
    return (row.get("kind") or "speech").lower()


def _row_fault(row: dict[str, str], has_split: set[str | None]) -> str:
    """Say why a row of a CSV cannot be taken; empty if it can."""
    kind = _kind(row)
    split = row.get("split") or ""
    if not row["path"].strip():
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
        if math.isfinite(float(row.get("seconds") or 0)):
            return ""
    except ValueError:
        pass
    return f"has {row['seconds']!r} seconds, which is no number"


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
        speaker=speaker_of(row.get("speaker") or ""),
        sex=SEX_NAMES.get((row.get("sex") or "").lower(), ""),
        label=label,
        text=text,
        source=row.get("source") or "",
        license=row.get("licence") or "",
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
    *folders, name = [part for part in parts if part] or ["no path"]
    return "/".join((*folders, os.path.splitext(name)[0]))
