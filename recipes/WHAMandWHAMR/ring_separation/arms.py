#!/usr/bin/env python3
"""Train and compare all arms of the ring mixing table with one command.

    python recipes/WHAMandWHAMR/ring_separation/arms.py --data_folder=DIR

DIR is a folder or CSV of recordings (see `corpora.folder`) with speech and
noise; without it only the arms on the embedded corpus `mini` are run.  Every
arm is an ordinary run of the recipe in a process of its own; a finished run
is not repeated, an interrupted one goes on.  The table and its plots are
written to the output folder.

Arms: A noisy targets, ordinary mixing; B ring mixing, no SCER; C ring mixing
with SCER; D clean targets (upper bound: needs clean speech).

Start reading at the bottom.
"""

import dataclasses
from pathlib import Path

import arms_table
import runs

from speechbrain_ext.training import Comparison

RECIPE = Path(__file__).resolve().parent
SCER_WEIGHT = 1.75  # of arm C; the others of the sweep are in `plan`

ARMS = {
    "A": {"mixing": "pairs", "targets": "noisy", "scer_weight": 0.0},
    "B": {"mixing": "ring", "targets": "noisy", "scer_weight": 0.0},
    "C": {"mixing": "ring", "targets": "noisy", "scer_weight": SCER_WEIGHT},
    "D": {"mixing": "ring", "targets": "clean", "scer_weight": 0.0},
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of the table."""

    corpus: str  # real or mini
    setting: str  # alternating or free
    arm: str
    snr: int
    seed: int
    weight: float | None = None  # other than the arm's

    @property
    def name(self):
        """Folder of the run below the output folder."""
        arm = self.arm if self.weight is None else f"C-weight{self.weight:g}"
        return (
            f"{self.corpus}/{self.setting}/{arm}/{self.snr}dB/seed{self.seed}"
        )

    def overrides(self):
        """Options of the run on the recipe's command line."""
        options = dict(ARMS[self.arm])
        if self.weight is not None:
            options["scer_weight"] = self.weight
        options["alternate_sexes"] = self.setting == "alternating"
        options["snr_db"] = f"[{self.snr}.0, {self.snr}.0]"
        options["seed"] = self.seed
        return options

    @property
    def start(self):
        """The run whose model this one starts from, or None.

        At 0 dB separation hardly begins from nothing: at this size it goes
        on from the same arm at 5 dB.
        """
        return dataclasses.replace(self, snr=5) if self.snr == 0 else None


class RingArms(Comparison):
    """The arms of ring mixing."""

    recipe = RECIPE
    reference = RECIPE / "reference"
    table = arms_table
    corpora = ("real", "mini")
    data_corpus = "real"
    output = "results/arms"
    varied = ("mixing", "targets", "alternate_sexes", "snr_db", "start_from")

    def plan(self, corpora):
        """All runs, the ones that carry the claim first."""
        plan = []
        for corpus in corpora:
            seeds = (1, 2, 3) if corpus == "real" else (1,)
            for seed in seeds:
                plan += [
                    Run(corpus, "alternating", arm, 5, seed) for arm in "BC"
                ]
            for snr in (0, 10):
                plan += [
                    Run(corpus, "alternating", arm, snr, 1) for arm in "BC"
                ]
            plan += [Run(corpus, "alternating", arm, 5, 1) for arm in "AD"]
            plan += [
                Run(corpus, "alternating", "C", 5, 1, weight)
                for weight in (0.3, 0.5, 1.0, 2.0)
            ]
            if corpus == "real":
                plan += [Run(corpus, "free", arm, 5, 1) for arm in "BCAD"]
        return plan

    def hparams_file(self, run):
        """One file for each corpus."""
        return f"arms_{run.corpus}.yaml"

    def configuration(self, hparams):
        """See `runs.configuration`."""
        return runs.configuration(hparams)

    def entry(self, content):
        """Keep the weight and the means."""
        return {
            "scer_weight": content["info"]["scer_weight"],
            "metrics": {
                name: round(value["mean"], 4)
                for name, value in content["metrics"].items()
            },
        }


if __name__ == "__main__":
    RingArms().main(__doc__.split("\n")[0])
