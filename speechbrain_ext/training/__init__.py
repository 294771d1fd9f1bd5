"""What every Brain of the recipes shares."""

from .checkpoints import AtomicCheckpointer
from .configuration import check, load_hparams
from .history import History
from .nonfinite import SkipNonFinite
from .schedules import linear_ramp, warmup_cosine

__all__ = [
    "AtomicCheckpointer",
    "check",
    "load_hparams",
    "History",
    "SkipNonFinite",
    "linear_ramp",
    "warmup_cosine",
]
