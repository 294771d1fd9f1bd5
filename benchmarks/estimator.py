"""The blind SI-SNR estimator: training and scoring, against SpeechBrain's.

    python benchmarks/estimator.py            the table (about two minutes)
    python benchmarks/estimator.py --quick    shorter, as a smoke test

Training: examples per second of a step (oracle SI-SNR of two estimates, the
network, L1, backward, Adam), on mixtures and estimates that are there
already, in bfloat16 too where the CPU has it; "ours" is the paper's network,
"spectral" the one that ships.  The peer is SpeechBrain's recipe
REAL-M/sisnr-estimation: its network from SpeechBrain's own layers, its greedy
oracle, a batch of 1, which is all that it can take.  Scoring: seconds of audio
that are scored in a second, one source at a time.  All in turn in one run,
median of several; ratios count, times depend on the machine.
"""

import argparse
import os
import statistics
import time

import torch
from figures import add_option, write_figures
from speechbrain.nnet.losses import get_si_snr_with_pitwrapper
from speechbrain.nnet.pooling import StatisticsPooling

from speechbrain_ext.inference import SISNREstimator
from speechbrain_ext.losses import align, pit, si_sdr
from speechbrain_ext.models import SISNREstimator as Network
from speechbrain_ext.models import SpectralEncoder
from speechbrain_ext.training.processes import is_bfloat16_fast

RATE = 8000


class Ours:
    """A training step of this project, in bfloat16 or float32."""

    def __init__(self, half, encoder=None):
        self.network = Network(snr_min=-10, snr_max=20, encoder=encoder)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-4)
        self.half = half

    def step(self, mixture, targets, estimates):
        """Learn from a batch."""
        _, permutation = pit(si_sdr, estimates=estimates, targets=targets)
        estimates = align(estimates, permutation)
        true = si_sdr(estimate=estimates, target=targets).clamp(-10, 20)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            scores = self.network(mixture, estimates)
        loss = (scores - true).abs().mean() / 30
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class Theirs:
    """A training step of SpeechBrain's recipe: float32, a batch of 1."""

    def __init__(self):
        network = Network(snr_min=-10, snr_max=20)
        self.encoder, self.encoder_out = network.encoder, network.encoder_out
        self.pooling = StatisticsPooling()
        self.optimizer = torch.optim.Adam(network.parameters(), 1e-4)

    def step(self, mixture, targets, estimates):
        """Learn from one example."""
        targets, estimates = targets.mT, estimates.mT
        estimates, mixture = (
            (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
            for x in (estimates, mixture)
        )
        losses = torch.stack(
            [
                get_si_snr_with_pitwrapper(
                    targets[..., source : source + 1], estimates[..., :1]
                )
                for source in (0, 1)
            ]
        )
        first, which = losses.min(0)
        second = get_si_snr_with_pitwrapper(
            targets[:, :, 1 - which], estimates[..., 1:]
        )
        true = (-torch.stack((first, second), 1).clip(-20, 10) + 10) / 30
        pairs = torch.stack((estimates[0].mT, mixture.expand(2, -1)), 1)
        frames = self.encoder(pairs).permute(0, 2, 1)
        scores = self.encoder_out(self.pooling(frames)).squeeze()
        loss = (true.reshape(-1) - scores).abs().mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def make_signals(batch, seconds):
    """Make mixtures of two noises, and estimates of about 5 dB."""
    generator = torch.Generator().manual_seed(batch)
    shape = (batch, 2, round(seconds * RATE))
    targets = torch.randn(shape, generator=generator)
    noise = torch.randn(shape, generator=generator)
    return targets.sum(1), targets, targets + 0.5 * noise


def train(seconds, rounds):
    """Print examples per second of training; return them."""
    cases = {
        "SpeechBrain, batch 1": (Theirs(), 1),
        "ours, float32, batch 1": (Ours(half=False), 1),
        "ours, float32, batch 16": (Ours(half=False), 16),
        "spectral, float32, batch 16": (Ours(False, SpectralEncoder()), 16),
    }
    if is_bfloat16_fast("cpu"):  # elsewhere it takes minutes
        cases |= {
            "ours, bfloat16, batch 1": (Ours(half=True), 1),
            "ours, bfloat16, batch 16": (Ours(half=True), 16),
            "spectral, bfloat16, batch 16": (
                Ours(True, SpectralEncoder()),
                16,
            ),
        }
    rates = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, (peer, batch) in cases.items():
            signals = make_signals(batch, seconds)
            start = time.perf_counter()
            peer.step(*signals)
            if number:  # the first is a warm-up
                rates[name].append(batch / (time.perf_counter() - start))
    rates = {name: statistics.median(found) for name, found in rates.items()}
    base = rates["SpeechBrain, batch 1"]
    print(f"\ntraining, {seconds:g} s\n{'':28s}examples/s   ratio")
    for name, rate in rates.items():
        print(f"{name:28s}{rate:10.2f}{rate / base:8.2f}")
    return {f"training, {name}": rate for name, rate in rates.items()}


def score(durations, rounds):
    """Print how many times faster than real time one source is scored.

    Returns these figures.
    """
    figures = {}
    networks = {
        "ours": Network(-10, 20),
        "spectral": Network(-10, 20, SpectralEncoder()),
    }
    print(f"\nscoring one source\n{'':28s}times real time")
    for name, network in networks.items():
        estimator = SISNREstimator(network, sample_rate=RATE)
        for seconds in durations:
            mixture, _, estimates = make_signals(1, seconds)
            found = []
            for _ in range(rounds + 1):
                start = time.perf_counter()
                estimator.score(
                    mixture=mixture,
                    estimates=estimates[:, :1],
                    sample_rate=RATE,
                )
                found.append(seconds / (time.perf_counter() - start))
            speed = statistics.median(found[1:])
            print(f"{name}, {seconds:g} s".ljust(28) + f"{speed:15.1f}")
            figures[f"scoring, {name}, {seconds:g} s"] = speed
    return figures


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    add_option(parser)
    arguments = parser.parse_args()
    seconds, rounds, durations = 4.0, arguments.rounds, (4.0, 60.0)
    if arguments.quick:
        seconds, rounds, durations = 0.1, 1, (0.5,)
    print(
        f"SI-SNR estimator, {RATE} Hz, {torch.get_num_threads()} of "
        f"{os.cpu_count()} threads, torch {torch.__version__}"
    )
    figures = train(seconds, rounds) | score(durations, rounds)
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
