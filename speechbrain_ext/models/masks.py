"""Functions that bring mask scores into the range of a mask."""

from collections.abc import Callable

import torch

MASKS = {"sigmoid": torch.sigmoid, "relu": torch.relu}


def choose_mask(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Look up a mask function.

    Arguments
    ---------
    name : str
        sigmoid (0 to 1) or relu (0 to infinity).

    Returns
    -------
    mask : Callable
        Maps scores to masks, element by element.

    Raises
    ------
    ValueError
        If there is none of that name.

    Example
    -------
    >>> choose_mask("relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if name not in MASKS:
        raise ValueError(f"mask={name!r} is not one of {list(MASKS)}")
    return MASKS[name]
