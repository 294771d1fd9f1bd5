"""Loading separators: those of a pool, and the one that a run adapts."""

import os
from pathlib import Path

import torch

from speechbrain_ext.hub.download import fetch_prefixed
from speechbrain_ext.hub.loading import load_folder
from speechbrain_ext.models.separator_pool import Unprocessed


def load_separator(
    name: str, *, folder: str | os.PathLike, sample_rate: int
) -> torch.nn.Module:
    """Load a separator without running what its files say.

    Arguments
    ---------
    name : str
        A folder below `folder` in hub layout, or REPOSITORY:PREFIX for one of
        the separators that a hub repository keeps side by side; or
        unprocessed, for the mixture itself.
    folder : str or PathLike
        Where trained separators are; downloads are kept there, too.
    sample_rate : int
        Of the mixtures, in Hz.

    Returns
    -------
    separator : torch.nn.Module
        Mixtures (batch, time) to estimates (batch, sources, time).

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no separator, or one for another sample rate.

    Example
    -------
    >>> load_separator("dprnn", folder="/nowhere", sample_rate=8000)
    Traceback (most recent call last):
    FileNotFoundError: there is no separator /nowhere/dprnn
    """
    if name == "unprocessed":
        return Unprocessed()
    path = Path(folder) / name
    if ":" in name:
        repository, _, prefix = name.partition(":")
        path = fetch_prefixed(repository, prefix, Path(folder) / repository)
    elif not path.is_dir():
        raise FileNotFoundError(f"there is no separator {path}")
    return _load(path, sample_rate)


def load_start(
    folder: str | os.PathLike, *, sample_rate: int, num_sources: int
) -> torch.nn.Module:
    """Load the separator that a run adapts, as one module, to be trained on.

    Arguments
    ---------
    folder : str or PathLike
        In hub layout: see `load_folder`.
    sample_rate : int
        Of the mixtures, in Hz.
    num_sources : int
        Talkers in a mixture.

    Returns
    -------
    separator : torch.nn.Module
        Mixtures (batch, time) to estimates (batch, num_sources, time).

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no separator, or one for another sample rate or number of
        talkers.

    Example
    -------
    >>> load_start("/nowhere", sample_rate=8000, num_sources=2)
    Traceback (most recent call last):
    FileNotFoundError: there is no separator /nowhere
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"there is no separator {path}")
    separator = _load(path, sample_rate)
    if separator.num_sources != num_sources:
        raise ValueError(
            f"{path} gives {separator.num_sources} sources, and mixtures of "
            f"{num_sources} talkers are trained with"
        )
    return separator


def _load(path: Path, sample_rate: int) -> torch.nn.Module:
    """Load the separator of a folder, which must be for a sample rate."""
    loaded = load_folder(path)
    separator = loaded.separator()
    if separator is None:
        raise ValueError(f"{path} holds no separator")
    rate = loaded.hparams.get("sample_rate", sample_rate)
    if rate != sample_rate:
        raise ValueError(
            f"{path} works at {rate} Hz, and sample_rate is {sample_rate}; "
            "take separators of that rate"
        )
    return separator
