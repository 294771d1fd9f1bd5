"""Loading a trained predictor of frame SNRs."""

from pathlib import Path

import torch

from speechbrain_ext.hub import find_release, load_folder


def load_predictor(
    source: str | Path,
    *,
    sample_rate: int,
    savedir: str | Path | None = None,
    trust: bool = False,
) -> torch.nn.Module:
    """Load a predictor that tells how clean the frames of speech are.

    Arguments
    ---------
    source : str or Path
        A release folder or the results folder that it lies in, or a hub
        repository `USER/NAME`.
    sample_rate : int
        Of the signals that it will be given, in Hz.
    savedir, trust
        See `speechbrain_ext.hub.load_folder`.

    Returns
    -------
    predictor : torch.nn.Module
        `speechbrain_ext.models.SNRPredictor`, in evaluation mode; its
        parameters take no gradient.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    RefusedError
        If the folder asks for more than a model needs.
    ValueError
        If it holds no predictor, or one for another rate.

    Example
    -------
    >>> load_predictor("/nowhere", sample_rate=16000)
    Traceback (most recent call last):
    FileNotFoundError: /nowhere is neither a folder nor a hub repository ...
    """
    folder = find_release(source) if Path(source).is_dir() else source
    loaded = load_folder(folder, savedir=savedir, trust=trust)
    if loaded.modules.keys() != {"predictor"}:
        raise ValueError(
            f"{source} holds the modules {sorted(loaded.modules)}; a "
            "predictor of frame SNRs is one module 'predictor'"
        )
    rate = loaded.hparams.get("sample_rate")
    if rate != sample_rate:
        raise ValueError(
            f"{source} is a predictor for {rate} Hz, and is to work at "
            f"{sample_rate} Hz; train one with --sample_rate={sample_rate}"
        )
    return loaded.modules["predictor"].requires_grad_(False)
