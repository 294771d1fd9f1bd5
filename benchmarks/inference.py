#!/usr/bin/env python3
"""Separating recordings: ours against SpeechBrain's, and the shipped models.

    python benchmarks/inference.py                      1 and 10 minutes
    python benchmarks/inference.py --minutes 1 10 60    an hour, too: hours
    python benchmarks/inference.py --quick              a smoke test

A SepFormer of the published size (25.7 M parameters, random weights) is
written as a folder in SpeechBrain's layout, and loaded by both. First a file
of 8 seconds, one piece for both: times of pairs that take turns, and how far
ours is off SpeechBrain's `separate_batch`, relative to its largest sample.
Then recordings of these minutes, each in a process of its own that may take
`--most_gb` of memory: the largest memory that it had (Linux), and the time.
SpeechBrain's gets the recording in one piece, as its `separate_file` does.
Last the models of the package: memory and time of the separator for these
recordings and one six times as long as the longest, and how many hours of
sound each model does in a minute.
"""

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from figures import ROOT, add_option, write_figures
from sepformer import find_peak

from speechbrain_ext.inference import Separator
from speechbrain_ext.models import SepFormer

RATE, PIECE_SECONDS = 8000, 8.0
SHIPPED, SHIPPED_SECONDS = "speech_separator", 120
# layers, blocks, channels, heads, feedforward, frames of a chunk
PUBLISHED, SMALL = (8, 2, 256, 8, 1024, 250), (1, 1, 16, 2, 32, 50)
FOLDER = """
sample_rate: 8000
num_spks: 2
Encoder: !new:speechbrain.lobes.models.dual_path.Encoder
    kernel_size: 16
    out_channels: {channels}
SBtfintra: !new:speechbrain.lobes.models.dual_path.SBTransformerBlock
    {transformer}
SBtfinter: !new:speechbrain.lobes.models.dual_path.SBTransformerBlock
    {transformer}
MaskNet: !new:speechbrain.lobes.models.dual_path.Dual_Path_Model
    num_spks: !ref <num_spks>
    in_channels: {channels}
    out_channels: {channels}
    num_layers: {blocks}
    K: {chunk}
    intra_model: !ref <SBtfintra>
    inter_model: !ref <SBtfinter>
    norm: ln
    linear_layer_after_inter_intra: false
    skip_around_intra: true
Decoder: !new:speechbrain.lobes.models.dual_path.Decoder
    in_channels: {channels}
    out_channels: 1
    kernel_size: 16
    stride: 8
    bias: false
modules:
    encoder: !ref <Encoder>
    decoder: !ref <Decoder>
    masknet: !ref <MaskNet>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        encoder: !ref <Encoder>
        masknet: !ref <MaskNet>
        decoder: !ref <Decoder>
"""


def write_model(folder, sizes):
    """Write a SepFormer as SpeechBrain publishes it."""
    layers, blocks, channels, heads, feedforward, chunk = sizes
    transformer = {
        "num_layers": layers,
        "d_model": channels,
        "nhead": heads,
        "d_ffn": feedforward,
        "dropout": 0,
        "use_positional_encoding": "true",
        "norm_before": "true",
    }
    lines = "\n    ".join(f"{key}: {x}" for key, x in transformer.items())
    text = FOLDER.format(
        transformer=lines, channels=channels, blocks=blocks, chunk=chunk
    )
    torch.manual_seed(0)
    separator = SepFormer(
        channels=channels,
        blocks=blocks,
        intra_layers=layers,
        inter_layers=layers,
        heads=heads,
        feedforward=feedforward,
        chunk=chunk,
    )
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(text)
    for name in ("encoder", "masknet", "decoder"):
        weights = getattr(separator, name).state_dict()
        torch.save(weights, folder / f"{name}.ckpt")


def load_theirs(folder):
    """Load a folder by SpeechBrain's own interface."""
    from speechbrain.inference.separation import SepformerSeparation

    return SepformerSeparation.from_hparams(
        source=str(folder), savedir=str(folder.with_name("theirs"))
    )


def make_noise(seconds):
    """Noise that swells and fades."""
    samples = round(seconds * RATE)
    noise = np.random.default_rng(0).standard_normal(samples, np.float32)
    swell = np.sin(np.arange(samples) / RATE * np.pi / 5) ** 2
    return (0.1 * noise * (0.1 + swell)).astype(np.float32)


