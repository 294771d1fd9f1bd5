#!/usr/bin/env python3
"""The whole SepFormer of 25.7 M parameters: ours against SpeechBrain's.

    python benchmarks/sepformer.py            both precisions
    python benchmarks/sepformer.py --quick    a smoke test

Both separators have the same weights, and differ in the mask network alone:
`LeanDualPath` against SpeechBrain's `Dual_Path_Model`. Each line is a mode
(training is forward and backward) and a precision; times are the medians of
pairs that take turns. Memory is the peak that one call adds in a process of
its own; "with checkpointing" compares both networks in processes that give
freed memory back at once (MALLOC_MMAP_THRESHOLD_=1000000), as glibc would keep
most of it. "Off" is the largest difference of the outputs, relative to the
largest output in float32: of ours from SpeechBrain's in float32, and of both
from float32 in bfloat16.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from figures import add_option, write_figures
from speechbrain.lobes.models.dual_path import Dual_Path_Model

from speechbrain_ext.models import SepFormer

RATE = 8000
SMALL = {
    "channels": 32,
    "blocks": 1,
    "intra_layers": 1,
    "inter_layers": 1,
    "heads": 4,
    "feedforward": 64,
    "chunk": 50,
}
PRECISIONS = ("float32", "bfloat16")


def build(network, quick):
    """Give a separator; all have the same weights."""
    torch.manual_seed(0)
    separator = SepFormer(
        **(SMALL if quick else {}), checkpointing=network == "checkpointing"
    )
    if network == "theirs":
        separator.masknet.__class__ = Dual_Path_Model
    return separator


def call(separator, mixture, mode, precision):
    """Separate once, with the gradient in training."""
    half = precision == "bfloat16"
    with (
        torch.set_grad_enabled(mode == "training"),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        estimates = separator(mixture)
    if mode == "training":
        separator.zero_grad()
        estimates.square().mean().backward()
    return estimates.detach()


def measure_memory(network, options, mode, precision, give_back=False):
    """Give the peak that one call adds, in MB, in a process of its own."""
    words = [sys.executable, __file__, "--peak", network, mode, precision]
    words += ["--seconds", str(options.seconds)]
    words += ["--quick"] if options.quick else []
    environment = dict(os.environ)
    if give_back:
        environment["MALLOC_MMAP_THRESHOLD_"] = "1000000"
    result = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=True
    )
    return float(result.stdout.split()[-1])


def print_peak(network, mode, precision, options):
    """Print the peak that one call adds to this process, in MB."""
    separator = build(network, options.quick)
    mixture = torch.randn(1, int(options.seconds * RATE))
    # what the libraries themselves take is taken before
    call(build(network, True), mixture[:, :800], mode, precision)
    before = find_peak()
    call(separator, mixture, mode, precision)
    print(find_peak() - before)


def find_peak():
    """Give the largest memory that this process had, in MB (Linux).

    (What `getrusage` tells begins with the memory of the parent.)
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024


def compare(options, mode, precision):
    """Print the line of a mode and a precision; return its figures."""
    pair = {name: build(name, options.quick) for name in ("ours", "theirs")}
    mixture = torch.randn(1, int(options.seconds * RATE))
    for separator in pair.values():
        separator.train(mode == "training")
    reference = call(pair["theirs"], mixture, mode, "float32")
    outputs, seconds = {}, {name: [] for name in pair}
    for turn in range(options.pairs + 1):
        for name, separator in pair.items():
            start = time.perf_counter()
            outputs[name] = call(separator, mixture, mode, precision)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    ratios = [
        b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)
    ]
    off = {
        name: float((output - reference).abs().max() / reference.abs().max())
        for name, output in outputs.items()
    }
    ours, theirs = (
        measure_memory(name, options, mode, precision) for name in pair
    )
    line = (
        f"| {mode}, {precision} | {statistics.median(ratios):.2f} "
        f"| {ours:.0f} / {theirs:.0f} = {ours / theirs:.2f} | "
    )
    figures = {
        "times_as_fast": statistics.median(ratios),
        "seconds": statistics.median(seconds["ours"]),
        "peer_seconds": statistics.median(seconds["theirs"]),
        "memory": ours,
        "peer_memory": theirs,
        "memory_ratio": ours / theirs,
        "off": off["ours"],
        "peer_off": off["theirs"],
    }
    if mode == "training":
        least, theirs = (
            measure_memory(name, options, mode, precision, give_back=True)
            for name in ("checkpointing", "theirs")
        )
        line += f"{least:.0f} / {theirs:.0f} = {least / theirs:.2f} "
        figures["checkpointing_ratio"] = least / theirs
    print(f"{line}| {off['ours']:.0e} / {off['theirs']:.0e} |", flush=True)
    return {
        f"{mode}_{precision}_{name}": figure for name, figure in figures.items()
    }


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS
    )
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.peak:
        print_peak(*options.peak, options)
        return
    print(
        f"SepFormer, {options.seconds:g} s at {RATE} Hz, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}\n"
    )
    print(
        "| | times as fast | memory, MB | with checkpointing | off |\n"
        "|---|---|---|---|---|"
    )
    figures = {}
    for precision in options.precision[: 1 if options.quick else None]:
        for mode in ("training", "inference"):
            figures |= compare(options, mode, precision)
    write_figures(options.json, figures)


if __name__ == "__main__":
    main()
