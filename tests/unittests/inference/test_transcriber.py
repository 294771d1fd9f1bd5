"""Writing down what is said in any recording."""

import csv
import importlib.util
import json

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from speechbrain_ext.commands.program import main
from speechbrain_ext.hub import Card, build_release
from speechbrain_ext.hub.catalog import WHISPER
from speechbrain_ext.inference import Transcriber
from speechbrain_ext.inference.transcriber import cut_at_pauses
from speechbrain_ext.inference.waveforms import move_module
from speechbrain_ext.models import Recognition

RATE = 8000
ALPHABET = " lh"


class Pitch(nn.Module):
    """Hears l in low tones, h in high ones, and a space in silence."""

    def __init__(self):
        super().__init__()
        self.anything = nn.Parameter(torch.zeros(1))
        self.lengths = []

    def forward(self, waveforms, lengths):
        assert lengths.tolist() == [1.0]
        self.lengths.append(waveforms.shape[1])
        frames = waveforms[:, : waveforms.shape[1] // 800 * 800]
        power = torch.fft.rfft(frames.unflatten(1, (-1, 800))).abs().square()
        low, high = power[..., :100].sum(-1), power[..., 100:].sum(-1)
        silence = (low + high < 1e-2 * power.sum(-1).max()).float() * 1e9
        scores = torch.stack((low * 0, silence, low, high), -1)
        return Recognition(scores.log_softmax(-1), scores)


class Halve(nn.Module):
    """An enhancer that halves the level."""

    def forward(self, mixture):
        return 0.5 * mixture[:, None]


def say_tones(text, seconds=0.5, rate=RATE):
    """A tone for each character."""
    time = torch.arange(int(seconds * rate)) / rate
    hertz = {"l": 300.0, "h": 2000.0, " ": 0.0}
    tones = [torch.sin(2 * torch.pi * hertz[c] * time) for c in text]
    return 0.1 * torch.cat(tones)


def make(**options):
    return Transcriber(Pitch(), sample_rate=RATE, alphabet=ALPHABET, **options)


@pytest.mark.parametrize("rate", (8000, 16000, 44100))
def test_any_rate_is_understood(rate):
    waveforms = torch.stack(
        (say_tones("lh l", rate=rate), say_tones("hl h", rate=rate))
    )
    assert make().transcribe(waveforms, rate) == ["lh l", "hl h"]


def test_long_recordings_are_cut_where_they_are_quiet():
    transcriber = make(chunk_seconds=4.0)
    text = " ".join(["lhl", "hlh"] * 8)
    assert transcriber.transcribe(say_tones(text)[None], RATE) == [text]
    lengths = transcriber.recognizer.lengths
    assert len(lengths) > 4 and max(lengths) <= 4 * RATE


@pytest.mark.parametrize("block", [7, 90, 1000])
def test_pieces_have_no_gaps_and_are_short_enough(block):
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(1000, generator=generator)
    pieces = list(cut_at_pauses(signal.split(block), longest=90, pause=8))
    assert torch.equal(torch.cat(pieces), signal)
    assert all(0 < len(piece) <= 90 for piece in pieces)
    whole = list(cut_at_pauses([signal], longest=90, pause=8))
    assert list(map(len, pieces)) == list(map(len, whole))


@pytest.mark.parametrize("offset", [0.0, 0.5, -3.0])
def test_an_offset_moves_no_cut(offset):
    signal = torch.sin(torch.arange(1000) / 2.0)
    signal[700:720] = 0
    first, *_ = cut_at_pauses([signal + offset], longest=900, pause=20)
    assert len(first) == 710


def test_a_silent_and_a_very_short_recording():
    assert make().transcribe(torch.zeros(1, 900), RATE) == [""]
    assert make().transcribe(say_tones("h")[None, :400], RATE) == ["h"]


def test_enhanced_audio_has_the_rate_length_and_level_of_the_input(tmp_path):
    path = tmp_path / "a.flac"
    signal = say_tones("lh hl", rate=16000)
    soundfile.write(path, signal.numpy(), 16000)
    transcriber = make(enhancer=Halve())
    assert transcriber.transcribe_file(path, tmp_path / "out") == "lh hl"
    found, rate = soundfile.read(tmp_path / "out/a_enhanced.wav")
    assert rate == 16000 and len(found) == len(signal)
    # but where a tone begins, which the change of rate makes smooth
    assert np.abs(found - signal.numpy()).mean() < 0.002
    with pytest.raises(ValueError, match="has no enhancer"):
        make().transcribe_file(path, tmp_path / "out")


@pytest.mark.parametrize(
    "waveforms, message",
    [
        (torch.zeros(5), "must be .batch, time."),
        (torch.tensor([[0.0, float("nan")]]), "NaN or infinite"),
    ],
)
def test_unusable_waveforms(waveforms, message):
    with pytest.raises(ValueError, match=message):
        make().transcribe(waveforms, RATE)
    with pytest.raises(ValueError, match="chunk_seconds is 1"):
        make(chunk_seconds=1)


class Outside:
    """A recognizer that is no module, as Whisper: it tells the seconds."""

    def transcribe(self, waveform, sample_rate):
        return f"{len(waveform) / sample_rate:.0f} seconds"


def test_recognizers_that_give_texts(tmp_path):
    signal = say_tones("lh " * 20)
    transcriber = Transcriber(Outside(), sample_rate=16000, chunk_seconds=20)
    (expected,) = transcriber.transcribe(signal[None], RATE)
    assert expected == "19 seconds 11 seconds"
    assert transcriber.transcribe(torch.zeros(1, 900), RATE) == [""]
    soundfile.write(tmp_path / "a.wav", signal.numpy(), RATE)
    assert transcriber.transcribe_file(tmp_path / "a.wav") == expected


def test_the_recognizer_of_an_extra_is_the_default(
    tmp_path, say, capsys, monkeypatch
):
    say(tmp_path / "a.wav")
    command = ["transcribe", str(tmp_path / "a.wav")]
    module = "speechbrain_ext.inference.transcriber"
    monkeypatch.setattr(f"{module}.Whisper", lambda **_: Outside())
    main(command)
    assert f"{tmp_path}/a.wav: 1 seconds" in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert 'pip install -e ".[asr]"; or name another transcriber' in told
    with pytest.raises(SystemExit):
        main(["separate", str(tmp_path / "a.wav"), "--model", WHISPER])
    assert "comes with the extra asr, and only" in capsys.readouterr().err


HYPERPARAMS = """
sample_rate: 8000
alphabet: " ab"
joint: !new:speechbrain_ext.models.JointRecognizer
    enhancer: !new:speechbrain_ext.models.SpectralTDCN
        {num_sources: 1, n_fft: 64, hop: 32, channels: 8, hidden: 8, blocks: 1}
    recognizer: !new:speechbrain_ext.models.ConformerCTC
        num_tokens: 4
        mels: 20
        channels: 4
        size: 8
        layers: 1
        heads: 2
        feedforward: 8
modules: {joint: !ref <joint>}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables: {joint: !ref <joint>}
"""


@pytest.fixture
def released(tmp_path):
    """A release folder, loaded without running what it says."""
    from hyperpyyaml import load_hyperpyyaml

    says = dict.fromkeys(
        ("name", "summary", "data", "command", "usage", "limits", "citation"),
        "Example",
    )
    return build_release(
        tmp_path / "release",
        hyperparams=HYPERPARAMS,
        modules={"joint": load_hyperpyyaml(HYPERPARAMS)["joint"]},
        card=Card(license="mit", **says),
    )


def test_the_command_writes_texts_and_enhanced_audio(
    released, tmp_path, capsys
):
    for name in ("in/a.wav", "in/deep/b.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.randn(12000), 16000)
    options = [
        *("transcribe", str(tmp_path / "in"), "--model", str(released)),
        *("--enhanced", str(tmp_path / "out")),
        *("--csv", str(tmp_path / "t.csv"), "--json", str(tmp_path / "t.json")),
    ]
    main(options)
    assert f"{tmp_path}/in/deep/b.wav: " in capsys.readouterr().out
    rows = json.loads((tmp_path / "t.json").read_text())
    with open(tmp_path / "t.csv", newline="") as file:
        assert list(csv.DictReader(file)) == rows
    assert [row["recording"][-5:] for row in rows] == ["a.wav", "b.wav"]
    assert set("".join(row["text"] for row in rows)) <= set(" ab")
    for name in ("a_enhanced.wav", "deep/b_enhanced.wav"):
        assert len(soundfile.read(tmp_path / "out" / name)[0]) == 12000


def test_the_command_goes_on_behind_bad_recordings(
    released, tmp_path, say, capsys
):
    for name in ("a", "b", "c"):
        say(tmp_path / f"in/{name}.wav")
    soundfile.write(tmp_path / "in/b.wav", np.zeros(8000), 8000)
    (tmp_path / "in/d.wav").write_text("a text")
    options = ["--model", str(released), "--json", str(tmp_path / "t")]
    with pytest.raises(SystemExit) as ended:
        main(["transcribe", str(tmp_path / "in"), *options])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2 and "2 done, 2 skipped" in told.err
    rows = json.loads((tmp_path / "t").read_text())
    assert [row["recording"][-5:] for row in rows] == [
        *("a.wav", "c.wav", "b.wav", "d.wav")
    ]
    assert "silent" in rows[2]["skipped"] and "text" not in rows[2]


@pytest.mark.parametrize("seconds", [1.0, 4.2, 70.0])
@pytest.mark.parametrize("enhancer", [None, Halve()], ids=["bare", "enhanced"])
def test_a_file_is_heard_as_a_tensor(tmp_path, seconds, enhancer):
    text = ("lh hl " * 30)[: int(2 * seconds)]
    signal = say_tones(text)
    soundfile.write(tmp_path / "a.wav", signal.numpy(), RATE, "FLOAT")
    transcriber = make(chunk_seconds=4.0, enhancer=enhancer)
    (expected,) = transcriber.transcribe(signal[None], RATE)
    assert expected.replace(" ", "") == text.replace(" ", "")
    assert transcriber.transcribe_file(tmp_path / "a.wav") == expected


def test_folders_that_are_no_transcriber(released, tmp_path):
    text = (released / "hyperparams.yaml").read_text()
    (released / "hyperparams.yaml").write_text(
        text.replace('alphabet: " ab"\n', "")
    )
    with pytest.raises(ValueError, match="has no key alphabet"):
        Transcriber.from_hparams(released)
    (released / "hyperparams.yaml").write_text(
        text.replace("modules: {joint:", "modules: {network:")
    )
    with pytest.raises(ValueError, match=r"modules \['network'\] are none"):
        Transcriber.from_hparams(released)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: x[..., :-1], id="fewer-characters"),
        pytest.param(lambda x: x[:, :0], id="no-frames"),
        pytest.param(lambda x: x[0], id="no-batch"),
        pytest.param(lambda x: x * float("nan"), id="not-finite"),
    ],
)
def test_recognizers_that_give_another_shape(change):
    class Changed(Pitch):
        def forward(self, waveforms, lengths):
            found = super().forward(waveforms, lengths)
            return Recognition(change(found.log_probabilities), found.frames)

    transcriber = Transcriber(Changed(), sample_rate=RATE, alphabet=ALPHABET)
    with pytest.raises(ValueError, match="the module gives"):
        transcriber.transcribe(say_tones("lh")[None], RATE)


@pytest.mark.parametrize("device", ["meta", "xla", "cuda:99", "hpu", "nowhere"])
def test_devices_that_cannot_be_used(device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used"):
        move_module(nn.Linear(2, 2), device)
