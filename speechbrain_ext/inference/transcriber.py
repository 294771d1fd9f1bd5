"""Writing down what is said in recordings of any length, rate and level."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import nn

from speechbrain_ext.corpora.decoding import resampled
from speechbrain_ext.hub import load_folder
from speechbrain_ext.hub.catalog import WHISPER
from speechbrain_ext.inference.batch import Item, model_name
from speechbrain_ext.inference.enhancer import Enhancer
from speechbrain_ext.inference.recordings import Recording
from speechbrain_ext.inference.waveforms import (
    change_rate,
    check_output,
    check_precision,
    check_waveforms,
    find_device,
    fit,
    in_precision,
    join,
    move_module,
)
from speechbrain_ext.inference.whisper import RATE, Whisper
from speechbrain_ext.models import CharacterTable
from speechbrain_ext.models.sisnr_estimator import is_silent
from speechbrain_ext.outputs import require_free

# A long recording is cut in the quietest stretch of this length.
PAUSE_SECONDS = 0.2
# Shorter pieces get zeros behind them.
SHORTEST_SECONDS = 0.5


class Transcriber:
    """A recognizer for whole recordings, maybe behind an enhancer.

    Long recordings are enhanced in chunks that overlap (see `Enhancer`),
    cut where they are quietest, and recognized piece by piece, greedily:
    files are read in blocks, and memory does not grow with their length.

    Arguments
    ---------
    recognizer : torch.nn.Module or Whisper
        (batch, time) and relative lengths to a `Recognition`; or what has a
        method `transcribe` as `Whisper` has.
    enhancer : torch.nn.Module, optional
        (batch, time) to (batch, 1, time).
    sample_rate : int
        Rate that both work at, in Hz.
    alphabet : str, optional
        Characters of a recognizer that is a module, see `CharacterTable`.
    chunk_seconds : float
        Longest piece, at least 3.
    batch, precision
        See `Separator`; batch is for the enhancer.

    Raises
    ------
    ValueError
        If an option is not as it should be.

    Example
    -------
    >>> from speechbrain_ext.models import ConformerCTC
    >>> recognizer = ConformerCTC(
    ...     4, mels=20, channels=4, size=8, layers=1, heads=2, feedforward=8
    ... )
    >>> transcriber = Transcriber(recognizer, sample_rate=8000, alphabet="ab ")
    >>> len(transcriber.transcribe(torch.randn(2, 44100), 44100))
    2
    """

    def __init__(
        self,
        recognizer: nn.Module | Whisper,
        *,
        sample_rate: int,
        alphabet: str | None = None,
        enhancer: nn.Module | None = None,
        chunk_seconds: float = 20.0,
        batch: int = 1,
        precision: str = "fp32",
    ) -> None:
        if chunk_seconds < 3:
            raise ValueError(
                f"chunk_seconds is {chunk_seconds}; it must be at least 3"
            )
        self.recognizer, self.characters = recognizer, None
        if isinstance(recognizer, nn.Module):
            recognizer.eval()
            self.characters = CharacterTable(alphabet)
        self.sample_rate = int(sample_rate)
        self.chunk_seconds = chunk_seconds
        self.precision = check_precision(precision)
        # of the model, for the marks of folders
        self.name = ""
        self.enhancer = None
        if enhancer is not None:
            self.enhancer = Enhancer(
                enhancer,
                sample_rate=sample_rate,
                chunk_seconds=chunk_seconds,
                batch=batch,
                precision=precision,
            )

    @classmethod
    def from_hparams(
        cls,
        source: str | Path,
        savedir: str | Path | None = None,
        trust: bool = False,
        revision: str | None = None,
        device: str | torch.device | None = None,
        **options,
    ) -> "Transcriber":
        """Load a published recognizer.

        Arguments
        ---------
        source : str or Path
            See `Separator.from_hparams`; "whisper_tiny_en" is Whisper, of the
            extra asr.
        savedir : str or Path, optional
            Where downloads are kept.
        trust : bool
            Run whatever its hyperparams.yaml says; see
            `speechbrain_ext.hub.load_folder`.
        revision : str, optional
            Of a hub repository: branch, tag or commit.
        device : str or torch.device, optional
            Where to compute; see `Separator.from_hparams`.
        **options
            `chunk_seconds`, `batch` and `precision`.

        Returns
        -------
        transcriber : Transcriber

        Raises
        ------
        RefusedError
            If the folder asks for more than a model needs.
        ValueError
            If it holds no recognizer, lacks a key, or the device cannot be
            used.
        ModuleNotFoundError
            If Whisper is asked for, and the extra asr is not installed.
        """
        if source == WHISPER:
            cuda = device is not None and find_device(device).type == "cuda"
            recognizer = Whisper(
                threads=torch.get_num_threads(),
                device="cuda" if cuda else "cpu",
            )
            transcriber = cls(recognizer, sample_rate=RATE, **options)
            transcriber.name = WHISPER
            return transcriber
        loaded = load_folder(
            source, savedir=savedir, trust=trust, revision=revision
        )
        if loaded.modules.keys() == {"joint"}:
            joint = loaded.modules["joint"]
            options["enhancer"] = move_module(joint.enhancer, device)
            recognizer = joint.recognizer
        elif loaded.modules.keys() == {"recognizer"}:
            recognizer = loaded.modules["recognizer"]
        else:
            raise ValueError(
                f"{source} holds the modules {sorted(loaded.modules)}; a "
                "transcriber is one module 'joint' or 'recognizer'"
            )
        for key in ("sample_rate", "alphabet"):
            if key not in loaded.hparams:
                raise ValueError(
                    f"{source}: its hyperparams.yaml has no key {key}; add "
                    "what it was trained with"
                )
            options[key] = loaded.hparams[key]
        transcriber = cls(move_module(recognizer, device), **options)
        transcriber.name = model_name(source)
        return transcriber

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
        check_waveforms(waveforms)
        signals = waveforms.float().cpu()
        signals = change_rate(signals, sample_rate, self.sample_rate)
        if self.enhancer is not None:
            signals = self.enhance(signals, self.sample_rate)
        return [self._transcribe([signal]) for signal in signals]

    @torch.inference_mode()
    def transcribe_file(
        self,
        path: str | os.PathLike,
        enhanced_folder: str | os.PathLike | None = None,
        *,
        overwrite: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> str:
        """Write down what is said in a file.

        Arguments
        ---------
        path : str or Path
            Any file that libsndfile reads; channels are averaged.
        enhanced_folder : str or Path, optional
            Where NAME_enhanced.wav is written, at the rate of the file, as
            32-bit floats.
        overwrite : bool
            Whether a file of this name may be replaced that no earlier call
            has written.
        progress : Callable, optional
            See `Recording.watched`.

        Returns
        -------
        text : str

        Raises
        ------
        FileExistsError
            If such a file is there; see `speechbrain_ext.outputs`.
        FileNotFoundError
            If there is no such recording.
        UnusableAudio
            If it is empty, damaged, silent or not finite.
        ValueError
            If enhanced audio is asked for, and there is no enhancer.
        """
        if enhanced_folder is not None:
            self._require_enhancer()
            item = Item(Path(path), Path(enhanced_folder))
            (target,) = item.enhanced()
            made = item.made("transcribe", self.name)
            require_free([(target, made)], overwrite=overwrite)
        if self.enhancer is None:
            with Recording(path) as blocks:
                rows = resampled(
                    blocks.watched(progress),
                    blocks.sample_rate,
                    self.sample_rate,
                )
                text = self._transcribe(map(torch.from_numpy, rows))
                blocks.require_sound()
            return text
        with self.enhancer.separated(path, enhanced_folder, progress) as stored:
            rows = stored.blocks(0, self.sample_rate)
            text = self._transcribe(map(torch.from_numpy, rows))
            if enhanced_folder is not None:
                stored.write(
                    0,
                    target,
                    maker="transcribe",
                    source=item.source(self.name),
                    overwrite=overwrite,
                )
        return text

    def _require_enhancer(self) -> Enhancer:
        """Give the enhancer, or refuse."""
        if self.enhancer is None:
            raise ValueError(
                "this transcriber has no enhancer: it was trained without"
            )
        return self.enhancer

    def _transcribe(self, blocks: Iterable[torch.Tensor]) -> str:
        """Recognize a signal at the module's rate, piece by piece."""
        longest = round(self.chunk_seconds * self.sample_rate)
        pause = round(PAUSE_SECONDS * self.sample_rate)
        shortest = round(SHORTEST_SECONDS * self.sample_rate)
        words = []
        for piece in cut_at_pauses(blocks, longest=longest, pause=pause):
            if is_silent(piece):
                continue
            missing = max(0, shortest - len(piece))
            words += self._recognize(nn.functional.pad(piece, (0, missing)))
        return " ".join(words)

    def _recognize(self, piece: torch.Tensor) -> list[str]:
        """Recognize a piece of a signal: its words."""
        if self.characters is None:
            return self.recognizer.transcribe(piece, self.sample_rate).split()
        piece = fit(piece, self.recognizer)
        with in_precision(self.recognizer, self.precision):
            found = self.recognizer(piece[None], piece.new_ones(1))
        found = getattr(found, "log_probabilities", found)
        check_output(found, (1, None, len(self.characters)))
        return self.characters.decode(found[0].argmax(-1).tolist()).split()


