"""What the training minimises, and how far least squares is from it."""

import dataclasses

import torch

from speechbrain_ext.dataio import pair_targets
from speechbrain_ext.losses import (
    covariance,
    mixit,
    padded_snr,
    semantic,
    sparsity,
)

# A loss that is higher by less, in dB, counts as the same: rounding.
SAME_DB = 1e-3


def leave_alone(mixtures, hparams):
    """Silence the partner of a share of the mixtures: `lone_share`.

    What is separated is then one mixture, so that single mixtures, which a
    separator is for, are not strange to it. Mixtures come in no order, so
    those are the last pairs of the batch.

    Arguments
    ---------
    mixtures : MixedSounds
        Twice as many as pairs.
    hparams : namespace
        Of the hyperparameter file.

    Returns
    -------
    mixtures : MixedSounds
        Without references.
    """
    pairs = len(mixtures.mixture) // 2
    kept = torch.ones_like(mixtures.mixture[:, :1])
    kept[2 * (pairs - round(hparams.lone_share * pairs)) + 1 :: 2] = 0
    return dataclasses.replace(
        mixtures,
        mixture=kept * mixtures.mixture,
        references=None,
        labels=kept * mixtures.labels,
    )


def form_input(mixtures, hparams):
    """Make what is separated: mixtures of two mixtures, or mixtures.

    Arguments
    ---------
    mixtures : MixedSounds
        An even number of mixtures, unless supervised.
    hparams : namespace
        Of the hyperparameter file.

    Returns
    -------
    mixture : torch.Tensor
        Shape (batch, time).
    """
    if hparams.objective == "supervised":
        return mixtures.mixture
    return pair_targets(mixtures.mixture).sum(dim=1)


def separation_loss(estimates, mixtures, hparams):
    """Compute the loss of the separation itself.

    Arguments
    ---------
    estimates : torch.Tensor
        Of what `form_input` made, shape (batch, M, time).
    mixtures : MixedSounds
        What went into it.
    hparams : namespace
        Of the hyperparameter file.

    Returns
    -------
    loss : torch.Tensor
        Shape (batch,), in dB.
    assignment : torch.Tensor or None
        Shape (batch, 2, M); None if supervised.
    """
    if hparams.objective == "supervised":
        value, _ = padded_snr(
            estimates=estimates,
            references=mixtures.references,
            mixture=mixtures.mixture,
            snr_max=hparams.snr_max,
        )
        return -value, None
    return mixit(
        estimates=estimates,
        mixtures=pair_targets(mixtures.mixture),
        solver=hparams.solver,
        snr_max=hparams.snr_max,
    )


def penalties(estimates, mixture, hparams):
    """Compute the penalties whose weights are not 0.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, M, time).
    mixture : torch.Tensor
        Shape (batch, time).
    hparams : namespace
        Of the hyperparameter file.

    Returns
    -------
    values : dict
        Name to (weight, mean value).
    """
    values = {}
    if hparams.sparsity_weight > 0:
        value = sparsity(
            estimates=estimates, mixture=mixture, form=hparams.sparsity_form
        )
        values["sparsity"] = hparams.sparsity_weight, value.mean()
    if hparams.covariance_weight > 0:
        value = covariance(estimates=estimates, mixture=mixture)
        values["covariance"] = hparams.covariance_weight, value.mean()
    return values


def semantic_loss(logits, mixtures, assignment):
    """Compare classes of the outputs with the labels of their mixtures.

    Arguments
    ---------
    logits : torch.Tensor
        Shape (batch, M, classes).
    mixtures : MixedSounds
        Twice as many, in pairs.
    assignment : torch.Tensor
        Shape (batch, 2, M).

    Returns
    -------
    loss : torch.Tensor
        A scalar, in nats.
    """
    labels = mixtures.labels.unflatten(0, (-1, 2))
    return semantic(logits=logits, labels=labels, assignment=assignment).mean()


@torch.no_grad()
def check_least_squares(estimates, mixtures, hparams):
    """Hold the least-squares assignment against the exact one.

    Arguments
    ---------
    estimates, mixtures, hparams
        As for `separation_loss`, not supervised.

    Returns
    -------
    figures : dict
        "least_squares_missed": share of the examples where least squares
        chose a worse assignment; "least_squares_cost_db": by how much its
        loss is higher, over all examples.
    """
    losses = [
        mixit(
            estimates=estimates,
            mixtures=pair_targets(mixtures.mixture),
            solver=solver,
            snr_max=hparams.snr_max,
        )[0]
        for solver in ("exact", "least_squares")
    ]
    cost = losses[1] - losses[0]
    return {
        "least_squares_missed": (cost > SAME_DB).float().mean(),
        "least_squares_cost_db": cost.mean(),
    }


def add_classifier(hparams, mixtures):
    """Build the classifier of the semantic loss, once classes are known.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; modules and checkpointer get it.
    mixtures : SoundMixtures or ReadyMixtures
        Of the training.

    Raises
    ------
    ValueError
        If it is wanted, and there are no classes.
    """
    if hparams["semantic_weight"] == 0:
        return
    if not mixtures.classes:
        raise ValueError(
            "semantic_weight: the mixtures have no labels; FUSS needs "
            "--labels=FILE.csv (columns mixture and labels), or set it to 0"
        )
    classifier = hparams["classifier"](len(mixtures.classes))
    hparams["modules"]["classifier"] = classifier
    hparams["checkpointer"].add_recoverable("classifier", classifier)
