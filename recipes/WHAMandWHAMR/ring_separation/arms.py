#!/usr/bin/env python3
"""Train and compare all arms of the ring mixing table with one command.

    python recipes/WHAMandWHAMR/ring_separation/arms.py --data_folder=DIR

DIR is a folder or CSV of recordings (see `corpora.folder`) with speech and
noise; without it only the arms on the embedded corpus `mini` are run.  Every
arm is an ordinary run of the recipe in a process of its own; a finished run
is not repeated, an interrupted one goes on.  The table, its plots and a CSV
are written to the output folder.

Arms: A noisy targets, ordinary mixing; B ring mixing, no SCER; C ring mixing
with SCER; D clean targets (upper bound: needs clean speech).

Start reading at the bottom.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import speechbrain as sb

from speechbrain_ext.evaluation import bars, residual_noise_against_snr
from speechbrain_ext.training import load_hparams

RECIPE = Path(__file__).resolve().parent
SCER_WEIGHT = 1.5  # of arm C; the others of the sweep are in `plan`

ARMS = {
    "A": {"mixing": "pairs", "targets": "noisy", "scer_weight": 0.0},
    "B": {"mixing": "ring", "targets": "noisy", "scer_weight": 0.0},
    "C": {"mixing": "ring", "targets": "noisy", "scer_weight": SCER_WEIGHT},
    "D": {"mixing": "ring", "targets": "clean", "scer_weight": 0.0},
}
MEANING = {
    "A": "noisy targets, ordinary mixing",
    "B": "ring, without SCER",
    "C": "ring + SCER",
    "D": "clean targets (upper bound)",
}


@dataclass(frozen=True)
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
    return [
        str(RECIPE / "hparams" / f"arms_{run.corpus}.yaml"),
        *(f"--{key}={value}" for key, value in options.items()),
        *arguments.options,
    ]


def prepare(runs, arguments):
    """Prepare each corpus once, before runs that share it start together."""
    folder = Path(arguments.output) / "preparation"
    for run in {run.corpus: run for run in runs}.values():
        hparams_file, _, overrides = sb.parse_arguments(
            command_line(run, arguments, folder)
        )
        load_hparams(hparams_file, overrides)["prepare"]()


def execute(run, arguments):
    """Train one arm unless its figures are there already."""
    folder = Path(arguments.output) / run.name
    if (folder / "metrics.json").is_file():
        return
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


def collect(runs, output):
    """Rows (one per corpus, setting, SNR, arm, weight) over the seeds."""
    groups = defaultdict(list)
    for run in runs:
        file = Path(output) / run.name / "metrics.json"
        if file.is_file():
            content = json.loads(file.read_text())
            weight = content["info"]["scer_weight"]
            key = (run.corpus, run.setting, run.snr, run.arm, weight)
            groups[key].append(
                {k: v["mean"] for k, v in content["metrics"].items()}
            )
    rows = []
    for key, seeds in sorted(groups.items()):
        names = ("corpus", "setting", "snr_db", "arm", "scer_weight")
        row = {**dict(zip(names, key, strict=True)), "seeds": len(seeds)}
        for name in seeds[0]:
            values = [figures.get(name) for figures in seeds]
            if None in values:  # not measured, or failed throughout
                continue
            row[name] = mean(values)
            if len(values) > 1:
                row[f"{name}_std"] = stdev(values)
        row["values"] = seeds
        rows.append(row)
    return rows


def markdown(rows):
    """Write the README's table."""
    lines = [
        "| corpus | mixing | SNR per source | arm | lambda | seeds "
        "| clean SI-SDRi | residual noise | a_own / a_other |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:

        def show(name, row=row):
            text = f"{row[name]:.2f}"
            if f"{name}_std" in row:
                text += f" ± {row[f'{name}_std']:.2f}"
            return text

        lines.append(
            f"| {row['corpus']} | {row['setting']} | {row['snr_db']} dB "
            f"| {row['arm']}: {MEANING[row['arm']]} | {row['scer_weight']:g} "
            f"| {row['seeds']} | {show('si_sdri')} dB "
            f"| {show('residual_noise_db')} dB "
            f"| {row['a_own']:.2f} / {row['a_other']:.2f} |"
        )
    return "\n".join(lines)


def write_results(rows, output):
    """Write results.csv, results.md and the plots; return their paths."""
    output = Path(output)
    files = [output / "results.csv", output / "results.md"]
    names = [name for name in rows[0] if name != "values"]
    for row in rows:
        names += [n for n in row if n not in names and n != "values"]
    with open(output / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(
            file, names, extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
    (output / "results.md").write_text(markdown(rows) + "\n")
    for corpus in sorted({row["corpus"] for row in rows}):
        chosen = [
            row
            for row in rows
            if row["corpus"] == corpus
            and row["setting"] == "alternating"
            and row["scer_weight"] == ARMS[row["arm"]]["scer_weight"]
        ]
        if not chosen:
            continue
        names = [f"{arm}: {meaning}" for arm, meaning in MEANING.items()]
        levels, improvements = [], []
        for arm, name in zip(ARMS, names, strict=True):
            rows_of_arm = [row for row in chosen if row["arm"] == arm]
            levels.append({"name": name, "snr": [], "level_db": []})
            for row in rows_of_arm:
                for values in row["values"]:
                    levels[-1]["snr"].append(row["snr_db"])
                    levels[-1]["level_db"].append(values["residual_noise_db"])
                if row["snr_db"] == 5:
                    seeds = [values["si_sdri"] for values in row["values"]]
                    improvements.append({"name": name, "values": seeds})
        files.append(output / f"residual_noise_{corpus}.png")
        residual_noise_against_snr(
            files[-1], arms=[arm for arm in levels if arm["snr"]]
        )
        if improvements:
            files.append(output / f"si_sdri_{corpus}.png")
            bars(
                files[-1],
                arms=improvements,
                label="clean SI-SDRi (dB)",
                title=f"{corpus}, 5 dB per source",
            )
    return files


def main():
    """Run what is not finished, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_folder", help="real recordings; see above")
    parser.add_argument("--output", default="results/arms")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument(
        "--only", default="", help="run only what has this in its name"
    )
    parser.add_argument(
        "--table", action="store_true", help="only collect what is finished"
    )
    parser.add_argument(
        "--store",
        action="store_true",
        help="copy table and plots to reference/, from where README shows them",
    )
    arguments, arguments.options = parser.parse_known_args()
    corpora = ["real"] * bool(arguments.data_folder) + ["mini"]
    runs = [run for run in plan(corpora) if arguments.only in run.name]
    if not runs:
        parser.error(f"--only={arguments.only}: no run has this in its name")
    if not arguments.table:
        prepare(runs, arguments)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for _ in pool.map(lambda run: execute(run, arguments), runs):
                pass
    rows = collect(plan(["real", "mini"]), arguments.output)
    if not rows:
        parser.error(f"{arguments.output}: no finished run")
    files = write_results(rows, arguments.output)
    if arguments.store:
        for file in files:
            shutil.copy(file, RECIPE / "reference" / f"arms_{file.name}")
    print(markdown(rows))


if __name__ == "__main__":
    main()
