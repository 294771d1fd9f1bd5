"""Long recordings: in blocks as in one piece, in memory that does not grow."""

import sys

import numpy as np
import pytest
import soundfile
import torch
from processes import Script
from torch import nn

from speechbrain_ext.inference import (
    Enhancer,
    Separator,
    SISNREstimator,
    score_files,
)
from speechbrain_ext.inference import sisnr_estimator as estimator_module
from speechbrain_ext.inference.chunking import Signal, separate_signals
from speechbrain_ext.inference.recordings import LARGEST_WAV, wav_header
from speechbrain_ext.models import SpectralConvTasNet, SpectralGRU

RATE = 8000


def noise(seconds, rate, seed=0):
    """Noise that swells and fades, with an offset, and beyond full scale."""
    generator = np.random.default_rng(seed)
    samples = generator.standard_normal(int(seconds * rate))
    swell = np.sin(np.arange(len(samples)) / rate)
    return (0.02 + 0.4 * samples * swell).astype(np.float32)


def make(**options):
    torch.manual_seed(0)
    module = SpectralConvTasNet(channels=8, hidden=8, blocks=1)
    return Separator(module, sample_rate=RATE, **options)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [8000, 11025, 48000])
@pytest.mark.parametrize("seconds", [0.003, 3.1, 29.7])
@pytest.mark.parametrize("match_level", [True, False])
def test_a_file_gives_what_a_tensor_gives(tmp_path, rate, seconds, match_level):
    samples = noise(seconds, rate)
    soundfile.write(tmp_path / "a.wav", samples, rate, "FLOAT")
    separator = make(chunk_seconds=4.0, match_level=match_level)
    whole = separator.separate(torch.from_numpy(samples)[None], rate)[0]
    paths = separator.separate_file(tmp_path / "a.wav", tmp_path / "out")
    for path, expected in zip(paths, whole, strict=True):
        found, found_rate = soundfile.read(path, dtype="float32")
        assert (found_rate, found.shape) == (rate, samples.shape)
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def parts(module, blocks, **options):
    """Mixtures and estimates as they are handed out."""
    taken = []
    signal = Signal(blocks, lambda *pair: taken.append(pair))
    assert list(separate_signals([signal], module, **options)) == [signal]
    assert signal.error is None
    return zip(*taken, strict=True)


