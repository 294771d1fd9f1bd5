"""What every Brain of the recipes shares."""

from .checkpoints import AtomicCheckpointer
from .command_line import (
    read_command_line,
    run_recipe,
    save_hparams,
)
from .comparison import Comparison
from .configuration import load_hparams
from .gradient_balance import GradientBalance
from .history import History
from .nonfinite import SkipNonFinite
from .optimizers import MuonWithAdam
from .options import find_mistakes
from .output_folder import claim_output
from .processes import (
    join_processes,
    leave_processes,
    log_row,
    rank_and_size,
    run_on_main,
)
from .results_writer import ResultsWriter
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
    "ResultsWriter",
    "SkipNonFinite",
    "average_seeds",
    "claim_output",
    "data_identity",
    "differences",
    "entry_of",
    "merge",
    "read_figures",
    "read_command_line",
    "remember_run",
    "require_same_run",
    "run_configuration",
    "run_on_main",
    "run_recipe",
    "save_hparams",
    "show_decibels",
    "without_free",
    "join_processes",
    "leave_processes",
    "linear_ramp",
    "log_row",
    "rank_and_size",
    "warmup_cosine",
]
