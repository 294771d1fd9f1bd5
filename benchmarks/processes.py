#!/usr/bin/env python3
"""Training in several processes: the exchange of gradients, and what is won.

    python benchmarks/processes.py            both tables (about a minute)
    python benchmarks/processes.py --quick    a smoke test

The first table is computed, not measured. After every step the processes sum
their gradients, in float32 whatever --precision is, by a ring all-reduce: each
of n sends and receives 2 (n - 1) / n times their bytes. So many seconds a step
are needed for it at a bandwidth between any two neighbors, if nothing else
takes time: most of it runs beside the backward pass.

The second is measured on this machine: steps of the ring recipe's headline, as
its Brain does them, in one process and in two of torchrun (gloo) with a ring
each. Two processes share the cores, so that each has one thread
where one process has two; "to the first" compares mixtures a second with one
process of one thread. "exchange" is the all-reduce of as many bytes, alone.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from figures import ROOT, add_option, write_figures
from hyperpyyaml import load_hyperpyyaml
from rows import show
from ruamel.yaml import YAML
from speechbrain.utils.distributed import ddp_init_group
from training_step import MODELS, make_batches, make_brain

from speechbrain_ext.hub.building import sizes_only
from speechbrain_ext.services.configuration import check_hparams

# a file of hyperparameters, and where in it stands what is trained
TRAINED = {
    "ring_sepformer": "separator",
    "wham_convtasnet": "separator",
    "wham_sepformer": "separator",
    "fuss_mixit": "separator",
    "sisnr_librimix_whamr": "estimator",
    "pse_librispeech": "enhancers.gru",
    "robust_asr_librispeech": "joint",
}
GIGABITS = (1, 10, 100)
PROCESSES = (2, 8, 16)


def build(name, place):
    """Build a module of a recipe's file, without memory for its weights."""
    (path,) = ROOT.glob(f"recipes/*/*/hparams/{name}.yaml")
    keys = YAML().load(path.read_text(encoding="utf-8"))
    needed = {
        key: "-"
        for key, value in keys.items()
        if getattr(getattr(value, "tag", None), "value", None) == "!PLACEHOLDER"
    }
    node = YAML().load(check_hparams(path, needed).text)
    for key in place.split("."):
        node = node[key]
    text = io.StringIO()
    YAML().dump({"module": node}, text)
    with sizes_only():
        return load_hyperpyyaml(text.getvalue())["module"]


def exchange_seconds(number, processes, gigabits):
    """Compute how long a ring all-reduce of so many bytes takes."""
    share = 2 * (processes - 1) / processes
    return share * number * 8 / (gigabits * 1e9)


def compute(names):
    """Print what the exchange of gradients costs; return the bytes."""
    heads = [f"{bandwidth} Gbit/s" for bandwidth in GIGABITS]
    numbers = ", ".join(map(str, PROCESSES))
    print(f"Milliseconds a step for {numbers} processes, computed\n")
    print("| file | model | parameters | MB a step |", " | ".join(heads), "|")
    print("|" + "---|" * (4 + len(heads)))
    figures = {}
    for name in names:
        module = build(name, TRAINED[name])
        trained = [p for p in module.parameters() if p.requires_grad]
        number = sum(p.numel() for p in trained)
        cells = [
            " / ".join(
                show(1e3 * exchange_seconds(4 * number, n, bandwidth))
                for n in PROCESSES
            )
            for bandwidth in GIGABITS
        ]
        print(
            f"| `{name}.yaml` | {type(module).__name__} "
            f"| {number / 1e6:.2f} M | {4 * number / 1e6:.1f} |",
            " | ".join(cells),
            "|",
            flush=True,
        )
        figures[f"{name}_bytes"] = 4 * number
    return figures


def work(options):
    """Be one of the processes: train, and write what the first measured."""
    threads, steps = options.work
    torch.set_num_threads(threads)
    rank = int(os.environ.get("RANK", 0))
    processes = int(os.environ.get("WORLD_SIZE", 1))
    ddp_init_group({"distributed_backend": "gloo"})
    _, model, ring_size, seconds = MODELS[0]
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        brain = make_brain(model(), folder)
        batches = make_batches(folder, ring_size, seconds, rank, processes)

        def step():
            brain.step += 1
            brain.fit_batch(next(batches))

        # the first is a warm-up
        taken = take_seconds(step, steps + 1)[1:]
    rate = 1 / statistics.mean(taken)
    figures = {"steps": rate, "mixtures": rate * processes * ring_size}
    if processes > 1:
        number = sum(p.numel() for p in brain.modules.parameters())
        gradient = torch.zeros(number)
        alone = take_seconds(
            lambda: torch.distributed.all_reduce(gradient), steps + 1
        )
        figures["exchange_ms"] = 1e3 * statistics.median(alone[1:])
        torch.distributed.destroy_process_group()
    if rank == 0:
        write_figures(options.json, figures)


def take_seconds(function, times):
    """Call a function so often; return the seconds of each call."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def measure(processes, threads, steps):
    """Start processes that train together; return what they measured."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run"]
        command += [f"--nproc-per-node={processes}"]
        command += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.json")
        command += [__file__, "--work", str(threads), str(steps)]
        subprocess.run(
            [*command, f"--json={path}"],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdout=subprocess.DEVNULL,
        )
        return json.loads(path.read_text())


def compare(steps):
    """Print what one and two processes do here; return the figures."""
    name, _, ring_size, seconds = MODELS[0]
    threads = torch.get_num_threads()
    each = max(1, threads // 2)
    print(
        f"\n{name}, rings of {ring_size} x {seconds:g} s, {steps} steps, "
        f"measured\n\n| processes | threads of each | steps a second "
        "| mixtures a second | to the first | exchange (ms) |\n"
        "|---|---|---|---|---|---|"
    )
    figures, alone = {}, None
    cases = [(1, each), (2, each), (1, threads)]
    for processes, number in dict.fromkeys(cases):
        found = measure(processes, number, steps)
        alone = alone or found["mixtures"]
        ratio = found["mixtures"] / alone
        exchange = found.get("exchange_ms")
        print(
            f"| {processes} | {number} | {found['steps']:.2f} "
            f"| {found['mixtures']:.1f} | {ratio:.2f} "
            f"| {'' if exchange is None else f'{exchange:.1f}'} |",
            flush=True,
        )
        figures[f"mixtures_{processes}x{number}"] = found["mixtures"]
        if processes == 2:
            figures |= {"two_over_one": ratio, "exchange_ms": exchange}
            figures |= {"one": alone, "two": found["mixtures"]}
    return figures


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--work", nargs=2, type=int, help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.work:
        return work(options)
    names, steps = list(TRAINED), options.steps
    if options.quick:
        names, steps = names[:1], 2
    print(
        f"{torch.get_num_threads()} of {os.cpu_count()} threads, "
        f"torch {torch.__version__}\n"
    )
    figures = compute(names)
    write_figures(options.json, figures | compare(steps))


if __name__ == "__main__":
    main()
