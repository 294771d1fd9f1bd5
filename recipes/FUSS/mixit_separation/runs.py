"""What makes two runs the same run."""

import json
import os


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
    for key in ("mixtures", "test_mixtures"):
        options = hparams[key].keywords
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
    for key in ("seed", "manifest"):
        values[key] = hparams[key]
    values["corpus"] = str(hparams["prepare"].keywords)
    return values
