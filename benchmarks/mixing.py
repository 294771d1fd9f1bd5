#!/usr/bin/env python3
"""Examples per CPU-second of mixing on the fly, against SpeechBrain.

    python benchmarks/mixing.py
    python benchmarks/mixing.py --quick    a smoke test

Two-speaker mixtures with noise, 8 kHz, 4 s, batches of 16, everything from
opening the files to the formed batch on the CPU, in this process (no
workers), for recordings of 5, 60 and 300 s. The recordings are made in a
temporary folder (PCM-16 WAV, 20 speakers and 8 noises for each length, 200
MB in all) and so are in the page cache: what is counted is the processor
time of the process. It has one thread, as the workers of a loader have: a
second one would be counted while it waits. The columns take turns, and each
figure is the median of its rounds. A large tensor is made and dropped first,
as any training does: from then on the C library keeps freed memory for the
next batch instead of handing it back to the system, which helps all columns
alike.

ring, pairs
    RingSampler, SourceDataset (noise at 0 to 20 dB for each source, gains),
    make_loader and form_batch. A ring makes 16 mixtures of 16 noisy sources,
    so that it reads two segments an example; pairs make 16 of 32, four
    segments an example.
SpeechBrain
    The installed package has no dynamic mixing, only its WHAM! recipe does.
    This peer takes the steps of that recipe for each example, with public
    parts of the package: a DynamicItemDataset with one dynamic item, in
    which two speakers are chosen in proportion to their recordings, and a
    recording of each; a noise is read whole (``audio_io.load``); the lengths
    of both recordings are looked up (``audio_io.info``), one window of each
    is read (``audio_io.load`` with offset and length) and rescaled to a
    random level (``rescale``); the two are summed, the start of the noise is
    added as it is, peaks are brought to 0.9 and the noise is scaled to the
    sources; then PaddedBatch and torch's DataLoader. It reads three segments
    an example, the noise to its end: WHAM!'s own noises are short, so the 5 s
    column is the one that compares like with like.

The goal is 900 examples per CPU-second in the ring, whatever the length.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from figures import add_option, write_figures
from speechbrain.dataio.audio_io import info, load
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.processing.signal_processing import rescale
from speechbrain.utils.data_pipeline import provides, takes
from torch.utils.data import DataLoader

from speechbrain_ext.dataio import (
    Recording,
    RingSampler,
    SegmentReader,
    SourceDataset,
    form_batch,
    make_loader,
)

RATE = 8000
SEGMENT = 4 * RATE
BATCH = 16
FILE_SECONDS = (5, 60, 300)
GOAL = 900


def make_recordings(folder, seconds, number, kind):
    """Write noise of a slowly varying level, one file a speaker."""
    generator = np.random.default_rng(seconds)
    recordings = []
    for n in range(number):
        name = f"{kind}-{seconds}-{n}"
        path = str(Path(folder) / f"{name}.wav")
        samples = 0.1 * generator.standard_normal(seconds * RATE)
        samples *= 1.5 + np.sin(np.arange(len(samples)) / RATE)
        soundfile.write(path, np.clip(samples, -1, 1), RATE)
        recordings.append(
            Recording(
                name, path, len(samples), RATE, kind, "train", speaker=str(n)
            )
        )
    return recordings


def our_batches(speech, noise, mixing):
    """Mixtures without end, 16 at a time, from this project."""
    dataset = SourceDataset(
        speech=SegmentReader(speech, segment_samples=SEGMENT),
        noise=SegmentReader(noise, segment_samples=SEGMENT),
        snr_db=(0, 20),
    )
    sampler = RingSampler(
        # every recording four times over, for rings of 32
        speakers=[r.speaker for r in speech] * 4,
        ring_size=BATCH if mixing == "ring" else 2 * BATCH,
        rings=1000,
    )
    dataset.speech.recordings *= 4
    while True:
        for batch in make_loader(dataset, sampler):
            yield form_batch(batch, mixing=mixing).mixture


def peer_batches(speech, noise):
    """Mixtures without end, 16 at a time, in SpeechBrain's manner."""
    paths = {}
    for recording in speech:
        paths.setdefault(recording.speaker, []).append(recording.path)
    speakers = list(paths)
    shares = np.array([len(paths[speaker]) for speaker in speakers])
    shares = shares / shares.sum()
    noises = [recording.path for recording in noise]
    generator = np.random.default_rng(0)

    @takes("name")
    @provides("mixture", "first", "second", "noise")
    def mix(name):
        hum = load(generator.choice(noises))[0].squeeze(0)
        chosen = [
            generator.choice(paths[speaker])
            for speaker in generator.choice(
                speakers, 2, replace=False, p=shares
            )
        ]
        lengths = [info(path).num_frames for path in chosen]
        window = min(SEGMENT, *lengths)
        sources = []
        for path, length in zip(chosen, lengths, strict=True):
            start = int(generator.integers(length - window + 1))
            source = load(path, frame_offset=start, num_frames=window)[0][0]
            level = float(np.clip(generator.normal(-28, 2.6), -45, 0))
            sources.append(
                rescale(source, torch.tensor(window), level, scale="dB")
            )
        sources = torch.stack(sources)
        common = min(window, len(hum))
        mixture = sources.sum(0)[:common] + hum[:common]
        peak = max(mixture.abs().max().item(), sources.abs().max().item())
        sources, mixture = sources * (0.9 / peak), mixture * (0.9 / peak)
        yield mixture
        yield sources[0]
        yield sources[1]
        yield hum * (sources.abs().mean() / hum.abs().mean())

    dataset = DynamicItemDataset(
        {str(n): {"name": str(n)} for n in range(1000 * BATCH)},
        dynamic_items=[mix],
        output_keys=["id", "mixture", "first", "second", "noise"],
    )
    while True:
        for batch in DataLoader(
            dataset, batch_size=BATCH, collate_fn=PaddedBatch
        ):
            yield batch.mixture.data


