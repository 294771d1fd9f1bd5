"""Finding the weights that a run starts from."""

import math
import os
from pathlib import Path

from speechbrain.utils.checkpoints import Checkpointer


def find_start(place: str | os.PathLike, *, selection: str | None) -> Path:
    """Find the folder of weights that `start_from` names.

    Arguments
    ---------
    place : str or PathLike
        The output folder of a run, one of its checkpoints, or a release.
    selection : str or None
        What chooses the checkpoint of a run: the smallest value of this name.

    Returns
    -------
    folder : Path
        Holds a file of weights, NAME.ckpt, for each module.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no weights in it.
    ValueError
        If its checkpoints were not measured by the selection.

    Example
    -------
    >>> find_start("/nowhere", selection="objective")
    Traceback (most recent call last):
    FileNotFoundError: start_from: there is no folder /nowhere
    """
    folder = Path(place)
    if not folder.is_dir():
        raise FileNotFoundError(f"start_from: there is no folder {folder}")
    if any(folder.glob("*.ckpt")):
        return folder
    save, found = folder / "save", None
    if save.is_dir():
        found = Checkpointer(save).find_checkpoint(min_key=selection)
    if found is None:
        raise FileNotFoundError(
            f"start_from: there is no checkpoint in {folder}; give the output "
            "folder of a run of this recipe, or a release"
        )
    if selection and math.isnan(found.meta[selection]):
        raise ValueError(
            f"start_from: the checkpoints in {save} were not measured by "
            f"selection {selection!r}; choose the one that the run was made "
            "with"
        )
    return found.path
