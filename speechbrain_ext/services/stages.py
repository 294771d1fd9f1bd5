"""Stages of one run, each with an identity of its own.

A recipe that trains in stages keeps each in OUTPUT_FOLDER/stages/NAME, with
finished.json once it is finished. The function list_stages(values) of its
options.py gives the name of each stage of a run with the settings that the
stage does not read. A stage is resumed, or taken from another run, only where
all the others are the same.
"""

import json
import logging
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from speechbrain_ext.services.identity import (
    RUN,
    differences,
    remember_run,
    require_same_run,
)

FOLDER = "stages"
FINISHED = "finished.json"
logger = logging.getLogger(__name__)


def find_stages(place: str | os.PathLike) -> Path:
    """Find the run whose finished stages `start_from` takes.

    Arguments
    ---------
    place : str or PathLike
        The output folder of a run.

    Returns
    -------
    folder : Path

    Raises
    ------
    FileNotFoundError
        If no stage is finished there.

    Example
    -------
    >>> find_stages("/nowhere")
    Traceback (most recent call last):
    FileNotFoundError: start_from: there is no finished stage in /nowhere/...
    """
    folder = Path(place)
    if not any((folder / FOLDER).glob(f"*/{FINISHED}")):
        raise FileNotFoundError(
            f"start_from: there is no finished stage in {folder / FOLDER}; "
            "give the output folder of a run of this recipe (no release), or "
            "null"
        )
    return folder


def is_of_a_stage(path: Path, folder: Path) -> bool:
    """Tell whether a file of a run belongs to one of its stages."""
    return path.relative_to(folder).parts[0] == FOLDER


def identify_stages(
    folder: Path,
    identity: Mapping,
    unread: Mapping[str, Collection[str]],
    start_from: str | os.PathLike | None = None,
) -> None:
    """Write down what identifies each stage, and take finished ones.

    Arguments
    ---------
    folder : Path
        Output folder.
    identity : Mapping
        Of the whole run.
    unread : Mapping
        Name of each stage to the settings that it does not read.
    start_from : str or PathLike, optional
        Output folder of another run: its finished stages of the same
        identity are copied, unless they are finished here.

    Raises
    ------
    ValueError
        If a stage was begun in the folder with other settings.
    """
    for name, keys in unread.items():
        own = {key: v for key, v in identity.items() if key not in keys}
        place = folder / FOLDER / name
        if start_from is not None and not (place / FINISHED).is_file():
            _take(Path(start_from) / FOLDER / name, place, own)
        if any(place.glob("save/CKPT*/CKPT.yaml")):
            require_same_run(place, own)
        remember_run(place, own)


def _take(other: Path, place: Path, identity: Mapping) -> None:
    """Copy a finished stage of another run, if it is the same."""
    if not (other / FINISHED).is_file():
        return
    theirs = json.loads((other / RUN).read_text(encoding="utf-8"))
    if differs := differences(identity, theirs):
        logger.warning(
            "%s has another %s: the stage %s is trained again",
            *(other, ", ".join(differs), place.name),
        )
        return
    partial = place.with_name(f"{place.name}.partial")
    for old in (partial, place):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(other, partial)
    os.replace(partial, place)
    logger.info("The stage %s is that of %s", place.name, other)
