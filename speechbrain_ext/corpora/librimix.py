"""LibriMix: sources and noise of its mixtures.

Source: the folders that the LibriMix scripts write; J. Cosentino et al.,
"LibriMix: An open-source dataset for generalizable speech separation",
arXiv 2005.11262.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from speechbrain_ext.corpora.mixed import prepare_sources
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.tree import require_folder

SPLITS = {"train": "train-360", "valid": "dev", "test": "test"}


@prepares
def prepare(
    librimix_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 8000,
    num_sources: int = 2,
    version: str = "min",
    splits: Mapping[str, str] = SPLITS,
    minimum_seconds: float = 1.0,
) -> Path:
    """Make the manifest of the sources of LibriMix.

    Arguments
    ---------
    librimix_folder : str or PathLike
        ``Libri2Mix`` (or ``Libri3Mix``), or the folder that holds it, as the
        official scripts leave it.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        8000 or 16000, in Hz.
    num_sources : int
        2 or 3.
    version : str
        min or max: whether the longer sources of a mixture were cut.
    splits : mapping
        The folders of train, valid and test.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest; speakers are those of LibriSpeech, sexes are not told.

    Raises
    ------
    FileNotFoundError
        If a folder is not there; the argument is named.
    ValueError
        If the rate is another, or nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: librimix_folder: there is no folder /nowhere
    """
    root = require_folder(librimix_folder, argument="librimix_folder")
    if (root / f"Libri{num_sources}Mix").is_dir():
        root = root / f"Libri{num_sources}Mix"
    return prepare_sources(
        root,
        folder,
        splits,
        [f"s{number + 1}" for number in range(num_sources)],
        _utterances,
        sample_rate=sample_rate,
        version=version,
        minimum_seconds=minimum_seconds,
        argument="librimix_folder",
        source="LibriMix",
        licence="CC BY 4.0 (speech), CC BY-NC 4.0 (noise)",
    )


def _utterances(name: str) -> list[tuple[str, str]]:
    """Read 4077-13754-0001_5142-33396-0065: speaker, chapter, number."""
    found = []
    for utterance in name.split("_"):
        speaker, chapter, number = utterance.split("-")
        found.append((f"{speaker}-{chapter}-{number}", speaker))
    return found
