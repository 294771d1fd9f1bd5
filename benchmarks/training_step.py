#!/usr/bin/env python3
"""A whole training step of the ring recipe against the bare model's step.

    python benchmarks/training_step.py [--quick]

Whole step: reading a ring of segments from files, mixing, the separator,
permutation-invariant SI-SDR and SCER, backward, clipping, Adam, as the
recipe's Brain does it.  Bare step: forward, backward and Adam of the same
separator on mixtures that lie in memory.  The two take turns, and of each
the fastest counts, which nothing else on the machine has held up.  What the
recipe adds does not grow with the model, so the ratio is largest for the
smallest model.

The second table is the profile: what reading, mixing and the loss (forward
and backward, on estimates that are there already) take by themselves.  With
the bare step they predict the whole one; "rest" is what they do not explain,
such as clipping.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
import torch
from figures import ROOT, add_option, write_figures

RECIPE = ROOT / "recipes/WHAMandWHAMR/ring_separation"
sys.path.insert(0, str(RECIPE))

import train as recipe  # noqa: E402
from speechbrain_ext.dataio import (  # noqa: E402
    Recording,
    RingSampler,
    SegmentReader,
    SourceDataset,
    form_batch,
    make_loader,
)
from speechbrain_ext.models import (  # noqa: E402
    BandSeparator,
    ConvTasNet,
    SepFormer,
)
from speechbrain_ext.training import History  # noqa: E402

RATE = 8000
# name, how to build it, ring size, seconds
MODELS = [
    (
        "BandSeparator, 0.5 M (headline)",
        partial(BandSeparator, mask="sigmoid"),
        *(8, 1.0),
    ),
    ("ConvTasNet, 4.9 M (full size)", ConvTasNet, 4, 1.0),
    ("SepFormer, 25.7 M (full size)", SepFormer, 3, 0.5),
]


def make_recordings(folder, kind, number):
    """Write files of noise, 10 s each."""
    generator = np.random.default_rng(0)
    recordings = []
    for index in range(number):
        path = str(Path(folder) / f"{kind}{index}.wav")
        samples = 0.1 * generator.standard_normal(10 * RATE)
        soundfile.write(path, samples, RATE, subtype="PCM_16")
        recordings.append(
            Recording(
                f"{kind}{index}",
                path,
                len(samples),
                RATE,
                kind,
                "train",
                speaker=f"speaker{index}",
            )
        )
    return recordings


def make_brain(separator, folder):
    """Wrap the recipe's Brain around a separator."""
    brain = recipe.RingSeparation(
        modules={"separator": separator},
        opt_class=lambda parameters: torch.optim.Adam(parameters, 1e-4),
        hparams={
            "mixing": "ring",
            "targets": "noisy",
            "scer_weight": 1.0,
            "scer_start": 0.0,
            "scer_end": 0.0,
            "scer_scale": "target",
            "scer_floor": 1e-3,
            "learning_rate": 1e-4,
            "warmup_ratio": 0.1,
            "log_interval": 10**9,
            "history": History(Path(folder) / "history.csv"),
        },
        run_opts={
            "device": "cpu",
            "max_grad_norm": 5.0,
            "distributed_backend": "gloo",
        },
    )
    brain.data = {
        recipe.sb.Stage.TRAIN: SimpleNamespace(
            mix=lambda batch: form_batch(batch, mixing="ring")
        )
    }
    brain.purified_si_sdr = brain.blind_estimator = None
    brain.total_steps = 10**6
    brain.on_fit_start()
    brain.modules.train()
    return brain


def endless(loader):
    """Batches, one epoch after the other."""
    epoch = 0
    while True:
        loader.batch_sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def make_batches(folder, ring_size, seconds, rank=0, world_size=1):
    """Rings without end, of recordings that are written first."""
    samples = int(seconds * RATE)
    speech = make_recordings(folder, "speech", 32)
    noise = make_recordings(folder, "noise", 8)
    dataset = SourceDataset(
        speech=SegmentReader(speech, segment_samples=samples),
        noise=SegmentReader(noise, segment_samples=samples),
        snr_db=(5.0, 5.0),
    )
    sampler = RingSampler(
        speakers=[r.speaker for r in speech],
        ring_size=ring_size,
        rings=8,
        rank=rank,
        world_size=world_size,
    )
    return endless(make_loader(dataset, sampler))


def measure(build, ring_size, seconds, repeats):
    """Least seconds of the whole step, of the bare step, and of parts."""
    with tempfile.TemporaryDirectory() as folder:
        batches = make_batches(folder, ring_size, seconds)
        brain = make_brain(build(), folder)
        batch = next(batches)
        mixtures = form_batch(batch, mixing="ring")
        mixture = mixtures.mixture
        estimates = brain.modules.separator(mixture).detach()
        estimates.requires_grad_()

        def whole():
            brain.step += 1
            brain.fit_batch(next(batches))

        def bare():
            brain.modules.separator(mixture).square().mean().backward()
            brain.optimizer.step()
            brain.optimizer.zero_grad(set_to_none=True)

        def reading():
            next(batches)

        def mixing():
            form_batch(batch, mixing="ring")

        def loss():
            brain.compute_objectives(
                (estimates, mixtures), batch, recipe.sb.Stage.TRAIN
            ).backward()

        steps = (whole, bare, reading, mixing, loss)
        times = {step: [] for step in steps}
        for turn in range(repeats + 1):
            for step, taken in times.items():
                start = time.perf_counter()
                step()
                if turn:
                    taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times.values()]


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    add_option(parser)
    arguments = parser.parse_args()
    quick, figures, profiles = arguments.quick, {}, []
    print("| model | ring | whole step (ms) | bare step (ms) | ratio |")
    print("|---|---|---|---|---|")
    for name, build, ring_size, seconds in MODELS[: 1 if quick else None]:
        repeats = 2 if quick else 60 if ring_size > 4 else 9
        whole, bare, *parts = measure(build, ring_size, seconds, repeats)
        print(
            f"| {name} | {ring_size} x {seconds:g} s | {1e3 * whole:.0f} "
            f"| {1e3 * bare:.0f} | {whole / bare:.3f} |",
            flush=True,
        )
        key = name.partition(",")[0]
        figures |= {f"{key}_ms": 1e3 * whole, f"{key}_bare_ms": 1e3 * bare}
        figures[f"{key}_ratio"] = whole / bare
        predicted = bare + sum(parts)
        cells = [bare, *parts, predicted, whole, whole - predicted]
        cells = [f"{1e3 * cell:.1f}" for cell in cells]
        profiles.append(f"| {' | '.join([name, *cells])} |")
    print(
        "\n| model (ms) | bare | reading | mixing | loss | predicted | whole "
        "| rest |\n|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(profiles))
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
