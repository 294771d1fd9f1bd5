"""What the figures of two runs must share to stand in one table."""

from stages import COMMON, CONTRASTIVE, NOISE

from speechbrain_ext.training import run_configuration

# of the stages that a run may lack, or that its arm is about
OTHERS = (
    *("front_end", "recogniser_training", "enhancement_weight"),
    *("enhancement_max_db", "num_clusters", "tokenizer_passes"),
    *("tokenizer_batches", "epochs", "learning_rate", "test_splits"),
    *("test_noise_split", "test_snr_db", "test_draws", "metrics"),
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
    keys = (*COMMON, *NOISE, *CONTRASTIVE, *OTHERS)
    return run_configuration(
        hparams,
        [key for key in keys if key != "seed"],
        module=hparams["joint"],
    )
