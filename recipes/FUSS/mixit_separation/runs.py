"""What makes two runs the same run."""

import hashlib
import json
import os

from data import trained_on


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
        "objective",
        "solver",
        "snr_max",
        "sparsity_weight",
        "sparsity_form",
        "covariance_weight",
        "semantic_weight",
        "consistency",
        "num_sources",
        "selection",
        "sample_rate",
        "clip_seconds",
        "batch_size",
        "number_of_epochs",
        "batches_per_epoch",
        "learning_rate",
        "warmup",
        "test_clip_seconds",
        "test_batch_size",
        "test_batches",
    )
    chosen = {key: hparams[key] for key in keys}
    makers = {
        "mixtures": trained_on(hparams),
        "test_mixtures": hparams["test_mixtures"],
    }
    for key, maker in makers.items():
        options = maker.keywords
        chosen[key] = {k: v for k, v in options.items() if k != "manifest"}
    chosen["network"] = type(hparams["network"]).__name__
    parameters = hparams["network"].parameters()
    chosen["parameters"] = sum(p.numel() for p in parameters)
    chosen["optimizer"] = hparams["optimizer"].func.__name__
    # a batch for each process makes a step of as many batches
    chosen["processes"] = int(os.environ.get("WORLD_SIZE", 1))
    return json.loads(json.dumps(chosen))


def identity(hparams):
    """Collect what makes another run of a run, if it is changed."""
    free = ("number_of_epochs", "selection", "test_", "processes")
    values = {
        key: value
        for key, value in configuration(hparams).items()
        if not key.startswith(free)
    }
    for key in ("seed", "precision", "max_grad_norm"):
        values[key] = hparams[key]
    # its layers tell the arguments that it was made with
    layers = hashlib.sha256(str(hparams["network"]).encode()).hexdigest()
    values["network"] += f", layers {layers[:16]}"
    values["manifest"] = os.path.abspath(hparams["manifest"])
    # whether the corpus was fetched, or from where it is called, is no change
    values["corpus"] = {
        key: os.path.abspath(value)
        if key.endswith("folder") and value is not None
        else value
        for key, value in hparams["prepare"].keywords.items()
        if key != "download"
    }
    return values
