import importlib.machinery
import math
import sys
import types

import pytest
import torch

from speechbrain_ext.evaluation import available
from speechbrain_ext.evaluation.measures import (
    dnsmos,
    estoi,
    pesq,
    sdr,
    stoi,
)


@pytest.fixture
def speech_like():
    """Three seconds of amplitude-modulated noise, 8 kHz."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(24000) / 8000
    envelope = torch.sin(2 * math.pi * 3 * time).clamp(min=0)
    return envelope * torch.randn(24000, generator=generator)


def noise_like(signal, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(signal.shape, generator=generator)


def fake_dnsmos(monkeypatch):
    """Put a stand-in for speechmos in place; return what it is called with."""
    calls = []

    def run(sample, sr):
        calls.append((sample, sr))
        return {f"{n}_mos": 2.0 for n in ("ovrl", "sig", "bak", "p808")}

    module = types.ModuleType("speechmos")
    module.__spec__ = importlib.machinery.ModuleSpec("speechmos", None)
    module.dnsmos = types.SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "speechmos", module)
    return calls


def test_sdr_forgives_a_filter_but_not_noise(speech_like):
    pytest.importorskip("fast_bss_eval")
    target = torch.nn.functional.pad(speech_like, (0, 20))
    filtered = 0.7 * target.roll(5) - 0.3 * target.roll(11)
    noise = noise_like(target)
    noise *= 0.1 * filtered.norm() / noise.norm()
    value = sdr(estimate=filtered + noise, target=target)
    # 512 taps explain 2 % of 24000 samples of white noise by chance: 0.1 dB
    assert value.item() == pytest.approx(20.0, abs=0.3)
    pair = sdr(
        estimate=torch.stack((filtered, filtered + noise)),
        target=target.expand(2, -1),
    )
    assert pair.shape == (2,)
    assert pair[0] > 60
    assert pair[1].item() == pytest.approx(value.item(), abs=1e-6)


def test_sdr_is_limited_to_80_db(speech_like):
    pytest.importorskip("fast_bss_eval")
    silent = torch.zeros_like(speech_like)
    assert sdr(estimate=silent, target=speech_like).item() == -80.0
    perfect = sdr(estimate=speech_like, target=speech_like)
    assert perfect.item() == pytest.approx(80.0)


@pytest.mark.parametrize(
    "rate, best", [(8000, 4.549), (11025, 4.549), (16000, 4.644)]
)
def test_pesq_of_a_perfect_estimate(speech_like, rate, best):
    """The highest scores that P.862.1 and P.862.2 can give."""
    pytest.importorskip("pesq")
    perfect = pesq(
        estimate=0.1 * speech_like, target=speech_like, sample_rate=rate
    )
    assert perfect == pytest.approx(best, abs=2e-3)
    noisy = speech_like + 0.3 * noise_like(speech_like)
    worse = pesq(estimate=noisy, target=speech_like, sample_rate=rate)
    assert worse < perfect - 0.5


def test_estoi_falls_with_noise_and_refuses_too_little_speech(speech_like):
    pytest.importorskip("pystoi")
    target = speech_like
    scores = [
        estoi(
            estimate=target + gain * noise_like(target),
            target=target,
            sample_rate=8000,
        )
        for gain in (0.0, 0.3, 3.0)
    ]
    assert scores[0] == pytest.approx(1.0, abs=1e-6)
    assert scores[0] > scores[1] + 0.1 > scores[2] + 0.2
    with pytest.raises(RuntimeWarning, match="Not enough STFT frames"):
        estoi(estimate=target[:900], target=target[:900], sample_rate=8000)


def test_stoi_is_not_estoi(speech_like):
    """In SpeechBrain, Voicebank/MTL/ASR_enhance calls STOI eSTOI."""
    pytest.importorskip("pystoi")
    signals = {
        "estimate": speech_like + 0.5 * noise_like(speech_like),
        "target": speech_like,
    }
    plain = stoi(**signals, sample_rate=8000)
    assert estoi(**signals, sample_rate=8000) < plain - 0.05 < 1.0


@pytest.mark.parametrize("gain", [1e-4, 1.0, 1e4])
def test_dnsmos_hears_every_signal_at_one_level(monkeypatch, gain):
    calls = fake_dnsmos(monkeypatch)
    time = torch.arange(8000) / 8000
    tone = torch.sin(2 * math.pi * 300 * time)
    scores = dnsmos(estimate=gain * tone, sample_rate=8000)
    sample, rate = calls[0]
    assert rate == 16000 and sample.shape == (16000,)
    level = 10 * math.log10((sample**2).mean())
    assert level == pytest.approx(-26.0, abs=0.01)
    assert scores == {"ovrl": 2.0, "sig": 2.0, "bak": 2.0, "p808": 2.0}


def test_dnsmos_never_clips_and_refuses_silence(monkeypatch):
    calls = fake_dnsmos(monkeypatch)
    click = torch.zeros(16000)
    click[100], click[200] = 0.5, 0.25
    dnsmos(estimate=click, sample_rate=16000)
    assert calls[0][0][[100, 200]] == pytest.approx([1.0, 0.5])
    with pytest.raises(ValueError, match="silent signal has no DNSMOS"):
        dnsmos(estimate=torch.zeros(16000), sample_rate=16000)


def test_available_follows_what_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    there = available()
    assert set(there) == {*("si_sdr", "sdr", "pesq", "stoi", "estoi", "dnsmos")}
    assert there["si_sdr"]
    assert not there["pesq"] and not there["dnsmos"]
