"""WHAMR!: sources and noise of its mixtures, dry or reverberant.

Source: the folders that the WHAMR! scripts write; M. Maciejewski et al.,
"WHAMR!: Noisy and reverberant single-channel speech separation", ICASSP
2020.
"""

import os
from pathlib import Path

from speechbrain_ext.corpora.mixed import prepare_sources
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.tree import require_folder

SPLITS = {"train": "tr", "valid": "cv", "test": "tt"}
CONDITIONS = ("anechoic", "reverb")


@prepares
def prepare(
    whamr_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 8000,
    version: str = "min",
    condition: str = "anechoic",
    minimum_seconds: float = 1.0,
) -> Path:
    """Make the manifest of the sources of WHAMR!.

    Arguments
    ---------
    whamr_folder : str or PathLike
        Holds ``wav8k/min/tr/s1_anechoic`` and so on, as the official scripts
        leave them.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        8000 or 16000, in Hz.
    version : str
        min or max: whether the longer source of a mixture was cut.
    condition : str
        anechoic or reverb.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest; speakers are those of WSJ0, sexes are not told.

    Raises
    ------
    FileNotFoundError
        If a folder is not there; the argument is named.
    ValueError
        If the rate or the condition is another, or nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: whamr_folder: there is no folder /nowhere
    """
    root = require_folder(whamr_folder, argument="whamr_folder")
    if condition not in CONDITIONS:
        raise ValueError(
            f"condition={condition!r} is not one of {', '.join(CONDITIONS)}"
        )
    return prepare_sources(
        root,
        folder,
        SPLITS,
        (f"s1_{condition}", f"s2_{condition}"),
        _utterances,
        sample_rate=sample_rate,
        version=version,
        minimum_seconds=minimum_seconds,
        argument="whamr_folder",
        source="WHAMR!",
        licence="LDC (speech), CC BY-NC 4.0 (noise)",
    )


def _utterances(name: str) -> list[tuple[str, str]]:
    """Read 01aa010b_0.97482_209a010p_-0.97482: utterance, level, twice."""
    first, level, second, other_level = name.split("_")
    float(level), float(other_level)
    return [(utterance, utterance[:3]) for utterance in (first, second)]