@pytest.mark.parametrize("length", [77, 8000, 100_000])
def test_blocks_of_any_length_give_the_same(length):
    module = make().module
    mixture = torch.from_numpy(noise(7.3, RATE))[None]
    options = {"length": 2 * RATE, "overlap": RATE // 2}
    _, whole = parts(module, [mixture], **options)
    whole = torch.cat(whole, -1)
    mixtures, estimates = parts(module, mixture.split(length, 1), **options)
    assert torch.equal(torch.cat(mixtures, -1), mixture)
    assert torch.equal(torch.cat(estimates, -1), whole)


def test_what_is_held_is_bounded():
    """Neither the module nor what is given out sees more than two chunks."""
    longest = []

    class Watch(nn.Module):
        def forward(self, mixture):
            longest.append(mixture.shape[1])
            return torch.stack((mixture, -mixture), 1)

    given = taken = held = 0

    def blocks():
        nonlocal taken
        for _ in range(400):
            taken += 2000
            yield torch.ones(1, 2000)

    def take(mixture, estimates):
        nonlocal given, held
        assert mixture.shape[1] == estimates.shape[2] <= 2 * RATE
        given += mixture.shape[1]
        held = max(held, taken - given)

    signal = Signal(blocks(), take)
    options = {"length": RATE, "overlap": RATE // 4}
    assert [*separate_signals([signal], Watch(), **options)] == [signal]
    assert given == 800_000 and max(longest) == RATE
    assert held <= 2 * RATE + 2000


SCRIPT = """
import resource, sys
from pathlib import Path
import torch
from torch import nn
from speechbrain_ext.inference import Separator, Transcriber
from speechbrain_ext.models import Recognition

class Split(nn.Module):
    def __init__(self, sources):
        super().__init__()
        self.sources = sources

    def forward(self, mixture):
        return torch.stack([mixture / self.sources] * self.sources, 1)

class Deaf(nn.Module):
    def forward(self, waveforms, lengths):
        scores = torch.zeros(1, 10, 4)
        return Recognition(scores, scores)

separator = Separator(Split(2), sample_rate=8000)
transcriber = Transcriber(
    Deaf(), sample_rate=8000, alphabet="ab ", enhancer=Split(1)
)
for path in map(Path, sys.argv[1:]):
    separator.separate_file(path, path.parent)
    transcriber.transcribe_file(path, path.parent)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    """8 more minutes would take 96 MB for each signal that is held.

    The first file lasts 5 minutes: by its end the allocator has what it needs.
    """
    paths, rate = [], 48000
    block = noise(20, rate)
    for blocks in (15, 40):
        paths.append(tmp_path / f"{blocks}.wav")
        with soundfile.SoundFile(paths[-1], "w", rate, 1, "PCM_16") as file:
            for _ in range(blocks):
                file.write(block)
    script = Script(SCRIPT, *paths)
    said, warned = script.communicate()
    assert script.returncode == 0, warned
    peaks = list(map(int, said.split()))
    for name in ("40_source2", "40_enhanced"):
        assert soundfile.info(tmp_path / f"{name}.wav").frames == 800 * rate
    # in kB on Linux, in bytes on a Mac
    unit = 1024 if sys.platform == "darwin" else 1
    assert (peaks[1] - peaks[0]) / unit < 48_000


@pytest.mark.parametrize("frames", [0, 9, LARGEST_WAV // 4, 2**33])
def test_headers_tell_any_length(tmp_path, frames):
    """Beyond 4 GB the file is RF64; it is not written here, but its holes."""
    header = wav_header(frames, 48000)
    path = tmp_path / "a.wav"
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + 4 * frames)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels) == (48000, 1)
    assert (info.frames, info.subtype) == (frames, "FLOAT")
    large = len(header) + 4 * frames - 8 > LARGEST_WAV
    assert info.format == ("RF64" if large else "WAV")


def test_the_same_run_gives_the_same_bytes(tmp_path):
    """libsndfile writes the second of the clock into files of floats."""
    soundfile.write(tmp_path / "a.wav", noise(1, RATE), RATE, "FLOAT")
    torch.manual_seed(0)
    enhancer = Enhancer(SpectralGRU(hidden=4), sample_rate=RATE)
    first = enhancer.enhance_file(tmp_path / "a.wav", tmp_path).read_bytes()
    assert b"PEAK" not in first
    samples, _ = soundfile.read(tmp_path / "a_enhanced.wav", dtype="float32")
    assert first.endswith(samples.tobytes())
    again = enhancer.enhance_file(tmp_path / "a.wav", tmp_path).read_bytes()
    assert again == first


# Scores ----------------------------------------------------------------------


class Energy(nn.Module):
    """Scores how much louder than the mixture an estimate is, in dB."""

    snr_min, snr_max = -10.0, 20.0

    def __init__(self, uncertainty=True):
        super().__init__()
        self.uncertainty = uncertainty
        self.anything = nn.Parameter(torch.zeros(1))
        self.lengths = []

    def forward(self, mixture, estimates):
        self.lengths.append(mixture.shape[1])
        ratio = estimates.std(-1) / mixture.std(-1)[:, None]
        snr = 20 * ratio.log10().clamp(-0.5, 1)
        return (snr, snr.abs()) if self.uncertainty else snr


@pytest.mark.parametrize(
    "seconds, lengths",
    [(19.9, [19.9]), (20.0, [10, 10]), (35.0, [10, 10, 15])],
    ids=["one", "two", "three"],
)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_long_recordings_are_scored_in_pieces(
    tmp_path, monkeypatch, seconds, lengths, rate
):
    monkeypatch.setattr(estimator_module, "PIECE_SECONDS", 10)
    mixture = noise(seconds, rate)
    # twice as loud at first, then half as loud and weak
    fade = np.where(np.arange(len(mixture)) < 10 * rate, 2, 0.5)
    estimates = [2 * mixture, (fade * mixture).astype(np.float32)]
    paths = [tmp_path / f"{name}.wav" for name in "mab"]
    for path, samples in zip(paths, (mixture, *estimates), strict=True):
        soundfile.write(path, samples, rate, "FLOAT")
    estimator = SISNREstimator(Energy(), sample_rate=RATE)
    rows = score_files(estimator, {paths[0]: paths[1:]})
    found = [length / RATE for length in estimator.module.lengths]
    assert found == pytest.approx(lengths)
    snr, _ = estimator.score_with_error(
        mixture=torch.from_numpy(mixture)[None],
        estimates=torch.from_numpy(np.stack(estimates))[None],
        sample_rate=rate,
    )
    for row, value in zip(rows, snr[0].tolist(), strict=True):
        assert row["si_snr"] == pytest.approx(value, abs=0.011)
    assert rows[0]["si_snr"] == pytest.approx(6.02, abs=0.02)
    if len(lengths) > 1:
        pieces = np.split(
            estimates[1], [10 * rate, 20 * rate][: len(lengths) - 1]
        )
        energies = [piece.var() * len(piece) for piece in pieces]
        expected = np.average(
            [6.02] + [-6.02] * (len(pieces) - 1), weights=energies
        )
        assert rows[1]["si_snr"] == pytest.approx(expected, abs=0.05)


def test_silent_pieces_weigh_nothing(monkeypatch):
    monkeypatch.setattr(estimator_module, "PIECE_SECONDS", 1)
    mixture = torch.from_numpy(noise(3, RATE))[None]
    estimate = 2 * mixture
    estimate[:, RATE : 2 * RATE] = 0.7
    estimator = SISNREstimator(Energy(uncertainty=False), sample_rate=RATE)
    score = estimator.score(
        mixture=mixture, estimates=estimate[:, None], sample_rate=RATE
    )
    assert score.item() == pytest.approx(6.02, abs=0.01)


def test_an_offset_in_common_is_nothing_in_common():
    torch.manual_seed(0)
    mixture, other = torch.randn(2, 1, 2 * RATE)
    estimator = SISNREstimator(Energy(uncertainty=False), sample_rate=RATE)
    with pytest.raises(ValueError, match="item 0 account for 0.00"):
        estimator.score(
            mixture=mixture + 5, estimates=other[:, None] + 5, sample_rate=RATE
        )


# Precision and devices -------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64]
)
def test_modules_of_any_precision(dtype):
    class Gain(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.tensor([0.5]))

        def forward(self, mixture):
            assert mixture.dtype == self.gain.dtype
            return (self.gain * mixture)[:, None]

    enhancer = Enhancer(Gain().to(dtype), sample_rate=RATE)
    mixture = torch.from_numpy(noise(1, RATE)).double()[None]
    enhanced = enhancer.enhance(mixture, RATE)
    assert enhanced.dtype == torch.float32
    tolerance = 4 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
    torch.testing.assert_close(
        enhanced, mixture.float(), atol=tolerance, rtol=tolerance
    )


def test_a_device_that_is_not_there_is_named(tmp_path):
    from estimator_folders import write_estimator
    from hub_folders import write_folder

    write_folder(tmp_path / "separator")
    write_estimator(tmp_path / "estimator")
    for load, name, device in (
        (Separator.from_hparams, "separator", "cuda:97"),
        (SISNREstimator.from_hparams, "estimator", "abacus"),
    ):
        assert load(tmp_path / name, device="cpu", revision=None)
        message = f"device='{device}' cannot be used"
        with pytest.raises(ValueError, match=message):
            load(tmp_path / name, device=device)
