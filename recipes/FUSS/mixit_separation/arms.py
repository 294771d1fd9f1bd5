#!/usr/bin/env python3
"""Train and compare all arms of the MixIT table with one command.

    python recipes/FUSS/mixit_separation/arms.py --data_folder=DIR

DIR is a folder or CSV of recordings (see `corpora.folder`) with voices and
sound events; --include='[PATTERN, ...]' says what of it is taken.  Without it
only the arms on the embedded corpus `mini` are run.  Every arm is an ordinary
run of the recipe in a process of its own, two at a time; a finished run is
not repeated, an interrupted one goes on.  The table and its plots are written
to the output folder.

Arms: plain MixIT; with sparsity, covariance or semantic loss; supervised, the
upper bound, which sees the sources.

Start reading at the bottom.
"""

import dataclasses
from pathlib import Path

import arms_table
import runs
from evaluate import SEPARATIONS
from release import FIGURES

from speechbrain_ext.training import Comparison

RECIPE = Path(__file__).resolve().parent
# of the arms; the others of the sweep are in `plan`
WEIGHTS = {"sparsity": 20.0, "covariance": 30.0, "semantic": 10.0}
# outputs to weights: the penalty is a mean over the outputs
SWEEP = {4: (5.0, 10.0, 40.0), 8: (30.0, 40.0, 80.0)}


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of the table."""

    corpus: str  # folder or mini
    arm: str  # plain, supervised, or one of WEIGHTS
    outputs: int
    seed: int
    weight: float = 0.0  # of the arm's loss
    start = None  # no run goes on from another

    @property
    def name(self):
        """Folder of the run below the output folder."""
        arm = f"{self.arm}{self.weight:g}" if self.weight else self.arm
        return f"{self.corpus}/{arm}/M{self.outputs}/seed{self.seed}"

    def overrides(self):
        """Options of the run on the recipe's command line."""
        options = {"num_sources": self.outputs, "seed": self.seed}
        if self.arm == "supervised":
            options["objective"] = "supervised"
        elif self.arm != "plain":
            options[f"{self.arm}_weight"] = self.weight
        return options


class MixITArms(Comparison):
    """The arms of MixIT."""

    recipe = RECIPE
    reference = RECIPE / "reference"
    table = arms_table
    corpora = ("folder", "mini")
    data_corpus = "folder"
    output = "results/mixit_arms"
    varied = (
        "objective",
        "sparsity_weight",
        "covariance_weight",
        "semantic_weight",
        "num_sources",
        "parameters",
    )

    def plan(self, corpora):
        """All runs, the ones that carry the claim first."""
        plan = []
        for corpus in corpora:
            arms = [("plain", 0.0), *WEIGHTS.items()]
            for outputs in (4, 8):
                plan += [
                    Run(corpus, arm, outputs, 1, weight) for arm, weight in arms
                ]
            if corpus == self.data_corpus:
                plan.append(Run(corpus, "supervised", 4, 1))
                plan += [
                    Run(corpus, "sparsity", outputs, 1, weight)
                    for outputs, weights in SWEEP.items()
                    for weight in weights
                ]
                plan += [
                    Run(corpus, arm, 4, seed, weight)
                    for seed in (2, 3)
                    for arm, weight in arms[:2]
                ]
        return plan

    def hparams_file(self, run):
        """One file for each corpus."""
        return f"mixit_{run.corpus}.yaml"

    def configuration(self, hparams):
        """See `runs.configuration`."""
        return runs.configuration(hparams)

    def entry(self, content):
        """Keep the figures, and the course of least squares."""
        figures = content["metrics"]
        values = {name: figures[name] for name in FIGURES}
        for name in SEPARATIONS:
            values[name] = figures[name] / figures["clips"]
        course = (content["info"]["least_squares"] or {}).get("course")
        rounded = {
            name: None if value is None else round(value, 4)
            for name, value in values.items()
        }
        return {"metrics": rounded, "least_squares": course}


if __name__ == "__main__":
    MixITArms().main(__doc__.split("\n")[0])
