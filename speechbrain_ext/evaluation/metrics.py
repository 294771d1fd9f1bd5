"""Scores of separated speech against clean references, an utterance at a time.

SI-SDR is always there; SDR, PESQ, STOI, eSTOI and DNSMOS come from optional
packages, see `speechbrain_ext.evaluation.available`.
"""

import logging
import math
from collections import Counter
from typing import NamedTuple

import torch

from speechbrain_ext.evaluation.measures import (
    PACKAGES,
    available,
    dnsmos,
    estoi,
    how_to_install,
    missing,
    pesq,
    sdr,
    stoi,
)
from speechbrain_ext.losses.residual_noise import residual_noise
from speechbrain_ext.losses.si_sdr import si_sdr

logger = logging.getLogger(__name__)


class Column(NamedTuple):
    """What a column of scores is called, and which way is better."""

    label: str
    unit: str
    better: str


#: Every column of the test results: what it is called on a page.
COLUMNS = {
    "si_sdr": Column("SI-SDR", "dB", "higher"),
    "si_sdri": Column("SI-SDR improvement", "dB", "higher"),
    "sdr": Column("SDR", "dB", "higher"),
    "sdri": Column("SDR improvement", "dB", "higher"),
    "pesq_nb": Column("PESQ, narrow band", "", "higher"),
    "pesq_wb": Column("PESQ, wide band", "", "higher"),
    "stoi": Column("STOI", "", "higher"),
    "estoi": Column("eSTOI", "", "higher"),
    "dnsmos_ovrl": Column("DNSMOS overall", "", "higher"),
    "dnsmos_sig": Column("DNSMOS speech", "", "higher"),
    "dnsmos_bak": Column("DNSMOS background", "", "higher"),
    "dnsmos_p808": Column("DNSMOS P.808", "", "higher"),
    "residual_noise_db": Column("Residual noise re speech", "dB", "lower"),
    "a_own": Column("Own noise kept (a_own)", "", "lower"),
    "a_other": Column("Other noise let in (a_other)", "", "lower"),
    "interference_db": Column("Other speech re speech", "dB", "lower"),
    "artifact_db": Column("Artifacts re speech", "dB", "lower"),
    "wer": Column("Word error rate", "%", "lower"),
    "cer": Column("Character error rate", "%", "lower"),
    "agreement": Column("Tokens as in clean speech", "", "higher"),
    "pearson": Column("Pearson correlation", "", "higher"),
    "spearman": Column("Spearman correlation", "", "higher"),
    "mean_absolute_error": Column("Mean absolute error", "dB", "lower"),
    "error_within_range": Column(
        "Mean absolute error within range", "dB", "lower"
    ),
    "bias": Column("Bias", "dB", ""),
    "ratio_within_range": Column("Ratio of sources within range", "", ""),
    "ratio_below_typical": Column("Ratio below the typical error", "", ""),
    "kendall": Column("Kendall, order of the separators", "", "higher"),
    "regret_db": Column("Best separator above the chosen", "dB", "lower"),
    "si_snr": Column("SI-SNR", "dB", "higher"),
    "si_snri": Column("SI-SNR improvement", "dB", "higher"),
    "msi": Column(
        "MSi: SI-SNR improvement, clips of 2 to 4 sources", "dB", "higher"
    ),
    "one_source": Column("1S: SI-SNR, clips of one source", "dB", "higher"),
    "msi_all": Column(
        "MSi, sources without an active output counted too", "dB", "higher"
    ),
    "one_source_all": Column("1S, counted likewise", "dB", "higher"),
    "si_snri_2": Column("MSi, clips of 2 sources", "dB", "higher"),
    "si_snri_3": Column("MSi, clips of 3 sources", "dB", "higher"),
    "si_snri_4": Column("MSi, clips of 4 sources", "dB", "higher"),
    "under": Column("Under-separated clips (ratio)", "", "lower"),
    "equal": Column("Equally separated clips (ratio)", "", "higher"),
    "over": Column("Over-separated clips (ratio)", "", "lower"),
    "outputs": Column("Active outputs of a clip", "", ""),
    "mixit_loss": Column("Loss of MixIT on pairs of clips", "dB", "lower"),
    "least_squares_missed": Column("Least squares wrong (ratio)", "", ""),
    "least_squares_cost_db": Column("Least squares, added loss", "dB", ""),
}

