#!/usr/bin/env python3
"""Train and compare all arms of the recognition table with one command.

    python recipes/LibriSpeech/robust_asr/arms.py [--data_folder=DIR]

DIR is a folder or CSV of recordings with texts and noise (see
`corpora.folder`); without it only the arms on the embedded corpus `mini` are
run.  Every arm is an ordinary run of the recipe in a process of its own, two
at a time; a finished run is not repeated, an interrupted one goes on.  The
stages that arms of one seed share (enhancer, recogniser, tokenizer) are
trained once, by the arm "separate", and taken over by the others.  The table
and its plots are written to the output folder.

Start reading at the bottom.
"""

import dataclasses
from pathlib import Path

import arms_table
import runs
from page import AGREEMENT, CLEAN, QUALITY

from speechbrain_ext.training import Comparison

RECIPE = Path(__file__).resolve().parent
SHARE = 0.2  # of the leading term's gradient, for each contrastive term
OFF = {"cbpc_share": 0.0, "info_nce_share": 0.0, "token_share": 0.0}
JOINT = {**OFF, "front_end": "joint"}
# arm to its options
ARMS = {
    "separate": {**OFF, "front_end": "separate"},
    "noisy": {**OFF, "front_end": "none", "recogniser_training": "clean"},
    "multi": {**OFF, "front_end": "none"},
    "joint": JOINT,
    "tokens": {**JOINT, "token_share": SHARE},
    "cbpc": {**JOINT, "cbpc_share": SHARE},
    "info_nce": {**JOINT, "info_nce_share": SHARE},
    "both": {**JOINT, "cbpc_share": SHARE, "info_nce_share": SHARE},
    "shuffled": {**JOINT, "cbpc_share": SHARE, "shuffle_labels": True},
}
THREE_SEEDS = ("joint", "tokens", "cbpc", "both", "shuffled")


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the table."""

    corpus: str  # mini or folder
    arm: str
    seed: int

    @property
    def name(self):
        """Folder of the run below the output folder."""
        return f"{self.corpus}/{self.arm}/seed{self.seed}"

    @property
    def start(self):
        """The run whose stages this one takes over."""
        if self.arm == "separate":
            return None
        return dataclasses.replace(self, arm="separate")

    def overrides(self):
        """Options of the run on the recipe's command line."""
        return {**ARMS[self.arm], "seed": self.seed}


class RobustArms(Comparison):
    """The arms of recognition in noise."""

    recipe = RECIPE
    reference = RECIPE / "reference"
    table = arms_table
    corpora = ("mini", "folder")
    data_corpus = "folder"
    output = "results/robust_asr_arms"
    varied = (
        *("front_end", "recogniser_training", "cbpc_share"),
        *("info_nce_share", "token_share", "shuffle_labels"),
    )

    def plan(self, corpora):
        """All runs, the ones that carry the claim first."""
        plan = []
        for corpus in corpora:
            plan += [Run(corpus, arm, 1) for arm in ARMS]
            plan += [
                Run(corpus, arm, seed)
                for seed in (2, 3)
                for arm in ("separate", *THREE_SEEDS)
            ]
        return plan

    def hparams_file(self, run):
        """One file for each corpus."""
        return f"robust_asr_{run.corpus}.yaml"

    def configuration(self, hparams):
        """See `runs.configuration`."""
        return runs.configuration(hparams)

    def entry(self, content):
        """Keep the figures of every condition, and the time of the stages."""
        kept = ("wer", "cer", *QUALITY, AGREEMENT)
        figures = {
            condition: {
                name: round(values[name], 4) for name in kept if name in values
            }
            for condition, values in content["metrics"].items()
        }
        stages = content["info"]["stages"]
        minutes = sum(s["cpu_seconds"] for s in stages.values()) / 60
        return {
            "conditions": figures,
            "mistakes": sum_mistakes(content["mistakes"]),
            "cpu_minutes": round(minutes, 1),
        }


def sum_mistakes(conditions):
    """Add up each utterance's wrong words over all SNRs and their noises.

    Arguments
    ---------
    conditions : dict
        Condition to utterance (with #2 and so on for further noises) to the
        number of wrong words and of all.

    Returns
    -------
    mistakes : dict
        Utterance to four numbers: those two in noise, and those two clean.
    """
    mistakes = {}
    for condition, utterances in conditions.items():
        first = 2 * (condition == CLEAN)
        for name, counts in utterances.items():
            found = mistakes.setdefault(name.partition("#")[0], [0, 0, 0, 0])
            found[first] += counts[0]
            found[first + 1] += counts[1]
    return mistakes


if __name__ == "__main__":
    RobustArms().main(__doc__.split("\n")[0])
