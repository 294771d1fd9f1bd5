"""What is trained, what it starts from, and the predictor that it is told."""

from data import is_personal

from speechbrain_ext.console import describe_error
from speechbrain_ext.inference import load_predictor
from speechbrain_ext.training import find_start


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
    try:
        return load_predictor(
            hparams["predictor"],
            **{key: hparams[key] for key in ("sample_rate", "window", "hop")},
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"predictor: {error}. Train one by --stage=snr_predictor, or give "
            "its folder as --predictor=DIR"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"predictor: {describe_error(error)}") from error


def start_of(hparams):
    """Find the weights that a run starts from, or None."""
    return find_start(
        hparams["start_from"], selection=selection_key(hparams), part="network"
    )
