"""Separating recordings of any length, rate and level."""

import os
from glob import escape
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn

from speechbrain_ext.corpora.decoding import resampled
from speechbrain_ext.evaluation.levels import match_mixture_level
from speechbrain_ext.files import replaced
from speechbrain_ext.hub import load_folder
from speechbrain_ext.inference.active_outputs import active_outputs
from speechbrain_ext.inference.recordings import read_recording
from speechbrain_ext.losses import align, pit


class Separator:
    """A separator for whole recordings.

    Long recordings are separated in chunks that overlap; the order of the
    sources in a chunk is the one that agrees best with the chunk before, in
    what the two share.  Memory for the network is that of one chunk, whatever
    the length.  (Where nobody speaks for longer than the overlap, who goes on
    in which output is left to chance: the network does not know voices.)

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
        self.sample_rate = sample_rate
        self.chunk = round(chunk_seconds * sample_rate)
        self.overlap = max(1, round(overlap_seconds * sample_rate))
        self.match_level = match_level

    @classmethod
    def from_hparams(
        cls,
        source: str | Path,
        savedir: str | Path | None = None,
        trust: bool = False,
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
            If it holds no separator, or does not tell its sample rate.
        """
        loaded = load_folder(source, savedir=savedir, trust=trust)
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
        return cls(module, sample_rate=loaded.hparams["sample_rate"], **options)

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
            If the shape is another, or samples are not finite.
        """
        check_waveforms(waveforms)
        waveforms = waveforms.float()
        return self._level(self._separate(waveforms, sample_rate), waveforms)

    def _separate(self, waveforms, sample_rate):
        """Separate at the levels that the module gives."""
        mixtures = change_rate(waveforms, sample_rate, self.sample_rate)
        estimates = self._separate_chunks(mixtures)
        estimates = change_rate(estimates, self.sample_rate, sample_rate)
        # a copy is an ordinary tensor, open to autograd
        return estimates[..., : waveforms.shape[1]].clone()

    def _level(self, estimates, waveforms):
        """Bring estimates to their levels in the mixture, if that is asked."""
        if not self.match_level:
            return estimates
        return match_mixture_level(
            estimates=estimates, mixture=waveforms.to(estimates.device)
        )

    def separate_file(
        self,
        path: str | os.PathLike,
        folder: str | os.PathLike,
        *,
        active_only: bool = False,
    ) -> list[Path]:
        """Separate a file into one WAV file for each source.

        Arguments
        ---------
        path : str or Path
            Any file that libsndfile reads; channels are averaged.
        folder : str or Path
            Where NAME_source1.wav, NAME_source2.wav, ... are written, at the
            rate of the file, as 32-bit floats. Files of these names that an
            earlier call left are removed.
        active_only : bool
            Whether to write only the outputs that `active_outputs` finds
            active, the loudest first, both by the levels that the module
            gives: meant for modules whose levels can be compared.

        Returns
        -------
        paths : list of Path

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        UnusableAudio
            If it is empty, damaged, silent or not finite.
        """
        waveform, rate = read_recording(path)
        own = self._separate(waveform[None], rate)
        estimates = self._level(own, waveform[None])[0].cpu()
        if active_only:
            # matched levels would make faint copies as loud as sources
            order, active = active_outputs(estimates=own[0].cpu())
            estimates = estimates[order[active[order]]]
        for old in Path(folder).glob(f"{escape(Path(path).stem)}_source*.wav"):
            if old.stem.rpartition("_source")[2].isdigit():
                old.unlink()
        paths = []
        for number, estimate in enumerate(estimates, start=1):
            name = f"{Path(path).stem}_source{number}.wav"
            paths.append(Path(folder) / name)
            with replaced(paths[-1]) as partial:
                soundfile.write(
                    partial, estimate.numpy(), rate, "FLOAT", format="WAV"
                )
        return paths

    @torch.inference_mode()
    def _separate_chunks(self, mixtures: torch.Tensor) -> torch.Tensor:
        """Separate at the module's rate, chunk by chunk."""
        device = next(
            (parameter.device for parameter in self.module.parameters()),
            torch.device("cpu"),
        )
        time = mixtures.shape[1]
        whole, end = None, 0
        while end < time:
            # the last chunk is as long as the others, and overlaps more
            start = max(0, min(end - self.overlap, time - self.chunk))
            stop = min(start + self.chunk, time)
            piece = self.module(mixtures[:, start:stop].to(device)).float()
            piece = piece.cpu()
            if whole is None:
                whole = piece.new_zeros(*piece.shape[:2], time)
            else:
                shared = end - start
                before = whole[..., start:end]
                piece = reorder(piece, before)
                ramp = torch.linspace(0, 1, shared + 2)[1:-1]
                piece[..., :shared] = torch.lerp(
                    before, piece[..., :shared], ramp
                )
            whole[..., start:stop] = piece
            end = stop
        return whole


def reorder(piece: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Put the sources of a chunk into the order of the chunk before.

    Arguments
    ---------
    piece : torch.Tensor
        Shape (batch, sources, time).
    before : torch.Tensor
        Shape (batch, sources, shared): what was separated already of its
        first samples.

    Returns
    -------
    reordered : torch.Tensor
        Shape (batch, sources, time).

    Example
    -------
    >>> piece = torch.tensor([[[1.0, 2.0, 3.0], [0.0, -5.0, 0.0]]])
    >>> reorder(piece, torch.tensor([[[0.0, -4.0], [1.0, 1.0]]]))[0, 0]
    tensor([ 0., -5.,  0.])
    """
    _, permutation = pit(
        _agreement, estimates=piece[..., : before.shape[-1]], targets=before
    )
    return align(piece, permutation)


def _agreement(*, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Inner product: loud parts decide, and silence decides nothing."""
    return (estimate * target).sum(-1)


def check_waveforms(waveforms: torch.Tensor) -> None:
    """Refuse what is no batch of recordings.

    Arguments
    ---------
    waveforms : torch.Tensor
        To be of shape (batch, time).

    Raises
    ------
    ValueError
        If the shape is another, or samples are not finite.

    Example
    -------
    >>> check_waveforms(torch.zeros(2, 8000))
    """
    if waveforms.ndim != 2 or waveforms.shape[1] == 0:
        raise ValueError(
            f"waveforms of shape {tuple(waveforms.shape)}; they must be "
            "(batch, time), with at least one sample"
        )
    if not torch.isfinite(waveforms).all():
        raise ValueError(
            "waveforms: some samples are NaN or infinite; repair the "
            "recording first"
        )


def change_rate(
    waveforms: torch.Tensor, rate: int, wanted: int
) -> torch.Tensor:
    """Resample waveforms one by one, in memory that does not grow.

    Arguments
    ---------
    waveforms : torch.Tensor
        Shape (..., time).
    rate, wanted : int
        In Hz.

    Returns
    -------
    resampled : torch.Tensor
        Shape (..., ceil(time * wanted / rate)).

    Example
    -------
    >>> change_rate(torch.zeros(2, 3, 441), 44100, 8000).shape
    torch.Size([2, 3, 80])
    """
    if rate == wanted:
        return waveforms
    rows = [
        np.concatenate(list(resampled([row], rate, wanted)))
        for row in waveforms.flatten(0, -2).cpu().numpy()
    ]
    return torch.from_numpy(np.stack(rows)).view(*waveforms.shape[:-1], -1)
