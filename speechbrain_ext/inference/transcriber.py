"""Writing down what is said in recordings of any length, rate and level."""

import os
from pathlib import Path

import torch
from torch import nn

from speechbrain_ext.hub import load_folder
from speechbrain_ext.inference.enhancer import Enhancer, write_enhanced
from speechbrain_ext.inference.recordings import read_recording
from speechbrain_ext.inference.separator import change_rate, check_waveforms
from speechbrain_ext.models import CharacterTable
from speechbrain_ext.models.sisnr_estimator import is_silent

# A long recording is cut in the quietest stretch of this length.
PAUSE_SECONDS = 0.2
# Shorter pieces get zeros behind them.
SHORTEST_SECONDS = 0.5


class Transcriber:
    """A recogniser for whole recordings, maybe behind an enhancer.

    Long recordings are enhanced in chunks that overlap (see `Enhancer`),
    cut where they are quietest, and recognised piece by piece, greedily:
    memory is bounded whatever the length.

    Arguments
    ---------
    recogniser : torch.nn.Module
        (batch, time) and relative lengths to a `Recognition`.
    enhancer : torch.nn.Module, optional
        (batch, time) to (batch, 1, time).
    sample_rate : int
        Rate that both work at, in Hz.
    alphabet : str
        Characters of the recogniser, see `CharacterTable`.
    chunk_seconds : float
        Longest piece, at least 3.

    Raises
    ------
    ValueError
        If chunk_seconds is too small.

    Example
    -------
    >>> from speechbrain_ext.models import ConformerCTC
    >>> recogniser = ConformerCTC(
    ...     4, mels=20, channels=4, size=8, layers=1, heads=2, feedforward=8
    ... )
    >>> transcriber = Transcriber(recogniser, sample_rate=8000, alphabet="ab ")
    >>> len(transcriber.transcribe(torch.randn(2, 44100), 44100))
    2
    """

    def __init__(
        self,
        recogniser: nn.Module,
        *,
        sample_rate: int,
        alphabet: str,
        enhancer: nn.Module | None = None,
        chunk_seconds: float = 20.0,
    ) -> None:
        if chunk_seconds < 3:
            raise ValueError(
                f"chunk_seconds is {chunk_seconds}; it must be at least 3"
            )
        self.recogniser = recogniser.eval()
        self.sample_rate = sample_rate
        self.characters = CharacterTable(alphabet)
        self.chunk_seconds = chunk_seconds
        self.enhancer = None
        if enhancer is not None:
            self.enhancer = Enhancer(
                enhancer, sample_rate=sample_rate, chunk_seconds=chunk_seconds
            )

    @classmethod
    def from_hparams(
        cls,
        source: str | Path,
        savedir: str | Path | None = None,
        trust: bool = False,
        **options,
    ) -> "Transcriber":
        """Load a published recogniser.

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
            `chunk_seconds`.

        Returns
        -------
        transcriber : Transcriber

        Raises
        ------
        RefusedError
            If the folder asks for more than a model needs.
        ValueError
            If it holds no recogniser, or lacks a key.
        """
        loaded = load_folder(source, savedir=savedir, trust=trust)
        if loaded.modules.keys() == {"joint"}:
            joint = loaded.modules["joint"]
            options["enhancer"] = joint.enhancer
            recogniser = joint.recogniser
        elif loaded.modules.keys() == {"recogniser"}:
            recogniser = loaded.modules["recogniser"]
        else:
            raise ValueError(
                f"{source} holds the modules {sorted(loaded.modules)}; a "
                "transcriber is one module 'joint' or 'recogniser'"
            )
        for key in ("sample_rate", "alphabet"):
            if key not in loaded.hparams:
                raise ValueError(
                    f"{source}: its hyperparams.yaml has no key {key}; add "
                    "what it was trained with"
                )
            options[key] = loaded.hparams[key]
        return cls(recogniser, **options)

    def enhance(
        self, waveforms: torch.Tensor, sample_rate: int
    ) -> torch.Tensor:
        """Enhance a batch of recordings.

        Arguments
        ---------
        waveforms : torch.Tensor
            Shape (batch, time), of any length and level.
        sample_rate : int
            Their rate in Hz; converted to the module's and back.

        Returns
        -------
        enhanced : torch.Tensor
            Shape (batch, time), at the rate of the input and at the level
            that the speech has in it.

        Raises
        ------
        ValueError
            If there is no enhancer, the shape is another, or samples are not
            finite.
        """
        return self._require_enhancer().enhance(waveforms, sample_rate)

    @torch.inference_mode()
    def transcribe(
        self, waveforms: torch.Tensor, sample_rate: int
    ) -> list[str]:
        """Write down what is said in a batch of recordings.

        Arguments
        ---------
        waveforms : torch.Tensor
            Shape (batch, time), of any length and level.
        sample_rate : int
            Their rate in Hz.

        Returns
        -------
        texts : list of str
            In characters of the alphabet; empty for a silent recording.

        Raises
        ------
        ValueError
            If the shape is another, or samples are not finite.
        """
        heard = self._heard(waveforms, sample_rate)
        return [self._transcribe(signal) for signal in heard]

    def _heard(self, waveforms: torch.Tensor, sample_rate: int) -> torch.Tensor:
        """Give what is recognised: at the module's rate, maybe enhanced."""
        check_waveforms(waveforms)
        signals = change_rate(waveforms.float(), sample_rate, self.sample_rate)
        if self.enhancer is not None:
            signals = self.enhance(signals, self.sample_rate)
        return signals

    @torch.inference_mode()
    def transcribe_file(
        self,
        path: str | os.PathLike,
        enhanced_folder: str | os.PathLike | None = None,
    ) -> str:
        """Write down what is said in a file.

        Arguments
        ---------
        path : str or Path
            Any file that libsndfile reads; channels are averaged.
        enhanced_folder : str or Path, optional
            Where NAME_enhanced.wav is written, at the rate of the file, as
            32-bit floats.

        Returns
        -------
        text : str

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        UnusableAudio
            If it is empty, damaged, silent or not finite.
        ValueError
            If enhanced audio is asked for, and there is no enhancer.
        """
        if enhanced_folder is not None:
            self._require_enhancer()
        waveform, rate = read_recording(path)
        heard = self._heard(waveform[None], rate)
        if enhanced_folder is not None:
            enhanced = change_rate(heard, self.sample_rate, rate)
            write_enhanced(
                enhanced[0, : len(waveform)], rate, path, enhanced_folder
            )
        return self._transcribe(heard[0])

    def _require_enhancer(self) -> Enhancer:
        """Give the enhancer, or refuse."""
        if self.enhancer is None:
            raise ValueError(
                "this transcriber has no enhancer: it was trained without"
            )
        return self.enhancer

    def _transcribe(self, signal: torch.Tensor) -> str:
        """Recognise one signal at the module's rate, piece by piece."""
        if is_silent(signal):
            return ""
        device = next(self.recogniser.parameters()).device
        longest = round(self.chunk_seconds * self.sample_rate)
        pause = round(PAUSE_SECONDS * self.sample_rate)
        shortest = round(SHORTEST_SECONDS * self.sample_rate)
        words = []
        for start, stop in cut_at_pauses(signal, longest=longest, pause=pause):
            piece = signal[start:stop].to(device)
            missing = max(0, shortest - len(piece))
            piece = torch.nn.functional.pad(piece, (0, missing))
            found = self.recogniser(piece[None], piece.new_ones(1))
            path = found.log_probabilities[0].argmax(-1).tolist()
            words += self.characters.decode(path).split()
        return " ".join(words)


def cut_at_pauses(
    signal: torch.Tensor, *, longest: int, pause: int
) -> list[tuple[int, int]]:
    """Cut a long signal where it is quietest.

    Arguments
    ---------
    signal : torch.Tensor
        Shape (time,).
    longest : int
        Samples of a piece at most.
    pause : int
        Samples of the stretch whose energy is looked at, below half of
        `longest`.

    Returns
    -------
    pieces : list of (int, int)
        Start and stop of each, without gaps.

    Example
    -------
    >>> signal = torch.ones(100)
    >>> signal[50:60] = 0
    >>> cut_at_pauses(signal, longest=80, pause=10)
    [(0, 55), (55, 100)]
    """
    pieces, start, end = [], 0, len(signal)
    while end - start > longest:
        # the second half of what a piece may hold
        first = start + longest // 2
        window = signal[first : start + longest].square()
        energy = window.double().cumsum(0)
        energy = energy[pause - 1 :] - torch.nn.functional.pad(
            energy[:-pause], (1, 0)
        )
        stop = first + int(energy.argmin()) + pause // 2
        pieces.append((start, stop))
        start = stop
    return [*pieces, (start, end)]
