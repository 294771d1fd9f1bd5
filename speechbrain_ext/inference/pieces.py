"""Mixtures and their estimates, piece by piece."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

# share of a mixture's energy that its estimates must account for, at least:
# those of another mixture share 0.001 of it by chance
LEAST_SHARE = 0.003


def regroup(
    blocks: Iterable[np.ndarray], length: int
) -> Iterator[torch.Tensor]:
    """Cut blocks anew: into one length, but for the last, which is longer.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        Consecutive parts of a signal, shape (time,).
    length : int
        In samples.

    Yields
    ------
    piece : torch.Tensor
        Shape (length,); the last one up to twice as long.

    Example
    -------
    >>> blocks = np.zeros(5), np.zeros(5), np.zeros(13)
    >>> [len(piece) for piece in regroup(blocks, 5)]
    [5, 5, 5, 8]
    """
    held = torch.empty(0)
    for block in blocks:
        held = torch.cat((held, torch.from_numpy(block)))
        while len(held) >= 2 * length:
            yield held[:length]
            held = held[length:]
    yield held


def stack_piece(
    signals: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make a mixture and estimates with a batch axis; lengths may differ."""
    mixture, *estimates = signals
    lengths = {len(signal) for signal in signals}
    if len(lengths) > 1:
        raise ValueError("the mixture and its estimates must be equally long")
    return mixture[None], torch.stack(estimates)[None]


def inner_products(
    mixture: torch.Tensor, estimates: torch.Tensor
) -> torch.Tensor:
    """Compute inner products that add up over pieces.

    Arguments
    ---------
    mixture : torch.Tensor
        Shape (batch, time).
    estimates : torch.Tensor
        Shape (batch, sources, time).

    Returns
    -------
    gram : torch.Tensor
        Shape (batch, sources + 2, sources + 2), float64: of the estimates,
        the mixture and a constant 1, each with each.
    """
    signals = torch.cat((estimates, mixture[:, None]), 1).double()
    signals = torch.cat((signals, torch.ones_like(signals[:, :1])), 1)
    return signals @ signals.mT


def require_common_parts(gram: torch.Tensor, silent: torch.Tensor) -> None:
    """Raise where estimates have nothing to do with their mixture.

    Arguments
    ---------
    gram : torch.Tensor
        Shape (batch, sources + 2, sources + 2), as of `inner_products`.
    silent : torch.Tensor
        Shape (batch, sources): which are not looked at.

    Raises
    ------
    ValueError
        If the estimates of an item together account for less than
        `LEAST_SHARE` of the mixture's energy, at the best levels.

    Example
    -------
    >>> estimates = torch.eye(3)[None]
    >>> gram = inner_products(torch.tensor([[1.0, 2.0, 3.0]]), estimates)
    >>> require_common_parts(gram, torch.zeros(1, 3, dtype=torch.bool))
    """
    for item, quiet in enumerate(silent):
        total, time = gram[item, -1, :-1], gram[item, -1, -1]
        about_mean = gram[item, :-1, :-1] - total * total[:, None] / time
        kept = torch.cat((~quiet, quiet.new_ones(1)))
        products = about_mean[kept][:, kept]
        if len(products) == 1:
            continue
        norms = products.diagonal().sqrt()
        products = products / norms / norms[:, None]
        # the minimum norm solution: two estimates may be the same
        with_mixture = products[:-1, -1]
        gains = torch.linalg.pinv(products[:-1, :-1], hermitian=True)
        share = float(with_mixture @ gains @ with_mixture)
        if share < LEAST_SHARE:
            raise ValueError(
                f"the estimates of item {item} account for {share:.4f} of "
                "their mixture's energy: they belong to another mixture, or "
                "are shifted in time; give each mixture its own estimates"
            )
