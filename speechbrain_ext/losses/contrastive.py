"""Contrastive losses over frames, and cross-entropy on their tokens.

Source: Lee and Kim, "Cluster-Based Pairwise Contrastive Loss for Noise-Robust
Speech Recognition", Sensors 24(8) 2573, 2024. Only its abstract, section
titles and list of contributions were at hand: the equations here are
reconstructed after the supervised contrastive loss (Khosla et al., NeurIPS
2020, arXiv 2004.11362) and InfoNCE (van den Oord et al., arXiv 1807.03748).

Embeddings have shape (..., frames, size) and are brought to unit length here.
All is computed in float32 (float64 stays float64), outside autocast.
"""

import torch
import torch.nn.functional as F

from speechbrain_ext.losses.si_sdr import in_full_precision, without_autocast


def cbpc(
    *,
    anchors: torch.Tensor,
    candidates: torch.Tensor,
    anchor_labels: torch.Tensor,
    candidate_labels: torch.Tensor,
    temperature: float = 0.1,
    own: torch.Tensor | None = None,
    anchor_mask: torch.Tensor | None = None,
    candidate_mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cluster-based pairwise contrastive loss.

    With C the candidates, i itself left out, and P(i) those of them that have
    the label of anchor i::

        loss = mean over i of mean over p in P(i) of
               -log(exp(z_i z_p / tau) / sum over c in C of exp(z_i z_c / tau))

    Reconstructed, see this module. Anchors without a positive have no part in
    the mean. Labels are compared, no more: their values mean nothing.

    Arguments
    ---------
    anchors : torch.Tensor
        Embeddings, shape (..., N, size).
    candidates : torch.Tensor
        Shape (..., M, size): for instance the clean twins of the anchors, and
        the anchors themselves. Detach what gets no gradient.
    anchor_labels, candidate_labels : torch.Tensor
        Clusters, whole numbers, shapes (..., N) and (..., M).
    temperature : float
        tau, above 0.
    own : torch.Tensor, optional
        Shape (..., N): which candidate is the anchor itself, to be left out;
        -1 where none is.
    anchor_mask, candidate_mask : torch.Tensor, optional
        True where a frame is one, False where it is padding.

    Returns
    -------
    loss : torch.Tensor
        Shape (...), in nats; 0 where no anchor has a positive.
    used : torch.Tensor
        Shape (...), how many anchors have one, int64.

    Raises
    ------
    ValueError
        If the temperature is not above 0, or shapes do not fit.

    Example
    -------
    >>> z = torch.eye(3)
    >>> labels = torch.tensor([0, 1, 1])
    >>> loss, used = cbpc(
    ...     anchors=z, candidates=z, anchor_labels=labels,
    ...     candidate_labels=labels, own=torch.arange(3),
    ... )
    >>> round(loss.item(), 4), used.item()  # log 2: both others are as far
    (0.6931, 2)
    """
    _check_shapes(anchors, candidates, anchor_labels, candidate_labels)
    similarity = _similarity(anchors, candidates, temperature)
    there = torch.ones_like(similarity, dtype=torch.bool)
    if candidate_mask is not None:
        there = there & candidate_mask.unsqueeze(-2)
    if own is not None:
        places = torch.arange(similarity.shape[-1], device=own.device)
        there = there & (own.unsqueeze(-1) != places)
    same = anchor_labels.unsqueeze(-1) == candidate_labels.unsqueeze(-2)
    positive = same & there
    if anchor_mask is not None:
        positive = positive & anchor_mask.unsqueeze(-1)
    with without_autocast(similarity):
        lowest = torch.finfo(similarity.dtype).min
        total = similarity.masked_fill(~there, lowest).logsumexp(-1)
        number = positive.sum(-1)
        nearness = torch.where(positive, similarity, 0.0).sum(-1)
        value = total - nearness / number.clamp(min=1)
        has_one = number > 0
        used = has_one.sum(-1)
        value = torch.where(has_one, value, 0.0).sum(-1)
        return value / used.clamp(min=1), used


def info_nce(
    *,
    anchors: torch.Tensor,
    positives: torch.Tensor,
    temperature: float = 0.1,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """InfoNCE: which of all positives is the anchor's own.

    It is computed as::

        loss = mean over i of
               -log(exp(z_i y_i / tau) / sum over j of exp(z_i y_j / tau))

    Arguments
    ---------
    anchors, positives : torch.Tensor
        Embeddings, both of shape (..., N, size): anchors[i] belongs to
        positives[i].
    temperature : float
        tau, above 0.
    mask : torch.Tensor, optional
        Shape (..., N), False where a pair is padding: it is neither an anchor
        nor a negative of the others.

    Returns
    -------
    loss : torch.Tensor
        Shape (...), in nats; 0 where there is no pair.

    Raises
    ------
    ValueError
        If the temperature is not above 0, or the shapes differ.

    Example
    -------
    >>> z = torch.eye(2)
    >>> round(info_nce(anchors=z, positives=z, temperature=1.0).item(), 4)
    0.3133
    """
    if anchors.shape != positives.shape:
        raise ValueError(
            f"anchors {tuple(anchors.shape)} and positives "
            f"{tuple(positives.shape)} must have one shape: they are pairs"
        )
    pairs = torch.arange(anchors.shape[-2], device=anchors.device)
    pairs = pairs.expand(anchors.shape[:-1])
    return cbpc(
        anchors=anchors,
        candidates=positives,
        anchor_labels=pairs,
        candidate_labels=pairs,
        temperature=temperature,
        anchor_mask=mask,
        candidate_mask=mask,
    )[0]


def token_cross_entropy(
    *,
    logits: torch.Tensor,
    labels: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy of frames against their tokens, what CBPC replaces.

    Arguments
    ---------
    logits : torch.Tensor
        Shape (..., frames, tokens).
    labels : torch.Tensor
        Shape (..., frames), int64.
    mask : torch.Tensor, optional
        Shape (..., frames), False where a frame is padding.

    Returns
    -------
    loss : torch.Tensor
        A scalar, in nats: the mean over the frames; 0 if there is none.

    Example
    -------
    >>> logits = torch.zeros(2, 5, 4)
    >>> labels = torch.zeros(2, 5, dtype=torch.int64)
    >>> round(token_cross_entropy(logits=logits, labels=labels).item(), 4)
    1.3863
    """
    (logits,) = in_full_precision(logits)
    with without_autocast(logits):
        value = F.cross_entropy(
            logits.flatten(0, -2), labels.flatten(), reduction="none"
        )
    if mask is None:
        mask = torch.ones_like(labels, dtype=torch.bool)
    kept = mask.flatten()
    return torch.where(kept, value, 0.0).sum() / kept.sum().clamp(min=1)


def _similarity(
    anchors: torch.Tensor, candidates: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return cosines over the temperature, shape (..., N, M)."""
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0")
    anchors, candidates = in_full_precision(anchors, candidates)
    with without_autocast(anchors):
        first = F.normalize(anchors, dim=-1)
        return first @ F.normalize(candidates, dim=-1).mT / temperature


def _check_shapes(
    anchors: torch.Tensor,
    candidates: torch.Tensor,
    anchor_labels: torch.Tensor,
    candidate_labels: torch.Tensor,
) -> None:
    """Raise ValueError unless frames and labels belong together."""
    if (
        anchors.dim() < 2
        or anchors.shape[-1] != candidates.shape[-1]
        or anchors.shape[:-1] != anchor_labels.shape
        or candidates.shape[:-1] != candidate_labels.shape
    ):
        raise ValueError(
            f"anchors {tuple(anchors.shape)} with labels "
            f"{tuple(anchor_labels.shape)}, candidates "
            f"{tuple(candidates.shape)} with labels "
            f"{tuple(candidate_labels.shape)}: they must be (..., frames, "
            "size) with (..., frames), of one size"
        )
