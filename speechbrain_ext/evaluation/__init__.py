"""Metrics, residual noise, tables of scores, plots and the results page."""

from speechbrain_ext.evaluation.levels import match_mixture_level
from speechbrain_ext.evaluation.measures import available
from speechbrain_ext.evaluation.metrics import COLUMNS, SeparationMetrics
from speechbrain_ext.evaluation.plots import (
    bars,
    residual_noise_against_snr,
    scatter,
    training_curves,
)
from speechbrain_ext.evaluation.report import (
    Example,
    Result,
    results_of,
    write_report,
)
from speechbrain_ext.evaluation.residual_noise import residual_noise
from speechbrain_ext.evaluation.scores import ScoreTable
from speechbrain_ext.evaluation.spectrograms import spectrogram_grid

__all__ = [
    "COLUMNS",
    "Example",
    "Result",
    "ScoreTable",
    "SeparationMetrics",
    "available",
    "bars",
    "match_mixture_level",
    "residual_noise",
    "residual_noise_against_snr",
    "results_of",
    "scatter",
    "spectrogram_grid",
    "training_curves",
    "write_report",
]
