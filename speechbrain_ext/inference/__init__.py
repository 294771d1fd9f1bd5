"""Trained models on anyone's recordings."""

from speechbrain_ext.losses.active_outputs import (
    ActiveOutputs,
    active_outputs,
)

from .enhancer import Enhancer
from .scoring import rank, score_files
from .separator import Separator
from .sisnr_estimator import SISNREstimator
from .snr_predictor import load_predictor
from .transcriber import Transcriber
from .whisper import Whisper

__all__ = [
    "ActiveOutputs",
    "Enhancer",
    "SISNREstimator",
    "Separator",
    "Transcriber",
    "Whisper",
    "active_outputs",
    "load_predictor",
    "rank",
    "score_files",
]
