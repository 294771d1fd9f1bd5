"""Purified ring mixing: frames of a noisy target count by how clean they are.

An experiment of this project, not of the paper: the predictor is that of the
recipe of personalised enhancement (Sivaraman, Kim and Kim, Interspeech 2021,
arXiv 2104.02018).
"""

import torch

from speechbrain_ext.console import describe_error
from speechbrain_ext.inference import load_predictor
from speechbrain_ext.losses import purified_si_sdr


def find_predictor(hparams):
    """Load the predictor that `purification` names, or None.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.

    Returns
    -------
    predictor : torch.nn.Module or None

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not there, or for another rate.
    """
    if hparams["purification"] is None:
        return None
    try:
        return load_predictor(
            hparams["purification"], sample_rate=hparams["sample_rate"]
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"purification: {error}. Train a predictor by the recipe "
            "LibriSpeech/personalized_enhancement, or set it to null"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"purification: {describe_error(error)}") from error


def purified_separation(*, estimates, targets, predictor):
    """SI-SDR of frames, weighted by how clean those of the targets are.

    Arguments
    ---------
    estimates : torch.Tensor
        In the order of the targets, shape (batch, sources, time).
    targets : torch.Tensor
        Noisy sources, shape (batch, sources, time).
    predictor : torch.nn.Module
        Of frame SNRs: (signals, time) to (signals, frames).

    Returns
    -------
    value : torch.Tensor
        Shape (batch,), in dB times weight, the mean over the sources.
    """
    with torch.no_grad():
        levels = predictor(targets.flatten(0, 1))
    value = purified_si_sdr(
        estimate=estimates,
        target=targets,
        frame_snr_db=levels.unflatten(0, targets.shape[:2]),
        normalize=True,
        window=predictor.n_fft,
        hop=predictor.hop,
    )
    return value.mean(-1)
