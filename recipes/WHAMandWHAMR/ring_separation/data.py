"""The recipe's data: rings of sources, read and mixed as the YAML file says."""

import speechbrain as sb

from speechbrain_ext.dataio import CorpusMixtures


def make_mixtures(hparams, stage, *, rank=0, world_size=1):
    """Make the mixtures of a stage.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    stage : speechbrain.Stage
        Decides the split, the number and the length of the rings; only
        training augments, and mixes in pairs if asked to.
    rank, world_size : int
        This process and the number of processes that share the rings.

    Returns
    -------
    mixtures : CorpusMixtures
    """
    training = stage == sb.Stage.TRAIN
    split, rings, seconds = {
        sb.Stage.TRAIN: (
            hparams["train_split"],
            hparams["rings_per_epoch"],
            hparams["segment_seconds"],
        ),
        sb.Stage.VALID: (
            hparams["valid_split"],
            hparams["valid_rings"],
            hparams["segment_seconds"],
        ),
        sb.Stage.TEST: (
            hparams["test_split"],
            hparams["test_rings"],
            hparams["test_segment_seconds"],
        ),
    }[stage]
    return CorpusMixtures(
        hparams["manifest"],
        split=split,
        sample_rate=hparams["sample_rate"],
        segment_seconds=seconds,
        mixing=hparams["mixing"] if training else "ring",
        batch_size=hparams["ring_size"],
        batches=rings,
        snr_db=hparams["snr_db"],
        gain_db=hparams["gain_db"],
        alternate_sexes=hparams["alternate_sexes"],
        reverberate=hparams["reverberate"],
        speed_change=hparams["speed_change"] if training else 0.0,
        equaliser_db=hparams["equaliser_db"] if training else 0.0,
        seed=hparams["seed"] if training else 0,
        rank=rank,
        world_size=world_size,
        num_workers=hparams["num_workers"] if training else 0,
    )
