"""What Brains of the recipes are made with, besides SpeechBrain's own parts."""

from .checkpoints import AtomicCheckpointer
from .gradient_balance import GradientBalance
from .history import History
from .nonfinite import SkipNonFinite
from .optimizers import MuonWithAdam
from .results_writer import ResultsWriter
from .schedules import linear_ramp, warmup_cosine
from .transfer import load_weights

__all__ = [
    "AtomicCheckpointer",
    "GradientBalance",
    "History",
    "MuonWithAdam",
    "ResultsWriter",
    "SkipNonFinite",
    "linear_ramp",
    "load_weights",
    "warmup_cosine",
]
