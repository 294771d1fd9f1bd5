"""MUSAN: the noises of its two collections, free-sound and sound-bible.

Source: the layout of OpenSLR 17; D. Snyder, G. Chen and D. Povey, "MUSAN: A
Music, Speech, and Noise Corpus", arXiv 1510.08484.
"""

import os
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.splits import divide
from speechbrain_ext.corpora.tree import list_audio, require_folder

FREE_SOUND, SOUND_BIBLE = "MUSAN free-sound", "MUSAN sound-bible"


@prepares
def prepare(
    musan_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 16000,
    validation_share: float = 0.1,
    minimum_seconds: float = 1.0,
    seed: int = 0,
) -> Path:
    """Make the manifest of the noises of MUSAN.

    Arguments
    ---------
    musan_folder : str or PathLike
        The folder ``musan``, or the one that it lies in. It holds
        ``noise/free-sound/*.wav`` and ``noise/sound-bible/*.wav``; speech and
        music are not read.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz; MUSAN has 16000.
    validation_share, seed
        Of the division of free-sound.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest: free-sound is train and valid, sound-bible is test.

    Raises
    ------
    FileNotFoundError
        If a folder is not there; the argument is named.
    ValueError
        If nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: musan_folder: there is no folder /nowhere
    """
    return convert_all(
        find_noises(musan_folder, validation_share=validation_share, seed=seed),
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
    )


def find_noises(
    musan_folder: str | os.PathLike,
    *,
    validation_share: float = 0.1,
    seed: int = 0,
) -> list[Candidate]:
    """Find the noises of both collections.

    Arguments
    ---------
    musan_folder, validation_share, seed
        See `prepare`.

    Returns
    -------
    candidates : list of Candidate

    Raises
    ------
    FileNotFoundError, ValueError
        See `prepare`.
    """
    root = require_folder(musan_folder, argument="musan_folder")
    if (root / "musan").is_dir():
        root = root / "musan"
    candidates = []
    for source in (FREE_SOUND, SOUND_BIBLE):
        collection = source.partition(" ")[2]
        paths = list_audio(root / "noise" / collection, argument="musan_folder")
        splits = dict.fromkeys((path.stem for path in paths), "test")
        if source == FREE_SOUND:
            splits = divide(
                splits,
                validation_share=validation_share,
                test_share=0.0,
                seed=seed,
            )
        candidates += [
            Candidate(
                source_path=str(path),
                id=f"noise/musan_{collection}/{path.stem}",
                kind="noise",
                split=splits[path.stem],
                source=source,
                licence="free to use, see LICENSE of MUSAN",
            )
            for path in paths
        ]
    return candidates
