"""Predicting how clean each frame of noisy speech is."""

import os

import torch
import torch.nn.functional as F
from speechbrain.utils.checkpoints import Checkpointer
from torch import nn

from speechbrain_ext.models.recurrent import GatedRecurrentNet
from speechbrain_ext.models.spectral import log_power

# Of the last layer's outputs: levels of 20 dB would take long to learn.
UNIT_DB = 10.0


class SNRPredictor(nn.Module):
    """Signal-to-noise ratio of every frame, from the noisy speech alone.

    Short-time Fourier transform -> GRU -> linear, as in Sivaraman, Kim and
    Kim, "Personalized Speech Enhancement through Self-Supervised Data
    Augmentation and Purification", Interspeech 2021, arXiv 2104.02018,
    section 2.3. With 3 layers of 1024 units at 16 kHz it has their 17.3 M
    parameters. Features are logarithms here, not magnitudes, and do not
    depend on the level (see `log_power`); outputs are in units of 10 dB, which
    is learned faster. Frames are those of
    `speechbrain_ext.losses.frame_snr_db`: centered, with zeros around.

    Arguments
    ---------
    n_fft : int
        Window and transform length in samples.
    hop : int
        Samples from one frame to the next.
    hidden : int
        Units of the GRU.
    layers : int
        Its layers.

    Example
    -------
    >>> predictor = SNRPredictor(n_fft=64, hop=16, hidden=8)
    >>> predictor(torch.randn(3, 1001)).shape
    torch.Size([3, 63])
    """

    def __init__(
        self,
        n_fft: int = 1024,
        hop: int = 256,
        hidden: int = 1024,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop = hop
        self.network = GatedRecurrentNet(
            n_fft // 2 + 1, 1, hidden=hidden, layers=layers
        )
        self.register_buffer(
            "window", torch.hann_window(n_fft), persistent=False
        )

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Predict.

        Arguments
        ---------
        noisy : torch.Tensor
            Shape (batch, time), of any level.

        Returns
        -------
        frame_snr_db : torch.Tensor
            Shape (batch, 1 + time // hop), in dB, float32.
        """
        with torch.autocast(noisy.device.type, enabled=False):
            half = self.n_fft // 2
            frames = F.pad(noisy.float(), (half, half))
            frames = frames.unfold(-1, self.n_fft, self.hop) * self.window
            spectrum = torch.view_as_real(torch.fft.rfft(frames))
            features = log_power(spectrum)
        return UNIT_DB * self.network(features).squeeze(-1).float()


def load_trained(
    predictor: SNRPredictor, folder: str | os.PathLike
) -> SNRPredictor:
    """Load the weights of a trained predictor.

    Arguments
    ---------
    predictor : SNRPredictor
        Of the same size.
    folder : str or PathLike
        Holds predictor.ckpt, or is the output folder of the run that trained
        it.

    Returns
    -------
    predictor : SNRPredictor
        In evaluation mode; its parameters take no gradient.

    Raises
    ------
    FileNotFoundError
        If there are no weights.

    Example
    -------
    >>> load_trained(SNRPredictor(hidden=8), "/nowhere")
    Traceback (most recent call last):
    FileNotFoundError: predictor: there are no weights in /nowhere; ...
    """
    path, found = os.path.join(folder, "predictor.ckpt"), None
    if not os.path.isfile(path):
        save = os.path.join(folder, "save")
        if os.path.isdir(save):
            found = Checkpointer(save).find_checkpoint(min_key="objective")
        if found is None or "predictor" not in found.paramfiles:
            raise FileNotFoundError(
                f"predictor: there are no weights in {folder}; train one by "
                "--stage=snr_predictor, or give its folder as --predictor=DIR"
            )
        path = found.paramfiles["predictor"]
    weights = torch.load(path, map_location="cpu", weights_only=True)
    predictor.load_state_dict(weights)
    return predictor.eval().requires_grad_(False)
