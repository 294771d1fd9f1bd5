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

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import arms_table
import speechbrain as sb
from runs import configuration

from speechbrain_ext.training import differences, load_hparams

RECIPE = Path(__file__).resolve().parent
REFERENCE = RECIPE / "reference"
STORED = REFERENCE / "arms_runs.json"
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


def plan(corpora):
    """All runs, the ones that carry the claim first."""
    runs = []
    for corpus in corpora:
        seeds = (1, 2, 3) if corpus == "real" else (1,)
        for seed in seeds:
            runs += [Run(corpus, "alternating", arm, 5, seed) for arm in "BC"]
        for snr in (0, 10):
            runs += [Run(corpus, "alternating", arm, snr, 1) for arm in "BC"]
        runs += [Run(corpus, "alternating", arm, 5, 1) for arm in "AD"]
        runs += [
            Run(corpus, "alternating", "C", 5, 1, weight)
            for weight in (0.3, 0.5, 1.0, 2.0)
        ]
        if corpus == "real":
            runs += [Run(corpus, "free", arm, 5, 1) for arm in "BCAD"]
    return runs


def command_line(run, arguments, output_folder):
    """Return the recipe's arguments: the YAML file and all options."""
    options = {**run.overrides(), "output_folder": output_folder}
    if run.corpus == "real":
        options["data_folder"] = arguments.data_folder
    if run.start is not None:
        options["start_from"] = Path(arguments.output) / run.start.name
    return [
        str(RECIPE / "hparams" / f"arms_{run.corpus}.yaml"),
        *(f"--{key}={value}" for key, value in options.items()),
        *arguments.options,
    ]


def read_options(run, arguments):
    """Return the hyperparameters of a run."""
    folder = Path(arguments.output) / run.name
    hparams_file, _, overrides = sb.parse_arguments(
        command_line(run, arguments, folder)
    )
    return load_hparams(hparams_file, overrides)


def is_finished(run, arguments):
    """Tell whether a run's figures are there; raise if of other options."""
    file = Path(arguments.output) / run.name / "metrics.json"
    if not file.is_file():
        return False
    differs = differences(
        configuration(read_options(run, arguments)),
        json.loads(file.read_text())["info"]["configuration"],
    )
    if differs:
        raise ValueError(
            f"{file.parent} was made with another {', '.join(differs)}; take "
            "another --output, or delete it"
        )
    return True


def execute(run, arguments):
    """Train one arm, in a process of its own."""
    folder = Path(arguments.output) / run.name
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        str(RECIPE / "train.py"),
        *command_line(run, arguments, folder),
        "--noprogressbar",
    ]
    threads = str(max(1, (os.cpu_count() or 1) // arguments.jobs))
    environment = dict(os.environ, OMP_NUM_THREADS=threads)
    search_path = [str(RECIPE.parents[2]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, search_path))
    start = time.monotonic()
    print(f"start  {run.name}", flush=True)
    with open(folder / "output.txt", "w") as log:
        code = subprocess.run(
            command, env=environment, stdout=log, stderr=log
        ).returncode
    minutes = (time.monotonic() - start) / 60
    if code:
        raise RuntimeError(
            f"{run.name} failed after {minutes:.1f} min, see {log.name}"
        )
    print(f"done   {run.name} in {minutes:.1f} min", flush=True)


def read_stored():
    """Read the figures behind the README's table."""
    return json.loads(STORED.read_text()) if STORED.is_file() else {}


def store(figures):
    """Add figures to the stored ones and renew the README's table."""
    everything = arms_table.merge(read_stored(), figures)
    STORED.write_text(json.dumps(everything, indent=1) + "\n")
    rows = arms_table.rows_of(plan(["real", "mini"]), everything)
    arms_table.write_table(rows, REFERENCE, "arms_")


def choose_runs(parser, arguments):
    """List what is to be trained."""
    corpora = ["real"] * bool(arguments.data_folder) + ["mini"]
    runs = [run for run in plan(corpora) if arguments.only in run.name]
    if not runs:
        parser.error(f"--only={arguments.only}: no run has this in its name")
    if arguments.missing:
        stored = read_stored()
        names = {name for part in stored.values() for name in part["runs"]}
        runs = [run for run in runs if run.name not in names]
    # what another run starts from comes before it
    runs = [run.start for run in runs if run.start] + runs
    runs = list(dict.fromkeys(runs))
    return [run for run in runs if not is_finished(run, arguments)]


def parse(parser):
    """Read the command line; unknown options are the recipe's."""
    parser.add_argument("--data_folder", help="real recordings; see above")
    parser.add_argument("--output", default="results/arms")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument(
        "--only", default="", help="run only what has this in its name"
    )
    parser.add_argument(
        "--missing",
        action="store_true",
        help="run only what the stored figures in reference/ lack",
    )
    parser.add_argument(
        "--table", action="store_true", help="only collect what is finished"
    )
    parser.add_argument(
        "--store",
        action="store_true",
        help="add the figures to those in reference/, which README shows",
    )
    arguments, arguments.options = parser.parse_known_args()
    return arguments


def main():
    """Run what is not finished, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments = parse(parser)
    if not arguments.table:
        runs = choose_runs(parser, arguments)
        # each corpus once, before runs that share it start together
        for run in {run.corpus: run for run in runs}.values():
            read_options(run, arguments)["prepare"]()
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for later in (False, True):
                chosen = [run for run in runs if bool(run.start) == later]
                for _ in pool.map(lambda run: execute(run, arguments), chosen):
                    pass
    everything = plan(["real", "mini"])
    figures = arms_table.read_figures(everything, arguments.output)
    if not figures:
        parser.error(f"{arguments.output}: no finished run")
    rows = arms_table.rows_of(everything, figures)
    arms_table.write_table(rows, arguments.output)
    if arguments.store:
        store(figures)
    print(arms_table.markdown(rows))


if __name__ == "__main__":
    main()
