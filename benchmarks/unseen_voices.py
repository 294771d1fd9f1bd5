"""What a separator does to two voices in noise, by corpus and by voices.

    python benchmarks/unseen_voices.py DIR                  the default model
    python benchmarks/unseen_voices.py DIR --model MODEL    another
    python benchmarks/unseen_voices.py DIR --quick          a smoke test

DIR holds speech (with speaker and sex) and noise as `corpora.folder` takes
them; of those that match --include, the split --split is taken, which the
model should not have heard. For each source of recordings, women are mixed
with men, and two of one sex, 4 seconds each, always the same ones, with noise
around each voice. Printed are SI-SDR and eSTOI (with the extra `metrics`) in
the mixture and in the outputs, and the standard error of the mean gain over
mixtures.
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from figures import add_option, write_figures
from tqdm import tqdm

from speechbrain_ext.corpora import folder as corpus
from speechbrain_ext.dataio import SegmentReader, read_recordings
from speechbrain_ext.dataio.mixing import add_noise, scale_to_level
from speechbrain_ext.evaluation.measures import available, estoi
from speechbrain_ext.hub.catalog import DEFAULTS
from speechbrain_ext.inference import Separator
from speechbrain_ext.losses import align, pit, si_sdr

SECONDS = 4.0
KINDS = {"a woman and a man": True, "two of one sex": False}


def draw_mixtures(speech, noise, mixed, number, snr_db, generator):
    """Yield mixtures (time,) and their clean voices (2, time)."""
    rate = speech.recordings[0].sample_rate
    speakers = [recording.speaker for recording in speech.recordings]
    sexes = [recording.sex for recording in speech.recordings]
    pairs = [
        (a, b)
        for a in range(len(speech))
        for b in range(a)
        if speakers[a] != speakers[b] and (sexes[a] != sexes[b]) == mixed
    ]

    def read(reader, indices):
        segments = [reader.read(index, generator) for index in indices]
        return torch.from_numpy(np.stack(segments))

    snrs = torch.tensor([snr_db, snr_db])
    for _ in range(number if pairs else 0):
        voices = scale_to_level(
            read(speech, pairs[generator.integers(len(pairs))])
        )
        noises = read(noise, generator.integers(len(noise), size=2))
        noisy, _ = add_noise(speech=voices, noise=noises, snr_db=snrs)
        yield noisy.sum(0), voices, rate


def measure(separator, mixture, voices, rate):
    """Measure a mixture and its separation: name to (before, after)."""
    estimates = separator.separate(mixture[None], rate)
    _, order = pit(si_sdr, estimates=estimates, targets=voices[None])
    estimates = align(estimates, order)[0]
    before = mixture.expand_as(voices)
    found = {
        "SI-SDR (dB)": [
            si_sdr(estimate=signals, target=voices).mean().item()
            for signals in (before, estimates)
        ]
    }
    if available()["estoi"]:
        with suppress(RuntimeWarning):  # too little speech to measure it
            found["eSTOI"] = [
                statistics.fmean(
                    estoi(estimate=signal, target=voice, sample_rate=rate)
                    for signal, voice in zip(signals, voices, strict=True)
                )
                for signals in (before, estimates)
            ]
    return found


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_folder", metavar="DIR")
    parser.add_argument("--model", help="of `separate`; by default its default")
    parser.add_argument("--include", nargs="*", help="patterns of paths")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--noise_split", help="by default that of the speech")
    parser.add_argument("--mixtures", type=int, default=60, help="of each kind")
    parser.add_argument("--snr_db", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true")
    add_option(parser)
    words = parser.parse_args()
    separator = Separator.from_hparams(words.model or DEFAULTS["separator"])
    rate, number = separator.sample_rate, 2 if words.quick else words.mixtures
    figures = {}
    print(
        "| source | voices | speakers | | before | after | gain |\n"
        "|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        manifest = corpus.prepare(
            words.data_folder,
            Path(folder),
            include=words.include,
            sample_rate=rate,
        )
        groups = defaultdict(list)
        for row in read_recordings(manifest, kind="speech", split=words.split):
            groups[row.source or "(no source)"].append(row)
        samples = round(SECONDS * rate)
        noise = SegmentReader(
            read_recordings(
                manifest, kind="noise", split=words.noise_split or words.split
            ),
            segment_samples=samples,
        )
        for (name, rows), (kind, mixed) in (
            (group, voices)
            for group in groups.items()
            for voices in KINDS.items()
        ):
            speech = SegmentReader(rows, segment_samples=samples)
            mixtures = draw_mixtures(
                speech,
                noise,
                mixed,
                number,
                words.snr_db,
                np.random.default_rng(0),
            )
            found = defaultdict(list)
            for mixture in tqdm(mixtures, total=number, desc=f"{name}, {kind}"):
                for measure_of, pair in measure(separator, *mixture).items():
                    found[measure_of].append(pair)
            speakers = len({row.speaker for row in rows})
            for title, pairs in found.items():
                before, after = map(statistics.fmean, zip(*pairs, strict=True))
                error = statistics.stdev(y - x for x, y in pairs)
                print(
                    f"| {name} | {kind} | {speakers} | {title} | {before:.2f} "
                    f"| {after:.2f} | {after - before:+.2f} "
                    f"± {error / len(pairs) ** 0.5:.2f} |",
                    flush=True,
                )
                figures[f"{name}, {kind}, {title}"] = after - before
    write_figures(words.json, figures)


if __name__ == "__main__":
    main()
