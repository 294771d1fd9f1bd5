"""What the training minimises.

Reconstructed: Lee and Kim, "Cluster-Based Pairwise Contrastive Loss for
Noise-Robust Speech Recognition", Sensors 24(8) 2573, 2024; see README.md.
"""

import torch
from speechbrain.nnet.losses import ctc_loss

from speechbrain_ext.evaluation import normalise_text
from speechbrain_ext.losses import (
    cbpc,
    info_nce,
    sample_frames,
    si_sdr,
    token_cross_entropy,
)
from speechbrain_ext.models import frame_mask
from speechbrain_ext.training import GradientBalance


def enhancement_loss(enhanced, clean, most_db):
    """Compute the negative SI-SNR, in dB.

    Arguments
    ---------
    enhanced, clean : torch.Tensor
        Shape (batch, time), zeros behind the end of each.
    most_db : float
        What an utterance can give at most: those that were clean already
        would give any value.

    Returns
    -------
    loss : torch.Tensor
        A scalar.
    """
    return -si_sdr(estimate=enhanced, target=clean).clamp(max=most_db).mean()


def recognition_loss(log_probabilities, lengths, texts, characters):
    """Compute the CTC loss, in nats a character.

    Arguments
    ---------
    log_probabilities : torch.Tensor
        Shape (batch, frames, tokens).
    lengths : torch.Tensor
        Shape (batch,), relative.
    texts : list of str
        What is said.
    characters : CharacterTable
        Turns them into tokens.

    Returns
    -------
    loss : torch.Tensor
        A scalar.
    """
    numbers = [
        torch.tensor(characters.encode(normalise_text(text))) for text in texts
    ]
    targets = torch.nn.utils.rnn.pad_sequence(numbers, batch_first=True)
    spoken = torch.tensor([len(n) / targets.shape[1] for n in numbers])
    device = log_probabilities.device
    return ctc_loss(
        log_probabilities,
        targets.to(device),
        lengths,
        spoken.to(device),
        characters.blank,
    )


def decode(log_probabilities, lengths, characters):
    """Give the most probable text of each utterance, greedily.

    Arguments
    ---------
    log_probabilities, lengths, characters
        As for `recognition_loss`.

    Returns
    -------
    texts : list of str
        Words with a space between.
    """
    best = log_probabilities.argmax(-1).cpu()
    mask = frame_mask(lengths, best.shape[1]).cpu()
    return [
        " ".join(characters.decode(path[there].tolist()).split())
        for path, there in zip(best, mask, strict=True)
    ]


def count_errors(errors, speech, recognition, hparams):
    """Hold the greedily decoded words against the texts.

    Arguments
    ---------
    errors : ErrorRateStats
        Takes them.
    speech : NoisyUtteranceBatch
        With the texts.
    recognition : Recognition
        Of it.
    hparams : namespace
        Of the hyperparameter file.
    """
    heard = decode(
        recognition.log_probabilities, speech.lengths, hparams.characters
    )
    errors.append(
        speech.ids,
        [text.split() for text in heard],
        [normalise_text(text).split() for text in speech.texts],
    )


def make_balance(hparams):
    """Make what finds the weights of the contrastive terms.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.

    Returns
    -------
    balance : GradientBalance
        Of "cbpc", "info_nce" and "token".
    """
    return GradientBalance(
        {
            "cbpc": hparams["cbpc_share"],
            "info_nce": hparams["info_nce_share"],
            "token": hparams["token_share"],
        },
        steps=hparams["balance_steps"],
    )


def choose_frames(labels, lengths, hparams, seed):
    """Draw the frames that are compared, and their labels.

    Arguments
    ---------
    labels : torch.Tensor
        Tokens of the clean speech, shape (batch, frames).
    lengths : torch.Tensor
        Shape (batch,), relative.
    hparams : namespace
        Of the hyperparameter file.
    seed : int
        Of what is drawn.

    Returns
    -------
    places, chosen : torch.Tensor
        Shape (n,): into the flattened batch, and their labels; with
        `shuffle_labels` those of others among them.
    """
    generator = torch.Generator().manual_seed(seed)
    places = sample_frames(
        labels=labels,
        mask=frame_mask(lengths, labels.shape[1]),
        count=hparams.sampled_frames,
        most_per_cluster=hparams.frames_per_cluster,
        generator=generator,
    )
    chosen = labels.flatten()[places]
    if hparams.shuffle_labels:
        order = torch.randperm(len(chosen), generator=generator)
        chosen = chosen[order.to(chosen.device)]
    return places, chosen


def contrastive_terms(modules, frames, clean_frames, places, labels, hparams):
    """Compute the terms that compare enhanced with clean frames.

    Arguments
    ---------
    modules : Mapping
        "projection" and "token_classifier", those of them that have a term.
    frames : torch.Tensor
        Encoder outputs of enhanced speech, shape (batch, frames, size).
    clean_frames : torch.Tensor
        The teacher's outputs of the clean twins, same shape; no gradient.
    places, labels : torch.Tensor
        From `choose_frames`.
    hparams : namespace
        Of the hyperparameter file.

    Returns
    -------
    terms : dict
        Name ("cbpc", "info_nce", "token") to a scalar, unweighted.
    """
    frames = frames.flatten(0, 1)[places]
    clean_frames = clean_frames.flatten(0, 1)[places]
    terms = {}
    if "projection" in modules:
        anchors = modules["projection"](frames)
        with torch.no_grad():
            twins = modules["projection"](clean_frames)
    if hparams.cbpc_share > 0:
        number = len(labels)
        terms["cbpc"], _ = cbpc(
            anchors=anchors,
            candidates=torch.cat((twins, anchors)),
            anchor_labels=labels,
            candidate_labels=torch.cat((labels, labels)),
            own=torch.arange(number, 2 * number, device=labels.device),
            temperature=hparams.temperature,
        )
    if hparams.info_nce_share > 0:
        terms["info_nce"] = info_nce(
            anchors=anchors, positives=twins, temperature=hparams.temperature
        )
    if hparams.token_share > 0:
        logits = modules["token_classifier"](frames)
        terms["token"] = token_cross_entropy(logits=logits, labels=labels)
    return terms
