"""FSD50K: clips of sound events of 200 classes.

Source: the layout of Zenodo record 4060432; E. Fonseca et al., "FSD50K: an
open dataset of human-labeled sound events", IEEE/ACM TASLP 2022, arXiv
2010.00475.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.tables import read_table
from speechbrain_ext.corpora.tree import require_folder

logger = logging.getLogger(__name__)

# a clip is left out if one of its labels holds one of these; its labels name
# the families of a sound too, such as Musical_instrument
DROPPED = ("speech", "music", "singing")
PARTS = {"dev": "FSD50K.dev_audio", "eval": "FSD50K.eval_audio"}
SPLITS = {"train": "train", "val": "valid"}


@prepares
def prepare(
    fsd50k_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 16000,
    kind: str = "noise",
    dropped: Sequence[str] = DROPPED,
    minimum_seconds: float = 3.0,
) -> Path:
    """Make the manifest of the clips of FSD50K, as noises or as events.

    Arguments
    ---------
    fsd50k_folder : str or PathLike
        Holds ``FSD50K.dev_audio``, ``FSD50K.eval_audio`` (``NUMBER.wav``)
        and ``FSD50K.ground_truth`` with ``dev.csv`` and ``eval.csv``.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    kind : str
        noise or event.
    dropped : sequence of str
        Clips are left out if a label holds one of these, in any case.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest; train and valid are the official ones, test is eval.

    Raises
    ------
    FileNotFoundError
        If a folder or table is not there; the argument is named.
    ValueError
        If a table is none of FSD50K, or nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: fsd50k_folder: there is no folder /nowhere
    """
    return convert_all(
        find_clips(fsd50k_folder, kind=kind, dropped=dropped),
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
    )


def find_clips(
    fsd50k_folder: str | os.PathLike,
    *,
    kind: str = "noise",
    dropped: Sequence[str] = DROPPED,
) -> list[Candidate]:
    """Find the clips without the labels that are dropped.

    Arguments
    ---------
    fsd50k_folder, kind, dropped
        See `prepare`.

    Returns
    -------
    candidates : list of Candidate
        The label is the first one, the most particular.

    Raises
    ------
    FileNotFoundError, ValueError
        See `prepare`.
    """
    root = require_folder(fsd50k_folder, argument="fsd50k_folder")
    candidates = []
    for part, name in PARTS.items():
        audio = require_folder(root / name, argument="fsd50k_folder")
        table = read_table(
            root / f"FSD50K.ground_truth/{part}.csv",
            ("fname", "labels", "split"),
            needed=("fname", "labels", "split")[: 3 if part == "dev" else 2],
            argument="fsd50k_folder",
        )
        for row, fault in ((row.cells, row.fault) for row in table.rows):
            if fault:
                logger.warning(
                    "fsd50k_folder: %s.csv, left out: %s", part, fault
                )
                continue
            labels = row["labels"].lower()
            if any(word.lower() in labels for word in dropped):
                continue
            split = SPLITS.get(row["split"]) if part == "dev" else "test"
            if split is None:
                raise ValueError(
                    f"fsd50k_folder: in dev.csv the clip {row['fname']} has "
                    f"the split {row['split']!r}; it is train or val"
                )
            candidates.append(
                Candidate(
                    source_path=str(audio / f"{row['fname']}.wav"),
                    id=f"{kind}/fsd50k_{part}/{row['fname']}",
                    kind=kind,
                    split=split,
                    label=row["labels"].partition(",")[0],
                    source="FSD50K",
                    licence="Creative Commons, by clip",
                )
            )
    return candidates
