"""Metrics, tables of scores, plots, the results page and listening tests."""

from speechbrain_ext.evaluation.agreement import agreement, rank_agreement
from speechbrain_ext.evaluation.enhancement_plots import (
    improvement_boxes,
    snr_course,
)
from speechbrain_ext.evaluation.estimator_plots import (
    course_over_epochs,
    predicted_against_true,
)
from speechbrain_ext.evaluation.levels import match_mixture_level
from speechbrain_ext.evaluation.listening import (
    ListeningItem,
    choose_uniformly,
    write_listening_page,
)
from speechbrain_ext.evaluation.listening_scores import (
    compare_with_listeners,
    listening_plot,
    read_scores,
)
from speechbrain_ext.evaluation.measures import available
from speechbrain_ext.evaluation.metrics import COLUMNS, SeparationMetrics
from speechbrain_ext.evaluation.plots import (
    bars,
    residual_noise_against_snr,
    training_curves,
)
from speechbrain_ext.evaluation.recognition import (
    normalize_text,
    permutation_word_errors,
    word_errors,
)
from speechbrain_ext.evaluation.recognition_plots import (
    error_rate_against_snr,
    error_rate_differences,
)
from speechbrain_ext.evaluation.report import (
    Example,
    Result,
    results_of,
    write_report,
)
from speechbrain_ext.evaluation.scores import ScoreTable, without_nan
from speechbrain_ext.evaluation.universal_plots import (
    msi_against_one_source,
    separation_shares,
)
from speechbrain_ext.losses.residual_noise import residual_noise
from speechbrain_ext.losses.universal_separation import universal_figures

__all__ = [
    "COLUMNS",
    "Example",
    "ListeningItem",
    "Result",
    "ScoreTable",
    "SeparationMetrics",
    "agreement",
    "available",
    "bars",
    "choose_uniformly",
    "compare_with_listeners",
    "course_over_epochs",
    "error_rate_against_snr",
    "error_rate_differences",
    "improvement_boxes",
    "listening_plot",
    "match_mixture_level",
    "msi_against_one_source",
    "normalize_text",
    "permutation_word_errors",
    "predicted_against_true",
    "rank_agreement",
    "read_scores",
    "residual_noise",
    "residual_noise_against_snr",
    "results_of",
    "separation_shares",
    "snr_course",
    "training_curves",
    "universal_figures",
    "without_nan",
    "word_errors",
    "write_listening_page",
    "write_report",
]
