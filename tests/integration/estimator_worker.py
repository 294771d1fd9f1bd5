"""Run the estimator's training, and save the parameters of this rank.

[torchrun ...] python estimator_worker.py OUTPUT HPARAMS_FILE [--key=value]
"""

import importlib
import os
import sys
from pathlib import Path

import torch


def main():
    """Train, save what this process holds, then evaluate."""
    output, arguments = Path(sys.argv[1]), sys.argv[2:]
    sys.path.insert(0, str(Path(arguments[0]).resolve().parents[1]))
    recipe = importlib.import_module("train")
    train = recipe.train

    def train_and_save(hparams, run_opts, pool):
        brain = train(hparams, run_opts, pool)
        parameters = hparams["estimator"].state_dict()
        rank = os.environ.get("RANK", 0)
        torch.save(parameters, output / f"rank{rank}.pt")
        return brain

    recipe.train = train_and_save
    recipe.main(arguments)


if __name__ == "__main__":
    main()
