"""Trained models on anyone's recordings."""

from .scoring import rank, score_files
from .separator import Separator
from .sisnr_estimator import SISNREstimator

__all__ = ["SISNREstimator", "Separator", "rank", "score_files"]
