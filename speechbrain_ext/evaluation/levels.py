"""The level at which separated speech is listened to."""

import torch


def match_mixture_level(*, estimates, mixture):
    """Bring estimates to the level that they have in the mixture.

    A separator trained with a scale-invariant loss returns any level, and any
    polarity.  Each estimate is scaled so that what remains of the mixture
    without it has the least energy: g = <estimate, mixture> / |estimate|^2
    (least squares), which for sources that do not correlate is the true
    scale.  No reference is needed.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (..., sources, time).
    mixture : torch.Tensor
        Shape (..., time).

    Returns
    -------
    scaled : torch.Tensor
        Shape (..., sources, time); a silent estimate stays silent.

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
    power = torch.linalg.vecdot(estimates, estimates)
    product = torch.linalg.vecdot(estimates, mixture.unsqueeze(-2))
    gain = product / torch.where(power > 0, power, 1.0)
    return estimates * gain.unsqueeze(-1)
