"""A network that scores a separation without references."""

import torch
from speechbrain.nnet.containers import Sequential
from speechbrain.nnet.linear import Linear
from torch import nn

from speechbrain_ext.models.waveform_encoder import WaveformEncoder

# two frames must leave the encoder, so that they have a deviation
SHORTEST = 65
# quieter than this, -120 dB re full scale, is silence
SILENCE = 1e-6


class SISNREstimator(nn.Module):
    """Blind SI-SNR estimator: mixture and estimate in, their SI-SNR out.

    Subakan, Ravanelli, Cornell, Grondin, "REAL-M: Towards Speech Separation
    on Real Mixtures", ICASSP 2022, section 2: an encoder of mixture and
    estimate, mean and deviation of its frames over time, two linear layers, a
    sigmoid that spans the range of levels.  With the paper's encoder names
    and shapes of the parameters are those of the published
    `speechbrain/REAL-M-sisnr-estimator`.  Unlike SpeechBrain's statistics
    pooling this adds no noise: the same input gives the same output.

    Arguments
    ---------
    snr_min, snr_max : float
        Range of the output in dB.
    encoder : torch.nn.Module, optional
        Gives frames of mixture and estimate, and their mean and deviation:
        `WaveformEncoder`, the paper's, by default, or `SpectralEncoder`.
    uncertainty : bool
        Whether a second output tells the typical error: 68 % of the
        absolute errors are below it.

    Raises
    ------
    ValueError
        If the range is empty.

    Example
    -------
    >>> estimator = SISNREstimator(snr_min=-10, snr_max=20)
    >>> mixture, estimates = torch.randn(4, 8000), torch.randn(4, 3, 8000)
    >>> estimator(mixture, estimates).shape
    torch.Size([4, 3])
    """

    def __init__(
        self,
        snr_min: float = 0.0,
        snr_max: float = 10.0,
        encoder: nn.Module | None = None,
        uncertainty: bool = False,
    ) -> None:
        super().__init__()
        if not snr_min < snr_max:
            raise ValueError(
                f"snr_min={snr_min} must be below snr_max={snr_max}"
            )
        self.snr_min = float(snr_min)
        self.snr_max = float(snr_max)
        self.uncertainty = uncertainty
        self.encoder = WaveformEncoder() if encoder is None else encoder
        channels = self.encoder.channels
        self.encoder_out = Sequential(
            input_shape=[None, 2 * channels],
            layer1=Linear(input_size=2 * channels, n_neurons=2 * channels),
            relu=nn.ReLU(),
            layer2=Linear(
                input_size=2 * channels, n_neurons=2 if uncertainty else 1
            ),
            sigm=nn.Sigmoid(),
        )

    def predict(
        self, mixture: torch.Tensor, estimates: torch.Tensor
    ) -> torch.Tensor:
        """Compute the compressed outputs, for training.

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (batch, time).
        estimates : torch.Tensor
            Shape (batch, sources, time).

        Returns
        -------
        outputs : torch.Tensor
            Shape (batch, sources, 1), or (batch, sources, 2) with
            uncertainty: compressed level, and compressed typical error.

        Raises
        ------
        ValueError
            If the shapes do not go together, or the signals are too short.
        """
        require_shapes(mixture, estimates)
        batch, sources, time = estimates.shape
        pairs = torch.stack(
            (
                standardize(estimates),
                standardize(mixture)[:, None].expand_as(estimates),
            ),
            dim=2,
        )
        mean, deviation = self.encoder.pool(
            pairs.view(batch * sources, 2, time)
        )
        with torch.autocast(mixture.device.type, enabled=False):
            outputs = self.encoder_out(torch.cat((mean, deviation), dim=1))
        return outputs.view(batch, sources, -1)

    def snr(
        self, mixture: torch.Tensor, estimates: torch.Tensor
    ) -> torch.Tensor:
        """Estimate the SI-SNR of every source, without uncertainty.

        Arguments
        ---------
        mixture, estimates : torch.Tensor
            As for `forward`.

        Returns
        -------
        snr : torch.Tensor
            Shape (batch, sources), in dB.
        """
        outputs = self(mixture, estimates)
        return outputs[0] if self.uncertainty else outputs

    def forward(
        self, mixture: torch.Tensor, estimates: torch.Tensor
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Estimate the SI-SNR of every source.

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (batch, time), at least 65 samples.
        estimates : torch.Tensor
            Shape (batch, sources, time).

        Returns
        -------
        snr : torch.Tensor
            Shape (batch, sources), in dB; `snr_min` where an estimate (or the
            mixture) is silent.
        error : torch.Tensor
            Only with uncertainty: the typical absolute error, in dB; the
            whole range where the estimate is silent.

        Raises
        ------
        ValueError
            If the shapes do not go together, or the signals are too short.
        """
        outputs = self.predict(mixture, estimates)
        silent = is_silent(estimates) | is_silent(mixture)[:, None]
        span = self.snr_max - self.snr_min
        snr = self.snr_min + span * outputs[..., 0]
        snr = snr.masked_fill(silent, self.snr_min)
        if not self.uncertainty:
            return snr
        return snr, (span * outputs[..., 1]).masked_fill(silent, span)


def standardize(signals: torch.Tensor) -> torch.Tensor:
    """Bring signals to zero mean and unit deviation; silence to zeros.

    Arguments
    ---------
    signals : torch.Tensor
        Shape (..., time).

    Returns
    -------
    standardized : torch.Tensor
        Same shape, float32.

    Example
    -------
    >>> standardize(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]))
    tensor([[-1.,  0.,  1.],
            [ 0.,  0.,  0.]])
    """
    signals = signals.float()
    deviation, mean = torch.std_mean(signals, dim=-1, keepdim=True)
    return (signals - mean) / deviation.clamp_min(SILENCE)


def is_silent(signals: torch.Tensor) -> torch.Tensor:
    """Tell which signals do not move, whatever their offset.

    Arguments
    ---------
    signals : torch.Tensor
        Shape (..., time).

    Returns
    -------
    silent : torch.Tensor
        Shape (...), boolean.

    Example
    -------
    >>> is_silent(torch.tensor([[0.5, 0.5, 0.5], [0.1, -0.1, 0.1]]))
    tensor([ True, False])
    """
    signals = signals.float()
    # about the first sample, so that a large offset is not rounded to noise
    return (signals - signals[..., :1]).std(dim=-1) <= SILENCE


def require_shapes(mixture: torch.Tensor, estimates: torch.Tensor) -> None:
    """Raise where a mixture and its estimates do not go together.

    Arguments
    ---------
    mixture : torch.Tensor
        Shape (batch, time).
    estimates : torch.Tensor
        Shape (batch, sources, time).

    Raises
    ------
    ValueError
        The message tells shapes or lengths.

    Example
    -------
    >>> require_shapes(torch.zeros(1, 99), torch.zeros(1, 2, 98))
    Traceback (most recent call last):
    ValueError: the mixture has 99 samples, the estimates have 98; ...
    """
    if mixture.ndim != 2 or estimates.ndim != 3:
        raise ValueError(
            f"mixture has shape {tuple(mixture.shape)} and estimates "
            f"{tuple(estimates.shape)}; they must be (batch, time) and "
            "(batch, sources, time)"
        )
    if 0 in estimates.shape[:2]:
        raise ValueError(
            f"estimates has shape {tuple(estimates.shape)}; there must be at "
            "least one mixture, and one estimate of it"
        )
    if len(mixture) != len(estimates):
        raise ValueError(
            f"{len(mixture)} mixtures, but estimates of {len(estimates)}"
        )
    if mixture.shape[1] != estimates.shape[2]:
        raise ValueError(
            f"the mixture has {mixture.shape[1]} samples, the estimates have "
            f"{estimates.shape[2]}; they must be equally long"
        )
    if mixture.shape[1] < SHORTEST:
        raise ValueError(
            f"{mixture.shape[1]} samples are too short to be scored; at "
            f"least {SHORTEST} are needed"
        )
