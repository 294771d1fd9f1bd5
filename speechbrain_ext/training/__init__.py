"""What every Brain of the recipes shares."""

from .checkpoints import AtomicCheckpointer
from .command_line import read_command_line
from .comparison import Comparison
from .configuration import find_mistakes, load_hparams
from .gradient_balance import GradientBalance
from .history import History
from .nonfinite import SkipNonFinite
from .optimizers import MuonWithAdam
from .processes import (
    join_processes,
    leave_processes,
    log_row,
    rank_and_size,
)
from .same_run import (
    data_identity,
    differences,
    remember_run,
    require_same_run,
    run_configuration,
    without_free,
)
from .schedules import linear_ramp, warmup_cosine
from .starting import find_start, load_start
from .stored_figures import (
    average_seeds,
    entry_of,
    merge,
    read_figures,
    show_decibels,
)

__all__ = [
    "AtomicCheckpointer",
    "Comparison",
    "find_mistakes",
    "find_start",
    "load_hparams",
    "load_start",
    "GradientBalance",
    "History",
    "MuonWithAdam",
    "SkipNonFinite",
    "average_seeds",
    "data_identity",
    "differences",
    "entry_of",
    "merge",
    "read_figures",
    "read_command_line",
    "remember_run",
    "require_same_run",
    "run_configuration",
    "show_decibels",
    "without_free",
    "join_processes",
    "leave_processes",
    "linear_ramp",
    "log_row",
    "rank_and_size",
    "warmup_cosine",
]