# Of the signal before the model, and of predicted levels of frames.
COLUMNS |= {
    f"input_{name}": Column(f"{column.label}, before", column.unit, "")
    for name, column in COLUMNS.items()
    if name.startswith(("pesq", "stoi", "estoi", "dnsmos"))
}
COLUMNS |= {
    "error_db": Column("Error of the SNR of a frame, rms", "dB", "lower"),
    "correlation": Column("Correlation with the true SNR", "", "higher"),
    "weight_error": Column("Error of the weight of a frame", "", "lower"),
    "frames_above": Column("Frames predicted above 0 dB", "%", ""),
    "noise_hidden": Column("Noise that weights hide", "%", "higher"),
    "noise_hidden_oracle": Column("Noise that true weights hide", "%", ""),
    "speech_hidden": Column("Speech that weights hide", "%", "lower"),
    "speech_hidden_oracle": Column("Speech that true weights hide", "%", ""),
}


def column_of(name):
    """Describe a score, or one of a test of its own.

    Arguments
    ---------
    name : str
        Of `COLUMNS`; what follows a comma names the test.

    Returns
    -------
    column : Column

    Example
    -------
    >>> column_of("stoi, 5 dB").label, column_of("new").label
    ('STOI, 5 dB', 'new')
    """
    base, comma, test = name.partition(",")
    label, unit, better = COLUMNS.get(base, (base, "", ""))
    return Column(f"{label}{comma}{test}", unit, better)


# What means something against noisy targets, or without any.
WITHOUT_CLEAN = ("si_sdr", "dnsmos")
# The columns of the residual noise, from the parts that it returns.
_NOISE_COLUMNS = {
    "residual_noise_db": "level_db",
    "a_own": "own",
    "a_other": "other",
    "interference_db": "interference_db",
    "artifact_db": "artifact_db",
}


