"""What makes two runs the same run."""

import hashlib

from speechbrain_ext.training import (
    data_identity,
    run_configuration,
    without_free,
)


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
        "penalty_start",
        "penalty_end",
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
        "test_split",
        "test_clip_seconds",
        "test_batch_size",
        "test_batches",
    )
    options = {
        key: {k: v for k, v in hparams[key].keywords.items() if k != "manifest"}
        for key in ("mixtures", "supervised_mixtures", "test_mixtures")
    }
    return run_configuration(
        hparams,
        keys,
        module=hparams["network"],
        network=type(hparams["network"]).__name__,
        **options,
    )


def identity(hparams):
    """Collect what makes another run of a run, if it is changed."""
    values = without_free(configuration(hparams))
    mixit = hparams["objective"] == "mixit"
    del values["supervised_mixtures" if mixit else "mixtures"]
    for key in ("seed", "precision", "max_grad_norm"):
        values[key] = hparams[key]
    # its layers tell the arguments that it was made with
    layers = hashlib.sha256(str(hparams["network"]).encode()).hexdigest()
    values["network"] += f", layers {layers[:16]}"
    return values | data_identity(hparams)
