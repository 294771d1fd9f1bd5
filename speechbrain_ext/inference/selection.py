"""Selecting checkpoints by the blind SI-SNR estimator."""

import os

import torch

from speechbrain_ext.console import describe_error
from speechbrain_ext.inference.sisnr_estimator import SHIPPED, SISNREstimator


def load_module(
    source: str | os.PathLike | None, *, sample_rate: int
) -> torch.nn.Module:
    """Load the network of an estimator, to select checkpoints by.

    Arguments
    ---------
    source : str, PathLike or None
        A folder or a repository; None for the one that ships.
    sample_rate : int
        Of the signals, in Hz.

    Returns
    -------
    module : speechbrain_ext.models.SISNREstimator
        In evaluation mode; its weights take no gradient.

    Raises
    ------
    ValueError
        If it cannot be loaded, or works at another sample rate.

    Example
    -------
    >>> module = load_module(None, sample_rate=8000)
    >>> module.training
    False
    """
    source = source or SHIPPED
    try:
        estimator = SISNREstimator.from_hparams(source)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"estimator: {describe_error(error)}") from error
    if estimator.sample_rate != sample_rate:
        raise ValueError(
            f"estimator: {source} works at {estimator.sample_rate} Hz, "
            f"sample_rate is {sample_rate}; give an estimator of that rate, "
            "or choose another selection"
        )
    return estimator.module.requires_grad_(False)
