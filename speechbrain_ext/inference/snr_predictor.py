"""Loading a trained predictor of frame SNRs."""

from pathlib import Path

import torch

from speechbrain_ext.hub import find_release, load_folder
from speechbrain_ext.inference.waveforms import move_module

SHIPPED = Path(__file__).with_name("frame_snr_predictor")


def load_predictor(
    source: str | Path,
    *,
    sample_rate: int,
    window: int | None = None,
    hop: int | None = None,
    savedir: str | Path | None = None,
    trust: bool = False,
    revision: str | None = None,
    device: str | torch.device | None = None,
) -> torch.nn.Module:
    """Load a predictor that tells how clean the frames of speech are.

    Arguments
    ---------
    source : str or Path
        A release folder or the results folder that it lies in, a hub
        repository `USER/NAME`, or "shipped": the one that comes with the
        package, for 16 kHz, trained on the corpus `mini`.
    sample_rate : int
        Of the signals that it will be given, in Hz.
    window, hop : int or None
        Of the frames that it must have, in samples; None takes any.
    savedir, trust, revision
        See `speechbrain_ext.hub.load_folder`.
    device : str or torch.device, optional
        Where to compute; by default the CPU.

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
        If it holds no predictor, or one for another rate or other frames, or
        the device cannot be used.

    Example
    -------
    >>> predictor = load_predictor("shipped", sample_rate=16000)
    >>> predictor(torch.randn(2, 16000)).shape  # in dB
    torch.Size([2, 63])
    >>> load_predictor("/nowhere", sample_rate=16000)
    Traceback (most recent call last):
    FileNotFoundError: there is no folder /nowhere; ...
    """
    folder = SHIPPED if source == "shipped" else source
    if Path(folder).is_dir():
        folder = find_release(folder)
    loaded = load_folder(
        folder, savedir=savedir, trust=trust, revision=revision
    )
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
    predictor = loaded.modules["predictor"].requires_grad_(False)
    predictor = move_module(predictor, device)
    for name, wanted, found in (
        ("window", window, predictor.n_fft),
        ("hop", hop, predictor.hop),
    ):
        if wanted not in (None, found):
            raise ValueError(
                f"{source} is a predictor for frames with a {name} of {found} "
                f"samples, and the {name} here is {wanted}; train one with "
                f"--{name}={wanted}"
            )
    return predictor
