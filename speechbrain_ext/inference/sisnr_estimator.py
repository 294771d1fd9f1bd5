"""Judging separations without references."""

import warnings
from pathlib import Path

import torch

from speechbrain_ext import models
from speechbrain_ext.hub import LoadedFolder, load_folder
from speechbrain_ext.inference.separator import change_rate
from speechbrain_ext.models.separator import check_state_dict
from speechbrain_ext.models.sisnr_estimator import is_silent, require_shapes
from speechbrain_ext.models.waveform_encoder import STRIDES

# the estimator that comes with this package, in hub layout
SHIPPED = Path(__file__).with_name("sisnr_estimator")
# rate of the published estimator, whose file need not tell it
PUBLISHED_RATE = 8000
PARTS = ("encoder", "encoder_out")
# share of a mixture's energy that its estimates must account for, at least:
# those of another mixture share 0.001 of it by chance
LEAST_SHARE = 0.003


class SISNREstimator:
    """A blind SI-SNR estimator: it judges a separation without references.

    Subakan, Ravanelli, Cornell, Grondin, "REAL-M: Towards Speech Separation
    on Real Mixtures", ICASSP 2022.  The same input always gives the same
    score.

    Arguments
    ---------
    module : speechbrain_ext.models.SISNREstimator
        The network.
    sample_rate : int
        Rate that it works at, in Hz.

    Example
    -------
    >>> module = models.SISNREstimator(snr_min=-10, snr_max=20)
    >>> estimator = SISNREstimator(module, sample_rate=8000)
    >>> estimates = torch.randn(4, 3, 16000)
    >>> estimator.score(
    ...     mixture=estimates.sum(1), estimates=estimates, sample_rate=16000
    ... ).shape
    torch.Size([4, 3])
    """

    def __init__(
        self, module: models.SISNREstimator, *, sample_rate: int
    ) -> None:
        self.module = module.eval()
        self.sample_rate = sample_rate

    @classmethod
    def from_hparams(
        cls,
        source: str | Path = SHIPPED,
        savedir: str | Path | None = None,
        trust: bool = False,
    ) -> "SISNREstimator":
        """Load an estimator: ours, or SpeechBrain's.

        Arguments
        ---------
        source : str or Path
            A folder, or a hub repository such as
            `speechbrain/REAL-M-sisnr-estimator`; by default the estimator
            that comes with this package.
        savedir : str or Path, optional
            Where downloads are kept.
        trust : bool
            Run whatever its hyperparams.yaml says; see
            `speechbrain_ext.hub.load_folder`.

        Returns
        -------
        estimator : SISNREstimator

        Raises
        ------
        RefusedError
            If the folder asks for more than a model needs.
        ValueError
            If it holds no such estimator, or one that was trained for other
            inputs or outputs.
        """
        loaded = load_folder(source, savedir=savedir, trust=trust)
        rate = loaded.hparams.get("sample_rate", PUBLISHED_RATE)
        return cls(module_of(loaded), sample_rate=rate)

    @torch.inference_mode()
    def score(
        self,
        *,
        mixture: torch.Tensor,
        estimates: torch.Tensor,
        sample_rate: int,
        check: bool = True,
    ) -> torch.Tensor:
        """Estimate the SI-SNR of separated sources.

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (batch, time), of any level.
        estimates : torch.Tensor
            Shape (batch, sources, time), of any levels: each is judged by
            itself.
        sample_rate : int
            Rate of both in Hz; they are resampled where the network's is
            another.
        check : bool
            Refuse estimates that are plainly not of the mixture. (What a
            separator gives that has not learnt anything looks like that.)

        Returns
        -------
        snr : torch.Tensor
            Shape (batch, sources), in dB; the lowest value of the range,
            with a warning, where an estimate or the mixture is silent.

        Raises
        ------
        ValueError
            If shapes or lengths do not go together, samples are not finite,
            the signals are too short, or estimates are not of the mixture.
        """
        return self._run(mixture, estimates, sample_rate, check)[0]

    @torch.inference_mode()
    def score_with_error(
        self,
        *,
        mixture: torch.Tensor,
        estimates: torch.Tensor,
        sample_rate: int,
        check: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Estimate the SI-SNR, and how far the estimate typically is off.

        Arguments
        ---------
        mixture, estimates, sample_rate, check
            As for `score`.

        Returns
        -------
        snr, error : torch.Tensor
            Shape (batch, sources), in dB; the error is the median of the
            absolute error, the whole range where something is silent.

        Raises
        ------
        ValueError
            As for `score`, and if the network has no such output.
        """
        if not self.module.uncertainty:
            raise ValueError(
                "this estimator was trained without uncertainty; use score()"
            )
        return self._run(mixture, estimates, sample_rate, check)

    def _run(self, mixture, estimates, sample_rate, check):
        require_shapes(mixture, estimates)
        for name, signals in (("mixture", mixture), ("estimates", estimates)):
            if not torch.isfinite(signals).all():
                raise ValueError(
                    f"{name}: some samples are NaN or infinite; repair the "
                    "recording first"
                )
        device = next(self.module.parameters()).device
        mixture, estimates = (
            change_rate(signals.float(), sample_rate, self.sample_rate).to(
                device
            )
            for signals in (mixture, estimates)
        )
        outputs = self.module(mixture, estimates)
        outputs = outputs if self.module.uncertainty else (outputs,)
        silent = is_silent(estimates) | is_silent(mixture)[:, None]
        if check:
            require_common_parts(mixture, estimates, silent)
        if silent.any():
            warnings.warn(
                f"{int(silent.sum())} of {silent.numel()} estimates are "
                "silent, or their mixture is: they get "
                f"{self.module.snr_min:g} dB",
                stacklevel=4,
            )
        return tuple(output.cpu() for output in outputs)


def require_common_parts(
    mixture: torch.Tensor, estimates: torch.Tensor, silent: torch.Tensor
) -> None:
    """Raise where estimates have nothing to do with their mixture.

    Arguments
    ---------
    mixture : torch.Tensor
        Shape (batch, time).
    estimates : torch.Tensor
        Shape (batch, sources, time).
    silent : torch.Tensor
        Shape (batch, sources): which are not looked at.

    Raises
    ------
    ValueError
        If the estimates of an item together account for less than
        `LEAST_SHARE` of the mixture's energy, at the best levels.

    Example
    -------
    >>> estimates = torch.eye(3)[None]
    >>> silent = torch.zeros(1, 3, dtype=torch.bool)
    >>> require_common_parts(torch.ones(1, 3), estimates, silent)
    """
    for item in range(len(mixture)):
        kept = estimates[item][~silent[item]].double()
        if len(kept) == 0:
            continue
        kept = kept / torch.linalg.vector_norm(kept, dim=1, keepdim=True)
        whole = mixture[item].double()
        whole = whole / torch.linalg.vector_norm(whole)
        products = kept @ whole
        # the minimum norm solution: two estimates may be the same
        gains = torch.linalg.pinv(kept @ kept.T, hermitian=True) @ products
        share = float(products @ gains)
        if share < LEAST_SHARE:
            raise ValueError(
                f"the estimates of item {item} account for {share:.4f} of "
                "their mixture's energy: they belong to another mixture, or "
                "are shifted in time; give each mixture its own estimates"
            )


def module_of(loaded: LoadedFolder) -> models.SISNREstimator:
    """Make the network of a folder in the layout that SpeechBrain publishes.

    Arguments
    ---------
    loaded : LoadedFolder
        With the modules encoder and encoder_out, and the keys snrmin,
        snrmax, use_snr_compression and separation_norm_type.

    Returns
    -------
    module : speechbrain_ext.models.SISNREstimator

    Raises
    ------
    ValueError
        If it is something else; the message names the key and the value.
    """
    folder, hparams = loaded.folder, loaded.hparams
    if loaded.modules.keys() != set(PARTS):
        raise ValueError(
            f"{folder} holds the modules {sorted(loaded.modules)}; an SI-SNR "
            f"estimator has {' and '.join(PARTS)}"
        )
    for key in ("snrmin", "snrmax"):
        if not isinstance(hparams.get(key), int | float):
            raise ValueError(
                f"{folder}: {key} is {hparams.get(key)!r}; it must be a "
                "number of dB"
            )
    for key, value in (
        ("use_snr_compression", True),
        ("separation_norm_type", "stnorm"),
    ):
        if hparams.get(key) != value:
            raise ValueError(
                f"{folder}: {key} is {hparams.get(key)!r}; only estimators "
                f"with {value!r} can be used"
            )
    weights = {
        f"{part}.{name}": value
        for part in PARTS
        for name, value in loaded.modules[part].state_dict().items()
    }
    encoder = loaded.modules["encoder"]
    if not isinstance(encoder, models.SpectralEncoder):
        encoder = waveform_encoder(encoder, folder)
    outputs = weights.get("encoder_out.layer2.w.weight", torch.empty(0))
    if len(outputs) not in (1, 2):
        raise ValueError(
            f"{folder}: encoder_out has {len(outputs)} outputs; an estimator "
            "has 1 or 2"
        )
    module = models.SISNREstimator(
        snr_min=hparams["snrmin"],
        snr_max=hparams["snrmax"],
        encoder=encoder,
        uncertainty=len(outputs) == 2,
    )
    check_state_dict(folder, expected=module.state_dict(), found=weights)
    module.load_state_dict(weights)
    return module


def waveform_encoder(
    layers: torch.nn.Module, folder: str | Path
) -> models.WaveformEncoder:
    """Make the encoder that the published layers describe, without weights.

    Arguments
    ---------
    layers : torch.nn.Module
        What the folder's hyperparams.yaml builds.
    folder : str or Path
        For the message.

    Returns
    -------
    encoder : models.WaveformEncoder

    Raises
    ------
    ValueError
        If it is another network.
    """
    convolutions = [
        layer.conv for layer in layers.children() if hasattr(layer, "conv")
    ]
    strides = tuple(convolution.stride[0] for convolution in convolutions)
    if strides != STRIDES:
        raise ValueError(
            f"{folder}: the encoder's convolutions have the strides {strides}; "
            f"an estimator's have {STRIDES}, or it is a SpectralEncoder"
        )
    return models.WaveformEncoder(convolutions[0].out_channels)
