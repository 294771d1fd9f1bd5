#!/usr/bin/env python3
"""Networks at equal cost: clean SI-SDRi against minutes of one CPU core.

    python benchmarks/networks.py DIR                     an hour of two cores
    python benchmarks/networks.py DIR --only bands recurrent  these networks
    python benchmarks/networks.py DIR --quick             a smoke test

DIR is a data folder of `ablation_real.yaml` of the ring recipe, whose training
every network gets: clean targets, 5 dB per source, rings of 8 mixtures of two
seconds, augmentation. First steps of all are timed, in turns, then each makes
as many as fit into `--minutes` of one core, which its schedule of the learning
rate spans. Nothing else should run while they are timed.
Each run is left in a folder of its own; the same command goes on where it was
stopped. In the end a table and networks.png: the validation of every epoch.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from figures import ROOT, add_option, write_figures
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.tag import Tag

from speechbrain_ext import models
from speechbrain_ext.training import MuonWithAdam

RECIPE = ROOT / "recipes/WHAMandWHAMR/ring_separation"
FINE = {"n_fft": 512, "hop": 128}
COARSE = {"n_fft": 512, "hop": 256}
# name: class and arguments
NETWORKS = {
    "convolutions": ("SpectralConvTasNet", COARSE),
    "convolutions_16ms": ("SpectralConvTasNet", FINE),
    "transformer": ("SpectralSepFormer", {**COARSE, "chunk": 16}),
    "recurrent": ("SpectralDPRNN", {**COARSE, "chunk": 16}),
    "bands": ("BandSeparator", {"mask": "sigmoid"}),
    "bands_complex": ("BandSeparator", {"mask": "complex"}),
}
BATCH, SECONDS, RATE, EPOCHS = 8, 2, 8000, 10


def seconds_per_step(separators):
    """Median CPU seconds of forward, backward and update, in turns.

    The optimizer is that of the training, whose share of a step is from 4 %
    (bands) to a half (convolutions).
    """
    mixture = torch.randn(BATCH, SECONDS * RATE)
    times = {name: [] for name in separators}
    optimizers = {
        name: MuonWithAdam(separator.parameters(), 1e-4)
        for name, separator in separators.items()
    }
    for _ in range(6):
        for name, separator in separators.items():
            start = time.process_time()
            separator(mixture).square().mean().backward()
            optimizers[name].step()
            optimizers[name].zero_grad()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def plan(folder, minutes):
    """Time all networks, once; what was found is kept in a file."""
    path = folder / "plan.json"
    if path.is_file():
        return json.loads(path.read_text())
    separators = {
        name: getattr(models, kind)(**arguments)
        for name, (kind, arguments) in NETWORKS.items()
    }
    found = {}
    for name, seconds in seconds_per_step(separators).items():
        parameters = separators[name].parameters()
        found[name] = {
            "parameters": sum(p.numel() for p in parameters),
            "seconds": seconds,
            "steps": max(1, round(60 * minutes / seconds / EPOCHS)) * EPOCHS,
        }
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def train(name, folder, data, steps, options):
    """Train a network by the recipe, in a process of its own."""
    kind, arguments = NETWORKS[name]
    yaml = YAML()
    tree = yaml.load(RECIPE / "hparams/ablation_real.yaml")
    separator = CommentedMap(arguments)
    separator.yaml_set_ctag(Tag(suffix=f"!new:speechbrain_ext.models.{kind}"))
    tree["separator"] = separator
    file = folder / name / "network.yaml"
    file.parent.mkdir(exist_ok=True)
    yaml.dump(tree, file)
    words = {
        "data_folder": Path(data).resolve(),
        "output_folder": (folder / name).resolve(),
        "prepared_folder": (folder / "data").resolve(),
        "targets": "clean",
        "scer_weight": 0,
        "batch_size": BATCH,
        "segment_seconds": SECONDS,
        "speed_range": 0.12,
        "equalizer_db": 4,
        "number_of_epochs": EPOCHS,
        "batches_per_epoch": steps // EPOCHS,
        "valid_batches": 8,
        "precision": "fp32",
        "metrics": "[si_sdr]",
    } | options
    with open(folder / name / "output.txt", "w") as output:
        subprocess.run(
            [
                *(sys.executable, RECIPE / "train.py", file.resolve()),
                *(f"--{key}={value}" for key, value in words.items()),
            ],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )


def read_column(path, column, **wanted):
    """Read the steps and a column of a CSV, where other columns are so."""
    with open(path, newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if all(row[key] == value for key, value in wanted.items())
        ]
    return [row.get("step") for row in rows], [float(r[column]) for r in rows]


def draw(curves, path):
    """Draw the curves: minutes of one core, dB."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, (minutes, values) in curves.items():
        axes.plot(minutes, values, marker="o", markersize=3, label=name)
    axes.set_xlabel("CPU minutes of one core")
    axes.set_ylabel("clean SI-SDRi of the validation (dB)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main():
    """Train what is not trained yet, and show all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_folder", metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=NETWORKS)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--folder", type=Path, default=Path("results/networks"))
    parser.add_argument("--include", nargs="+")
    parser.add_argument("--quick", action="store_true")
    add_option(parser)
    words = parser.parse_args()
    torch.set_num_threads(1)
    options = {"include": f"{words.include}"} if words.include else {}
    if words.quick:
        words.minutes = 0.001
        options |= {"valid_batches": 1, "test_batches": 1}
    curves, figures = {}, {}
    print("| network | parameters | s / step | steps | SI-SDRi | noise |")
    print("|---|---|---|---|---|---|")
    names = words.only or list(NETWORKS)
    plans = plan(words.folder, words.minutes)
    start = time.monotonic()
    for number, name in enumerate(names):
        left = (len(names) - number) * words.minutes
        print(
            f"{name} ({number + 1} of {len(names)}), "
            f"{(time.monotonic() - start) / 60:.0f} min so far, "
            f"at least {left:.0f} more",
            file=sys.stderr,
        )
        planned = plans[name]
        results = words.folder / name / "test_results.csv"
        if not results.is_file():
            train(
                name,
                words.folder,
                words.data_folder,
                planned["steps"],
                options,
            )
        steps, values = read_column(
            words.folder / name / "history.csv", "clean_si_sdri", stage="valid"
        )
        minutes = [int(step) * planned["seconds"] / 60 for step in steps]
        curves[name] = minutes, values
        _, gains = read_column(results, "si_sdri")
        _, noise = read_column(results, "residual_noise_db")
        figures[f"{name}_si_sdri"] = statistics.mean(gains)
        print(
            f"| {name} | {planned['parameters'] / 1e6:.2f} M "
            f"| {planned['seconds']:.3f} | {planned['steps']} "
            f"| {statistics.mean(gains):.2f} dB "
            f"| {statistics.mean(noise):.1f} dB |",
            flush=True,
        )
        draw(curves, words.folder / "networks.png")
    write_figures(words.json, figures)


if __name__ == "__main__":
    main()
