"""Enhanced frames of speech compared with clean ones, by several losses.

Reconstructed: Lee and Kim, "Cluster-Based Pairwise Contrastive Loss for
Noise-Robust Speech Recognition", Sensors 24(8) 2573, 2024; see `contrastive`.
"""

from collections.abc import Callable, Collection

import torch

from speechbrain_ext.losses.contrastive import (
    cbpc,
    info_nce,
    token_cross_entropy,
)


class FrameContrast:
    """Terms that draw frames of enhanced speech to frames of clean speech.

    Anchors are enhanced frames, one of every run of equal labels; candidates
    are their clean twins and the enhanced frames.

    Arguments
    ---------
    sampled_frames : int
        Anchors of a batch at most.
    frames_per_cluster : int
        Anchors of a cluster at most.
    temperature : float
        Of the contrastive terms.
    shuffle_labels : bool
        Give each anchor the label of another one, for an ablation: what is
        left is the gain without the clusters.

    Example
    -------
    >>> contrast = FrameContrast(sampled_frames=8, frames_per_cluster=4)
    >>> frames = torch.randn(1, 20, 6)
    >>> terms = contrast(
    ...     ["cbpc", "info_nce"], frames=frames, clean_frames=frames,
    ...     labels=torch.arange(20)[None] % 5,
    ...     mask=torch.ones(1, 20, dtype=torch.bool),
    ...     project=torch.nn.Linear(6, 4),
    ... )
    >>> sorted(terms)
    ['cbpc', 'info_nce']
    """

    def __init__(
        self,
        sampled_frames: int = 1024,
        frames_per_cluster: int = 32,
        temperature: float = 0.1,
        shuffle_labels: bool = False,
    ) -> None:
        self.sampled_frames = sampled_frames
        self.frames_per_cluster = frames_per_cluster
        self.temperature = temperature
        self.shuffle_labels = shuffle_labels

    def __call__(
        self,
        names: Collection[str],
        *,
        frames: torch.Tensor,
        clean_frames: torch.Tensor,
        labels: torch.Tensor,
        mask: torch.Tensor,
        project: Callable | None = None,
        classify: Callable | None = None,
        seed: int = 0,
    ) -> dict[str, torch.Tensor]:
        """Compute the terms of a batch.

        Arguments
        ---------
        names : collection of str
            Of "cbpc", "info_nce" and "token", the cross-entropy on labels.
        frames : torch.Tensor
            Encoder outputs of enhanced speech, shape (batch, frames, size).
        clean_frames : torch.Tensor
            Those of the clean twins, same shape; they get no gradient.
        labels : torch.Tensor
            Tokens of the clean speech, shape (batch, frames).
        mask : torch.Tensor
            Shape (batch, frames), False where a frame is padding.
        project : Callable, optional
            Frames to embeddings, for "cbpc" and "info_nce".
        classify : Callable, optional
            Frames to logits of the labels, for "token".
        seed : int
            Of the anchors that are drawn.

        Returns
        -------
        terms : dict
            Name to a scalar, unweighted.
        """
        places, labels = self.choose(labels, mask, seed)
        frames = frames.flatten(0, 1)[places]
        terms = {}
        if "cbpc" in names or "info_nce" in names:
            anchors = project(frames)
            with torch.no_grad():
                twins = project(clean_frames.flatten(0, 1)[places])
        if "cbpc" in names:
            number = len(labels)
            terms["cbpc"], _ = cbpc(
                anchors=anchors,
                candidates=torch.cat((twins, anchors)),
                anchor_labels=labels,
                candidate_labels=torch.cat((labels, labels)),
                own=torch.arange(number, 2 * number, device=labels.device),
                temperature=self.temperature,
            )
        if "info_nce" in names:
            terms["info_nce"] = info_nce(
                anchors=anchors,
                positives=twins,
                temperature=self.temperature,
            )
        if "token" in names:
            terms["token"] = token_cross_entropy(
                logits=classify(frames), labels=labels
            )
        return terms

    def choose(
        self, labels: torch.Tensor, mask: torch.Tensor, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the anchors.

        Arguments
        ---------
        labels, mask, seed
            See `FrameContrast.__call__`.

        Returns
        -------
        places, labels : torch.Tensor
            Shape (n,): into the flattened batch, and the anchors' labels.
        """
        generator = torch.Generator().manual_seed(seed)
        places = sample_frames(
            labels=labels,
            mask=mask,
            count=self.sampled_frames,
            most_per_cluster=self.frames_per_cluster,
            generator=generator,
        )
        labels = labels.flatten()[places]
        if self.shuffle_labels:
            order = torch.randperm(len(labels), generator=generator)
            labels = labels[order.to(labels.device)]
        return places, labels


def sample_frames(
    *,
    labels: torch.Tensor,
    mask: torch.Tensor,
    count: int,
    most_per_cluster: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Draw frames: one of every run of equal labels, a cap per cluster.

    Neighboring frames say nearly the same, and silence would be a large part
    of all pairs. Reconstructed: Lee and Kim, Sensors 24(8) 2573, 2024, whose
    own choice is not known to us.

    Arguments
    ---------
    labels : torch.Tensor
        Clusters of the frames, shape (batch, frames), int64.
    mask : torch.Tensor
        Same shape, False where a frame is padding.
    count : int
        Frames at most.
    most_per_cluster : int
        Frames of one cluster at most.
    generator : torch.Generator
        On the CPU: from it alone follows what is drawn.

    Returns
    -------
    places : torch.Tensor
        Into the flattened batch (batch * frames), in random order, shape
        (n,), n at most `count`, int64.

    Raises
    ------
    ValueError
        If the shapes differ, or a number is below 1.

    Example
    -------
    >>> places = sample_frames(
    ...     labels=torch.tensor([[4, 4, 4, 7, 0]]),
    ...     mask=torch.tensor([[True, True, True, True, False]]),
    ...     count=10, most_per_cluster=5, generator=torch.Generator(),
    ... )
    >>> sorted(torch.tensor([4, 4, 4, 7, 0])[places].tolist())
    [4, 7]
    """
    if labels.shape != mask.shape or labels.dim() != 2:
        raise ValueError(
            f"labels {tuple(labels.shape)} and mask {tuple(mask.shape)} must "
            "both be (batch, frames)"
        )
    if count < 1 or most_per_cluster < 1:
        raise ValueError(
            f"count is {count} and most_per_cluster {most_per_cluster}; both "
            "must be at least 1"
        )
    # frames in random order, those of padding left out
    order = torch.randperm(labels.numel(), generator=generator)
    order = order.to(labels.device)
    order = order[mask.flatten()[order]]
    order = order[_ranks(_runs(labels).flatten()[order]) == 0]
    order = order[_ranks(labels.flatten()[order]) < most_per_cluster]
    return order[:count]


def _runs(labels: torch.Tensor) -> torch.Tensor:
    """Give each run of equal labels a number; utterances part runs."""
    begins = torch.ones_like(labels, dtype=torch.bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    return begins.flatten().cumsum(0).view_as(labels)


def _ranks(groups: torch.Tensor) -> torch.Tensor:
    """Tell how many members of its group stand before each."""
    ordered, order = groups.sort(stable=True)
    places = torch.arange(len(groups), device=groups.device)
    ranks = torch.empty_like(order)
    ranks[order] = places - torch.searchsorted(ordered, ordered)
    return ranks
