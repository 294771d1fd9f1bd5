"""The recipe's data: whose speech, and which noise is added to it."""

from pathlib import Path

import speechbrain as sb

from speechbrain_ext.dataio import (
    NoisySpeech,
    divide_noises,
    find_references,
    read_recordings,
    simulate_user,
)
from speechbrain_ext.outputs import mark_folder

PERSONAL = "personalize"
# what noises of training and validation are for; none is heard twice
ROLES = ("predictor", "user", "injected")
TEST = "test"


def is_personal(hparams):
    """Tell whether a single user's recordings are trained on."""
    return hparams["stage"] == PERSONAL


def users_of(hparams):
    """List the users that are tested on: one, or all of the corpus."""
    if is_personal(hparams):
        return [str(hparams["user"])]
    rows = read_recordings(hparams["manifest"], split="user_test")
    return sorted({row.speaker for row in rows})


def noises_of(hparams, split, role):
    """List the noises of a split, for a purpose.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    split : str
        Of the manifest.
    role : str
        One of `ROLES`, or `TEST`, which shares its split with none.

    Returns
    -------
    noises : list of Recording
    """
    dropped = hparams["noise_labels_dropped"]
    noises = [
        noise
        for noise in read_recordings(
            hparams["manifest"], kind="noise", split=split
        )
        if noise.label not in dropped
    ]
    names = [TEST] if role == TEST else ROLES
    roles = {name: hparams["noise_sources"][name] for name in names}
    try:
        return divide_noises(noises, roles)[role]
    except ValueError as error:
        raise ValueError(
            f"{hparams['manifest']}, split {split!r}: {error}"
        ) from error


def user_manifest(hparams):
    """Tell where the user's recordings are listed.

    Where clean speech is known, as in experiments, the user's noisy
    recordings are simulated; a real user's are in the corpus.
    """
    if hparams["clean_speech_known"]:
        return Path(hparams["output_folder"]) / "user/manifest.csv"
    return Path(hparams["manifest"])


def make_user(hparams):
    """Make the noisy recordings of a user whose clean speech is known."""
    if not (is_personal(hparams) and hparams["clean_speech_known"]):
        return
    (user,) = users_of(hparams)
    speech = [
        row
        for row in read_recordings(hparams["manifest"], kind="speech")
        if row.speaker == user and row.split.startswith("user_")
    ]
    if not speech:
        rows = read_recordings(hparams["manifest"], kind="speech")
        known = sorted({r.speaker for r in rows if r.split == "user_train"})
        raise ValueError(
            f"user: the corpus has no user {user!r}; it has "
            f"{', '.join(known) or 'none at all'}"
        )
    mark_folder(user_manifest(hparams).parent, "train")
    simulate_user(
        speech,
        noises_of(hparams, hparams["train_noise_split"], "user"),
        user_manifest(hparams).parent,
        snr_db=hparams["user_snr_db"],
        seed=hparams["seed"],
    )


def speech_of(hparams, stage):
    """List what is trained on or validated, and the clean speech in it.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    stage : speechbrain.Stage
        Training or validation.

    Returns
    -------
    speech, clean : list of Recording, list of Recording or None
    """
    training = stage == sb.Stage.TRAIN
    if not is_personal(hparams):
        split = hparams["train_split"] if training else hparams["valid_split"]
        manifest = hparams["manifest"]
        return read_recordings(manifest, kind="speech", split=split), None
    return recordings_of_user(
        hparams, "user_train" if training else "user_valid"
    )


def recordings_of_user(hparams, split):
    """List a user's noisy recordings, and the clean speech in them or None."""
    known = hparams["clean_speech_known"]
    found = find_references(user_manifest(hparams), split=split, required=known)
    clean = [
        reference
        for item in found
        for reference in item.references
        if reference.kind == "speech"
    ]
    return [item.mixture for item in found], clean if known else None


def make_speech(hparams, stage, *, rank=0, world_size=1):
    """Make the noisy speech of a stage.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    stage : speechbrain.Stage
        Training or validation, which is always the same.
    rank, world_size : int
        This process and the number of processes that share the batches.

    Returns
    -------
    speech : NoisySpeech
    """
    training = stage == sb.Stage.TRAIN
    speech, clean = speech_of(hparams, stage)
    split = hparams["train_noise_split"]
    if not training:
        split = hparams["valid_noise_split"]
    role, snr_db = "injected", hparams["injected_snr_db"]
    if hparams["stage"] == "snr_predictor":
        role, snr_db = "predictor", hparams["predictor_snr_db"]
    return NoisySpeech(
        speech,
        noises_of(hparams, split, role),
        clean=clean,
        snr_db=snr_db,
        segment_seconds=hparams["segment_seconds"],
        batch_size=hparams["batch_size"],
        batches=hparams["batches_per_epoch"]
        if training
        else hparams["valid_batches"],
        contrastive=training and is_contrastive(hparams),
        seed=hparams["seed"] if training else 0,
        rank=rank if training else 0,
        world_size=world_size if training else 1,
        num_workers=hparams["num_workers"] if training else 0,
    )


def is_contrastive(hparams):
    """Tell whether batches are made of contrastive pairs."""
    weights = hparams["positive_weight"], hparams["negative_weight"]
    return is_personal(hparams) and any(weights)
