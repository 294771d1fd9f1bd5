#!/usr/bin/env python3
"""Train and compare all arms of personalised enhancement with one command.

    python recipes/LibriSpeech/personalized_enhancement/arms.py

trains the predictor, the generalists and all arms for the users of `mini`,
two runs at a time; with --data_folder=DIR (a folder or CSV as `corpora.folder`
takes it: train and valid speakers, users, noise) those of DIR too.  Every arm
is an ordinary run of the recipe in a process of its own; a finished run is not
repeated, an interrupted one goes on.  A line is printed for each run, with the
time that the rest will take.  The table and the box plots are written to the
output folder.

Arms: generalist; pseudo-SE by plain mean squares; the same by windowed frames
(p = 1), the honest control of purification; with weights predicted, or true
(oracle); with clean targets, the upper bound.  Extra: weights predicted, with
contrastive mixtures, or started from the generalist; users in more noise than
the paper's.

Start reading at the bottom.
"""

import dataclasses
import time
from pathlib import Path

import arms_table
import runs

from speechbrain_ext.training import Comparison

RECIPE = Path(__file__).resolve().parent
USERS = {
    "mini": ("af_heart", "am_michael", "bf_emma", "bm_george"),
    "real": ("ls19", "ls26", "ls27"),
}
PLAIN = {"loss": "segmental", "purification": "none", "targets": "pseudo"}
CONTRASTIVE_WEIGHT = 0.1
ARMS = {
    "mse": {**PLAIN, "loss": "mse"},
    "uniform": PLAIN,
    "predicted": {**PLAIN, "purification": "predicted"},
    "oracle": {**PLAIN, "purification": "oracle"},
    "clean": {**PLAIN, "targets": "clean"},
    "contrastive": {
        **PLAIN,
        "purification": "predicted",
        "positive_weight": CONTRASTIVE_WEIGHT,
        "negative_weight": CONTRASTIVE_WEIGHT,
    },
    "warm": {**PLAIN, "purification": "predicted"},
}
CLAIM = ("uniform", "predicted", "oracle")  # three seeds
# what is trained once for all users may take longer
EPOCHS = {"snr_predictor": 8, "generalist": 16}
# around the users of an extra setting, in dB; the paper's is in the YAML
NOISY = [-5.0, 5.0]


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of the table."""

    corpus: str  # real or mini
    arm: str  # one of ARMS, generalist or snr_predictor
    seed: int
    hidden: int = 64
    user: str = "all"
    noisy: bool = False  # whether the users' recordings are noisier

    @property
    def name(self):
        """Folder of the run below the output folder."""
        parts = [self.corpus, self.arm + "_noisy" * self.noisy]
        if self.arm != "snr_predictor":
            parts.append(f"gru{self.hidden}")
        if self.user != "all":
            parts.append(self.user)
        return "/".join([*parts, f"seed{self.seed}"])

    def overrides(self):
        """Options of the run on the recipe's command line."""
        options = {
            "seed": self.seed,
            "hidden": self.hidden,
            "user": self.user,
            "examples": 1,
        }
        if self.noisy:
            options["user_snr_db"] = NOISY
        if self.arm in ARMS:
            return {**options, "stage": "personalize", **ARMS[self.arm]}
        options["number_of_epochs"] = EPOCHS[self.arm]
        return {**options, "stage": self.arm, **PLAIN}

    @property
    def start(self):
        """The generalist that this run goes on from, or None."""
        if self.arm != "warm":
            return None
        return dataclasses.replace(
            self, arm="generalist", user="all", noisy=False
        )

    @property
    def predictor(self):
        """The predictor of the same corpus."""
        return Run(self.corpus, "snr_predictor", self.seed)


class PersonalArms(Comparison):
    """The arms of personalised enhancement."""

    recipe = RECIPE
    reference = RECIPE / "reference"
    table = arms_table
    corpora = ("real", "mini")
    data_corpus = "real"
    output = "results/pse_arms"
    varied = (
        *("stage", "loss", "purification", "targets", "user", "warm"),
        *("user_snr_db", "number_of_epochs"),
        *("model", "network", "parameters", "match_level"),
        *("predictor_snr_db", "level_clamp_db", "injected_snr_db"),
        *("beta", "offset", "normalize_weights"),
        *("positive_weight", "negative_weight"),
    )

    def plan(self, corpora):
        """All runs, the ones that carry the claim first."""
        plan = []
        for corpus in corpora:
            plan.append(Run(corpus, "generalist", 1))
            for seed in (1, 2, 3):
                plan.append(Run(corpus, "snr_predictor", seed))
                plan += self.for_users(corpus, CLAIM, seed)
        for corpus in corpora:
            others = [arm for arm in ARMS if arm not in CLAIM]
            plan += self.for_users(corpus, others, 1)
            if corpus == "mini":
                plan += self.for_users(corpus, CLAIM, 1, noisy=True)
        if self.data_corpus in corpora:
            plan.append(Run(self.data_corpus, "generalist", 1, hidden=256))
            plan += self.for_users(
                self.data_corpus, ("uniform", "predicted"), 1, hidden=256
            )
        return plan

    def for_users(self, corpus, arms, seed, **options):
        """List the runs of some arms for all users of a corpus."""
        return [
            Run(corpus, arm, seed, user=user, **options)
            for arm in arms
            for user in USERS[corpus]
        ]

    def needed(self, run):
        """List the predictor of a user's run, and what it goes on from."""
        if run.user == "all":
            return []
        return [run.predictor, *super().needed(run)]

    def command_line(self, run, arguments, output_folder):
        """Return the recipe's arguments, with the predictor."""
        command = super().command_line(run, arguments, output_folder)
        if run.user == "all":
            return command
        predictor = Path(arguments.output) / run.predictor.name
        return [command[0], f"--predictor={predictor}", *command[1:]]

    def choose_runs(self, parser, arguments):
        """List what is to be trained, and remember how much it is."""
        chosen = super().choose_runs(parser, arguments)
        self.left, self.begun = len(chosen), time.monotonic()
        self.finished = 0
        return chosen

    def execute(self, run, arguments):
        """Train one arm, and tell how long the others will take."""
        super().execute(run, arguments)
        self.finished += 1
        passed = time.monotonic() - self.begun
        rest = passed / self.finished * (self.left - self.finished)
        print(
            f"{self.finished} of {self.left} runs, about {rest / 60:.0f} min "
            "left",
            flush=True,
        )

    def hparams_file(self, run):
        """One file for each corpus."""
        return f"pse_{run.corpus}.yaml"

    def configuration(self, hparams):
        """See `runs.configuration`."""
        return runs.configuration(hparams)

    def entry(self, content):
        """Keep the means, and the improvement of each user's mixtures."""
        means = {
            name: None if value["mean"] is None else round(value["mean"], 4)
            for name, value in content["metrics"].items()
        }
        return {
            "metrics": means,
            "improvements": content["info"].get("improvements", {}),
        }


if __name__ == "__main__":
    PersonalArms().main(__doc__.split("\n")[0])
