"""Separating recordings of any length, rate and level."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import nn

from speechbrain_ext.evaluation.levels import MixtureLevels
from speechbrain_ext.hub import load_folder
from speechbrain_ext.inference.batch import (
    SOURCE,
    Item,
    model_name,
    output_stem,
)
from speechbrain_ext.inference.chunking import Signal, separate_signals
from speechbrain_ext.inference.streaming import StoredEstimates
from speechbrain_ext.inference.waveforms import (
    change_rate,
    check_output,
    check_precision,
    check_waveforms,
    fit,
    in_precision,
    move_module,
)
from speechbrain_ext.outputs import remove_outputs, require_free

# What is shorter gets zeros behind it: networks need some frames.
SHORTEST_SECONDS = 0.25


class Separator:
    """A separator for whole recordings.

    Long recordings are separated in chunks that overlap; the order of the
    sources in a chunk is the one that agrees best with the chunk before, in
    what the two share.  Where that tells little, as in silence, two or three
    outputs are taken for talkers, and told by their voices; see `Outputs`.
    Files are read, separated and written in blocks: memory does not grow with
    their length.

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
    batch : int
        Chunks that are computed together, of one or several files: faster on
        a GPU, and the same up to rounding.
    precision : str
        fp32, bf16 or fp16: what the module computes in, where it can.

    Raises
    ------
    ValueError
        If the overlap is not shorter than the chunk, or not above 0, or
        another option is not as it should be.

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
        batch: int = 1,
        precision: str = "fp32",
    ) -> None:
        if not 0 < overlap_seconds < chunk_seconds:
            raise ValueError(
                f"overlap_seconds={overlap_seconds} must lie between 0 and "
                f"chunk_seconds={chunk_seconds}"
            )
        if batch < 1:
            raise ValueError(f"batch={batch} must be at least 1")
        self.batch = batch
        self.precision = check_precision(precision)
        self.module = module.eval()
        self.sample_rate = int(sample_rate)
        self.chunk = round(chunk_seconds * sample_rate)
        self.overlap = max(1, round(overlap_seconds * sample_rate))
        self.match_level = match_level
        self.name = ""  # of the model, for the marks of folders

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
            A folder, a hub repository `USER/NAME`, or a name that
            `speechbrain-ext models` lists; of the last two also
            ``NAME@REVISION``.
        savedir : str or Path, optional
            Where downloads are kept.
        trust : bool
            Run whatever its hyperparams.yaml says; see
            `speechbrain_ext.hub.load_folder`.
        revision : str, optional
            Of a hub repository: branch, tag or commit.
        device : str or torch.device, optional
            Where to compute, such as cuda; auto is the first of cuda, mps and
            cpu that is there. By default the CPU.
        **options
            Of `Separator`. `match_level` is by default what its
            hyperparams.yaml says, or else True.

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
        match_level = loaded.hparams.get("match_level", True)
        options.setdefault("match_level", match_level)
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

        def take(mixture, estimates):
            levels.add(estimates=estimates, mixture=mixture)
            parts.append(estimates)

        (signal,) = self._run([Signal([mixtures], take, self.sample_rate)])
        if signal.error:
            raise signal.error
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
        talkers: str = "all",
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
        talkers : str
            all: outputs as the module gives them. auto: where one of two or
            three voices speaks alone, its output gets the sum of all.
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
            return self.write(
                item,
                stored,
                active_only=active_only,
                talkers=talkers,
                overwrite=overwrite,
            )

    def write(
        self,
        item: Item,
        stored: StoredEstimates,
        *,
        active_only: bool = False,
        talkers: str = "all",
        overwrite: bool = False,
    ) -> list[Path]:
        """Write what became of a file; see `separate_file`."""
        made = item.made("separate", self.name)
        chosen = stored.choose(item.path, active_only, talkers)
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
        prefix = f"{output_stem(item.path)}{SOURCE}"
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
        progress: Callable[[float], object] | None = None,
    ) -> Iterator[StoredEstimates]:
        """Separate a file, and keep the estimates on disk for a while.

        Arguments
        ---------
        path : str or Path
            Any file that libsndfile reads; channels are averaged.
        folder : str or Path, optional
            See `StoredEstimates`.
        progress : Callable, optional
            See `separate_each`.

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
        (stored,) = self.separate_each([Item(Path(path), folder)], progress)
        with stored:
            yield stored

    def separate_each(
        self,
        items: Iterable[Item],
        progress: Callable[[float], object] | None = None,
    ) -> Iterator[StoredEstimates]:
        """Separate files, `batch` of their chunks at a time.

        Arguments
        ---------
        items : iterable of Item
            What to read, and where it is going to be written.
        progress : Callable, optional
            Gets the seconds of audio, block by block; see
            `Recording.watched`.

        Yields
        ------
        stored : StoredEstimates
            Of each item, in their order, at the levels that `separate` gives;
            to be entered as a context, which raises what went wrong with that
            file.
        """
        results = {}
        weights = next(self.module.parameters(), torch.empty(0))
        how = {"sample_rate": self.sample_rate, "device": weights.device}

        def take(stored, mixture, estimates):
            stored.add(mixture[0], estimates[0])

        def signals():
            for path, folder in items:
                stored = StoredEstimates(folder, **how)
                blocks = stored.read(path, progress)
                taken = partial(take, stored)
                signal = Signal(blocks, taken, self.sample_rate)
                results[signal] = stored
                yield signal

        for signal in self._run(signals()):
            stored = results.pop(signal)
            stored.error = signal.error
            if self.match_level and not signal.error:
                stored.gains = stored.levels.gains()
            yield stored

    def _run(self, signals: Iterable[Signal]) -> Iterator[Signal]:
        """Separate signals at the module's rate and levels."""
        return separate_signals(
            signals,
            self._separate,
            length=self.chunk,
            overlap=self.overlap,
            batch=self.batch,
        )

    def _separate(self, mixtures: torch.Tensor) -> torch.Tensor:
        """Let the module separate, on its device and in its precision."""
        time = mixtures.shape[1]
        missing = round(SHORTEST_SECONDS * self.sample_rate) - time
        padded = nn.functional.pad(mixtures, (0, max(0, missing)))
        with in_precision(self.module, self.precision):
            estimates = self.module(fit(padded, self.module))
        check_output(estimates, (len(padded), None, padded.shape[1]))
        return estimates[..., :time].float().cpu()
