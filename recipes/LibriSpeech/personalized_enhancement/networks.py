"""What is trained, what it starts from, and the predictor that it is told."""

import logging
import math
from pathlib import Path

from data import is_personal
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.inference import load_predictor
from speechbrain_ext.models.separator import check_state_dict, read_state_dict

logger = logging.getLogger(__name__)


def choose_network(hparams):
    """Choose what is trained.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.

    Returns
    -------
    network : torch.nn.Module
    """
    if hparams["stage"] == "snr_predictor":
        return hparams["snr_predictor"]
    return hparams["enhancers"][hparams["model"]]


def selection_key(hparams):
    """Name the figure that chooses the checkpoint."""
    chosen = hparams["selection"]
    if hparams["stage"] == "snr_predictor" and chosen != "last":
        return "objective"  # the error in dB
    if hparams["stage"] == "generalist" and chosen == "clean":
        return "target"  # which is clean
    return chosen


def needs_predictor(hparams):
    """Tell whether the stage hears of a predictor."""
    if not is_personal(hparams) or hparams["predictor"] is None:
        return False
    predicted = hparams["purification"] == "predicted"
    return predicted or hparams["check_recordings"]


def find_predictor(hparams):
    """Load the predictor, if the stage needs one.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.

    Returns
    -------
    predictor : torch.nn.Module or None

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not there, or for another rate or other frames.
    """
    if not needs_predictor(hparams):
        return None
    source = hparams["predictor"]
    try:
        predictor = load_predictor(source, sample_rate=hparams["sample_rate"])
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"predictor: {error}. Train one by --stage=snr_predictor, or give "
            "its folder as --predictor=DIR"
        ) from error
    found = predictor.n_fft, predictor.hop
    wanted = hparams["window"], hparams["hop"]
    if found != wanted:
        raise ValueError(
            f"predictor: {source} has frames of {found[0]} samples every "
            f"{found[1]}; window and hop of the loss are {wanted[0]} and "
            f"{wanted[1]}"
        )
    return predictor


def find_start(hparams):
    """Find the weights that a run starts from.

    Arguments
    ---------
    hparams : dict
        `start_from` is null, or the output folder of another run.

    Returns
    -------
    path : Path or None
        Of the network of its selected checkpoint.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such folder, or no checkpoint in it.
    """
    if hparams["start_from"] is None:
        return None
    save = Path(hparams["start_from"]) / "save"
    found, key = None, selection_key(hparams)
    if save.is_dir():
        found = Checkpointer(save).find_checkpoint(min_key=key)
    if found is None:
        raise FileNotFoundError(
            f"start_from: there is no checkpoint in {save}; give the results "
            "folder of a run of this recipe, such as the generalist's"
        )
    if math.isnan(found.meta[key]):
        raise ValueError(
            f"start_from: the checkpoints in {save} were not measured by "
            f"selection {key!r}; choose the one that the run was made with"
        )
    return found.paramfiles["network"]


def load_start(hparams):
    """Give the network the weights of `start_from`, if there is one."""
    path = find_start(hparams)
    if path is None:
        return
    network = choose_network(hparams)
    weights = read_state_dict(path)
    check_state_dict(path, expected=network.state_dict(), found=weights)
    network.load_state_dict(weights)
    logger.info("Starting from %s", path)
