"""Signals and the plain truth for the tests of MixIT."""

import functools
import itertools

import torch

SOLVERS = ["exact", "least_squares", "least_squares_flip"]


def outputs(
    sources, *, batch=3, samples=200, noise=0.3, residue=0.0, **options
):
    """Noisy estimates, two mixtures of them, and the planted assignment.

    The residue is what the mixtures hold besides: all too easy without.
    """
    generator = torch.Generator().manual_seed(sources)
    draw = functools.partial(torch.randn, generator=generator, **options)
    clean = draw(batch, sources, samples)
    second = torch.rand(batch, sources, generator=generator) > 0.5
    if sources > 1:  # both mixtures hold something
        second[:, 0] = ~second[:, -1]
    planted = torch.stack((~second, second), dim=1).to(clean.dtype)
    mixtures = planted @ clean + residue * draw(batch, 2, samples)
    return clean + noise * draw(clean.shape), mixtures, planted


def loss_of(estimates, mixtures, assignment, snr_max=30.0):
    """The loss of one example, as the paper has it."""
    power = mixtures.square().sum(-1)
    error = (mixtures - assignment @ estimates).square().sum(-1)
    ratio = (error + 10 ** (-snr_max / 10) * power) / power
    return 10 * torch.log10(ratio).mean()


def brute_force(estimates, mixtures, **options):
    """One example and one assignment at a time, in lexicographic order."""
    best = []
    for pair in zip(estimates, mixtures, strict=True):
        losses = {}
        for second in itertools.product((0.0, 1.0), repeat=len(pair[0])):
            row = pair[1].new_tensor(second)
            assignment = torch.stack((1 - row, row))
            losses[second] = loss_of(*pair, assignment, **options), assignment
        best.append(min(losses.values(), key=lambda found: found[0]))
    return (torch.stack(x) for x in zip(*best, strict=True))
