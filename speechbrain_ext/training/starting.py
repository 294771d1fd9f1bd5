"""Starting from the model of another run."""

import logging
import math
import os
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.models.separator import check_state_dict, read_state_dict

logger = logging.getLogger(__name__)


def find_start(
    folder: str | os.PathLike | None, *, selection: str, part: str
) -> Path | None:
    """Find the weights that a run starts from.

    Arguments
    ---------
    folder : str, PathLike or None
        The key `start_from`: null, or the output folder of another run.
    selection : str
        What chooses its checkpoint: the smallest value of this name.
    part : str
        Which of the modules in the checkpoint.

    Returns
    -------
    path : Path or None
        Of the weights; None without a folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no checkpoint in it.
    ValueError
        If its checkpoints were not measured by the selection.

    Example
    -------
    >>> find_start("/nowhere", selection="objective", part="separator")
    Traceback (most recent call last):
    FileNotFoundError: start_from: there is no checkpoint in /nowhere/save; ...
    """
    if folder is None:
        return None
    save, found = Path(folder) / "save", None
    if save.is_dir():
        found = Checkpointer(save).find_checkpoint(min_key=selection)
    if found is None:
        raise FileNotFoundError(
            f"start_from: there is no checkpoint in {save}; give the output "
            f"folder of a run of this recipe{_hint(Path(folder))}"
        )
    if part not in found.paramfiles:
        raise ValueError(
            f"start_from: {folder} is a run of another recipe; its checkpoints "
            f"hold no {part}"
        )
    if math.isnan(found.meta[selection]):
        raise ValueError(
            f"start_from: the checkpoints in {save} were not measured by "
            f"selection {selection!r}; choose the one that the run was made "
            "with"
        )
    return found.paramfiles[part]


def _hint(folder: Path) -> str:
    """Say what the folder is, if it is not that of a run."""
    if not folder.is_dir():
        return f"; there is no folder {folder}"
    if not (folder / "hyperparams.yaml").is_file():
        return ""
    if any(folder.parent.glob("save/CKPT*")):
        return f", such as {folder.parent}, whose release this is"
    return ", not a release: it has no checkpoint"


def load_start(module: torch.nn.Module, path: Path | None) -> None:
    """Give a module the weights that `find_start` found, if it did.

    Arguments
    ---------
    module : torch.nn.Module
        Changed in place.
    path : Path or None
        Of the weights.

    Raises
    ------
    ValueError
        If they are those of another network.

    Example
    -------
    >>> load_start(torch.nn.Linear(2, 1), None)
    """
    if path is None:
        return
    weights = read_state_dict(path)
    check_state_dict(path, expected=module.state_dict(), found=weights)
    module.load_state_dict(weights)
    logger.info("Starting from %s", path)