def residual_noise_columns(
    *, estimates: torch.Tensor, speech: torch.Tensor, noise: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Compute the columns of `residual_noise`.

    Arguments
    ---------
    estimates, speech, noise : torch.Tensor
        Shape (batch, sources, time).

    Returns
    -------
    columns : dict of torch.Tensor
        By column (see COLUMNS), shape (batch, sources).
    """
    parts = residual_noise(estimates=estimates, speech=speech, noise=noise)
    return {column: parts[part] for column, part in _NOISE_COLUMNS.items()}


class SeparationMetrics:
    """Every score of an utterance; a score that fails is NaN, and counted.

    Third-party measures fail on single utterances (PESQ finds no speech,
    eSTOI too little of it).  Such a failure never ends an evaluation: the
    score is NaN, a warning names the utterance, and `failures` counts it.

    Arguments
    ---------
    sample_rate : int
        Of all signals, Hz.
    metrics : sequence of str or None
        Of "si_sdr", "sdr", "pesq", "stoi", "estoi", "dnsmos".  None: all that
        are installed; the absent ones are logged once.
    dnsmos_utterances : int, optional
        DNSMOS takes seconds for each source: it is measured on the first
        utterances only, by default on all.
    clean : bool
        Whether the targets are clean speech; else only SI-SDR and DNSMOS,
        which needs no target, mean something.

    Attributes
    ----------
    failures : collections.Counter
        Number of failed computations by metric.

    Raises
    ------
    ValueError
        Unknown metric, or a sample rate that is not positive.
    ImportError
        A metric was asked for by name and its package is not installed.

    Example
    -------
    >>> measure = SeparationMetrics(sample_rate=8000, metrics=["si_sdr"])
    >>> targets = torch.tensor([[1.0, -1.0] * 8, [1.0, 1.0, -1.0, -1.0] * 4])
    >>> estimates = targets + 0.1 * targets.flip(0)
    >>> rows = measure(
    ...     estimates=estimates, targets=targets, mixture=targets.sum(0)
    ... )
    >>> [round(row["si_sdri"], 3) for row in rows]
    [20.0, 20.0]
    """

    def __init__(
        self,
        *,
        sample_rate,
        metrics=None,
        dnsmos_utterances=None,
        clean=True,
    ):
        if sample_rate <= 0:
            raise ValueError(
                f"sample_rate must be positive, in Hz; got {sample_rate}"
            )
        self.sample_rate = int(sample_rate)
        self.failures = Counter()
        if metrics is None:
            metrics = [name for name, there in available().items() if there]
            for name in PACKAGES:
                if name not in metrics:
                    logger.warning("not measured: %s", how_to_install(name))
        for name in metrics:
            if name not in PACKAGES:
                raise ValueError(
                    f"unknown metric {name!r}; valid: {', '.join(PACKAGES)}"
                )
            if missing(name):
                raise ImportError(how_to_install(name))
        if not clean:
            metrics = [name for name in metrics if name in WITHOUT_CLEAN]
        self.metrics = tuple(metrics)
        self.dnsmos_left = dnsmos_utterances

    def __call__(self, *, estimates, targets, mixture, utterance=""):
        """Score one utterance.

        Arguments
        ---------
        estimates : torch.Tensor
            Shape (sources, time), in the order of the targets.
        targets : torch.Tensor
            Clean speech of each source, same shape.
        mixture : torch.Tensor
            Shape (time,): improvements are counted from it.
        utterance : str
            For messages.

        Returns
        -------
        rows : list of dict
            Per source: column (see COLUMNS) to float.

        Raises
        ------
        ValueError
            The shapes do not belong together.
        """
        if (
            estimates.ndim != 2
            or targets.shape != estimates.shape
            or mixture.shape != estimates.shape[1:]
        ):
            raise ValueError(
                f"utterance {utterance!r}: estimates {tuple(estimates.shape)} "
                f"and targets {tuple(targets.shape)} must be (sources, time) "
                f"and the mixture {tuple(mixture.shape)} (time,)"
            )
        estimates, targets, mixture = (
            signal.detach().cpu() for signal in (estimates, targets, mixture)
        )
        metrics = [name for name in self.metrics if name != "dnsmos"]
        if "dnsmos" in self.metrics and self.dnsmos_left != 0:
            metrics.append("dnsmos")
            if self.dnsmos_left is not None:
                self.dnsmos_left -= 1
        rows = []
        for index in range(len(estimates)):
            row = {}
            for metric in metrics:
                where = f"utterance {utterance!r}, source {index}"
                row.update(
                    self._score(
                        metric, estimates[index], targets[index], mixture, where
                    )
                )
            rows.append(row)
        return rows

    def _score(self, metric, estimate, target, mixture, where):
        """Compute the columns of one metric, NaN where that fails."""
        try:
            if not torch.isfinite(estimate).all():
                raise ValueError("the estimate holds non-finite samples")
            if metric != "dnsmos" and not target.any():
                raise ValueError("the target is silent")
            return self._columns(metric, estimate, target, mixture)
        # Third-party code raises what it likes; nothing is hidden, see below
        except Exception as error:
            self.failures[metric] += 1
            logger.warning(
                "%s: %s failed and is recorded as NaN (%s: %s)",
                where,
                metric,
                type(error).__name__,
                error,
            )
            return dict.fromkeys(self._names(metric), math.nan)

    def _names(self, metric):
        """List the columns that a metric fills."""
        if metric == "pesq":
            return ["pesq_wb" if self.sample_rate >= 16000 else "pesq_nb"]
        if metric in ("si_sdr", "sdr"):
            return [metric, f"{metric}i"]
        if metric == "dnsmos":
            return [name for name in COLUMNS if name.startswith("dnsmos_")]
        return [metric]

    def _columns(self, metric, estimate, target, mixture):
        """Compute the columns of one metric."""
        if metric in ("si_sdr", "sdr"):
            measure = {"si_sdr": si_sdr, "sdr": sdr}[metric]
            both = torch.stack((estimate, mixture)).double()
            values = measure(
                estimate=both, target=target.double().expand_as(both)
            )
            after, before = values.tolist()
            values = [after, after - before]
        elif metric == "dnsmos":
            scores = dnsmos(estimate=estimate, sample_rate=self.sample_rate)
            return {f"dnsmos_{name}": score for name, score in scores.items()}
        else:
            measure = {"pesq": pesq, "stoi": stoi, "estoi": estoi}[metric]
            values = [
                measure(
                    estimate=estimate,
                    target=target,
                    sample_rate=self.sample_rate,
                )
            ]
        columns = dict(zip(self._names(metric), values, strict=True))
        if not all(map(math.isfinite, columns.values())):
            raise ValueError(f"the result is not finite: {columns}")
        return columns
