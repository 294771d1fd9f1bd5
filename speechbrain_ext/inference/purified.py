"""SI-SDR of frames, weighted by how clean a predictor says their targets are.

An experiment of this project: the predictor is that of personalized
enhancement (Sivaraman, Kim and Kim, Interspeech 2021, arXiv 2104.02018), the
loss that of separation.
"""

import os

import torch

from speechbrain_ext.console import describe_error
from speechbrain_ext.inference.snr_predictor import load_predictor
from speechbrain_ext.losses import purified_si_sdr


class PurifiedSISDR(torch.nn.Module):
    """SI-SDR against noisy targets, by the frames that are clean.

    Arguments
    ---------
    source : str or PathLike
        Folder or repository of a predictor of frame SNRs.
    sample_rate : int
        In Hz.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not there, or for another rate.
    """

    def __init__(self, source: str | os.PathLike, *, sample_rate: int) -> None:
        super().__init__()
        try:
            self.predictor = load_predictor(source, sample_rate=sample_rate)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"purification: {error}. Train a predictor by the recipe "
                "LibriSpeech/personalized_enhancement, or set it to null"
            ) from error
        except (OSError, RuntimeError, ValueError) as error:
            said = describe_error(error)
            raise ValueError(f"purification: {said}") from error

    def forward(
        self, estimates: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Compute the weighted SI-SDR.

        Arguments
        ---------
        estimates, targets : torch.Tensor
            Shape (batch, sources, time); the targets are noisy.

        Returns
        -------
        value : torch.Tensor
            Shape (batch,), in dB times weight, the mean over the sources.
        """
        with torch.no_grad():
            levels = self.predictor(targets.flatten(0, 1))
        value = purified_si_sdr(
            estimate=estimates,
            target=targets,
            frame_snr_db=levels.unflatten(0, targets.shape[:2]),
            normalize=True,
            window=self.predictor.n_fft,
            hop=self.predictor.hop,
        )
        return value.mean(-1)
