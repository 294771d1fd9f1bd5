"""Judging separations without references."""

import warnings
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch

from speechbrain_ext import models
from speechbrain_ext.corpora.decoding import resampled
from speechbrain_ext.hub import LoadedFolder, load_folder
from speechbrain_ext.inference.pieces import (
    inner_products,
    regroup,
    require_common_parts,
    stack_piece,
)
from speechbrain_ext.inference.waveforms import change_rate, move_module
from speechbrain_ext.models.separator import check_state_dict
from speechbrain_ext.models.sisnr_estimator import is_silent, require_shapes
from speechbrain_ext.models.waveform_encoder import STRIDES

# the estimator that comes with this package, in hub layout
SHIPPED = Path(__file__).with_name("sisnr_estimator")
# rate of the published estimator, whose file need not tell it
PUBLISHED_RATE = 8000
PARTS = ("encoder", "encoder_out")
# a longer recording is scored in pieces of this length
PIECE_SECONDS = 300


class SISNREstimator:
    """A blind SI-SNR estimator: it judges a separation without references.

    Subakan, Ravanelli, Cornell, Grondin, "REAL-M: Towards Speech Separation
    on Real Mixtures", ICASSP 2022.  The same input always gives the same
    score.

    Recordings that are longer than five minutes are scored in pieces of five
    minutes, so that memory does not grow with their length; the last piece is
    up to twice as long.  Their score is the mean over the pieces, weighted by
    the energy of the estimate about its mean: loud parts decide, as they do
    in the SI-SNR of the whole.

    Arguments
    ---------
    module : speechbrain_ext.models.SISNREstimator
        The network; it computes in float32.
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
        self.module = module.float().eval()
        self.sample_rate = int(sample_rate)

    @classmethod
    def from_hparams(
        cls,
        source: str | Path = SHIPPED,
        savedir: str | Path | None = None,
        trust: bool = False,
        revision: str | None = None,
        device: str | torch.device | None = None,
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
        revision : str, optional
            Of a hub repository: branch, tag or commit.
        device : str or torch.device, optional
            Where to compute; by default the CPU.

        Returns
        -------
        estimator : SISNREstimator

        Raises
        ------
        RefusedError
            If the folder asks for more than a model needs.
        ValueError
            If it holds no such estimator, or one that was trained for other
            inputs or outputs, or the device cannot be used.
        """
        loaded = load_folder(
            source, savedir=savedir, trust=trust, revision=revision
        )
        rate = loaded.hparams.get("sample_rate", PUBLISHED_RATE)
        return cls(move_module(module_of(loaded), device), sample_rate=rate)

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
            separator gives that has not learned anything looks like that.)

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
            Shape (batch, sources), in dB: 68 % of the absolute errors are to
            be below `error`, which is the whole range where something is
            silent.

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
        mixture, estimates = (
            change_rate(signals.float().cpu(), sample_rate, self.sample_rate)
            for signals in (mixture, estimates)
        )
        longest = self._piece
        count = max(1, mixture.shape[1] // longest)
        edges = [place * longest for place in range(count)] + [None]
        scores, silent = self._score(
            (
                (mixture[:, start:stop], estimates[..., start:stop])
                for start, stop in zip(edges, edges[1:], strict=False)
            ),
            check,
        )
        if silent.any():
            warnings.warn(
                f"{int(silent.sum())} of {silent.numel()} estimates are "
                "silent, or their mixture is: they get "
                f"{self.module.snr_min:g} dB",
                stacklevel=4,
            )
        return scores

    @torch.inference_mode()
    def score_blocks(
        self,
        signals: Sequence[Iterable[np.ndarray]],
        sample_rate: int,
        *,
        check: bool = True,
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Score estimates that come in blocks, without holding all of them.

        Arguments
        ---------
        signals : sequence of iterable of numpy.ndarray
            The blocks, shape (time,), of the mixture and of each estimate.
            All signals have one length; their blocks may differ.
        sample_rate : int
            Of all, in Hz.
        check : bool
            As for `score`.

        Returns
        -------
        scores : tuple of torch.Tensor
            Shape (sources,): the SI-SNR and, if the network tells it, the
            error, as of `score_with_error`.
        silent : torch.Tensor
            Shape (sources,): which are silent, or their mixture is.

        Raises
        ------
        ValueError
            If lengths differ, the signals are too short, or estimates are
            not of the mixture.
        """
        pieces = zip_longest(
            *(
                regroup(
                    resampled(s, sample_rate, self.sample_rate), self._piece
                )
                for s in signals
            ),
            fillvalue=torch.empty(0),
        )
        scores, silent = self._score(map(stack_piece, pieces), check)
        return tuple(score[0] for score in scores), silent[0]

    @property
    def _piece(self) -> int:
        """Length of a piece, in samples of the network."""
        return PIECE_SECONDS * self.sample_rate

    def _score(
        self,
        pieces: Iterable[tuple[torch.Tensor, torch.Tensor]],
        check: bool,
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Score mixtures and estimates that come in pieces."""
        device = next(self.module.parameters()).device
        silent, gram, outputs, weights = True, 0, [], []
        for mixture, estimates in pieces:
            require_shapes(mixture, estimates)
            found = self.module(mixture.to(device), estimates.to(device))
            found = found if self.module.uncertainty else (found,)
            outputs.append(torch.stack(found).cpu())
            quiet = is_silent(estimates) | is_silent(mixture)[:, None]
            silent = silent & quiet
            gram = gram + inner_products(mixture, estimates)
            time = estimates.shape[-1]
            weights.append(time * estimates.double().var(-1))
        if check:
            require_common_parts(gram, silent)
        if len(outputs) == 1:
            return tuple(outputs[0]), silent
        weights = torch.stack(weights)
        weights = weights / weights.sum(0).clamp_min(1e-30)
        outputs = torch.stack(outputs, 1).double()
        means = (weights * outputs).sum(1).float()
        # what is silent throughout weighs nothing
        return tuple(torch.where(silent, outputs[:, 0].float(), means)), silent


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
