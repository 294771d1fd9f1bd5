"""Enhancement of recordings, by a model from a release folder."""

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from speechbrain_ext.commands.program import main
from speechbrain_ext.corpora.decoding import UnusableAudio
from speechbrain_ext.hub import Card, build_release
from speechbrain_ext.inference import Enhancer, load_predictor
from speechbrain_ext.models import SNRPredictor, SpectralGRU

RATE = 16000
TEXT = """
sample_rate: 16000
match_level: false
{name}: !new:speechbrain_ext.models.{model}
    hidden: {hidden}
    layers: 2
modules: {{{name}: !ref <{name}>}}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables: {{{name}: !ref <{name}>}}
"""
SAYS = dict.fromkeys(
    ["name", "summary", "data", "command", "usage", "limits", "citation"], "x"
)


class Low(nn.Module):
    """Keeps what lies below 1 kHz."""

    def forward(self, noisy):
        spectrum = torch.fft.rfft(noisy)
        hertz = torch.linspace(0, RATE / 2, spectrum.shape[1])
        return torch.fft.irfft(spectrum * (hertz < 1000), noisy.shape[1])[
            :, None
        ]


def tones(seconds, rate):
    time = torch.arange(int(seconds * rate)) / rate
    low = 0.1 * torch.sin(2 * torch.pi * 300 * time)
    return low, low + 0.3 * torch.sin(2 * torch.pi * 2000 * time)


def release(folder, module, name, hidden):
    model = type(module).__name__
    return build_release(
        folder,
        hyperparams=TEXT.format(name=name, model=model, hidden=hidden),
        modules={name: module},
        card=Card(license="mit", **SAYS),
    )


@pytest.mark.parametrize("seconds", [0.5, 20.3])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_any_length_and_rate(seconds, rate):
    low, noisy = tones(seconds, rate)
    enhancer = Enhancer(Low(), sample_rate=RATE, match_level=False)
    enhanced = enhancer.enhance(torch.stack((noisy, 3 * noisy)), rate)
    assert enhanced.shape == (2, len(noisy))
    edge = rate // 10
    for gain, signal in zip((1, 3), enhanced, strict=True):
        error = (signal - gain * low)[edge:-edge]
        assert error.abs().max() < 0.02 * gain


def test_a_personal_model_is_small_and_enhances_files(tmp_path, capsys):
    module = SpectralGRU(hidden=64)
    folder = release(tmp_path / "release", module, "separator", 64)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 2e6
    _, noisy = tones(1.0, 44100)
    path = tmp_path / "in/day/a.flac"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.stack((noisy, noisy), 1), 44100)
    main(
        ["enhance", str(tmp_path / "in"), f"--model={folder}"]
        + [f"--out={tmp_path / 'out'}"]
    )
    written = tmp_path / "out/day/a_enhanced.wav"
    assert capsys.readouterr().out.strip() == str(written)
    enhanced, rate = soundfile.read(written, dtype="float32")
    assert (rate, enhanced.shape) == (44100, (44100,))
    same = Enhancer(module, sample_rate=RATE, match_level=False)
    expected = same.enhance(noisy[None], 44100)[0]
    np.testing.assert_allclose(enhanced, expected, atol=1e-3)


def test_what_is_no_enhancer_is_refused(tmp_path):
    with pytest.raises(ValueError, match="gives 2 sources, an enhancer one"):
        Enhancer(SpectralGRU(2, hidden=4), sample_rate=RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    enhancer = Enhancer(SpectralGRU(hidden=4), sample_rate=RATE)
    with pytest.raises(UnusableAudio, match="silent"):
        enhancer.enhance_file(tmp_path / "silent.wav", tmp_path)


def test_a_predictor_comes_back_from_its_folder(tmp_path):
    module = SNRPredictor(hidden=4, layers=2)
    folder = release(tmp_path / "results/release", module, "predictor", 4)
    noisy = torch.randn(2, 4000)
    for source in (folder, folder.parent):
        loaded = load_predictor(source, sample_rate=RATE)
        with torch.no_grad():
            expected = module.eval()(noisy)
        torch.testing.assert_close(loaded(noisy), expected)
        assert not any(p.requires_grad for p in loaded.parameters())
    with pytest.raises(ValueError, match="is a predictor for 16000 Hz"):
        load_predictor(folder, sample_rate=8000)
    other = release(tmp_path / "other", SpectralGRU(hidden=4), "separator", 4)
    with pytest.raises(ValueError, match="one module 'predictor'"):
        load_predictor(other, sample_rate=RATE)
