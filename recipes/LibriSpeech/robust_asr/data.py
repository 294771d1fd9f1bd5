"""The recipe's data: utterances with their texts, and noise."""

import dataclasses
import logging

import speechbrain as sb

from speechbrain_ext.dataio import NoisyUtterances, read_recordings
from speechbrain_ext.evaluation import normalise_text
from speechbrain_ext.training import rank_and_size

logger = logging.getLogger(__name__)


def read_speech(hparams, stage):
    """List the utterances of a stage, after their texts were checked.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    stage : speechbrain.Stage
        Decides the splits.

    Returns
    -------
    recordings : list of Recording
        None longer than `longest_seconds`; with `closed_vocabulary`, those of
        validation and test hold no word that the training's texts lack.

    Raises
    ------
    ValueError
        If a text is missing or has an unknown character, or none is left.
    """
    splits = {
        sb.Stage.TRAIN: hparams["train_splits"],
        sb.Stage.VALID: hparams["valid_splits"],
        sb.Stage.TEST: hparams["test_splits"],
    }[stage]
    recordings = [
        recording
        for split in splits
        for recording in read_recordings(
            hparams["manifest"], kind="speech", split=split
        )
    ]
    where = f"{hparams['manifest']}, split {' and '.join(splits)}"
    check_texts(recordings, hparams["characters"], where)
    kept = [r for r in recordings if r.seconds <= hparams["longest_seconds"]]
    if hparams["closed_vocabulary"] and stage != sb.Stage.TRAIN:
        words = {
            word
            for recording in read_speech(hparams, sb.Stage.TRAIN)
            for word in normalise_text(recording.text).split()
        }
        kept = [r for r in kept if words.issuperset(words_of(r))]
    if len(kept) < len(recordings):
        logger.info("%s: %d of %d are used", where, len(kept), len(recordings))
    if not kept:
        raise ValueError(
            f"{where}: none of the {len(recordings)} utterances is left; see "
            "longest_seconds, and set closed_vocabulary to false"
        )
    return kept


def read_noise(hparams, stage):
    """List the noises of a stage."""
    split = {
        sb.Stage.TRAIN: hparams["train_noise_split"],
        sb.Stage.VALID: hparams["valid_noise_split"],
        sb.Stage.TEST: hparams["test_noise_split"],
    }[stage]
    return read_recordings(hparams["manifest"], kind="noise", split=split)


def repeat(recordings, times):
    """List recordings several times, so that each gets several noises.

    Arguments
    ---------
    recordings : sequence of Recording
        Of speech.
    times : int
        How often; the second has #2 behind its id, and so on.

    Returns
    -------
    recordings : list of Recording
    """
    again = [
        dataclasses.replace(recording, id=f"{recording.id}#{number}")
        for number in range(2, times + 1)
        for recording in recordings
    ]
    return [*recordings, *again]


def words_of(recording):
    """Give the words of an utterance."""
    return normalise_text(recording.text).split()


def check_texts(recordings, characters, where):
    """Raise unless every utterance has a text that can be written.

    Arguments
    ---------
    recordings : sequence of Recording
        Of speech.
    characters : CharacterTable
        Those that a text may have.
    where : str
        For the message.

    Raises
    ------
    ValueError
        The message counts and names them, and tells the mend.
    """
    texts = {r.id: normalise_text(r.text) for r in recordings}
    empty = [name for name, text in texts.items() if not text]
    if empty:
        raise ValueError(
            f"{where}: {len(empty)} of {len(texts)} utterances have no text, "
            f"such as {', '.join(empty[:3])}; recognition needs what is said: "
            "fill the column text, or leave these recordings out"
        )
    unknown = {
        name: characters.unknown(text)
        for name, text in texts.items()
        if characters.unknown(text)
    }
    if unknown:
        every = sorted({c for found in unknown.values() for c in found})
        raise ValueError(
            f"{where}: {len(unknown)} texts hold the characters {every}, such "
            f"as {next(iter(unknown))}; add them to the alphabet (and raise "
            "num_tokens), or write them out"
        )


def make_utterances(
    hparams, stage, *, noisy, snr_db=None, rank=0, world_size=1
):
    """Make the utterances of a stage.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    stage : speechbrain.Stage
        Decides splits, order and batch size. Training draws others in every
        epoch; validation and test are always the same.
    noisy : bool
        Whether noise is added; in the test then `test_draws` noises to each.
    snr_db : sequence of float, optional
        Lowest and highest; by default that of the training.
    rank, world_size : int
        This process and the number of processes that share the batches.

    Returns
    -------
    utterances : NoisyUtterances
    """
    speech, training = read_speech(hparams, stage), stage == sb.Stage.TRAIN
    noise = read_noise(hparams, stage) if noisy else None
    if noisy and stage == sb.Stage.TEST:
        speech = repeat(speech, hparams["test_draws"])
    size = "batch_size" if training else "test_batch_size"
    return NoisyUtterances(
        speech,
        noise,
        snr_db=(snr_db or hparams["snr_db"]) if noisy else None,
        clean_share=hparams["clean_share"] if training else 0.0,
        speeds=hparams["speeds"] if training else (1.0,),
        batch_size=hparams[size],
        shuffle=training,
        seed=hparams["seed"] if training else 0,
        rank=rank,
        world_size=world_size,
        num_workers=hparams["num_workers"] if training else 0,
    )


def make_both(hparams, noisy, device):
    """Make the utterances of training and validation.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    noisy : bool
        Whether noise is added.
    device : str or torch.device
        Where.

    Returns
    -------
    utterances : dict
        Stage to NoisyUtterances; processes share those of the training.
    """
    rank, world_size = rank_and_size()
    training = make_utterances(
        hparams,
        sb.Stage.TRAIN,
        noisy=noisy,
        rank=rank,
        world_size=world_size,
    )
    validation = make_utterances(hparams, sb.Stage.VALID, noisy=noisy)
    return {
        sb.Stage.TRAIN: training.to(device),
        sb.Stage.VALID: validation.to(device),
    }
