#!/usr/bin/env python3
"""Talkers over long files: who is in which output, and how many there are.

    python benchmarks/long_talks.py DIR                40 files of ten minutes
    python benchmarks/long_talks.py DIR --files 6      fewer of each kind
    python benchmarks/long_talks.py DIR --model MODEL  separated by a model
    python benchmarks/long_talks.py DIR --quick        a smoke test

DIR is read by `speechbrain_ext.corpora.folder`: speech with speaker and sex,
and noise. Talkers are planted: utterances of one speaker after the other, in
turns with pauses, overlaps, and silences of 1 to 20 seconds; of a speaker who
has fewer, utterances come again. Half of the pairs are of one sex.

Without a model an oracle separates: right within a chunk, in another order in
every chunk, with the other voice 12 dB lower in each output and half of the
noise. Measured is the share of the speech time that is in the wrong output:
`shared` if chunks are matched by what they share alone, and `voices`.

Before that, 60 excerpts of 20 seconds with one, two or three talkers are
counted: by levels where the oracle separates (three outputs), and by levels
and blind scores with a model, of which no more than its outputs are asked.
"""

import argparse
import itertools
import statistics
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from figures import add_option, write_figures

from speechbrain_ext.corpora import folder as corpus
from speechbrain_ext.dataio.recordings import read_recordings
from speechbrain_ext.inference import Separator, SISNREstimator
from speechbrain_ext.inference.chunking import Signal, separate_signals
from speechbrain_ext.inference.talkers import Activity

RATE = 8000
CHUNK, OVERLAP = 8 * RATE, 2 * RATE
LEAK = 10 ** (-12 / 20)
FRAME = RATE // 10


