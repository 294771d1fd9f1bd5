"""Signals of any length on their way through a module: cut, batched, joined."""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import torch

from speechbrain_ext.inference.joining import Outputs
from speechbrain_ext.inference.waveforms import check_output, join

logger = logging.getLogger(__name__)


class Signal:
    """Mixtures of one length whose chunks are separated, and joined again.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Their consecutive parts, shape (batch, time). An error of reading
        them is kept as the error of this signal.
    take : Callable
        Gets, part by part, mixtures (batch, time) and their estimates
        (batch, sources, time), once no further chunk overlaps them.
    sample_rate : int, optional
        In Hz; without it, voices are not told apart: see `Outputs`.
    """

    def __init__(
        self,
        blocks: Iterable[torch.Tensor],
        take: Callable,
        sample_rate: int | None = None,
    ) -> None:
        self.blocks, self.take, self.sample_rate = blocks, take, sample_rate
        self.error: Exception | None = None
        self._mixtures: torch.Tensor | None = None
        self._rows: list[Outputs] = []
        self._sources = None
        # where they begin
        self._first = 0

    def cut(
        self, length: int, overlap: int
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Cut into chunks that overlap.

        Arguments
        ---------
        length : int
            Of all chunks but one of a shorter signal, in samples.
        overlap : int
            What a chunk shares with the one before, at least; the last one
            shares more.

        Yields
        ------
        start : int
            Of the chunk in the signal.
        chunk : torch.Tensor
            Shape (batch, time).
        """
        held, first, end = None, 0, 0
        for block in chain(self.blocks, (None,)):
            if block is not None:
                held = join(held, block)
            elif held is None:
                return
            time = first + held.shape[1]
            while True:
                start = max(0, end - overlap)
                if start + length > time:
                    if block is not None or end == time:
                        break
                    start = max(0, time - length)
                chunk = held[:, start - first :][:, :length]
                yield start, chunk
                end = start + chunk.shape[1]
                # the last chunk may begin there
                kept = max(0, end - length)
                held, first = held[:, kept - first :], kept

    def add(
        self, start: int, chunk: torch.Tensor, estimates: torch.Tensor
    ) -> None:
        """Join a chunk that was separated to those before."""
        check_output(estimates, (len(chunk), self._sources, chunk.shape[1]))
        if not self._rows:
            self._mixtures, self._sources = chunk, estimates.shape[1]
            self._rows = [Outputs(row, self.sample_rate) for row in estimates]
            return
        start -= self._first
        self._mixtures = join(self._mixtures[:, :start], chunk)
        for outputs, row in zip(self._rows, estimates, strict=True):
            outputs.add(start, row)
        decided = min(outputs.decided for outputs in self._rows)
        self._give(min(decided, self._mixtures.shape[1] - chunk.shape[1]))

    def _give(self, time: int) -> None:
        """Hand out the first samples of what is held."""
        if time > 0:
            estimates = torch.stack([row.give(time) for row in self._rows])
            self.take(self._mixtures[:, :time], estimates)
            self._mixtures = self._mixtures[:, time:]
            self._first += time

    def finish(self) -> None:
        """Hand out the rest."""
        for outputs in self._rows:
            outputs.finish()
        if self._rows:
            self._give(self._mixtures.shape[1])


class Piece(NamedTuple):
    """A chunk of a signal; None for the chunk is the signal's end."""

    signal: Signal
    start: int
    chunk: torch.Tensor | None


@torch.inference_mode()
def separate_signals(
    signals: Iterable[Signal],
    separate: Callable[[torch.Tensor], torch.Tensor],
    *,
    length: int,
    overlap: int,
    batch: int = 1,
) -> Iterator[Signal]:
    """Separate signals, several of their chunks at a time.

    Arguments
    ---------
    signals : iterable of Signal
        Read one after the other.
    separate : Callable
        Mixtures (batch, time) to estimates (batch, sources, time).
    length, overlap : int
        See `Signal.cut`.
    batch : int
        Chunks that are separated together, at most. They are of one length,
        and may be of several signals.

    Yields
    ------
    signal : Signal
        Each in its order, when all of it was taken or it has an error.
    """
    waiting, chunks = [], []
    for piece in _pieces(signals, length, overlap):
        chunk = piece.chunk
        if chunk is not None and chunks and chunk.shape != chunks[0].shape:
            yield from _finish(waiting, separate)
            waiting, chunks = [], []
        waiting.append(piece)
        if chunk is not None:
            chunks.append(chunk)
        if sum(map(len, chunks)) >= batch or not chunks:
            yield from _finish(waiting, separate)
            waiting, chunks = [], []
    yield from _finish(waiting, separate)


def _pieces(
    signals: Iterable[Signal], length: int, overlap: int
) -> Iterator[Piece]:
    """Cut signals one after the other, each as long as nothing fails."""
    for signal in signals:
        try:
            for start, chunk in signal.cut(length, overlap):
                yield Piece(signal, start, chunk)
                if signal.error:
                    break
        except Exception as error:
            signal.error = signal.error or error
        yield Piece(signal, 0, None)


def _finish(waiting: list[Piece], separate: Callable) -> Iterator[Signal]:
    """Separate chunks, hand them to their signals, give those that end."""
    todo = [p for p in waiting if p.chunk is not None and not p.signal.error]
    found = _separate([piece.chunk for piece in todo], separate)
    results = dict(zip(map(id, todo), found, strict=True))
    for piece in waiting:
        signal, start, chunk = piece
        if not signal.error:
            try:
                if chunk is None:
                    signal.finish()
                elif isinstance(results[id(piece)], Exception):
                    raise results[id(piece)]
                else:
                    signal.add(start, chunk, results[id(piece)])
            except Exception as error:
                signal.error = error
        if chunk is None:
            yield signal


def _separate(
    chunks: list[torch.Tensor], separate: Callable
) -> list[torch.Tensor | Exception]:
    """Separate chunks together or, where that fails, one by one."""
    if not chunks:
        return []
    try:
        return list(separate(torch.cat(chunks)).split(len(chunks[0])))
    except Exception as error:
        if len(chunks) == 1:
            return [error]
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            logger.warning(
                "%d chunks together need too much memory, and are separated "
                "one by one; lower the batch",
                len(chunks),
            )
    # a single one may be at fault
    return [x for chunk in chunks for x in _separate([chunk], separate)]
