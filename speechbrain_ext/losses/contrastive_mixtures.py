"""Contrastive mixtures: estimates of mixtures that share a part.

Source: Sivaraman and Kim, "Efficient Personalized Speech Enhancement through
Self-Supervised Learning", IEEE JSTSP 2022, arXiv 2104.02017; the squared form
and the product of weights are those of the authors' public research code.
"""

import torch

from speechbrain_ext.losses.purification import (
    check_frames,
    frame_sums,
    prepare_pair,
    purification_weights,
)
from speechbrain_ext.losses.si_sdr import remove_mean, without_autocast


def contrastive_mixtures(
    *,
    first: torch.Tensor,
    second: torch.Tensor,
    first_target: torch.Tensor,
    second_target: torch.Tensor,
    positive: torch.Tensor,
    first_snr_db: torch.Tensor | None,
    second_snr_db: torch.Tensor | None,
    **options,
) -> torch.Tensor:
    """Compare the estimates of two mixtures that share a part.

    A positive pair shares the premixture and has two noises: its estimates
    should be one. A negative pair shares the noise: its estimates should be
    as far apart as its premixtures are, in squared form. Distances are those
    of `purified_mse`; frames of a negative pair count by the product of both
    weights.

    Arguments
    ---------
    first, second : torch.Tensor
        Estimates, shape (pairs, time).
    first_target, second_target : torch.Tensor
        Premixtures, shape (pairs, time).
    positive : torch.Tensor
        Shape (pairs,), bool.
    first_snr_db, second_snr_db : torch.Tensor or None
        How clean the frames of the premixtures are; None counts all alike.
    **options
        `beta`, `offset`, `normalize`, `window` and `hop` of `purified_mse`.

    Returns
    -------
    loss : torch.Tensor
        Shape (pairs,).

    Raises
    ------
    ValueError
        See `purified_mse`.

    Example
    -------
    >>> signals = torch.randn(2, 1000)
    >>> contrastive_mixtures(
    ...     first=signals, second=signals, first_target=signals,
    ...     second_target=signals, positive=torch.tensor([True, False]),
    ...     first_snr_db=None, second_snr_db=None,
    ... )
    tensor([0., 0.])
    """
    shaping = {
        key: options.pop(key)
        for key in ("beta", "offset", "normalize")
        if key in options
    }
    weights = None
    if first_snr_db is not None:
        one, other = (
            purification_weights(frame_snr_db=levels, **shaping)
            for levels in (first_snr_db, second_snr_db)
        )
        weights = one * torch.where(positive.unsqueeze(-1), 1.0, other)

    def distance(one, other):
        """Return the error of two differences, weighted by frame."""
        one, other = prepare_pair(one, other)
        with without_autocast(one):
            error = remove_mean(one - other).square()
            window = options.get("window", 1024)
            losses = frame_sums(error, **options) / window
            if weights is None:
                return losses.mean(dim=-1)
            check_frames(weights, losses)
            return (weights * losses).mean(dim=-1)

    apart = distance(first, second)
    wanted = distance(first_target, second_target)
    return torch.where(positive, apart, (apart - wanted).square())


def contrastive_pairs(
    *,
    estimate: torch.Tensor,
    target: torch.Tensor,
    positive: torch.Tensor,
    frame_snr_db: torch.Tensor | None,
    positive_weight: float,
    negative_weight: float,
    **options,
) -> torch.Tensor:
    """Compare the estimates of a batch of pairs, and weight the two kinds.

    Arguments
    ---------
    estimate, target : torch.Tensor
        Shape (2 pairs, time): 0 is a pair with 1, 2 with 3, ...
    positive : torch.Tensor
        Shape (pairs,), bool; see `contrastive_mixtures`.
    frame_snr_db : torch.Tensor or None
        Shape (2 pairs, frames).
    positive_weight, negative_weight : float
        Of the two kinds of pairs.
    **options
        See `contrastive_mixtures`.

    Returns
    -------
    loss : torch.Tensor
        Shape (pairs,).

    Example
    -------
    >>> signals = torch.randn(2, 1000).repeat_interleave(2, 0)
    >>> contrastive_pairs(
    ...     estimate=signals, target=signals, frame_snr_db=None,
    ...     positive=torch.tensor([True, False]), positive_weight=1.0,
    ...     negative_weight=1.0,
    ... )
    tensor([0., 0.])
    """

    def divide(values):
        """Part the two of every pair."""
        if values is None:
            return None, None
        return values.unflatten(0, (-1, 2)).unbind(1)

    estimates, targets = divide(estimate), divide(target)
    levels = divide(frame_snr_db)
    found = contrastive_mixtures(
        first=estimates[0],
        second=estimates[1],
        first_target=targets[0],
        second_target=targets[1],
        positive=positive,
        first_snr_db=levels[0],
        second_snr_db=levels[1],
        **options,
    )
    return torch.where(positive, positive_weight, negative_weight) * found
