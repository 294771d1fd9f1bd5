"""The level at which separated speech is listened to."""

import torch

from speechbrain_ext.losses.active_outputs import LEAST_MOVEMENT


class MixtureLevels:
    """Levels of estimates in their mixture, from blocks of any length.

    All levels are about the mean: a constant offset is no sound.

    Example
    -------
    >>> levels = MixtureLevels()
    >>> for tone in torch.tensor([[1.0, -1.0], [1.0, -1.0]]):
    ...     levels.add(estimates=2 * tone[None], mixture=tone + 0.5)
    >>> levels.gains().item(), levels.rms().item()
    (0.5, 2.0)
    """

    def __init__(self) -> None:
        self._time, self._sums = 0, 0.0

    def add(self, *, estimates: torch.Tensor, mixture: torch.Tensor) -> None:
        """Take in the next block.

        Arguments
        ---------
        estimates : torch.Tensor
            Shape (..., sources, time).
        mixture : torch.Tensor
            Shape (..., time).
        """
        self._time += mixture.shape[-1]
        estimates = estimates.double()
        mixture = mixture.double().unsqueeze(-2)
        total = estimates.sum(-1)
        self._sums = self._sums + torch.stack(
            (
                total,
                mixture.sum(-1).expand_as(total),
                torch.linalg.vecdot(estimates, estimates),
                torch.linalg.vecdot(estimates, mixture),
            )
        )

    def gains(self) -> torch.Tensor:
        """Compute what brings each estimate to its level in the mixture.

        Returns
        -------
        gains : torch.Tensor
            Shape (..., sources), float64; 0 for a silent estimate.
        """
        total, of_mixture, power, product = self._sums
        product = product - total * of_mixture / self._time
        power, silent = self._powers()
        return product / power.masked_fill(silent, torch.inf)

    def rms(self) -> torch.Tensor:
        """Compute the root mean squares of the estimates about their means.

        Returns
        -------
        rms : torch.Tensor
            Shape (..., sources), float64.
        """
        power, silent = self._powers()
        return (power.masked_fill(silent, 0) / self._time).sqrt()

    def _powers(self):
        """Compute powers about the mean, and tell which are rounding."""
        total, _, raw, _ = self._sums
        power = raw - total.square() / self._time
        return power, power <= LEAST_MOVEMENT * raw


def match_mixture_level(
    *, estimates: torch.Tensor, mixture: torch.Tensor
) -> torch.Tensor:
    """Bring estimates to the level that they have in the mixture.

    A separator trained with a scale-invariant loss returns any level, and any
    polarity.  Each estimate is scaled so that what remains of the mixture
    without it has the least energy: ``g = <estimate, mixture> / |estimate|^2``
    (least squares), which for sources that do not correlate is the true
    scale.  Both are taken about their means, so that an offset of the
    recording is no level.  No reference is needed.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (..., sources, time).
    mixture : torch.Tensor
        Shape (..., time).

    Returns
    -------
    scaled : torch.Tensor
        Shape (..., sources, time); zeros where an estimate is silent.

    Raises
    ------
    ValueError
        The shapes do not belong together.

    Example
    -------
    >>> sources = torch.tensor([[3.0, -3.0, 3.0, -3.0], [1.0, 1.0, -1.0, -1.0]])
    >>> scaled = match_mixture_level(
    ...     estimates=sources * torch.tensor([[-0.5], [20.0]]),
    ...     mixture=sources.sum(0),
    ... )
    >>> bool(torch.allclose(scaled, sources))
    True
    """
    if estimates.shape[:-2] + estimates.shape[-1:] != mixture.shape:
        raise ValueError(
            f"estimates {tuple(estimates.shape)} must be (..., sources, time) "
            f"and the mixture {tuple(mixture.shape)} (..., time)"
        )
    levels = MixtureLevels()
    levels.add(estimates=estimates, mixture=mixture)
    return estimates * levels.gains().to(estimates.dtype).unsqueeze(-1)
