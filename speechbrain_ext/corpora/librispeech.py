"""LibriSpeech: read English speech with its text.

Source: the folder layout of the corpus; V. Panayotov et al., "LibriSpeech:
an ASR corpus based on public domain audio books", ICASSP 2015.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.folder import find_others
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.splits import (
    fill_splits,
)
from speechbrain_ext.corpora.tables import read_text
from speechbrain_ext.corpora.tree import (
    list_audio,
    require_folder,
)

SPLITS = {
    "train": ("train-clean-100",),
    "valid": ("dev-clean",),
    "test": ("test-clean",),
}


@prepares
def prepare(
    librispeech_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 16000,
    splits: Mapping[str, Sequence[str]] = SPLITS,
    noise_folder: str | os.PathLike | None = None,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    minimum_seconds: float = 1.0,
    seed: int = 0,
) -> Path:
    """Make the manifest of LibriSpeech, if wanted with a folder of noise.

    Arguments
    ---------
    librispeech_folder : str or PathLike
        The folder ``LibriSpeech``, or the one that it lies in. It holds
        ``SUBSET/SPEAKER/CHAPTER/*.flac`` with ``*.trans.txt``, and
        ``SPEAKERS.TXT``, from which sexes are read if it is there.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    splits : mapping
        The subsets of train, valid and test.
    noise_folder : str or PathLike, optional
        As in ``speechbrain_ext.corpora.folder.prepare``.
    validation_share, test_share, seed
        Of the division of a noise folder without splits.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest.

    Raises
    ------
    FileNotFoundError
        If a folder or subset is not there; the argument is named.
    ValueError
        If nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: librispeech_folder: there is no folder /nowhere
    """
    root = require_folder(librispeech_folder, argument="librispeech_folder")
    if (root / "LibriSpeech").is_dir():
        root = root / "LibriSpeech"
    sexes = read_sexes(root / "SPEAKERS.TXT")
    candidates = []
    for split, subsets in splits.items():
        for subset in subsets:
            candidates += find_subset(root / subset, split, sexes)
    if noise_folder is not None:
        candidates += find_others(
            noise_folder, "noise", argument="noise_folder"
        )
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
    )


def find_subset(
    folder: Path, split: str, sexes: Mapping[str, str]
) -> list[Candidate]:
    """Find the utterances of one subset, with their text.

    Arguments
    ---------
    folder : Path
        Of the subset.
    split : str
        What to call it.
    sexes : mapping
        Of the speakers, from `read_sexes`.

    Returns
    -------
    candidates : list of Candidate

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    texts = {}
    candidates = []
    for path in list_audio(folder, argument="librispeech_folder"):
        chapter = path.parent
        speaker = chapter.parent.name
        if chapter not in texts:
            texts[chapter] = _read_texts(chapter)
        candidates.append(
            Candidate(
                source_path=str(path),
                id="/".join(
                    ("speech", folder.name, speaker, chapter.name, path.stem)
                ),
                kind="speech",
                split=split,
                speaker=speaker,
                sex=sexes.get(speaker, ""),
                text=texts[chapter].get(path.stem, ""),
                source=f"LibriSpeech {folder.name}",
                license="CC BY 4.0",
            )
        )
    return candidates


def _read_texts(chapter: Path) -> dict[str, str]:
    """Read what is said in a chapter: one utterance and its text a line."""
    texts = {}
    for path in chapter.glob("*.trans.txt"):
        text = read_text(path, argument="librispeech_folder")
        for line in text.splitlines():
            utterance, _, text = line.partition(" ")
            texts[utterance] = text.strip()
    return texts


def read_sexes(path: Path) -> dict[str, str]:
    """Read the speaker table: columns parted by bars.

    Arguments
    ---------
    path : Path
        ``SPEAKERS.TXT``; it may be missing.

    Returns
    -------
    sexes : dict
        F or M for each speaker that the table names.
    """
    if not path.is_file():
        return {}
    sexes = {}
    for line in read_text(path, argument="librispeech_folder").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 1 and cells[1] in ("F", "M"):
            sexes[cells[0]] = cells[1]
    return sexes
