"""Permutation-invariant SI-SNR: ours against SpeechBrain's, on this machine.

    python benchmarks/pit.py            the table (about 20 s)
    python benchmarks/pit.py --quick    its smallest row, as a smoke test

Forward and backward of the loss on 4 s at 8 kHz, both in turn in one run,
median of several. Ratios count, times depend on the machine. "calls" are the
operators run, the nested ones included, as torch.profiler counts them; "syncs"
those among them that make the host wait when the signals are on a GPU.
"""

import argparse
import os
import statistics
import time

import torch
from figures import add_option, write_figures
from speechbrain.nnet.losses import get_si_snr_with_pitwrapper

from speechbrain_ext.losses import pit, si_sdr

SAMPLES = 4 * 8000
# What the operators that return a number or a size of data to Python end in.
SYNCHRONIZING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal")


def ours(estimates, targets):
    """Return our loss per example."""
    return -pit(si_sdr, estimates=estimates, targets=targets)[0]


def theirs(estimates, targets):
    """Return SpeechBrain's loss per example."""
    return get_si_snr_with_pitwrapper(targets, estimates)


def make_signals(batch, sources):
    """Return estimates of about 10 dB in a random order, and targets."""
    generator = torch.Generator().manual_seed(batch * sources)
    targets = torch.randn(batch, sources, SAMPLES, generator=generator)
    noise = torch.randn(batch, sources, SAMPLES, generator=generator)
    order = torch.rand(batch, sources, generator=generator).argsort(dim=-1)
    estimates = targets[torch.arange(batch).unsqueeze(-1), order]
    return estimates + 0.3 * noise, targets


def step(loss, estimates, targets):
    """Run forward and backward; return the loss and its gradient."""
    leaf = estimates.detach().requires_grad_()
    value = loss(leaf, targets)
    value.mean().backward()
    return value.detach(), leaf.grad


def count(loss, estimates, targets):
    """Return how many operators one step calls, and how many synchronize."""
    activity = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(
        activities=activity, acc_events=True
    ) as profiler:
        step(loss, estimates, targets)
    calls = {e.key: e.count for e in profiler.key_averages()}
    calls = {k: n for k, n in calls.items() if k.startswith("aten::")}
    syncs = sum(calls.get(name, 0) for name in SYNCHRONIZING)
    return sum(calls.values()), syncs


def compare(batch, sources, repeats):
    """Return one row of the table as text, and its figures."""
    estimates, targets = make_signals(batch, sources)
    # Each library gets its own order of axes, contiguous.
    axes = [x.transpose(1, 2).contiguous() for x in (estimates, targets)]
    work = {ours: (estimates, targets), theirs: tuple(axes)}
    results = {loss: step(loss, *signals) for loss, signals in work.items()}
    seconds = {loss: [] for loss in work}
    for _ in range(repeats):
        for loss, signals in work.items():
            start = time.perf_counter()
            step(loss, *signals)
            seconds[loss].append(time.perf_counter() - start)
    mine, peer = (1e3 * statistics.median(s) for s in seconds.values())
    (my_calls, my_syncs), (calls, syncs) = (
        count(k, *v) for k, v in work.items()
    )
    (value, gradient), (peer_value, peer_gradient) = results.values()
    off = (value - peer_value).abs().max()
    gradient_off = (gradient - peer_gradient.transpose(1, 2)).abs().max()
    row = (
        f"{batch:5} {sources:7} {mine:8.1f} {peer:8.1f} {peer / mine:6.1f} "
        f"{my_calls:5} {calls:6} {my_syncs:4} {syncs:5} "
        f"{off:8.1e} {gradient_off:8.1e}"
    )
    return row, {
        "ms": mine,
        "peer_ms": peer,
        "times_as_fast": peer / mine,
        "calls": my_calls,
        "peer_calls": calls,
        "syncs": my_syncs,
        "peer_syncs": syncs,
        "loss_off": off.item(),
        "gradient_off": gradient_off.item(),
    }


def worst(rows):
    """Return the largest figures of all rows, and those of the slowest."""
    figures = {name: max(row[name] for row in rows) for name in rows[0]}
    slowest = min(rows, key=lambda row: row["times_as_fast"])
    return figures | {
        name: slowest[name] for name in ("ms", "peer_ms", "times_as_fast")
    }


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one row")
    parser.add_argument("--repeats", type=int, default=5)
    add_option(parser)
    arguments = parser.parse_args()
    batches, sources = ((8, 16, 32), (2, 3, 4))
    repeats = arguments.repeats
    if arguments.quick:
        batches, sources, repeats = (8,), (2,), 1
    print(
        f"PIT SI-SNR, {SAMPLES} samples, forward + backward, "
        f"{torch.get_num_threads()} of {os.cpu_count()} threads, "
        f"torch {torch.__version__}"
    )
    print(
        "                    ms       ms               calls       syncs"
        "  largest difference\n"
        "batch sources     ours   theirs  ratio  ours theirs ours theirs"
        "     loss gradient"
    )
    rows = []
    for batch in batches:
        for number in sources:
            line, row = compare(batch, number, repeats)
            rows.append(row)
            print(line, flush=True)
    write_figures(arguments.json, worst(rows))


if __name__ == "__main__":
    main()
