"""Trees of audio files: finding the files and naming them."""

import os
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
