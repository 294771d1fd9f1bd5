"""Tests of decoding."""

import os
import socket

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from speechbrain_ext.corpora import decoding
from speechbrain_ext.corpora.decoding import (
    AudioBlocks,
    UnusableAudio,
    decode,
    resampled,
)
from speechbrain_ext.corpora.finding import find_audio

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


def joined(blocks, rate, sample_rate):
    return np.concatenate(list(resampled(blocks, rate, sample_rate)))


def test_resampling_keeps_the_band_and_removes_the_rest(tmp_path):
    path = tmp_path / "x.wav"
    for frequency, expected in ((3590, 0.5), (4010, 0.0)):
        soundfile.write(path, tone(16000, 1, frequency), 16000, "FLOAT")
        wave = decode(path, sample_rate=8000).waveform[1000:-1000]
        assert np.sqrt(2) * np.std(wave) == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize(
    "rate, sample_rate",
    [(44100, 16000), (8000, 48000), (11025, 16000)],
)
def test_resampling_is_as_by_a_long_windowed_sinc(rate, sample_rate):
    """To -60 dB, in the band that both keep."""
    noise = np.random.default_rng(0).normal(size=3 * rate)
    spectrum = np.fft.rfft(noise)
    nyquist = min(rate, sample_rate) / 2
    spectrum[np.fft.rfftfreq(len(noise), 1 / rate) > 0.85 * nyquist] = 0
    noise = np.fft.irfft(spectrum, len(noise)).astype(np.float32)
    found = joined([noise], rate, sample_rate)
    expected = torchaudio.functional.resample(
        torch.from_numpy(noise),
        rate,
        sample_rate,
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
    ).numpy()
    assert len(found) == len(expected)
    assert np.std(found - expected) < 1e-3 * np.std(expected)


RATIOS = [
    (11025, 8000),
    (8000, 16000),
    (44101, 8000),
    (15999, 16000),
    (1000, 768_000),
    (768_000, 1000),
]


@pytest.mark.parametrize("rate, sample_rate", RATIOS)
@pytest.mark.parametrize("time", [1, 2, 100, 4001])
def test_blocks_join_without_seams(rate, sample_rate, time):
    noise = np.random.default_rng(0).normal(size=time).astype(np.float32)
    whole = joined([noise], rate, sample_rate)
    assert len(whole) == -(-time * sample_rate // rate)
    parts = np.split(noise, [time // 3, time // 2, time // 2])
    np.testing.assert_array_equal(joined(parts, rate, sample_rate), whole)


@pytest.mark.parametrize("rate, sample_rate", RATIOS)
def test_what_is_resampled_is_in_time(rate, sample_rate):
    """A slow wave, sampled at either rate, to its first and last sample."""

    def wave(rate):
        time = np.arange(2 * rate) / rate
        window = np.sin(np.pi * time / 2) ** 4
        return (window * np.sin(2 * np.pi * 5 * time)).astype(np.float32)

    found = joined([wave(rate)], rate, sample_rate)
    np.testing.assert_allclose(found, wave(sample_rate), atol=1e-4)


def test_a_block_that_grows_is_given_in_parts():
    block = np.zeros(20_000, np.float32)
    lengths = [len(part) for part in resampled([block], 1000, 768_000)]
    assert sum(lengths) == 20_000 * 768
    assert 4 * max(lengths) < 2 * decoding.BLOCK_BYTES


def test_a_file_longer_than_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "BLOCK_BYTES", 10_000)
    path = tmp_path / "x.wav"
    stereo = np.stack((tone(16000, 3.4),) * 2, 1)
    soundfile.write(path, stereo, 16000, "FLOAT")
    with AudioBlocks(path) as blocks:
        assert max(len(block) for block in blocks) == 1250
        assert blocks.frames == len(stereo)
    wave = decode(path, sample_rate=8000).waveform
    np.testing.assert_allclose(
        wave[200:-200], tone(8000, 3.4)[200:-200], atol=1e-3
    )


def test_a_file_is_read_as_often_as_it_is_asked_for(tmp_path):
    path = tmp_path / "x.ogg"
    soundfile.write(path, tone(16000, 2), 16000)
    with AudioBlocks(path, block_seconds=0.3) as blocks:
        first, second = (np.concatenate(list(blocks)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert blocks.frames == len(first) == 32000


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
    wave = tone(8000, seconds=21)  # in the third block
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


@pytest.mark.parametrize("offset", [0.5, -0.01, 1.0])
def test_levels_are_judged_without_the_mean(tmp_path, offset):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.full(24000, offset), 8000, "FLOAT")
    with pytest.raises(UnusableAudio, match="silent"):
        decode(path, sample_rate=8000)
    # silent in one half, and louder than that by its offset alone
    quiet = offset + tone(8000, level=5e-5)
    soundfile.write(path, quiet, 8000, "FLOAT")
    with pytest.raises(UnusableAudio, match="silent"):
        decode(path, sample_rate=8000)
    soundfile.write(path, offset + tone(8000, level=5e-4), 8000, "FLOAT")
    with AudioBlocks(path, block_seconds=0.1) as blocks:
        list(blocks)
    # of the rounding of 32-bit samples near the offset
    assert blocks.peak == pytest.approx(5e-4, abs=1e-7)


@pytest.mark.parametrize(
    "rate, accepted",
    [(999, False), (1000, True), (768_000, True), (160_000_000, False)],
)
def test_rates_that_no_recording_has(tmp_path, rate, accepted):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(1000), rate)
    if accepted:
        assert decode(path, sample_rate=8000).source_rate == rate
    else:
        with pytest.raises(UnusableAudio, match=f"a rate of {rate} Hz"):
            decode(path, sample_rate=8000)


@pytest.mark.parametrize(
    "channels, accepted", [(64, True), (65, False), (1024, False)]
)
def test_numbers_of_channels(tmp_path, channels, accepted):
    path = tmp_path / "x.wav"
    wave = np.repeat(tone(8000)[:, None], channels, 1)
    soundfile.write(path, wave, 8000)
    if accepted:
        mean = decode(path, sample_rate=8000).waveform
        np.testing.assert_allclose(mean, tone(8000), atol=2**-15)
    else:
        with pytest.raises(UnusableAudio, match=f"has {channels} channels"):
            decode(path, sample_rate=8000)


def flac_frame(number, samples):
    """Give a frame of one constant subframe, mono 16 bits at 16 kHz."""
    header = bytearray(b"\xff\xf8\x75\x08")  # block size in two bytes
    header += chr(number).encode("utf-8", "surrogatepass")
    header += (samples - 1).to_bytes(2, "big")
    header.append(crc(header, 8, 0x07))
    frame = header + b"\0" + b"\1\0"
    return bytes(frame) + crc(frame, 16, 0x8005).to_bytes(2, "big")


def crc(content, bits, polynomial):
    value, top = 0, 1 << (bits - 1)
    for byte in content:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value & top else 0)
            value &= (1 << bits) - 1
    return value


def test_a_small_file_that_grows_without_end(tmp_path):
    """Sixteen bytes for four seconds of a constant."""
    path = tmp_path / "x.flac"
    header = b"fLaC\x80\0\0\x22" + b"\xff\xff" * 2 + bytes(6)
    rate = 16000 << 44 | 15 << 36
    frames = b"".join(flac_frame(n, 65535) for n in range(100))
    path.write_bytes(header + rate.to_bytes(8, "big") + bytes(16) + frames)
    with AudioBlocks(path) as blocks:
        assert len(next(iter(blocks))) == 160_000
    with pytest.raises(UnusableAudio, match="more than 1000 times its size"):
        decode(path, sample_rate=8000)


def test_a_file_that_is_longer_than_any_recording(tmp_path):
    """A hole takes no place on the disk, and hours to decode."""
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(1000), 1000)
    content = bytearray(path.read_bytes())
    content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    os.truncate(path, 44 + 2 * 1000 * 86_000)
    AudioBlocks(path)
    os.truncate(path, 44 + 2 * 1000 * 87_000)
    with pytest.raises(UnusableAudio, match="longer than 24 hours"):
        AudioBlocks(path)


