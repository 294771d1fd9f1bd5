"""What makes two runs the same run, and the stored figures of others."""

import json
import logging
from pathlib import Path

from speechbrain_ext.training import (
    data_identity,
    differences,
    find_start,
    run_configuration,
    without_free,
)

logger = logging.getLogger(__name__)

RECIPE = Path(__file__).resolve().parent


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
    keys = (
        "scer_start",
        "scer_end",
        "scer_scale",
        "scer_floor",
        "purification",
        "selection",
        "sample_rate",
        "mixing",
        "targets",
        "ring_size",
        "alternate_sexes",
        "reverberate",
        "segment_seconds",
        "snr_db",
        "gain_db",
        "speed_change",
        "equaliser_db",
        "number_of_epochs",
        "rings_per_epoch",
        "learning_rate",
        "start_from",
        "warmup",
        "test_rings",
        "test_segment_seconds",
    )
    return run_configuration(hparams, keys, module=hparams["separator"])


def read_reference(hparams):
    """Read the figures that this run is compared with.

    Returns
    -------
    reference : dict or None
        "configuration", "metrics" (name to mean), "sweep", "scer_weight",
        "seed" and "differs", the keys of the configuration that are not the
        same; None if the file names none, or if this run's are to be stored.
    """
    if hparams["reference"] is None or hparams["store_reference"]:
        return None
    reference = json.loads((RECIPE / hparams["reference"]).read_text())
    reference["differs"] = differences(
        configuration(hparams), reference["configuration"]
    )
    return reference


def store_reference(hparams, info, summary):
    """Keep the figures of this run for others to be compared with.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    info : dict
        What `metrics.json` says of the run.
    summary : dict
        Metric to its "mean".
    """
    kept = ("configuration", "scer_weight", "seed", "sweep")
    content = {key: info[key] for key in kept}
    content["metrics"] = {
        name: round(value["mean"], 4) for name, value in summary.items()
    }
    path = RECIPE / hparams["reference"]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
    logger.info("Stored the figures of this run in %s", path)


def require_reference(hparams):
    """Raise before the training if the stored figures are not there."""
    if hparams["reference"] is None or hparams["store_reference"]:
        return
    path = RECIPE / hparams["reference"]
    if not path.is_file():
        raise FileNotFoundError(
            f"reference: there is no {path}; the command that makes it stands "
            "beside `reference` in the YAML file, or set --reference=null"
        )


def identity(hparams):
    """Collect what makes another run of a run, if it is changed."""
    values = without_free(configuration(hparams))
    for key in ("seed", "scer_weight"):
        values[key] = hparams[key]
    values |= data_identity(hparams)
    # its checkpoints alone have been judged, and by this judge
    blind = hparams["selection"] == "blind"
    values["blind selection"] = blind
    if blind:
        values["estimator"] = hparams["estimator"]
    return values


def start_of(hparams):
    """Find the weights that a run starts from, or None."""
    return find_start(
        hparams["start_from"], selection=hparams["selection"], part="separator"
    )
