#!/usr/bin/env python3
"""What adapting a separator to noisy recordings gains, by their length.

    python benchmarks/adaptation.py DIR            an hour of two cores
    python benchmarks/adaptation.py DIR --quick    a smoke test

A small separator learns from clean mixtures of the embedded corpus `mini`. DIR
(speech and noise, as ablation_real.yaml of the ring recipe takes it) is made
into noisy recordings, 5 dB, each with a piece of noise of its own that never
changes, of 10, 30 and 100 speakers, half of them women. On each of these sets
the separator is adapted by ring_adapt.yaml as by a user who has no clean
speech, and knows the sexes; without SCER; and, at the same cost, an untrained
network of the same kind is trained. All are measured on mixtures of a woman
with a man of the split `valid` of DIR: speakers and noises that none has heard.
The same command goes on where it was stopped. In the end a table and
adaptation.png.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path
from statistics import mean

import matplotlib.pyplot as plt
import numpy as np
import soundfile
import torch
from figures import ROOT, add_option, write_figures

from speechbrain_ext.corpora import folder as any_folder
from speechbrain_ext.dataio.corpus import CorpusMixtures
from speechbrain_ext.dataio.recordings import read_recordings
from speechbrain_ext.evaluation.measures import available, dnsmos
from speechbrain_ext.evaluation.metrics import residual_noise_columns
from speechbrain_ext.inference import Separator
from speechbrain_ext.inference.selection import load_module
from speechbrain_ext.losses import align, pit, si_sdr

RATE, SNR_DB = 8000, 5.0
INCLUDE = ["speech/librispeech/*", "noise/ambience/*"]
HPARAMS = ROOT / "recipes/WHAMandWHAMR/ring_separation/hparams"
CLEAN = {"targets": "clean", "scer_weight": 0, "snr_db": "null"}
# as ring_adapt.yaml, with the schedule that a network needs from nothing
FROM_NOTHING = {
    "include": "['*']",
    "clean_speech_known": False,
    "snr_db": "null",
    "batch_size": 8,
    "number_of_epochs": 6,
    "batches_per_epoch": 250,
    "speed_range": 0.1,
    "equalizer_db": 6,
    "scer_weight": 1.75,
}
ARMS = {
    "adapted": ("ring_adapt.yaml", {}),
    "adapted without SCER": ("ring_adapt.yaml", {"scer_weight": 0}),
    "from nothing": ("ablation_real.yaml", FROM_NOTHING),
}
DNSMOS_MIXTURES = 8


def launch(file, folder, options):
    """Run a file of the recipe, unless it has come to its end before."""
    if (folder / "metrics.json").is_file():
        return
    options = {"output_folder": folder, "precision": "fp32"} | options
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".txt"), "w") as output:
        subprocess.run(
            [
                *(sys.executable, ROOT / "train.py", HPARAMS / file),
                *(f"--{key}={value}" for key, value in options.items()),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )


def choose_speakers(recordings, number):
    """Choose as many women as men, always the same, the few among the many."""
    ranked = {sex: set() for sex in "FM"}
    for recording in recordings:
        ranked[recording.sex].add(recording.speaker)
    chosen = [
        speaker
        for sex in "FM"
        for speaker in sorted(
            ranked[sex], key=lambda s: zlib.crc32(s.encode())
        )[: number // 2]
    ]
    return set(chosen)


def write_noisy(table, number, folder):
    """Write noisy recordings of some speakers and recordings.csv, their table.

    Returns their minutes. Validation, which a run cannot do without, has
    those of the training.
    """
    speech = read_recordings(table, kind="speech", split="train")
    noises = read_recordings(table, kind="noise", split="train")
    chosen = choose_speakers(speech, number)
    seconds, rows = 0.0, []
    for recording in speech:
        if recording.speaker not in chosen:
            continue
        voice, _ = soundfile.read(recording.path)
        generator = np.random.default_rng(zlib.crc32(recording.id.encode()))
        noise, _ = soundfile.read(noises[generator.integers(len(noises))].path)
        noise = np.tile(noise, 1 + len(voice) // len(noise))
        start = generator.integers(len(noise) - len(voice) + 1)
        noise = noise[start : start + len(voice)]
        ratio = np.square(voice).sum() / np.square(noise).sum()
        noisy = voice + noise * np.sqrt(ratio * 10 ** (-SNR_DB / 10))
        noisy *= 0.5 / np.abs(noisy).max()
        for split in ("train", "valid", "test"):
            path = folder / split / recording.speaker / "noisy.wav"
            path = path.with_stem(recording.id.replace("/", "_"))
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, noisy, RATE)
            rows.append((path, split, recording.speaker, recording.sex))
        seconds += len(noisy) / RATE
    with open(folder / "recordings.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "split", "speaker", "sex"))
        writer.writerows(rows)
    return seconds / 60


@torch.inference_mode()
def measure(release, table, *, batches, batch_size):
    """Measure a separator on mixtures of unseen speakers and noises."""
    separator = Separator.from_hparams(release)
    estimator = load_module(None, sample_rate=RATE)
    mixtures = CorpusMixtures(
        table,
        split="valid",
        sample_rate=RATE,
        segment_seconds=4.0,
        batch_size=batch_size,
        batches=batches,
        mixing="ring",
        snr_db=(SNR_DB, SNR_DB),
        alternate_sexes=True,
    )
    found = {}

    def add(**columns):
        for name, values in columns.items():
            found.setdefault(name, []).extend(np.ravel(values).tolist())

    for batch in mixtures.loader:
        mixed = mixtures.mix(batch)
        estimates = separator.separate(mixed.mixture, RATE)
        _, order = pit(si_sdr, estimates=estimates, targets=mixed.speech)
        estimates = align(estimates, order)
        before = mixed.mixture[:, None].expand_as(estimates)
        add(
            si_sdri=si_sdr(estimate=estimates, target=mixed.speech)
            - si_sdr(estimate=before, target=mixed.speech),
            blind=estimator.snr(mixed.mixture, estimates),
            residual_noise_db=residual_noise_columns(
                estimates=estimates, speech=mixed.speech, noise=mixed.noise
            )["residual_noise_db"],
        )
        if available()["dnsmos"] and "dnsmos" not in found:
            for estimate in estimates[:DNSMOS_MIXTURES].flatten(0, 1):
                scores = dnsmos(estimate=estimate, sample_rate=RATE)
                add(dnsmos=scores["ovrl"])
    return {name: mean(values) for name, values in found.items()}


def draw(rows, path):
    """Draw what each arm gains over the separator as it was."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    before = next(r["si_sdri"] for r in rows if r["arm"] == "not adapted")
    for arm in ARMS:
        points = [
            (row["minutes"], row["si_sdri"] - before)
            for row in rows
            if row["arm"] == arm
        ]
        axes.plot(*zip(*points, strict=True), marker="o", label=arm)
    axes.axhline(0.0, color="gray", linestyle="--", label="not adapted")
    axes.set_xscale("log")
    places = sorted({row["minutes"] for row in rows} - {0.0})
    axes.set_xticks(places, [f"{place:.0f}" for place in places])
    axes.minorticks_off()
    axes.set_xlabel("noisy recordings (minutes)")
    axes.set_ylabel("gain in clean SI-SDRi (dB)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main():
    """Train, adapt and measure what is not done yet, and show all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_folder", metavar="DIR")
    parser.add_argument(
        "--speakers", type=int, nargs="+", default=[10, 30, 100]
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("results/adaptation")
    )
    parser.add_argument("--include", nargs="+", default=INCLUDE)
    parser.add_argument("--quick", action="store_true")
    add_option(parser)
    words = parser.parse_args()
    folder = words.folder.resolve()
    table = any_folder.prepare(
        words.data_folder,
        folder / "data",
        sample_rate=RATE,
        include=words.include,
    )
    short, size = {}, {"batches": 8, "batch_size": 16}
    if words.quick:
        size = {"batches": 1, "batch_size": 4}
        short = {"number_of_epochs": 1, "batches_per_epoch": 2}
        short |= {"valid_batches": 1, "test_batches": 1, "batch_size": 4}
    launch("ablation_mini.yaml", folder / "source", {**CLEAN, **short})
    rows = [{"arm": "not adapted", "speakers": 0, "minutes": 0.0}]
    for number in words.speakers:
        noisy = folder / f"recordings_{number}"
        minutes = write_noisy(table, number, noisy)
        rows += [
            {"arm": arm, "speakers": number, "minutes": minutes} for arm in ARMS
        ]
    start = time.monotonic()
    for place, row in enumerate(rows):
        taken = (time.monotonic() - start) / 60
        left = taken / max(place, 1) * (len(rows) - place)
        print(
            f"{row['arm']}, {row['speakers']} speakers ({place + 1} of "
            f"{len(rows)}), {taken:.0f} min so far, about {left:.0f} more",
            file=sys.stderr,
        )
        output = folder / "source"
        if row["arm"] in ARMS:
            file, options = ARMS[row["arm"]]
            output = folder / f"{row['arm']} {row['speakers']}".replace(
                " ", "_"
            )
            recordings = folder / f"recordings_{row['speakers']}"
            options = {
                "data_folder": recordings / "recordings.csv",
                "alternate_sexes": True,
                "selection": "last",
                "dnsmos_mixtures": 0,
                **options,
                **short,
            }
            if file == "ring_adapt.yaml":
                options["start_from"] = folder / "source"
            launch(file, output, options)
        measured = output / "unseen.json"
        if not measured.is_file():
            found = measure(output / "release", table, **size)
            measured.write_text(json.dumps(found))
        row |= json.loads(measured.read_text())
    print(
        "| arm | speakers | minutes | SI-SDRi | residual noise | blind SI-SNR "
        "| DNSMOS |\n|---|---|---|---|---|---|---|"
    )
    for row in rows:
        print(
            f"| {row['arm']} | {row['speakers']} | {row['minutes']:.1f} "
            f"| {row['si_sdri']:.2f} dB | {row['residual_noise_db']:.1f} dB "
            f"| {row['blind']:.1f} dB | {row.get('dnsmos', float('nan')):.2f} |"
        )
    draw(rows, folder / "adaptation.png")
    write_figures(
        words.json,
        {f"{r['arm']}, {r['speakers']} speakers": r["si_sdri"] for r in rows},
    )


if __name__ == "__main__":
    main()
