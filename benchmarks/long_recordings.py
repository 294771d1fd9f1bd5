"""Memory and time of separating a long recording.

    python benchmarks/long_recordings.py               3 hours of 48 kHz stereo
    python benchmarks/long_recordings.py --minutes 10  shorter
    python benchmarks/long_recordings.py --quick       a smoke test

The recording is made in a temporary folder, block by block, as FLAC of 16
bits: noise that swells and fades.  The command `separate` then runs in a
process of its own, with the model sound_separator of the package and all its
outputs; printed are the largest memory that this process had
(resident set size) and its time.  About 2 GB of disk are needed for each
output and three hours, and half of that for what waits to be leveled.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from figures import add_option, write_figures

ROOT = Path(__file__).resolve().parents[1]
RATE = 48000


def make_recording(path, seconds):
    """Write a stereo recording in blocks of ten seconds."""
    generator = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for start in range(0, seconds, 10):
            samples = min(10, seconds - start) * RATE
            noise = generator.standard_normal((samples, 2), np.float32)
            swell = np.sin(np.arange(samples) / RATE * np.pi / 5) ** 2
            file.write(0.1 * noise * swell[:, None])


def main():
    """Print memory and time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=180)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", default="sound_separator")
    parser.add_argument("--folder", help="for temporary files")
    add_option(parser)
    arguments = parser.parse_args()
    seconds = 10 if arguments.quick else round(60 * arguments.minutes)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder, "long.flac")
        make_recording(path, seconds)
        command = [
            *(sys.executable, "-m", "speechbrain_ext", "separate"),
            *(path, "--model", arguments.model),
            *("--out", Path(folder, "separated")),
        ]
        start = time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - start
        written = sum(
            file.stat().st_size for file in Path(folder, "separated").iterdir()
        )
    # in kilobytes, but in bytes on a Mac
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    hours = seconds / 3600
    print(
        f"{seconds / 60:.1f} minutes of {RATE} Hz stereo, {os.cpu_count()} "
        f"cores\n{'peak memory':16s}{peak / 1e9:8.2f} GB\n"
        f"{'time':16s}{took / 60:8.2f} minutes\n"
        f"{'time per hour':16s}{took / 60 / hours:8.2f} minutes\n"
        f"{'written':16s}{written / 1e9:8.2f} GB"
    )
    figures = {"peak_gb": peak / 1e9, "minutes_per_hour": took / 60 / hours}
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
