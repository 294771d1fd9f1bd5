"""Train a recipe's Brain and save the parameters of this rank.

    [torchrun ...] python worker.py OUTPUT HPARAMS_FILE [--key=value ...]

Run by the tests; with POISON=STEP in the environment, rank 1 (or the only
one) finds NaN in its batch at that step.
"""

import importlib
import os
import sys
from pathlib import Path

import speechbrain as sb
import torch

SIGNALS = ("speech", "sources")


def main():
    """Fit, then save what this process holds."""
    output, arguments = Path(sys.argv[1]), sys.argv[2:]
    sys.path.insert(0, str(Path(arguments[0]).resolve().parents[1]))
    recipe = importlib.import_module("train")
    poisoned = int(os.environ.get("POISON", -1))
    last = int(os.environ.get("WORLD_SIZE", 1)) - 1
    rank = int(os.environ.get("RANK", 0))

    (plain,) = (
        thing
        for thing in vars(recipe).values()
        if isinstance(thing, type) and issubclass(thing, sb.Brain)
    )

    batches = []

    class Poisoned(plain):
        def compute_forward(self, batch, stage):
            if stage == sb.Stage.TRAIN:
                batches.append(list(batch.get("id", ())))
            if self.optimizer_step == poisoned and rank == last:
                batch = {
                    key: value * float("nan") if key in SIGNALS else value
                    for key, value in batch.items()
                }
            return super().compute_forward(batch, stage)

    setattr(recipe, plain.__name__, Poisoned)
    hparams, run_opts = recipe.configure(arguments)
    brain = recipe.train(hparams, run_opts)
    # a recipe that trains different things calls what it trains the network
    names = ("network", "joint", "separator")
    trained = next(brain.modules[n] for n in names if n in brain.modules)
    state = {
        "parameters": getattr(trained, "module", trained).state_dict(),
        "optimizer_step": brain.optimizer_step,
        "batches": batches,
        "skipped_steps": brain.skipped_steps,
        "wrapped": isinstance(
            trained, torch.nn.parallel.DistributedDataParallel
        ),
    }
    torch.save(state, output / f"rank{rank}.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
