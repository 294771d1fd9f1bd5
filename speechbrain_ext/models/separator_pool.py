"""A pool of separators, each of which separates mixtures of its own."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn


class Unprocessed(nn.Module):
    """The mixture itself in place of every source: the worst separator.

    Example
    -------
    >>> Unprocessed()(torch.ones(1, 2))
    tensor([[[1., 1.],
             [1., 1.]]])
    """

    def __init__(self, num_sources: int = 2) -> None:
        super().__init__()
        self.num_sources = num_sources

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        """Give the mixture (batch, time) as (batch, sources, time)."""
        return mixture[:, None].expand(-1, self.num_sources, -1)


class SeparatorPool:
    """Frozen separators, one of which is chosen for every mixture.

    Arguments
    ---------
    separators : mapping of str to torch.nn.Module
        By name. Each turns mixtures (batch, time) into estimates
        (batch, sources, time).
    num_sources : int
        What each of them has to give.

    Example
    -------
    >>> pool = SeparatorPool({"unprocessed": Unprocessed()})
    >>> pool.separate(torch.ones(3, 8), [0, 0, 0]).shape
    torch.Size([3, 2, 8])
    """

    def __init__(
        self, separators: Mapping[str, nn.Module], num_sources: int = 2
    ) -> None:
        self.names = list(separators)
        self.modules = [
            separator.eval().requires_grad_(False)
            for separator in separators.values()
        ]
        self.num_sources = num_sources

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> "SeparatorPool":
        """Separate on this device; returns itself."""
        for module in self.modules:
            module.to(device)
        return self

    def in_turn(self, *, batch: int, size: int) -> np.ndarray:
        """Choose a separator for each mixture, all in turn.

        Arguments
        ---------
        batch : int
            Number of the batch, from 0.
        size : int
            Its mixtures.

        Returns
        -------
        chosen : numpy.ndarray
            Shape (size,).

        Example
        -------
        >>> pool = SeparatorPool(dict.fromkeys("abc", nn.Identity()))
        >>> [pool.in_turn(batch=n, size=2).tolist() for n in range(3)]
        [[0, 1], [2, 0], [1, 2]]
        """
        return (batch * size + np.arange(size)) % len(self)

    @torch.no_grad()
    def separate(
        self, mixture: torch.Tensor, chosen: Sequence[int]
    ) -> torch.Tensor:
        """Separate each mixture by its own separator.

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (batch, time).
        chosen : sequence of int
            Which separator, for each mixture.

        Returns
        -------
        estimates : torch.Tensor
            Shape (batch, sources, time), float32.

        Raises
        ------
        ValueError
            If a separator gives another number of sources.
        """
        chosen = np.asarray(chosen)
        estimates = mixture.new_empty(
            len(mixture), self.num_sources, mixture.shape[1]
        )
        for number in np.unique(chosen):
            items = torch.from_numpy(np.flatnonzero(chosen == number))
            items = items.to(mixture.device)
            found = self.modules[number](mixture[items])
            if found.shape[1:] != estimates.shape[1:]:
                raise ValueError(
                    f"the separator {self.names[number]} gives "
                    f"{found.shape[1]} sources; the mixtures have "
                    f"{self.num_sources}"
                )
            estimates[items] = found.float()
        return estimates
