"""Train a recipe's Brain and save the parameters of this rank.

    [torchrun ...] python worker.py OUTPUT HPARAMS_FILE [--key=value ...]

Run by the tests; with POISON=STEP in the environment, rank 1 (or the only
one) finds NaN in its batch at that step. With FITS=NUMBER it goes on until so
many stages are trained.
"""

import importlib
import os
import sys
from pathlib import Path

import speechbrain as sb
import torch

from speechbrain_ext.services import launcher

SIGNALS = ("speech", "sources")
# a recipe that trains different things calls what it trains the network
NAMES = ("network", "joint", "separator", "estimator")


class Trained(Exception):
    """The Brain is trained, and saved: nothing else is to be done."""


def poisoned(plain, output):
    """A Brain that may find NaN, and saves what it holds when it is trained."""
    step = int(os.environ.get("POISON", -1))
    last = int(os.environ.get("WORLD_SIZE", 1)) - 1
    rank = int(os.environ.get("RANK", 0))
    batches, fits = [], []

    class Poisoned(plain):
        def compute_forward(self, batch, stage):
            if stage == sb.Stage.TRAIN:
                batches.append(list(batch.get("id", ())))
            if self.optimizer_step == step and rank == last:
                batch = {
                    key: value * float("nan") if key in SIGNALS else value
                    for key, value in batch.items()
                }
            return super().compute_forward(batch, stage)

        def fit(self, *arguments, **keywords):
            super().fit(*arguments, **keywords)
            trained = next(
                self.modules[name] for name in NAMES if name in self.modules
            )
            wrapper = torch.nn.parallel.DistributedDataParallel
            state = {
                "parameters": getattr(trained, "module", trained).state_dict(),
                "optimizer_step": self.optimizer_step,
                "batches": batches,
                "skipped_steps": self.skipped_steps,
                "wrapped": isinstance(trained, wrapper),
            }
            torch.save(state, output / f"rank{rank}.pt")
            fits.append(state["optimizer_step"])
            if len(fits) == int(os.environ.get("FITS", 1)):
                raise Trained

    return Poisoned


def main():
    """Fit, then save what this process holds."""
    output, (hparams_file, *words) = Path(sys.argv[1]), sys.argv[2:]
    script = launcher.find_script(hparams_file)
    sys.path.insert(0, str(script.parent))
    command, declared = launcher.check_recipe(hparams_file, words)
    if int(os.environ.get("RANK", 0)) == 0:
        folder = Path(command.checked.values["output_folder"])
        launcher.identify(command, folder, declared)
    recipe = importlib.import_module(script.stem)
    for name, thing in list(vars(recipe).items()):
        if isinstance(thing, type) and issubclass(thing, sb.Brain):
            setattr(recipe, name, poisoned(thing, output))
    with launcher.arguments_of(command, script):
        try:
            recipe.main(sys.argv[1:])
        except Trained:
            pass
    launcher.leave_processes()


if __name__ == "__main__":
    main()