class Speakers:
    """Speech and noise to plant, of one split."""

    def __init__(self, manifest, split, seed):
        self.random = np.random.default_rng(seed)
        self.noises = [r.path for r in read_recordings(manifest, kind="noise")
                       if r.split == split]  # fmt: skip
        self.paths, self.sex, seconds = {}, {}, {}
        for r in read_recordings(manifest, kind="speech", split=split):
            self.paths.setdefault(r.speaker, []).append(r.path)
            self.sex[r.speaker] = r.sex
            seconds[r.speaker] = seconds.get(r.speaker, 0) + r.seconds
        # those with enough to say, or else the half that says most
        ranked = sorted(seconds, key=seconds.get, reverse=True)
        long = [name for name in ranked if seconds[name] > 30]
        self.names = long if len(long) > 9 else ranked[: len(ranked) // 2 + 2]

    def choose(self, count, same_sex):
        """Choose different speakers; two of one sex, or of two."""
        while True:
            names = self.random.permutation(self.names)[:count].tolist()
            sexes = len({self.sex[name] for name in names[:2]})
            if count == 1 or sexes == (1 if same_sex else 2):
                return names

    def utterances(self, name):
        """Give the speaker's utterances, again and again, at one level."""
        level = 0.05 * 10 ** (self.random.uniform(-5, 0) / 20)
        while True:
            for path in self.random.permutation(self.paths[name]):
                samples = soundfile.read(path, dtype="float32")[0]
                loud = np.sqrt((samples**2).mean()) + 1e-9
                samples = samples[: RATE * int(self.random.integers(3, 12))]
                ramp = np.linspace(0, 1, 80, dtype=np.float32)
                samples[:80] *= ramp
                samples[-80:] *= ramp[::-1]
                yield samples * np.float32(level / loud)

    def noise(self, time, snr):
        """Give noise, so many dB below a level of speech of 0.05."""
        path = self.noises[int(self.random.integers(len(self.noises)))]
        samples = soundfile.read(path, dtype="float32")[0]
        samples = np.resize(samples, time)
        loud = np.sqrt((samples**2).mean()) + 1e-9
        return samples * np.float32(0.05 * 10 ** (-snr / 20) / loud)

    def talk(self, seconds, same_sex):
        """Plant two talkers: (2, time), and noise (time,)."""
        names = self.choose(2, same_sex)
        speech = [self.utterances(name) for name in names]
        sources = np.zeros((2, seconds * RATE), np.float32)
        random, begin, who = self.random, 0, 0
        while begin < sources.shape[1]:
            said = next(speech[who])[: sources.shape[1] - begin]
            sources[who, begin : begin + len(said)] += said
            end, kind = begin + len(said), random.random()
            if kind < 0.35:
                # the other one cuts in
                who = 1 - who
                begin = max(begin, end - int(RATE * random.uniform(0.5, 4)))
                continue
            who = 1 - who if random.random() < 0.7 else who
            pause = (0.1, 1) if kind < 0.65 else (1, 20)
            begin = end + int(RATE * random.uniform(*pause))
        return sources, self.noise(sources.shape[1], random.uniform(15, 30))

    def excerpt(self, voices, seconds):
        """Plant one to three talkers: (voices, time), and noise (time,)."""
        random, time = self.random, seconds * RATE
        names = self.choose(voices, random.random() < 0.5)
        sources = np.zeros((voices, time), np.float32)
        # any two overlap in this share of what the first and the last span
        length = int(time * (1 + random.uniform(0.2, 1)) / 2)
        starts = np.linspace(0, time - length, voices).astype(int)
        for source, name, start in zip(sources, names, starts, strict=True):
            speech, end = self.utterances(name), start + length
            while start < end:
                said = next(speech)[: end - start]
                source[start : start + len(said)] = said
                start += len(said) + int(RATE * random.uniform(0.1, 0.5))
        return sources, self.noise(time, random.uniform(15, 30))


def leak(sources, noise):
    """Give what the oracle makes of a mixture."""
    truth = torch.from_numpy(sources)
    others = truth.sum(0) - truth
    return truth + LEAK * others + torch.from_numpy(noise) / len(sources)


def make_oracle(sources, noise, seed):
    """Give a module that takes places instead of samples."""
    random = np.random.default_rng(seed)
    outputs = leak(sources, noise)

    def separate(places):
        first = int(places[0, 0])
        order = random.permutation(len(outputs)).tolist()
        return outputs[order, first : first + places.shape[1]][None]

    return torch.arange(sources.shape[1], dtype=torch.float32), separate


def join(signal, separate, told):
    """Separate chunk by chunk; with or without telling voices."""
    parts = []
    signal = Signal(
        [signal[None]],
        lambda _, estimates: parts.append(estimates[0]),
        RATE if told else None,
    )
    for done in separate_signals(
        [signal], separate, length=CHUNK, overlap=OVERLAP
    ):
        if done.error:
            raise done.error
    return torch.cat(parts, -1).numpy()


def wrong_share(sources, outputs):
    """Share of the speech time whose voice is in another output."""
    time = sources.shape[1] // FRAME * FRAME
    shape = (len(sources), -1, FRAME)
    s, o = (x[:, :time].reshape(shape) for x in (sources, outputs))
    power = (s**2).mean(-1)
    speaks = power > 1e-3 * np.quantile(power, 0.95, axis=1, keepdims=True)
    products = np.einsum("ift,oft->iof", s, o)
    products = products * speaks[:, None]
    orders = list(itertools.permutations(range(len(sources))))
    agreement = np.stack(
        [sum(products[i, n] for i, n in enumerate(order)) for order in orders]
    )
    best, heard = agreement.argmax(0), speaks.sum(0)
    right = [(heard * (best == n)).sum() for n in range(len(orders))]
    return 1 - max(right) / heard.sum()


def remember(separate):
    """Give a module the same chunks again, for the price of once."""
    done = {}

    def recall(chunk):
        key = chunk.numpy().tobytes()
        if key not in done:
            done[key] = separate(chunk)
        return done[key]

    return recall


def measure_talks(speakers, files, seconds, model):
    """Print the shares of each file; return their means."""
    found = {"shared": [], "voices": []}
    print(f"{'':16s}{'shared':>10s}{'voices':>10s}")
    for number in range(files):
        same_sex = number % 2 == 0
        sources, noise = speakers.talk(seconds, same_sex)
        if model:
            signal = torch.from_numpy(sources.sum(0) + noise)
            chunks = remember(model._separate)
        for rule, shares in found.items():
            separate = chunks if model else None
            if not model:
                signal, separate = make_oracle(sources, noise, number)
            outputs = join(signal, separate, rule == "voices")
            shares.append(100 * wrong_share(sources, outputs))
        print(
            f"{number + 1:4d}  {'one sex' if same_sex else 'two sexes':10s}"
            + "".join(f"{shares[-1]:8.1f} %" for shares in found.values()),
            flush=True,
        )
    print(f"{'mean':16s}" + "".join(
        f"{statistics.mean(shares):8.1f} %" for shares in found.values()
    ))  # fmt: skip
    return {f"wrong_{k}": statistics.mean(v) for k, v in found.items()}


def measure_counts(speakers, files, model):
    """Print how often the number of talkers is right, in percent."""
    right = {1: [], 2: [], 3: []}
    estimator = SISNREstimator.from_hparams("sisnr_estimator")
    for number in range(files):
        count = 1 + number % 3
        sources, noise = speakers.excerpt(count, 20)
        scores, most = None, 3
        if model:
            mixture = torch.from_numpy(sources.sum(0) + noise)[None]
            outputs = model.separate(mixture, RATE)
            most = outputs.shape[1]
            scores = estimator.score(
                mixture=mixture, estimates=outputs, sample_rate=RATE
            )[0]
            outputs = outputs[0]
        else:
            silent = np.zeros((3 - count, sources.shape[1]), np.float32)
            outputs = leak(np.concatenate((sources, silent)), noise)
        activity = Activity(RATE)
        activity.add(outputs)
        found = activity.find(scores=scores).any(1).sum()
        right[count].append(float(found == min(count, most)))
    percent = {k: 100 * statistics.mean(v) for k, v in right.items() if v}
    for count, value in percent.items():
        print(f"{count} planted: {value:.0f} % right")
    mean = 100 * statistics.mean(sum(right.values(), []))
    print(f"of {files} files: {mean:.0f} % right", flush=True)
    return {"right_counts": mean}


def main():
    """Print shares, and how often the number of talkers is right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_folder", metavar="DIR")
    parser.add_argument("--model", help="a separator of two voices")
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--excerpts", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=600, help="of a file")
    parser.add_argument("--split", default="train")
    parser.add_argument("--include", nargs="+")
    parser.add_argument("--folder", type=Path, help="for prepared recordings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    add_option(parser)
    words = parser.parse_args()
    torch.set_num_threads(1)
    if words.quick:
        words.files, words.excerpts, words.seconds = 1, 3, 60
    with tempfile.TemporaryDirectory() as temporary:
        manifest = corpus.prepare(
            words.data_folder,
            words.folder or temporary,
            sample_rate=RATE,
            include=words.include,
        )
        speakers = Speakers(manifest, words.split, words.seed)
        model = None
        if words.model:
            model = Separator.from_hparams(words.model)
        figures = measure_counts(speakers, words.excerpts, model)
        figures |= measure_talks(speakers, words.files, words.seconds, model)
    write_figures(words.json, figures)


if __name__ == "__main__":
    main()
