"""MixIT: our loss against Asteroid's, and the exact solver against the others.

    python -m pip install --no-deps --target PEER asteroid==0.7.0
    PYTHONPATH=PEER python benchmarks/mixit.py    the tables (some minutes)
    python benchmarks/mixit.py --ours             without Asteroid
    python benchmarks/mixit.py --ours --quick     a smoke test

Forward and backward for a batch of 4 of 160000 samples in one run, median of
several; ours take turns, Asteroid comes after them, since the gigabytes that it
gives back slow down whatever is next (ours at M = 8 to a tenth of its speed).
Ratios count, times depend on the machine. Memory is
the peak of a process of its own beyond what it held with its inputs (Linux),
after a small first call; the gradient of the estimates is part of it.

Asteroid tries all 2^M assignments in the time domain, so it stops at M = 8.
Its wrapper is given our thresholded SNR as its loss: then both should find the
same value and gradient. Only the file with the wrapper is loaded, from a
throw-away folder, since the rest of Asteroid needs many other packages.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from figures import add_option, write_figures

from speechbrain_ext.losses import mixit, thresholded_snr

BATCH = 4
SOLVERS = ("exact", "least_squares", "least_squares_flip")
PEER = "Asteroid"
PEER_MOST = 8
PEER_ROUNDS = 3  # of ten seconds each at M = 8
MISSING = (
    "Asteroid, the peer, is not installed: python -m pip install --no-deps "
    "--target PEER asteroid==0.7.0, then PYTHONPATH=PEER python "
    "benchmarks/mixit.py; or leave it out by --ours"
)


def make_loss(name):
    """Return a function of estimates and mixtures that gives the mean loss."""
    if name == PEER:
        return load_peer()

    def ours(estimates, mixtures):
        return mixit(estimates=estimates, mixtures=mixtures, solver=name)[
            0
        ].mean()

    return ours


def load_peer():
    """Return Asteroid's wrapper around our thresholded SNR."""
    try:
        package = importlib.metadata.distribution("asteroid")
    except importlib.metadata.PackageNotFoundError as error:
        raise SystemExit(MISSING) from error
    path = package.locate_file("asteroid/losses/mixit_wrapper.py")
    spec = importlib.util.spec_from_file_location("mixit_wrapper", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def loss(estimates, mixtures):
        return -thresholded_snr(estimate=estimates, target=mixtures).mean(-1)

    return module.MixITLossWrapper(loss, generalized=True)


def make_signals(outputs, samples):
    """Return estimates that are still a little mixed, and two mixtures."""
    generator = torch.Generator().manual_seed(outputs)
    estimates = torch.randn(BATCH, outputs, samples, generator=generator)
    mixing = torch.rand(BATCH, 2, outputs, generator=generator)
    return estimates, mixing @ estimates


def step(loss, estimates, mixtures):
    """Run forward and backward; return the loss and its gradient."""
    leaf = estimates.detach().requires_grad_()
    value = loss(leaf, mixtures)
    value.backward()
    return value.detach(), leaf.grad


def take_times(losses, signals, rounds):
    """Return the median milliseconds of each loss; they take turns."""
    taken = {name: [] for name in losses}
    for number in range(rounds + 1):
        for name, loss in losses.items():
            start = time.perf_counter()
            step(loss, *signals)
            if number:  # the first is a warm-up
                taken[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in taken.items()}


def resident(field):
    """Return a field of this process's status, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 1024


def print_peak(name, outputs, samples):
    """Print the MiB that a step takes beyond its inputs, in this process."""
    loss = make_loss(name)
    step(loss, *make_signals(2, 100))
    signals = make_signals(outputs, samples)
    before = resident("VmRSS")
    step(loss, *signals)
    print(resident("VmHWM") - before)


def peak(name, outputs, samples):
    """Return the MiB that a step takes, from a process of its own."""
    options = ["--peak", name, "--outputs", outputs, "--samples", samples]
    output = subprocess.run(
        [sys.executable, __file__, *map(str, options)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return float(output)


def largest_differences(losses, signals):
    """Return how far loss and gradient of the peer are from ours."""
    results = [step(losses[name], *signals) for name in ("exact", PEER)]
    (value, gradient), (peer_value, peer_gradient) = results
    off = (gradient - peer_gradient).abs().max() / peer_gradient.abs().max()
    return (value - peer_value).abs().item(), off.item()


def print_table(title, figures):
    """Print figures[outputs][name], and what they are to each other."""
    names = [*SOLVERS, PEER]
    heads = [*names, f"{PEER}/exact", "exact/least_squares"]
    print(f"\n{title}\n\n| outputs | " + " | ".join(heads) + " |")
    print("|" + "---|" * (len(heads) + 1))
    for outputs, row in figures.items():
        cells = [f"{row[n]:.1f}" if n in row else "" for n in names]
        cells.append(f"{row[PEER] / row['exact']:.1f}" if PEER in row else "")
        least = row["least_squares"]
        cells.append(f"{row['exact'] / least:.2f}" if least else "")
        print(f"| {outputs} | " + " | ".join(cells) + " |", flush=True)


def print_goals(times, memory):
    """Print what was reached beside the goals; return these figures."""
    figures, row = {}, times.get(8, {})
    if PEER in row:
        faster = row[PEER] / row["exact"]
        less = memory[8][PEER] / memory[8]["exact"]
        print(f"\n8 outputs: {faster:.0f} times as fast (goal 250)")
        print(f"8 outputs: {less:.0f} times less memory (goal 20)")
        figures |= {
            "times_as_fast": faster,
            "ms": row["exact"],
            "peer_ms": row[PEER],
        }
    if 16 in times:
        ratio = times[16]["exact"] / times[16]["least_squares"]
        print(f"16 outputs: exact over least squares {ratio:.2f} (goal 1.5)")
        print(f"16 outputs: {memory[16]['exact']:.0f} MiB (goal 200)")
        figures |= {
            "over_least_squares": ratio,
            "ms_16": times[16]["exact"],
            "least_squares_ms_16": times[16]["least_squares"],
            "mib_16": memory[16]["exact"],
        }
    return figures


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ours", action="store_true", help="no Asteroid")
    parser.add_argument("--samples", type=int, default=160000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--outputs", type=int, nargs="+", default=[2, 4, 8, 12, 16]
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    add_option(parser)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.samples, arguments.rounds = 800, 1
        arguments.outputs = [2]
    samples = arguments.samples
    if arguments.peak:
        return print_peak(arguments.peak, arguments.outputs[0], samples)
    losses = {name: make_loss(name) for name in SOLVERS}
    if not arguments.ours:
        losses[PEER] = make_loss(PEER)
    print(
        f"MixIT loss, forward + backward, {BATCH} x {samples} samples, "
        f"{torch.get_num_threads()} of {os.cpu_count()} threads, "
        f"torch {torch.__version__}"
    )
    times, memory = {}, {}
    for outputs in arguments.outputs:
        used = dict(losses)
        if outputs > PEER_MOST:
            used.pop(PEER, None)
        memory[outputs] = {n: peak(n, outputs, samples) for n in used}
        signals = make_signals(outputs, samples)
        peer = {n: used[n] for n in used if n == PEER}
        ours = {n: used[n] for n in used if n != PEER}
        times[outputs] = take_times(ours, signals, arguments.rounds)
        times[outputs] |= take_times(peer, signals, PEER_ROUNDS)
        if PEER in used:
            value, gradient = largest_differences(used, signals)
            print(
                f"{outputs} outputs: the loss differs by {value:.1e} dB, the "
                f"gradient by {gradient:.1e} of its largest value",
                flush=True,
            )
    print_table("Time (ms)", times)
    print_table("Memory beyond the inputs (MiB)", memory)
    write_figures(arguments.json, print_goals(times, memory))


if __name__ == "__main__":
    main()
