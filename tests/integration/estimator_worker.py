"""Run a recipe in this process, and save the parameters of this rank.

torchrun ... estimator_worker.py OUTPUT HPARAMS_FILE [--key=value]
"""

import os
import sys
from pathlib import Path

import speechbrain as sb
import torch

from speechbrain_ext.services.launcher import launch


def main():
    """Launch; save what this process holds once it is trained, and end."""
    output, arguments = Path(sys.argv[1]), sys.argv[2:]
    fit = sb.Brain.fit

    def fit_and_save(brain, *loaders):
        fit(brain, *loaders)
        rank = os.environ.get("RANK", 0)
        torch.save(brain.modules.state_dict(), output / f"rank{rank}.pt")
        torch.distributed.destroy_process_group()
        sys.exit()

    sb.Brain.fit = fit_and_save
    launch(arguments[0], arguments[1:])


if __name__ == "__main__":
    main()
