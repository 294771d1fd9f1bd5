"""What an enhancer does to recordings that are noisy by nature.

    python benchmarks/natural_noise.py DIR                  the default model
    python benchmarks/natural_noise.py DIR --model MODEL    another
    python benchmarks/natural_noise.py DIR --quick          a smoke test

DIR holds recordings of speech as `corpora.folder` takes them; of those that
match --include, in the split --split, a few of each speaker are taken, always
the same. Nothing is added to them and nothing clean is known: printed are
DNSMOS before and after, of each source and of all, with the standard error of
the mean change over speakers.
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from figures import add_option, write_figures
from tqdm import tqdm

from speechbrain_ext.corpora import folder as corpus
from speechbrain_ext.dataio import read_recordings
from speechbrain_ext.evaluation.measures import dnsmos
from speechbrain_ext.hub.catalog import DEFAULTS
from speechbrain_ext.inference import Enhancer
from speechbrain_ext.inference.recordings import read_recording

SCORES = {"ovrl": "overall", "sig": "speech", "bak": "background"}


def choose(recordings, each):
    """Choose the first recordings of each speaker, and group them by source."""
    taken, groups = defaultdict(int), defaultdict(list)
    for recording in sorted(recordings, key=lambda row: row.id):
        speaker = recording.speaker or recording.id
        taken[speaker] += 1
        if taken[speaker] <= each:
            groups[recording.source or "(no source)"].append(recording)
    return groups


def measure(enhancer, recording):
    """Measure a recording before and after: two mappings of scores."""
    waveform, rate = read_recording(recording.path)
    after = enhancer.enhance(waveform[None], rate)[0]
    return [
        dnsmos(estimate=signal, sample_rate=rate)
        for signal in (waveform, after)
    ]


def table(groups):
    """Give the rows of the table, and the figures."""
    rows, figures = [], {}
    for name, found in groups.items():
        for key, title in SCORES.items():
            by_speaker = defaultdict(list)
            for speaker, before, after in found:
                pair = before[key], after[key]
                by_speaker[speaker].append(pair)
            means = [
                [statistics.fmean(side) for side in zip(*pairs, strict=True)]
                for pairs in by_speaker.values()
            ]
            before, after = map(statistics.fmean, zip(*means, strict=True))
            changes = [y - x for x, y in means]
            error = 0.0
            if len(changes) > 1:
                error = statistics.stdev(changes) / len(changes) ** 0.5
            rows.append(
                f"| {name} | {len(found)} of {len(means)} | {title} "
                f"| {before:.2f} | {after:.2f} "
                f"| {after - before:+.2f} ± {error:.2f} |"
            )
            figures[f"{name}, {key}"] = after - before
    return rows, figures


def main():
    """Print DNSMOS before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_folder", metavar="DIR")
    parser.add_argument("--model", help="of `enhance`; by default its default")
    parser.add_argument("--include", nargs="*", help="patterns of paths")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--each", type=int, default=2, help="of a speaker")
    parser.add_argument("--quick", action="store_true")
    add_option(parser)
    arguments = parser.parse_args()
    enhancer = Enhancer.from_hparams(arguments.model or DEFAULTS["enhancer"])
    with tempfile.TemporaryDirectory() as folder:
        manifest = corpus.prepare(
            arguments.data_folder, Path(folder), include=arguments.include
        )
        recordings = read_recordings(
            manifest, kind="speech", split=arguments.split
        )
        groups = choose(recordings, 1 if arguments.quick else arguments.each)
        if arguments.quick:
            groups = {name: rows[:1] for name, rows in groups.items()}
        found = {
            name: [
                (row.speaker or row.id, *measure(enhancer, row))
                for row in tqdm(rows, desc=name)
            ]
            for name, rows in groups.items()
        }
    if len(found) > 1:
        found["all"] = sum(found.values(), [])
    rows, figures = table(found)
    print(
        "| source | recordings of speakers | DNSMOS | before | after | change "
        "|\n|---|---|---|---|---|---|",
        *rows,
        sep="\n",
    )
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
