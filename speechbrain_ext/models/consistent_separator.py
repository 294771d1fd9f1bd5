"""A separator and mixture consistency as one module."""

import torch
from torch import nn

from speechbrain_ext.models.mixture_consistency import MixtureConsistency

CONSISTENCIES = ("learned", "uniform", "none")


class ConsistentSeparator(nn.Module):
    """A separator whose estimates sum to the mixture.

    Training, checkpoint, release and inference thereby have the same
    consistency, with the shares that were learned.

    Arguments
    ---------
    separator : torch.nn.Module
        Mixtures (batch, time) to estimates (batch, sources, time); has
        `num_sources`.
    consistency : str
        learned (a share for each source, see `MixtureConsistency`), uniform,
        or none.

    Raises
    ------
    ValueError
        If consistency is none of them.

    Example
    -------
    >>> from speechbrain_ext.models.tdcn import TDCN
    >>> network = TDCN(num_sources=4, channels=8, hidden=8, repeats=1)
    >>> separator = ConsistentSeparator(network)
    >>> mixture = torch.randn(2, 4000)
    >>> total = separator(mixture).sum(dim=1)
    >>> torch.allclose(total, mixture, atol=1e-4)
    True
    """

    def __init__(
        self, separator: nn.Module, consistency: str = "learned"
    ) -> None:
        super().__init__()
        if consistency not in CONSISTENCIES:
            raise ValueError(
                f"consistency={consistency!r} is not one of "
                f"{', '.join(CONSISTENCIES)}"
            )
        self.separator = separator
        self.num_sources = separator.num_sources
        self.consistency = None
        if consistency != "none":
            self.consistency = MixtureConsistency(
                self.num_sources, learned=consistency == "learned"
            )

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        """Separate a batch of mixtures.

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (batch, time).

        Returns
        -------
        estimates : torch.Tensor
            Shape (batch, num_sources, time).
        """
        estimates = self.separator(mixture)
        if self.consistency is None:
            return estimates
        return self.consistency(estimates, mixture)
