"""The recipe's data: mixtures, as the YAML file makes or finds them."""

import speechbrain as sb


def trained_on(hparams):
    """Give what makes the training's mixtures: a `functools.partial`.

    Supervised training has clips like those of the test, since no mixtures of
    mixtures raise the number of their sources.
    """
    if hparams["objective"] == "supervised":
        return hparams["supervised_mixtures"]
    return hparams["mixtures"]


def make_mixtures(hparams, stage, *, rank=0, world_size=1):
    """Make the mixtures of a stage.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    stage : speechbrain.Stage
        Decides the split, and the number and length of the clips. Training
        draws others in every epoch, and sees no references unless it is
        supervised.
    rank, world_size : int
        This process and the number of processes that share the batches.

    Returns
    -------
    mixtures : SoundMixtures or ReadyMixtures
    """
    supervised = hparams["objective"] == "supervised"
    make = trained_on(hparams)
    if stage == sb.Stage.TRAIN:
        return make(
            split=hparams["train_split"],
            clip_seconds=hparams["clip_seconds"],
            batch_size=hparams["batch_size"],
            batches=hparams["batches_per_epoch"],
            references=supervised,
            paired=not supervised,
            seed=hparams["seed"],
            rank=rank,
            world_size=world_size,
            num_workers=hparams["num_workers"],
        )
    if stage == sb.Stage.VALID:
        return make(
            split=hparams["valid_split"],
            clip_seconds=hparams["clip_seconds"],
            batch_size=hparams["batch_size"],
            batches=hparams["valid_batches"],
            references=hparams["references"],
            paired=not supervised,
        )
    return hparams["test_mixtures"](
        split=hparams["test_split"],
        clip_seconds=hparams["test_clip_seconds"],
        batch_size=hparams["test_batch_size"],
        batches=hparams["test_batches"],
        references=hparams["references"],
        paired=not hparams["references"],
    )
