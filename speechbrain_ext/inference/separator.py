"""Separating recordings of any length, rate and level."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import torch
from torch import nn

from speechbrain_ext.corpora.decoding import resampled
from speechbrain_ext.evaluation.levels import MixtureLevels
from speechbrain_ext.hub import load_folder
from speechbrain_ext.inference.batch import (
    SOURCE,
    Item,
    model_name,
    output_stem,
)
from speechbrain_ext.inference.recordings import Recording
from speechbrain_ext.inference.streaming import StoredEstimates
from speechbrain_ext.inference.waveforms import (
    change_rate,
    check_output,
    check_waveforms,
    fit,
    join,
    move_module,
    reorder,
)
from speechbrain_ext.losses.active_outputs import active_levels
from speechbrain_ext.outputs import remove_outputs, require_free

# What is shorter gets zeros behind it: networks need some frames.
SHORTEST_SECONDS = 0.25


class Separator:
    """A separator for whole recordings.

    Long recordings are separated in chunks that overlap; the order of the
    sources in a chunk is the one that agrees best with the chunk before, in
    what the two share.  Files are read, separated and written in blocks:
    memory does not grow with their length.  (Where nobody speaks for longer
    than the overlap, who goes on in which output is left to chance: the
    network does not know voices.)

    Arguments
    ---------
    module : torch.nn.Module
        Mixtures (batch, time) to estimates (batch, sources, time).
    sample_rate : int
        Rate that the module works at, in Hz.
    chunk_seconds : float
        Length of a chunk.
    overlap_seconds : float
        What a chunk shares with the one before, at least.
    match_level : bool
        Whether each output is brought to the level that it has in the
        mixture. False for a module whose outputs add up to the mixture: its
        levels are right, and an output that holds but a faint copy of the
        mixture would be raised to the mixture's level.

    Raises
    ------
    ValueError
        If the overlap is not shorter than the chunk, or not above 0.

    Example
    -------
    >>> from speechbrain_ext.models import SpectralConvTasNet
    >>> module = SpectralConvTasNet(channels=8, hidden=8, blocks=1)
    >>> separator = Separator(module, sample_rate=8000)
    >>> separator.separate(torch.randn(1, 44100), 44100).shape
    torch.Size([1, 2, 44100])
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        sample_rate: int,
        chunk_seconds: float = 8.0,
        overlap_seconds: float = 2.0,
        match_level: bool = True,
    ) -> None:
        if not 0 < overlap_seconds < chunk_seconds:
            raise ValueError(
                f"overlap_seconds={overlap_seconds} must lie between 0 and "
                f"chunk_seconds={chunk_seconds}"
            )
        self.module = module.eval()
        self.sample_rate = int(sample_rate)
        self.chunk = round(chunk_seconds * sample_rate)
        self.overlap = max(1, round(overlap_seconds * sample_rate))
        self.match_level = match_level
        # of the model, for the marks of folders
        self.name = ""

    @classmethod
    def from_hparams(
        cls,
        source: str | Path,
        savedir: str | Path | None = None,
        trust: bool = False,
        revision: str | None = None,
        device: str | torch.device | None = None,
        **options,
    ) -> "Separator":
        """Load a published separator: ours, or one of SpeechBrain's.

        Arguments
        ---------
        source : str or Path
            A folder, or a hub repository `USER/NAME`.
        savedir : str or Path, optional
            Where downloads are kept.
        trust : bool
            Run whatever its hyperparams.yaml says; see
            `speechbrain_ext.hub.load_folder`.
        revision : str, optional
            Of a hub repository: branch, tag or commit.
        device : str or torch.device, optional
            Where to compute; by default the CPU.
        **options
            `chunk_seconds`, `overlap_seconds` and `match_level`. The last is
            by default what its hyperparams.yaml says, or else True.

        Returns
        -------
        separator : Separator

        Raises
        ------
        RefusedError
            If the folder asks for more than a model needs.
        ValueError
            If it holds no separator, does not tell its sample rate, or the
            device cannot be used.
        """
        loaded = load_folder(
            source, savedir=savedir, trust=trust, revision=revision
        )
        module = loaded.separator()
        if module is None:
            raise ValueError(
                f"{source} holds the modules {sorted(loaded.modules)}; a "
                "separator is one module 'separator', or encoder, masknet "
                "and decoder"
            )
        if "sample_rate" not in loaded.hparams:
            raise ValueError(
                f"{source}: its hyperparams.yaml has no key sample_rate; "
                "add the rate that it was trained at"
            )
        options.setdefault(
            "match_level", loaded.hparams.get("match_level", True)
        )
        module = move_module(module, device)
        separator = cls(
            module, sample_rate=loaded.hparams["sample_rate"], **options
        )
        separator.name = model_name(source)
        return separator

    def count_sources(self) -> int:
        """Tell how many sources the module gives; ask it, if it has no word."""
        told = getattr(self.module, "num_sources", None)
        if isinstance(told, int):
            return told
        with torch.inference_mode():
            return self._separate(torch.zeros(1, self.sample_rate)).shape[1]

    def separate(
        self, waveforms: torch.Tensor, sample_rate: int
    ) -> torch.Tensor:
        """Separate a batch of mixtures.

        Arguments
        ---------
        waveforms : torch.Tensor
            Shape (batch, time), of any length and level.
        sample_rate : int
            Their rate in Hz; converted to the module's and back.

        Returns
        -------
        estimates : torch.Tensor
            Shape (batch, sources, time), at the rate of the input, each at
            the level that it has in the mixture (see `match_level`); zeros
            where the whole mixture is silent.

        Raises
        ------
        ValueError
            If the shape is another, or samples are not finite, or the module
            gives another shape (see `check_output`).
        """
        check_waveforms(waveforms)
        waveforms = waveforms.float().cpu()
        mixtures = change_rate(waveforms, sample_rate, self.sample_rate)
        levels, parts = MixtureLevels(), []
        for mixture, estimates in self._stream([mixtures]):
            levels.add(estimates=estimates, mixture=mixture)
            parts.append(estimates)
        estimates = torch.cat(parts, -1)
        if self.match_level:
            estimates = estimates * levels.gains().float()[..., None]
        estimates = change_rate(estimates, self.sample_rate, sample_rate)
        # a copy is an ordinary tensor, open to autograd
        return estimates[..., : waveforms.shape[1]].clone()

    def separate_file(
        self,
        path: str | os.PathLike,
        folder: str | os.PathLike,
        *,
        active_only: bool = False,
        overwrite: bool = False,
    ) -> list[Path]:
        """Separate a file into one WAV file for each source.

        Arguments
        ---------
        path : str or Path
            Any file that libsndfile reads; channels are averaged.
        folder : str or Path
            Where NAME_source1.wav, NAME_source2.wav, ... are written, at the
            rate of the file, as 32-bit floats. What an earlier call wrote
            under such names is replaced or, where there are fewer sources,
            removed.
        active_only : bool
            Whether to write only the outputs that `active_outputs` finds
            active, the loudest first, both by the levels that the module
            gives: meant for modules whose levels can be compared.
        overwrite : bool
            Whether files of these names may be replaced that no earlier call
            has made of the same recording with the same model.

        Returns
        -------
        paths : list of Path

        Raises
        ------
        FileExistsError
            If such files are there; see `speechbrain_ext.outputs`.
        FileNotFoundError
            If there is no such recording.
        UnusableAudio
            If it is empty, damaged, silent or not finite.
        """
        item = Item(Path(path), Path(folder))
        told = getattr(self.module, "num_sources", 0)
        made = item.made("separate", self.name)
        require_free(
            [(target, made) for target in item.sources(told)],
            overwrite=overwrite,
        )
        with self.separated(path, folder) as stored:
            chosen = range(len(stored))
            if active_only:
                # matched levels would make faint copies as loud as sources
                order, active = active_levels(rms=stored.levels.rms())
                chosen = order[active[order]].tolist()
            paths = item.sources(len(chosen))
            require_free([(p, made) for p in paths], overwrite=overwrite)
            for source, target in zip(chosen, paths, strict=True):
                stored.write(
                    source,
                    target,
                    maker="separate",
                    source=item.source(self.name),
                    overwrite=overwrite,
                )
        prefix = f"{output_stem(path)}{SOURCE}"
        others = [
            old
            for old in item.folder.glob("*.wav")
            if old.stem.startswith(prefix)
            and old.stem.removeprefix(prefix).isdecimal()
            and old not in paths
        ]
        remove_outputs(others, made)
        return paths

    @contextmanager
    def separated(
        self,
        path: str | os.PathLike,
        folder: str | os.PathLike | None = None,
    ) -> Iterator[StoredEstimates]:
        """Separate a file, and keep the estimates on disk for a while.

        Arguments
        ---------
        path : str or Path
            Any file that libsndfile reads; channels are averaged.
        folder : str or Path, optional
            See `StoredEstimates`.

        Yields
        ------
        stored : StoredEstimates
            At the levels that `separate` gives.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        UnusableAudio
            If it is empty, damaged, silent or not finite.
        """
        with StoredEstimates(folder, sample_rate=self.sample_rate) as stored:
            with Recording(path) as blocks:
                rate = stored.recording_rate = blocks.sample_rate
                rows = resampled(blocks.watched(), rate, self.sample_rate)
                mixtures = (torch.from_numpy(row)[None] for row in rows)
                for mixture, estimates in self._stream(mixtures):
                    stored.add(mixture[0], estimates[0])
                blocks.require_sound()
                stored.frames = blocks.frames
            if self.match_level:
                stored.gains = stored.levels.gains()
            yield stored

    @torch.inference_mode()
    def _stream(
        self, blocks: Iterable[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Separate at the module's rate and levels, chunk by chunk.

        Mixtures come in blocks (batch, time) of any length, and go out with
        their estimates (batch, sources, time). All chunks but one of a short
        recording have one length; the last one overlaps more. What the next
        chunk may overlap is held back.
        """
        mixtures, estimates = None, None
        for block in chain(blocks, (None,)):
            if block is not None:
                mixtures = join(mixtures, block)
            elif mixtures is None:
                return
            time = mixtures.shape[1]
            while True:
                end = 0 if estimates is None else estimates.shape[2]
                start = max(0, end - self.overlap)
                if start + self.chunk > time:
                    if block is not None or end == time:
                        break
                    start = max(0, time - self.chunk)
                sources = None if estimates is None else estimates.shape[1]
                piece = mixtures[:, start : start + self.chunk]
                piece = self._separate(piece, sources)
                estimates = cross_fade(estimates, piece, start)
                past = estimates.shape[2] - self.chunk
                if past > 0:
                    yield mixtures[:, :past], estimates[..., :past]
                    mixtures, estimates = (
                        mixtures[:, past:],
                        estimates[..., past:],
                    )
                    time -= past
        yield mixtures, estimates

    def _separate(
        self, mixtures: torch.Tensor, sources: int | None = None
    ) -> torch.Tensor:
        """Let the module separate, on its device and in its precision."""
        time = mixtures.shape[1]
        missing = round(SHORTEST_SECONDS * self.sample_rate) - time
        padded = nn.functional.pad(mixtures, (0, max(0, missing)))
        estimates = self.module(fit(padded, self.module))
        check_output(estimates, (len(padded), sources, padded.shape[1]))
        return estimates[..., :time].float().cpu()


def cross_fade(
    before: torch.Tensor | None, piece: torch.Tensor, start: int
) -> torch.Tensor:
    """Append a chunk to what was separated already.

    Arguments
    ---------
    before : torch.Tensor or None
        Shape (batch, sources, time); None for the first chunk.
    piece : torch.Tensor
        Shape (batch, sources, time): the chunk, in any order of its sources.
    start : int
        Where in `before` it begins.

    Returns
    -------
    joined : torch.Tensor
        Shape (batch, sources, start + time of the chunk).
    """
    if before is None:
        return piece
    shared = before[..., start:]
    piece = reorder(piece, shared)
    count = shared.shape[-1]
    ramp = torch.linspace(0, 1, count + 2)[1:-1]
    blend = torch.lerp(shared, piece[..., :count], ramp)
    return torch.cat((before[..., :start], blend, piece[..., count:]), -1)
