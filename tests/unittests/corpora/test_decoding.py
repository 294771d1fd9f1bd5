"""Tests of decoding."""

import numpy as np
import pytest
import soundfile

from speechbrain_ext.corpora import decoding
from speechbrain_ext.corpora.decoding import UnusableAudio, decode, resampled

FORMATS = {
    "wav": {"subtype": "PCM_16"},
    "flac": {},
    "ogg": {"subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
}


def tone(rate, seconds=1.0, frequency=440.0, level=0.5):
    time = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_every_format_at_either_rate(tmp_path, ending, sample_rate):
    path = tmp_path / f"x.{ending}"
    soundfile.write(path, tone(16000), 16000, **FORMATS[ending])
    decoded = decode(path, sample_rate=sample_rate)
    wave = decoded.waveform
    assert wave.dtype == np.float32
    assert abs(len(wave) - sample_rate) <= 0.1 * sample_rate
    assert decoded.source_rate == 16000
    assert decoded.is_pcm16 == (ending == "wav")
    middle = wave[len(wave) // 4 : -len(wave) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    peak = spectrum.argmax() * sample_rate / len(middle)
    assert peak == pytest.approx(440, abs=4)
    assert np.std(middle) == pytest.approx(0.5 / np.sqrt(2), rel=0.15)


def test_resampling_keeps_the_band_and_removes_the_rest(tmp_path):
    path = tmp_path / "x.wav"
    for frequency, expected in ((3590, 0.5), (4010, 0.0)):
        soundfile.write(path, tone(16000, 1, frequency), 16000, "FLOAT")
        wave = decode(path, sample_rate=8000).waveform[1000:-1000]
        assert np.sqrt(2) * np.std(wave) == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize("rate, sample_rate", [(11025, 8000), (8000, 16000)])
@pytest.mark.parametrize("seconds", [0.01, 3.3, 4.0])
def test_blocks_join_without_seams(monkeypatch, rate, sample_rate, seconds):
    noise = np.random.default_rng(0).normal(size=round(rate * seconds))
    noise = noise.astype(np.float32)
    whole = np.concatenate(list(resampled([noise], rate, sample_rate)))
    assert len(whole) == -(-len(noise) * sample_rate // rate)
    parts = np.split(noise, [len(noise) // 7, len(noise) // 2])
    joined = np.concatenate(list(resampled(parts, rate, sample_rate)))
    np.testing.assert_allclose(joined, whole, atol=1e-5)


def test_a_file_longer_than_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "BLOCK_SECONDS", 1)
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(16000, 3.4), 16000, "FLOAT")
    wave = decode(path, sample_rate=8000).waveform
    np.testing.assert_allclose(
        wave[200:-200], tone(8000, 3.4)[200:-200], atol=1e-3
    )


def test_stereo_is_averaged_or_a_channel_taken(tmp_path):
    path = tmp_path / "x.wav"
    left, right = tone(8000), tone(8000, frequency=1000)
    soundfile.write(path, np.stack((left, right), 1), 8000, "FLOAT")
    mean = decode(path, sample_rate=8000)
    assert mean.channels == 2
    np.testing.assert_allclose(mean.waveform, (left + right) / 2, atol=1e-6)
    second = decode(path, sample_rate=8000, channel=1)
    np.testing.assert_allclose(second.waveform, right, atol=1e-6)
    with pytest.raises(UnusableAudio, match="2 channels; channel 2"):
        decode(path, sample_rate=8000, channel=2)


def test_a_file_above_full_scale_is_scaled_down(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(8000, level=3.0), 8000, "FLOAT")
    wave = decode(path, sample_rate=8000).waveform
    assert np.abs(wave).max() == pytest.approx(1.0)
    np.testing.assert_allclose(wave, tone(8000, level=1.0), atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(tmp_path, bad):
    wave = tone(8000)
    wave[-1] = bad
    soundfile.write(tmp_path / "x.wav", wave, 8000, "FLOAT")
    with pytest.raises(UnusableAudio, match="not finite"):
        decode(tmp_path / "x.wav", sample_rate=8000)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.8, 0.95])
def test_truncated_files(tmp_path, ending, share):
    path = tmp_path / f"x.{ending}"
    noise = np.random.default_rng(0).normal(scale=0.1, size=32000)
    soundfile.write(path, noise, 16000, **FORMATS[ending])
    decode(path, sample_rate=16000)
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])
    with pytest.raises(UnusableAudio, match="truncated|lost sync"):
        decode(path, sample_rate=16000)


def test_a_wav_written_to_a_pipe_has_no_length_and_is_whole(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(8000), 8000)
    content = bytearray(path.read_bytes())
    content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(decode(path, sample_rate=8000).waveform) == 8000


def test_chunks_around_the_samples_are_passed_over(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(8000), 8000)
    content = path.read_bytes()
    odd = b"LIST" + (5).to_bytes(4, "little") + b"INFOx\0"
    path.write_bytes(content[:36] + odd + content[36:] + odd)
    assert len(decode(path, sample_rate=8000).waveform) == 8000


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "empty file"),
        (b"this is no audio at all, only a text", "cannot be decoded"),
        (b"RIFF\x00\x00\x00\x00WAVE", "truncated"),
        (b"OggS", "truncated"),
    ],
)
def test_files_that_are_no_audio(tmp_path, content, message):
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(UnusableAudio, match=message):
        decode(tmp_path / "x.wav", sample_rate=8000)


def test_no_samples_and_silence(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros(0), 8000)
    with pytest.raises(UnusableAudio, match="holds no samples"):
        decode(path, sample_rate=8000)
    for level in (0.0, 5e-5):
        soundfile.write(path, tone(8000, level=level), 8000, "FLOAT")
        with pytest.raises(UnusableAudio, match="silent"):
            decode(path, sample_rate=8000)
    opposed = np.stack((tone(8000), -tone(8000)), 1)
    soundfile.write(path, opposed, 8000)
    with pytest.raises(UnusableAudio, match="silent"):
        decode(path, sample_rate=8000)


def test_a_ratio_of_rates_that_has_no_small_terms(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(15999), 15999)
    with pytest.raises(UnusableAudio, match="rate of 15999 Hz cannot be"):
        decode(tmp_path / "x.wav", sample_rate=16000)
