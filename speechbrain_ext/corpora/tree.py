"""Trees of audio files: finding the files and naming them."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from speechbrain_ext.corpora.candidate import Candidate, name_hash
from speechbrain_ext.corpora.finding import describe_absence, find_audio


def require_folder(folder: str | os.PathLike, *, argument: str) -> Path:
    """Give the absolute path of a folder that must be there.

    Arguments
    ---------
    folder : str or PathLike
        The folder.
    argument : str
        Name of the caller's argument, for the error.

    Returns
    -------
    folder : Path
        Absolute, links not resolved.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.

    Example
    -------
    >>> require_folder("/nowhere", argument="data_folder")
    Traceback (most recent call last):
    FileNotFoundError: data_folder: there is no folder /nowhere
    """
    path = Path(os.path.abspath(folder))
    if not path.is_dir():
        raise FileNotFoundError(f"{argument}: there is no folder {path}")
    return path


def list_audio(
    folder: str | os.PathLike,
    *,
    argument: str,
    exclude: Iterable[str | os.PathLike] = (),
) -> list[Path]:
    """List the audio files below a folder.

    Links are followed, but no folder is entered twice. Files and folders
    whose name begins with a dot are passed over.

    Arguments
    ---------
    folder : str or PathLike
        The folder.
    argument : str
        Name of the caller's argument, for the errors.
    exclude : iterable of str or PathLike
        Folders not to enter.

    Returns
    -------
    paths : list of Path
        Absolute and sorted, at least one.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are no audio files in it.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a.wav").touch()
    >>> [path.name for path in list_audio(folder, argument="data_folder")]
    ['a.wav']
    """
    root = require_folder(folder, argument=argument)
    found = find_audio(root, exclude=exclude)
    if not found:
        raise ValueError(f"{argument}: {describe_absence(root)}")
    return found


def speaker_of(name: str) -> str:
    """Give the speaker that a name means: in one spelling, and trimmed.

    Arguments
    ---------
    name : str
        Of a folder, or from a table.

    Returns
    -------
    speaker : str
        In Unicode's form NFC; a name of spaces alone stays as it is.

    Example
    -------
    >>> speaker_of("cafe\u0301 ") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name).strip() or name


def distinct_files(
    candidates: Sequence[Candidate], skipped: list[tuple[str, str, str]]
) -> list[Candidate]:
    """Keep one candidate of each file, whatever names lead to it.

    Arguments
    ---------
    candidates : sequence of Candidate
        The first name of a file is kept; of each kind and channel.
    skipped : list of (id, path, reason)
        The others are added to it.

    Returns
    -------
    candidates : list of Candidate

    Example
    -------
    >>> folder, skipped = getfixture("tmp_path"), []
    >>> (folder / "a.wav").touch()
    >>> (folder / "b.wav").symlink_to("a.wav")
    >>> pair = [
    ...     Candidate(str(folder / f"{name}.wav"), name, "noise", "")
    ...     for name in "ab"
    ... ]
    >>> [item.id for item in distinct_files(pair, skipped)], skipped[0][0]
    (['a'], 'b')
    """
    kept, first = [], {}
    for item in candidates:
        try:
            found = os.stat(item.source_path)
        # no file, or a name with a NUL: reading it tells the reason
        except (OSError, ValueError):
            kept.append(item)
            continue
        # some file systems number no files
        file = (found.st_dev, found.st_ino or item.source_path)
        other = first.setdefault((item.kind, item.channel, *file), item)
        if other is item:
            kept.append(item)
            continue
        reason = f"is the same file as {other.source_path}"
        skipped.append((item.id, item.source_path, reason))
    return kept


def with_unique_ids(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Tell apart candidates of the same id, such as a.wav and a.flac.

    Each of them gets the hash of its path appended.

    Arguments
    ---------
    candidates : sequence of Candidate
        No two of them with the same file.

    Returns
    -------
    candidates : list of Candidate
        In the same order.

    Example
    -------
    >>> pair = [
    ...     Candidate(f"/a.{end}", "a", "noise", "train")
    ...     for end in ("wav", "flac")
    ... ]
    >>> [item.id for item in with_unique_ids(pair)]
    ['a-6567a806', 'a-1daf52aa']
    """
    counts = Counter(candidate.id for candidate in candidates)
    return [
        candidate
        if counts[candidate.id] == 1
        else replace(
            candidate,
            id=f"{candidate.id}-{name_hash(str(candidate.source_path))}",
        )
        for candidate in candidates
    ]
