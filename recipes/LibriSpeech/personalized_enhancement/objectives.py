"""What the training minimises, and what validation tells."""

import torch

from speechbrain_ext.losses import (
    contrastive_mixtures,
    frame_snr_db,
    purified_mse,
    purified_si_sdr,
    purified_snr,
    si_sdr,
)

LOSSES = {
    "segmental": purified_mse,
    "snr": purified_snr,
    "si_sdr": purified_si_sdr,
}


def frames(hparams):
    """Give the frames that levels and losses share."""
    return {"window": hparams.window, "hop": hparams.hop}


def predictor_values(levels, noisy, hparams):
    """Compute the error of predicted levels.

    Arguments
    ---------
    levels : torch.Tensor
        In dB, shape (batch, frames).
    noisy : NoisyBatch
        What they were predicted of.
    hparams : namespace
        Of the hyperparameter file.

    Returns
    -------
    values : dict
        "objective", the mean square error in dB^2; "error_db" its root;
        "correlation" with the true levels.
    """
    wanted = frame_snr_db(
        target=noisy.target,
        noisy=noisy.mixture,
        clamp_db=hparams.level_clamp_db,
        **frames(hparams),
    )
    objective = (levels - wanted).square().mean()
    with torch.no_grad():
        pair = torch.stack((levels.flatten(), wanted.flatten()))
        return {
            "objective": objective,
            "error_db": objective.detach().sqrt(),
            "correlation": torch.corrcoef(pair)[0, 1],
        }


def enhancer_values(estimate, noisy, levels, hparams):
    """Compute the loss of an enhancer.

    Arguments
    ---------
    estimate : torch.Tensor
        Shape (batch, time).
    noisy : NoisyBatch
        What it was made from.
    levels : torch.Tensor or None
        How clean the frames of the target are.
    hparams : namespace
        Of the hyperparameter file.

    Returns
    -------
    values : dict
        "objective", and its parts.
    """
    target = choose_target(noisy, hparams)
    if hparams.loss == "mse":
        loss = (estimate - target).square().mean()
    else:
        options = weighting(hparams) if levels is not None else {}
        loss = LOSSES[hparams.loss](
            estimate=estimate,
            target=target,
            frame_snr_db=levels,
            **options,
            **frames(hparams),
        ).mean()
        if hparams.loss != "segmental":
            loss = -loss
    if noisy.positive is None:
        return {"objective": loss}
    contrast = contrastive_term(estimate, target, noisy, levels, hparams)
    return {
        "objective": loss + contrast,
        "enhancement": loss,
        "contrast": contrast,
    }


def weighting(hparams):
    """Give the shape of the weights."""
    return {
        "beta": hparams.beta,
        "offset": hparams.offset,
        "normalize": hparams.normalize_weights,
    }


def contrastive_term(estimate, target, noisy, levels, hparams):
    """Compare the estimates of pairs that share the target or the noise."""
    pairs = {
        name: signal.unflatten(0, (-1, 2)).unbind(1)
        for name, signal in (("estimate", estimate), ("target", target))
    }
    one = other = None
    if levels is not None:
        one, other = levels.unflatten(0, (-1, 2)).unbind(1)
    found = contrastive_mixtures(
        first=pairs["estimate"][0],
        second=pairs["estimate"][1],
        first_target=pairs["target"][0],
        second_target=pairs["target"][1],
        positive=noisy.positive,
        first_snr_db=one,
        second_snr_db=other,
        **weighting(hparams),
        **frames(hparams),
    )
    weights = torch.where(
        noisy.positive, hparams.positive_weight, hparams.negative_weight
    )
    return (weights * found).mean()


def choose_target(noisy, hparams):
    """Choose what the enhancer should give: the recording, or clean speech."""
    personal = hparams.stage == "personalize"
    clean = personal and hparams.targets == "clean"
    return noisy.clean if clean else noisy.target


def true_levels(noisy, hparams):
    """Compute how clean the frames of recordings are: clean speech is known."""
    return frame_snr_db(
        target=noisy.clean, noisy=noisy.target, **frames(hparams)
    )


@torch.no_grad()
def improvements(estimate, noisy, hparams):
    """Compute SI-SDR improvements for validation.

    Arguments
    ---------
    estimate, noisy, hparams
        See `enhancer_values`.

    Returns
    -------
    values : dict
        "target_si_sdri", against what is trained towards, and
        "clean_si_sdri" where clean speech is known.
    """
    targets = {"target": choose_target(noisy, hparams), "clean": noisy.clean}
    return {
        f"{name}_si_sdri": (
            si_sdr(estimate=estimate, target=target)
            - si_sdr(estimate=noisy.mixture, target=target)
        ).mean()
        for name, target in targets.items()
        if target is not None
    }
