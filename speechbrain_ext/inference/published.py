"""Loading separators with SpeechBrain's own parts, as its recipes do."""

import os

import torch
from speechbrain.inference.separation import SepformerSeparation
from speechbrain.utils.fetching import fetch

from speechbrain_ext.models.separator import MaskingSeparator
from speechbrain_ext.models.separator_pool import Unprocessed

FILES = ("hyperparams.yaml", "encoder.ckpt", "masknet.ckpt", "decoder.ckpt")


def load_separator(
    name: str, *, folder: str, sample_rate: int
) -> torch.nn.Module:
    """Load a separator as SpeechBrain publishes it: hyperparams.yaml is run.

    Arguments
    ---------
    name : str
        A folder below `folder`, or REPOSITORY:PREFIX for one of the
        separators that a hub repository keeps side by side; or unprocessed,
        for the mixture itself.
    folder : str
        Where separators are; downloads are kept there, too.
    sample_rate : int
        Of the mixtures, in Hz.

    Returns
    -------
    separator : torch.nn.Module
        Mixtures (batch, time) to estimates (batch, sources, time).

    Raises
    ------
    ValueError
        If it is one for another sample rate.

    Example
    -------
    >>> separator = load_separator("unprocessed", folder=".", sample_rate=8000)
    >>> separator(torch.randn(1, 800)).shape
    torch.Size([1, 2, 800])
    """
    if name == "unprocessed":
        return Unprocessed()
    repository, _, prefix = name.rpartition(":")
    place = os.path.join(folder, prefix)
    for file in FILES if repository else ():
        fetch(
            filename=f"{prefix}_{file}",
            source=repository,
            savedir=place,
            save_filename=file,
        )
    found = SepformerSeparation.from_hparams(source=place, savedir=place)
    rate = getattr(found.hparams, "sample_rate", sample_rate)
    if rate != sample_rate:
        raise ValueError(
            f"{place} works at {rate} Hz, and sample_rate is {sample_rate}"
        )
    return MaskingSeparator(
        encoder=found.mods.encoder,
        masknet=found.mods.masknet,
        decoder=found.mods.decoder,
        num_sources=getattr(found.hparams, "num_spks", 2),
    )
