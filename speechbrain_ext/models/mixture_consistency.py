"""Estimates that sum to the mixture."""

import torch
from torch import nn


def mixture_consistency(
    *,
    estimates: torch.Tensor,
    mixture: torch.Tensor,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Share out what the estimates lack, so that they sum to the mixture.

    e_m + w_m (x - sum e), the projection of Wisdom et al., "Differentiable
    consistency constraints for improved deep speech enhancement", ICASSP
    2019, arXiv 1811.08521.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, sources, time).
    mixture : torch.Tensor
        Shape (batch, time).
    weights : torch.Tensor, optional
        Share of each source, shape (sources,) or (batch, sources); used as
        they are, so they must sum to 1 over the sources. The same for all
        (the nearest estimates in the least-squares sense) unless given.

    Returns
    -------
    estimates : torch.Tensor
        Shape (batch, sources, time), float32 for half precision, whose sum
        over the sources is the mixture within rounding.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Example
    -------
    >>> estimates = torch.tensor([[[1.0], [2.0]]])
    >>> mixture = torch.tensor([[7.0]])
    >>> mixture_consistency(estimates=estimates, mixture=mixture)
    tensor([[[3.],
             [4.]]])
    """
    shape, expected = tuple(estimates.shape), tuple(mixture.shape)
    if len(shape) != 3 or expected != (shape[0], shape[2]):
        raise ValueError(
            f"estimates {shape} and mixture {expected} must be (batch, "
            "sources, time) and (batch, time) with one batch and one time"
        )
    # Autocast leaves sums and products alone: what counts are the types.
    dtype = torch.promote_types(estimates.dtype, torch.float32)
    estimates = estimates.to(dtype)
    if weights is None:
        weights = estimates.new_full(shape[1:2], 1 / shape[1])
    if tuple(weights.shape) not in (shape[1:2], shape[:2]):
        raise ValueError(
            f"weights {tuple(weights.shape)} must be {shape[1:2]} (one for "
            f"each source) or {shape[:2]} (also for each example)"
        )
    weights = weights.to(dtype).unsqueeze(-1)
    missing = mixture.to(dtype) - estimates.sum(dim=1)
    return torch.addcmul(estimates, weights, missing.unsqueeze(1))


class MixtureConsistency(nn.Module):
    """Mixture consistency whose shares are learned.

    The shares are the softmax over one learned score a source, the same for
    all examples; they start equal. (The official code of MixIT, by default,
    predicts the scores of each example instead, by a linear layer from the
    network's last features averaged over time: give such weights to
    `mixture_consistency`.)

    Arguments
    ---------
    sources : int
        Number of estimates.
    learned : bool
        Whether there is anything to learn; if not, all shares are equal.

    Example
    -------
    >>> consistent = MixtureConsistency(3)
    >>> estimates, mixture = torch.randn(2, 3, 100), torch.randn(2, 100)
    >>> total = consistent(estimates, mixture).sum(dim=1)
    >>> torch.allclose(total, mixture, atol=1e-5)
    True
    """

    def __init__(self, sources: int, learned: bool = True) -> None:
        super().__init__()
        scores = nn.Parameter(torch.zeros(sources)) if learned else None
        self.register_parameter("scores", scores)

    def forward(
        self, estimates: torch.Tensor, mixture: torch.Tensor
    ) -> torch.Tensor:
        """Make the estimates sum to the mixture.

        Arguments
        ---------
        estimates : torch.Tensor
            Shape (batch, sources, time).
        mixture : torch.Tensor
            Shape (batch, time).

        Returns
        -------
        estimates : torch.Tensor
            Shape (batch, sources, time).
        """
        weights = None
        if self.scores is not None:
            # In half precision they would not sum to 1.
            dtype = torch.promote_types(self.scores.dtype, torch.float32)
            weights = self.scores.softmax(dim=-1, dtype=dtype)
        return mixture_consistency(
            estimates=estimates, mixture=mixture, weights=weights
        )