def cut_at_pauses(
    blocks: Iterable[torch.Tensor], *, longest: int, pause: int
) -> Iterator[torch.Tensor]:
    """Cut a long signal where it is quietest.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive parts of it, shape (time,), of any length.
    longest : int
        Samples of a piece at most.
    pause : int
        Samples of the stretch whose energy is looked at, below half of
        `longest`.

    Yields
    ------
    piece : torch.Tensor
        Shape (time,); there are no gaps between them.

    Example
    -------
    >>> signal = torch.tensor([1.0, -1.0]).repeat(50)
    >>> signal[50:60] = 0
    >>> pieces = cut_at_pauses(signal.split(30), longest=80, pause=10)
    >>> [len(piece) for piece in pieces]
    [55, 45]
    """
    signal = None
    for block in blocks:
        signal = join(signal, block)
        while len(signal) > longest:
            # the second half of what a piece may hold
            first = longest // 2
            window = signal[first:longest].double()
            sums = torch.stack((window, window.square())).cumsum(1)
            sums = nn.functional.pad(sums, (1, 0))
            total, power = sums[:, pause:] - sums[:, :-pause]
            # about the mean of the stretch: an offset is no sound
            energy = power - total.square() / pause
            stop = first + int(energy.argmin()) + pause // 2
            yield signal[:stop]
            signal = signal[stop:]
    if signal is not None:
        yield signal
