"""Chunks of outputs, joined in an order that stays the same."""

from typing import NamedTuple

import torch

from speechbrain_ext.inference.voices import MOST_VOICES, Voices
from speechbrain_ext.inference.waveforms import reorder


class Undecided(NamedTuple):
    """Chunks whose order is not decided yet.

    Arguments
    ---------
    start : int
        Where they begin, in what is held.
    estimates : torch.Tensor
        Shape (sources, time).
    heard : torch.Tensor
        Shape (sources, ...): descriptions of the voices.
    orders : list of tuple of int
        The orders that may be.
    """

    start: int
    estimates: torch.Tensor
    heard: torch.Tensor
    orders: list[tuple[int, ...]]


class Outputs:
    """The outputs for one mixture, chunk after chunk.

    A chunk is put into the order of those before by what the two share. Where
    that tells little, two or three outputs are put into order by the voices;
    to hear more of these, what follows is kept, up to `Voices.patience`.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (sources, time): of the first chunk.
    sample_rate : int, optional
        In Hz; without it, what chunks share is all that tells their order.

    Example
    -------
    >>> outputs = Outputs(torch.eye(4))
    >>> outputs.add(2, torch.eye(4)[:, 2:].flip(0))
    >>> outputs.finish()
    >>> bool((outputs.give(4) == torch.eye(4)).all())
    True
    """

    def __init__(
        self, estimates: torch.Tensor, sample_rate: int | None = None
    ) -> None:
        self._estimates = estimates
        self._undecided: Undecided | None = None
        self._voices = None
        if sample_rate and 1 < len(estimates) <= MOST_VOICES:
            self._voices = Voices(sample_rate)
            self._voices.heard = self._voices.listen(estimates)

    @property
    def decided(self) -> int:
        """How many samples lie in an order that is decided."""
        if self._undecided:
            return self._undecided.start
        return self._estimates.shape[1]

    def add(self, start: int, piece: torch.Tensor) -> None:
        """Join a chunk.

        Arguments
        ---------
        start : int
            Where it begins, in what is held.
        piece : torch.Tensor
            Shape (sources, time).
        """
        voices, held = self._voices, self._undecided
        begin = held.start if held else 0
        before = held.estimates if held else self._estimates
        shared = before[:, start - begin :]
        if not voices:
            piece = reorder(piece[None], shared[None])[0]
            self._estimates = cross_fade(before, piece, start)
            return
        orders = voices.orders(piece[:, : shared.shape[1]], shared)
        heard = voices.listen(piece)
        if len(orders) == 1:
            order = list(orders[0])
            heard = heard[order]
            joined = cross_fade(before, piece[order], start - begin)
            if held:
                heard = held.heard + heard
                self._undecided = Undecided(begin, joined, heard, held.orders)
            else:
                self._estimates, voices.heard = joined, voices.heard + heard
        else:
            self.finish()
            self._undecided = Undecided(start, piece, heard, orders)
        held = self._undecided
        if held and held.estimates.shape[1] > voices.patience:
            self.finish()

    def finish(self) -> None:
        """Decide what is undecided."""
        if held := self._undecided:
            order = list(self._voices.assign(held.heard, held.orders))
            self._voices.heard = self._voices.heard + held.heard[order]
            piece = held.estimates[order]
            self._estimates = cross_fade(self._estimates, piece, held.start)
            self._undecided = None

    def give(self, time: int) -> torch.Tensor:
        """Hand out the first samples: (sources, time), and forget them."""
        given = self._estimates[:, :time]
        self._estimates = self._estimates[:, time:]
        if held := self._undecided:
            self._undecided = held._replace(start=held.start - time)
        return given


def cross_fade(
    before: torch.Tensor, piece: torch.Tensor, start: int
) -> torch.Tensor:
    """Append a chunk to what was separated already.

    Arguments
    ---------
    before : torch.Tensor
        Shape (sources, time).
    piece : torch.Tensor
        Shape (sources, time): the chunk.
    start : int
        Where in `before` it begins.

    Returns
    -------
    joined : torch.Tensor
        Shape (sources, start + time of the chunk).
    """
    shared = before[:, start:]
    count = shared.shape[1]
    ramp = torch.linspace(0, 1, count + 2)[1:-1]
    blend = torch.lerp(shared, piece[:, :count], ramp)
    return torch.cat((before[:, :start], blend, piece[:, count:]), 1)
