"""Recordings that are mixtures as they are: nothing is known of their sounds.

They need no labels, no speakers and no references; clips are cut from longer
files when they are read.
"""

import os
from dataclasses import replace
from pathlib import Path

from speechbrain_ext.corpora.audio import convert_all
from speechbrain_ext.corpora.folder import find_others
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.splits import fill_splits
from speechbrain_ext.corpora.tree import distinct_files


@prepares
def prepare(
    data_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 16000,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    minimum_seconds: float = 1.0,
    seed: int = 0,
) -> Path:
    """Turn a tree of recordings into a manifest of mixtures.

    Arguments
    ---------
    data_folder : str or PathLike
        The tree, of any depth, rates and formats, with or without folders of
        splits, see ``speechbrain_ext.corpora.splits.find_splits``. Without
        them files are divided at random.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    validation_share, test_share : float
        Shares of the files, where no splits are given.
    minimum_seconds : float
        Shorter files are skipped.
    seed : int
        Of the division.

    Returns
    -------
    path : Path
        The manifest.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there is nothing usable in it.

    Example
    -------
    >>> import numpy, soundfile
    >>> root = getfixture("tmp_path")
    >>> (root / "in/street").mkdir(parents=True)
    >>> tone = numpy.sin(numpy.arange(16000) / 5)
    >>> for name in "abc":
    ...     soundfile.write(root / f"in/street/{name}.flac", tone, 16000)
    >>> manifest = prepare(root / "in", root / "out", sample_rate=8000)
    >>> from speechbrain_ext.dataio.recordings import read_recordings
    >>> [row.id for row in read_recordings(manifest, kind="mixture")]
    ['mixture/street/a', 'mixture/street/b', 'mixture/street/c']
    """
    candidates = [
        replace(candidate, label="")  # a folder's name is no class here
        for candidate in find_others(
            data_folder, "mixture", argument="data_folder", exclude=[folder]
        )
    ]
    skipped = []
    candidates = fill_splits(
        distinct_files(candidates, skipped),
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
    )
    return convert_all(
        candidates,
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
        skipped=skipped,
    )
