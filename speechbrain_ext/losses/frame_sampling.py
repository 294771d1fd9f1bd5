"""Which frames of a batch a contrastive loss compares."""

import torch


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
