"""What makes two runs the same run."""

import hashlib
import os

from data import is_personal
from networks import choose_network

from speechbrain_ext.training import (
    data_identity,
    run_configuration,
    without_free,
)

SHARED = (
    *("stage", "sample_rate", "segment_seconds", "batch_size"),
    *("number_of_epochs", "batches_per_epoch", "learning_rate", "warmup"),
    *("window", "hop", "selection", "test_draws", "test_snr_db"),
    *("noise_sources", "noise_labels_dropped", "clean_speech_known"),
    *("train_noise_split", "test_noise_split", "user_snr_db"),
)
OF_STAGE = {
    "snr_predictor": ("predictor_snr_db", "level_clamp_db"),
    "generalist": ("injected_snr_db", "loss", "model", "match_level"),
    "personalize": (
        *("injected_snr_db", "loss", "model", "match_level", "user"),
        *("purification", "targets", "beta", "offset", "normalize_weights"),
        *("positive_weight", "negative_weight"),
    ),
}


def configuration(hparams):
    """Collect what two runs must share for their figures to compare.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.

    Returns
    -------
    configuration : dict
        Plain values, as they come back from a JSON file.
    """
    network = choose_network(hparams)
    return run_configuration(
        hparams,
        (*SHARED, *OF_STAGE[hparams["stage"]]),
        module=network,
        network=type(network).__name__,
        warm=hparams["start_from"] is not None,
    )


def identity(hparams):
    """Collect what makes another run of a run, if it is changed."""
    values = without_free(configuration(hparams))
    for key in ("seed", "precision", "max_grad_norm"):
        values[key] = hparams[key]
    # its layers tell the arguments that it was made with
    layers = hashlib.sha256(str(choose_network(hparams)).encode()).hexdigest()
    values["network"] += f", layers {layers[:16]}"
    values |= data_identity(hparams)
    places = ["start_from"]
    if is_personal(hparams) and hparams["purification"] == "predicted":
        places.append("predictor")
    for key in places:
        place = hparams[key]
        # another than a folder is a name, of the hub or of what is shipped
        known = place is not None and os.path.isdir(place)
        values[key] = os.path.abspath(place) if known else place
    return values