def test_what_does_not_fit_into_memory(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(8000, 3), 8000)
    monkeypatch.setattr(decoding, "MOST_BYTES", 4 * 24000 - 1)
    with pytest.raises(UnusableAudio, match="lasts longer than"):
        decode(path, sample_rate=8000)
    monkeypatch.setattr(decoding, "MOST_BYTES", 4 * 24000)
    assert len(decode(path, sample_rate=8000).waveform) == 24000


def test_what_is_no_file_is_never_opened(tmp_path, monkeypatch):
    """A pipe would be waited for until something is written to it."""
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # names of sockets are short
        server.bind("socket.wav")
        for kind in ("named pipe", "folder", "device", "socket"):
            path = tmp_path / f"{kind.split()[-1]}.wav"
            with pytest.raises(UnusableAudio, match=f"is a {kind}, not a"):
                decode(path, sample_rate=8000)


NAMES = {
    "not_utf8": b"caf\xe9 \xff.wav",
    "newline": b"a\nb\r\x1b[2J.wav",
    "longest": b"n" * 251 + b".wav",
    "question": b"%s {0} *?[x].wav",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_any_bytes(tmp_path, name):
    soundfile.write(tmp_path / "x.wav", tone(8000), 8000)
    path = os.path.join(os.fsencode(tmp_path), name)
    os.rename(tmp_path / "x.wav", path)
    (found,) = find_audio(tmp_path)
    assert os.fsencode(found) == path
    for given in (path, os.fsdecode(path), found):
        assert len(decode(given, sample_rate=8000).waveform) == 8000


def test_links_that_lead_nowhere_and_round(tmp_path):
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "round.wav").symlink_to("round.wav")
    for path in find_audio(tmp_path):
        with pytest.raises(OSError) as error:
            decode(path, sample_rate=8000)
        assert error.value.filename in (path, str(path))


STEREO = {
    "antiphase": ([1, -1], "cancel"),
    "offset": ([1, -1], "cancel"),
    "three": ([1, -0.5, -0.5], "cancel"),
    "faint": ([1e-5, -1e-5], "silent: no sample"),
}


@pytest.mark.parametrize(("gains", "told"), STEREO.values(), ids=STEREO)
def test_channels_that_cancel_are_not_called_silent(
    tmp_path, request, gains, told
):
    path = tmp_path / "a.wav"
    wave = tone(8000)[:, None] * np.array(gains)
    if "offset" in request.node.name:
        wave[:, 0] += 0.1
    soundfile.write(path, wave, 8000, subtype="FLOAT")
    with pytest.raises(UnusableAudio, match=told):
        decode(path, sample_rate=8000)
    if told == "cancel":
        assert decode(path, sample_rate=8000, channel=1).waveform.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_values_that_are_not_finite_are_named(tmp_path, value):
    wave = tone(8000)
    wave[3] = value
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    with pytest.raises(UnusableAudio, match=r"not finite \(NaN or infinity\)"):
        decode(tmp_path / "a.wav", sample_rate=8000)
