"""Trained models on anyone's recordings."""

from .active_outputs import ActiveOutputs, active_outputs
from .scoring import rank, score_files
from .separator import Separator
from .sisnr_estimator import SISNREstimator
from .transcriber import Transcriber

__all__ = [
    "ActiveOutputs",
    "SISNREstimator",
    "Separator",
    "Transcriber",
    "active_outputs",
    "rank",
    "score_files",
]