def compare(folder, pairs):
    """Print time and difference for a file that is one piece."""
    # levels as the model gives them, which is what SpeechBrain gives
    ours = Separator.from_hparams(folder, match_level=False)
    theirs = load_theirs(folder)
    mixture = torch.from_numpy(make_noise(PIECE_SECONDS))[None]
    calls = {
        "ours": lambda: ours.separate(mixture, RATE)[0],
        "theirs": lambda: theirs.separate_batch(mixture)[0].T,
    }
    seconds, outputs = {name: [] for name in calls}, {}
    for turn in range(pairs + 1):
        for name, separate in calls.items():
            start = time.perf_counter()
            outputs[name] = separate()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    ratios = [
        b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)
    ]
    largest = outputs["theirs"].abs().max()
    figures = {
        "times_as_fast": statistics.median(ratios),
        "seconds": statistics.median(seconds["ours"]),
        "peer_seconds": statistics.median(seconds["theirs"]),
        "off": float((outputs["ours"] - outputs["theirs"]).abs().max())
        / float(largest),
    }
    print(
        f"{PIECE_SECONDS:g} s in one piece: {figures['seconds']:.2f} s, "
        f"SpeechBrain {figures['peer_seconds']:.2f} s, times as fast "
        f"{figures['times_as_fast']:.2f}, off {figures['off']:.0e}\n",
        flush=True,
    )
    return figures


def separate_long(who, folder, path, most_gb):
    """Separate a recording in this process; print peak (GB) and seconds."""
    limit = int(most_gb * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = time.perf_counter()
    if who == "theirs":
        mixture = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
        load_theirs(folder).separate_batch(mixture[None])
    else:
        separator = Separator.from_hparams(folder if who == "ours" else who)
        separator.separate_file(path, folder.with_name(who), overwrite=True)
    took = time.perf_counter() - start
    print(find_peak() * 2**20 / 1e9, took)


def measure_long(who, folder, path, most_gb):
    """Give peak and seconds of a process; None if it ran out of memory."""
    words = ["--long", who, folder, path, "--most_gb", most_gb]
    command = [sys.executable, __file__, *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if result.returncode == 0:
        return tuple(map(float, result.stdout.split()[-2:]))
    told = result.stderr
    if not re.search(r"allocate memory|MemoryError|not enough memory", told):
        raise RuntimeError(f"{who}, {path}: {told[-2000:]}")
    return None


def measure_shipped(seconds):
    """Print how much sound the models of the package do in a minute."""
    print("\n| model of the package | hours of sound a minute |\n|---|---|")
    figures = {}
    for name in ("speech_enhancer", "speech_separator", "sound_separator"):
        separator = Separator.from_hparams(name)
        sound = torch.randn(1, seconds * separator.sample_rate) / 10
        start = time.perf_counter()
        separator.separate(sound, separator.sample_rate)
        hours = seconds / (time.perf_counter() - start) / 60
        figures[f"{name}_hours_a_minute"] = hours
        print(f"| {name} | {hours:.2f} |", flush=True)
    return figures


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--most_gb", type=float, default=16.0)
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--long", nargs=3, help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.long:
        who, *paths = options.long
        separate_long(who, *map(Path, paths), options.most_gb)
        return
    if options.quick:
        options.minutes, options.pairs = [0.2, 0.4], 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "model")
        write_model(folder, SMALL if options.quick else PUBLISHED)
        print(
            f"SepFormer at {RATE} Hz, {torch.get_num_threads()} threads, "
            f"torch {torch.__version__}\n"
        )
        figures = compare(folder, options.pairs)
        print(
            "| minutes | ours: GB | min | SpeechBrain's: GB | min "
            f"| {SHIPPED}: GB | min |\n|---|---|---|---|---|---|---|"
        )
        peaks = {name: [] for name in ("ours", "theirs", SHIPPED)}
        longest = 6 * max(options.minutes)
        for minutes in (*options.minutes, longest):
            path = Path(temporary, f"{minutes:g}.wav")
            soundfile.write(path, make_noise(60 * minutes), RATE)
            cells = [f"{minutes:g}"]
            for who, found in peaks.items():
                if minutes == longest and who != SHIPPED:
                    cells += ["-", "-"]
                    continue
                peak = measure_long(who, folder, path, options.most_gb)
                if peak is None:
                    cells += [f"more than {options.most_gb:g}", "-"]
                    continue
                cells += [f"{peak[0]:.2f}", f"{peak[1] / 60:.1f}"]
                found.append(peak[0])
            print("| " + " | ".join(cells) + " |", flush=True)
    for name, who in (("", "ours"), ("shipped_", SHIPPED)):
        ratio = peaks[who][-1] / peaks[who][0]
        figures[f"{name}longest_over_shortest"] = ratio
    figures |= measure_shipped(4 if options.quick else SHIPPED_SECONDS)
    write_figures(options.json, figures)


if __name__ == "__main__":
    main()