def examples_per_cpu_second(batches, seconds):
    """Take batches for so many CPU-seconds; return the rate."""
    examples = 0
    start = time.process_time()
    while (used := time.process_time() - start) < seconds:
        mixture = next(batches)
        assert mixture.shape == (BATCH, SEGMENT)
        examples += BATCH
    return examples / used


def measure(seconds, rounds):
    """Rates of each column for each length of file."""
    torch.set_num_threads(1)
    torch.ones(7_500_000)  # 30 MB, just below what is always handed back
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for length in FILE_SECONDS:
            speech = make_recordings(folder, length, 20, "speech")
            noise = make_recordings(folder, length, 8, "noise")
            columns = {
                "ring": our_batches(speech, noise, "ring"),
                "pairs": our_batches(speech, noise, "pairs"),
                "SpeechBrain": peer_batches(speech, noise),
            }
            for batches in columns.values():
                next(batches)
            taken = {name: [] for name in columns}
            for _ in range(rounds):
                for name, batches in columns.items():
                    taken[name].append(
                        examples_per_cpu_second(batches, seconds)
                    )
            rates[length] = {
                name: statistics.median(values)
                for name, values in taken.items()
            }
    return rates


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    add_option(parser)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.rounds = 0.05, 1
    rates = measure(arguments.seconds, arguments.rounds)
    print("Examples per CPU-second (8 kHz, 4 s, two speakers and noise)\n")
    print("| length of the files | ring | pairs | SpeechBrain | ring / it |")
    print("|---|---|---|---|---|")
    for length, row in rates.items():
        print(
            f"| {length} s | {row['ring']:.0f} | {row['pairs']:.0f} "
            f"| {row['SpeechBrain']:.0f} "
            f"| {row['ring'] / row['SpeechBrain']:.1f} |"
        )
    slowest = min(row["ring"] for row in rates.values())
    fastest = max(row["ring"] for row in rates.values())
    print(
        f"\nRing: at least {slowest:.0f} (goal {GOAL}), fastest over slowest "
        f"length {fastest / slowest:.2f}"
    )
    figures = {
        f"{name.lower()}_{length}_s": rate
        for length, row in rates.items()
        for name, rate in row.items()
    }
    figures |= {"slowest": slowest, "spread": fastest / slowest}
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
