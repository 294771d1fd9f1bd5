"""Tests of files whose headers are wrong: the decoder's end is believed."""

import io
import struct

import numpy as np
import pytest
import soundfile

from speechbrain_ext.corpora.containers import views_of
from speechbrain_ext.corpora.decoding import (
    AudioBlocks,
    UnusableAudio,
    decode,
)

RATE = 16000
NOISE = 0.2 * np.random.default_rng(0).uniform(-1, 1, 2 * RATE).astype(
    np.float32
)
# an ID3v2 tag with a cover of 1.5 MB
COVER = b"ID3\3\0\0" + bytes([0, 96, 0, 0]) + b"\xff\xfb\x90\x64" * 393216


def encoded(format, subtype=None, wave=NOISE, rate=RATE, **options):
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", rate, 1, subtype, format=format, **options
    ) as sound:
        sound.write(wave)
    return bytearray(file.getvalue())


def put(content, offset, new):
    return content[:offset] + new + content[offset + len(new) :]


def read(folder, content, ending="bin"):
    path = folder / f"x.{ending}"
    path.write_bytes(content)
    with AudioBlocks(path) as blocks:
        return np.concatenate(list(blocks))


# Chunks --------------------------------------------------------------------

UNKNOWN = {
    "zero": 0,
    "all_ones": 0xFFFFFFFF,
    "largest_signed": 0x7FFFFFFF,
    "sox": 0x7FFFF000,
    "half": 0x80000000,
}


@pytest.mark.parametrize("length", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("outer", [0, 36, 0xFFFFFFFF])
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
def test_a_wav_of_unknown_length(tmp_path, format, outer, length):
    content = encoded(format)
    content = put(content, 4, struct.pack("<I", outer))
    offset = content.index(b"data") + 4
    content = put(content, offset, struct.pack("<I", length))
    wave = read(tmp_path, content)
    np.testing.assert_allclose(wave, NOISE, atol=2**-15)
    # what reads it by its header must not be handed the file itself
    assert not AudioBlocks(tmp_path / "x.bin").is_pcm16


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24", "ULAW", "PCM_U8"])
def test_a_wav_of_other_samples_and_unknown_length(tmp_path, subtype):
    content = encoded("WAV", subtype)
    expected = read(tmp_path, content)
    offset = content.index(b"data") + 4
    wave = read(tmp_path, put(content, offset, bytes(4)))
    np.testing.assert_array_equal(wave[: len(expected)], expected)
    assert len(wave) - len(expected) < 100  # a chunk behind the samples


def test_a_wav_without_samples_has_none(tmp_path):
    content = encoded("WAV", wave=NOISE[:0])
    assert content[-4:] == bytes(4)
    for rest in (b"", b"LIST\4\0\0\0INFO"):
        with pytest.raises(UnusableAudio, match="holds no samples"):
            read(tmp_path, content + rest)


def test_samples_beyond_four_gigabytes():
    """The length stands there modulo 2**32; nothing is read of the samples."""

    class Long(io.BytesIO):
        def seek(self, offset, whence=0):
            if whence == 2:
                return 44 + 2**32 + 1000
            return super().seek(offset, whence)

    content = put(encoded("WAV")[:1044], 40, struct.pack("<I", 1000))
    (view,) = views_of(Long(content))
    assert view.patches == {40: b"\xff" * 4}
    assert view.size == 44 + 2**32 + 1000


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize(
    "length", [None, 0, 2**64 - 1, 2**63 - 1], ids=["true", "0", "-1", "max"]
)
def test_lengths_of_64_bits(tmp_path, magic, length):
    content = put(encoded("RF64"), 0, magic)
    if length is not None:
        offset = content.index(b"ds64") + 8
        content = put(content, offset, struct.pack("<QQQ", *[length] * 3))
    np.testing.assert_allclose(read(tmp_path, content), NOISE, atol=2**-15)


@pytest.mark.parametrize("frames", [None, 0, 0xFFFFFFFF])
@pytest.mark.parametrize("length", [0, 8, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_aiff_of_unknown_length(tmp_path, length, frames):
    content = encoded("AIFF")
    offset = content.index(b"SSND") + 4
    content = put(content, offset, struct.pack(">I", length))
    if frames is not None:
        offset = content.index(b"COMM") + 10
        content = put(content, offset, struct.pack(">I", frames))
    np.testing.assert_allclose(read(tmp_path, content), NOISE, atol=2**-15)


@pytest.mark.parametrize(
    "format, marker, code, lengths",
    [
        ("CAF", b"data", ">q", [-1, 0, 4]),
        ("W64", b"data\xf3", "<Q", [0, 24, 2**64 - 1, 2**63 - 1]),
        ("AU", b".snd", ">I", [0, 0xFFFFFFFF, 0x7FFFFFFF]),
    ],
    ids=["CAF", "W64", "AU"],
)
def test_other_files_of_unknown_length(tmp_path, format, marker, code, lengths):
    content = encoded(format)
    offset = content.index(marker) + {"CAF": 4, "W64": 16, "AU": 8}[format]
    for length in lengths:
        unknown = put(content, offset, struct.pack(code, length))
        np.testing.assert_allclose(read(tmp_path, unknown), NOISE, atol=2**-15)


@pytest.mark.parametrize(
    "format", ["WAV", "WAVEX", "RF64", "AIFF", "CAF", "W64", "AU"]
)
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_file_that_is_cut_off_is_refused(tmp_path, format, share):
    content = encoded(format)
    read(tmp_path, content)
    with pytest.raises(UnusableAudio, match="truncated"):
        read(tmp_path, content[: round(share * len(content))])


def test_what_lies_behind_the_samples_is_told(tmp_path, caplog):
    content = encoded("WAV")
    assert len(read(tmp_path, content + b"LIST\4\0\0\0INFO")) == len(NOISE)
    assert not caplog.records
    assert len(read(tmp_path, content + b"\1" * 5000)) == len(NOISE)
    assert "5000 bytes behind the samples" in caplog.text


def test_a_file_of_countless_chunks_is_refused(tmp_path):
    header = encoded("WAV")[:36]
    with pytest.raises(UnusableAudio, match="10000 chunks"):
        read(tmp_path, header + b"junk\0\0\0\0" * 20000)


@pytest.mark.parametrize("format", ["WAV", "FLAC", "AIFF", "OGG", "MP3"])
def test_a_tag_in_front_does_not_matter(tmp_path, format):
    content = encoded(format)
    expected = read(tmp_path, content)
    np.testing.assert_array_equal(read(tmp_path, COVER + content), expected)


# FLAC ----------------------------------------------------------------------


def flac(total):
    content = encoded("FLAC")
    head = int.from_bytes(content[18:26], "big") >> 36 << 36 | total
    return put(content, 18, head.to_bytes(8, "big"))


@pytest.mark.parametrize("total", [0, 1, 4096, len(NOISE)])
def test_a_flac_is_decoded_to_its_end(tmp_path, total):
    np.testing.assert_allclose(read(tmp_path, flac(total)), NOISE, atol=2**-15)


@pytest.mark.parametrize("total", [0, len(NOISE)])
def test_a_flac_with_a_tag_behind_it(tmp_path, total):
    content = flac(total) + b"TAG" + bytes(125)
    assert len(read(tmp_path, content)) == len(NOISE)


def test_a_flac_with_something_else_behind_it(tmp_path, caplog):
    assert len(read(tmp_path, flac(len(NOISE)) + b"\1" * 5000)) == len(NOISE)
    assert "passed over" in caplog.text


@pytest.mark.parametrize("total", [0, len(NOISE)])
def test_a_flac_that_stops_in_a_frame(tmp_path, total):
    content = flac(total)
    with pytest.raises(UnusableAudio, match="truncated|lost sync"):
        read(tmp_path, content[: len(content) // 2])


def test_a_flac_of_which_frames_are_missing(tmp_path):
    with pytest.raises(UnusableAudio, match="32000 of 32001 samples"):
        read(tmp_path, flac(len(NOISE) + 1))


# MP3 -----------------------------------------------------------------------


def mp3(wave, *, xing):
    """Give an MP3 of variable rate, with the header that tells its length."""
    content = encoded(
        "MP3",
        wave=wave,
        rate=44100,
        bitrate_mode="VARIABLE",
        compression_level=0.5,
    )
    assert b"Xing" in content[:100]
    # the second frame begins with the same two bytes
    return content if xing else content[content.index(content[:2], 100) :]


LOUD_AT_LAST = np.concatenate((1e-3 * NOISE, NOISE))
LOUD_AT_FIRST = LOUD_AT_LAST[::-1]


@pytest.mark.parametrize("front", [b"", COVER], ids=["bare", "cover"])
@pytest.mark.parametrize(
    "wave", [LOUD_AT_FIRST, LOUD_AT_LAST, NOISE], ids=["falls", "rises", "even"]
)
@pytest.mark.parametrize("xing", [True, False])
def test_an_mp3_is_decoded_to_its_end(tmp_path, front, wave, xing):
    decoded = read(tmp_path, front + mp3(wave, xing=xing))
    if xing:
        assert len(decoded) == len(wave)
    # encoders and decoders add up to three frames
    assert 0 <= len(decoded) - len(wave) <= 3 * 1152
    quarter = len(wave) // 4
    for part in (slice(0, quarter), slice(3 * quarter, None)):
        assert np.std(decoded[part]) == pytest.approx(
            np.std(wave[part]), rel=0.2
        )


def test_mp3s_that_were_joined_are_decoded_to_the_end(tmp_path):
    content = mp3(NOISE, xing=True)
    assert len(read(tmp_path, content + content)) >= 2 * len(NOISE)


TAG = b"ID3\4\0\0\0\0\0\0"


@pytest.mark.parametrize("tag", [TAG, TAG[:-1] + b"\2xx"], ids=["0", "2"])
def test_countless_tags_behind_an_mp3_are_not_read(tmp_path, tag):
    content = mp3(NOISE, xing=False)
    whole = read(tmp_path, content + 200_000 * tag)
    assert np.array_equal(whole, read(tmp_path, content))
    with pytest.raises(UnusableAudio):
        read(tmp_path, 200_000 * tag + content)
    tagged = read(tmp_path, (8 * tag + content) * 20)
    assert len(tagged) > 20 * len(NOISE)


def test_an_mp3_that_is_cut_off(tmp_path):
    content = mp3(NOISE, xing=True)
    with pytest.raises(UnusableAudio, match="truncated: .* of 32000"):
        read(tmp_path, content[: len(content) * 9 // 10])


# Ogg -----------------------------------------------------------------------

CODECS = ["VORBIS", "OPUS"]


def pages_of(content):
    pages, offset = [], 0
    while offset < len(content):
        segments = content[offset + 26]
        table = content[offset + 27 : offset + 27 + segments]
        size = 27 + segments + sum(table)
        pages.append(content[offset : offset + size])
        offset += size
    return pages


def checksum(page):
    """Bit by bit, as RFC 3533 has it."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x104C11DB7 if value >> 31 else 0)
    return value


def signed(page):
    page = put(page, 22, bytes(4))
    return put(page, 22, struct.pack("<I", checksum(page)))


@pytest.mark.parametrize("codec", CODECS)
def test_chained_streams_are_decoded_one_after_the_other(tmp_path, codec):
    first = encoded("OGG", codec)
    second = encoded("OGG", codec, wave=NOISE[: RATE // 2])
    second = [signed(put(page, 14, b"next")) for page in pages_of(second)]
    wave = read(tmp_path, first + b"".join(second))
    assert len(wave) == len(NOISE) + RATE // 2
    np.testing.assert_array_equal(wave[: len(NOISE)], read(tmp_path, first))


def test_chained_streams_of_different_rates_are_refused(tmp_path):
    content = encoded("OGG", "VORBIS") + encoded("OGG", "VORBIS", rate=8000)
    with pytest.raises(UnusableAudio, match="parts differ"):
        read(tmp_path, content)


def test_streams_that_are_chained_of_countless_parts(tmp_path):
    first, *_, last = pages_of(encoded("OGG", "VORBIS"))
    with pytest.raises(UnusableAudio, match="more than 2000 parts"):
        read(tmp_path, (first + last) * 3000)


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_whose_last_page_is_not_marked(tmp_path, caplog, codec):
    """As of a program that was ended, or of a broadcast."""
    content = encoded("OGG", codec)
    *pages, last = pages_of(content)
    assert last[5] == 4
    unmarked = b"".join(pages) + signed(put(last, 5, b"\0"))
    np.testing.assert_array_equal(
        read(tmp_path, unmarked), read(tmp_path, content)
    )
    assert "may be cut off" in caplog.text


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("count", [100, 100_000])
def test_what_lies_around_a_stream(tmp_path, codec, count):
    content = encoded("OGG", codec)
    assert len(read(tmp_path, content + b"\1" * count)) == len(NOISE)


@pytest.mark.parametrize("codec", CODECS)
def test_a_page_that_is_damaged_is_noticed(tmp_path, codec):
    pages = pages_of(encoded("OGG", codec))
    pages[-2][60] ^= 1
    with pytest.raises(UnusableAudio, match="truncated|malformed"):
        read(tmp_path, b"".join(pages))


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_without_the_end_of_its_last_page(tmp_path, codec):
    with pytest.raises(UnusableAudio, match="truncated"):
        read(tmp_path, encoded("OGG", codec)[:-10])


# All -----------------------------------------------------------------------

FOREIGN = {
    "m4a": (b"\0\0\0\x20ftypM4A ", "MP4, M4A or MOV"),
    "webm": (b"\x1aE\xdf\xa3", "WebM or Matroska"),
    "aac": (b"\xff\xf1\x50\x80", "AAC"),
    "wma": (b"0&\xb2u\x8ef\xcf\x11", "WMA"),
    "avi": (b"RIFF\0\0\1\0AVI LIST", "AVI"),
    "amr": (b"#!AMR\n", "AMR"),
    "html": (b"<!doctype html>", "a web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_named_whatever_their_ending(tmp_path, kind):
    magic, named = FOREIGN[kind]
    (tmp_path / "x.mp3").write_bytes(magic + b"\1" * 3000)
    with pytest.raises(UnusableAudio, match="cannot be decoded: it is") as e:
        decode(tmp_path / "x.mp3", sample_rate=8000)
    assert named in str(e.value)


def test_an_error_of_the_disk_is_no_fault_of_the_file(tmp_path, monkeypatch):
    """Reading fails in the middle, as of a network drive that is gone."""
    path = tmp_path / "x.wav"
    soundfile.write(path, NOISE, RATE)
    with AudioBlocks(path, block_seconds=0.1) as blocks:
        file = blocks._views[0].file

        class Failing:
            def seek(self, offset):
                return file.seek(offset)

            def readinto(self, buffer):
                if file.tell() > 30000:
                    raise OSError(5, "Input/output error")
                return file.readinto(buffer)

        blocks._views[0].file = Failing()
        with pytest.raises(OSError, match="Input/output error") as error:
            list(blocks)
    assert error.value.filename == str(path)


@pytest.mark.parametrize(
    "format", ["WAV", "AIFF", "CAF", "W64", "AU", "RF64", "FLAC", "OGG", "MP3"]
)
def test_headers_of_noise_are_refused_or_read(tmp_path, format):
    """Nothing but a reason or samples comes of a header with flipped bytes."""
    content = encoded(format)
    random = np.random.default_rng(1)
    for _ in range(40):
        broken = bytearray(content)
        for place in random.integers(4, 80, 3):
            broken[place] = random.integers(256)
        try:
            assert np.isfinite(read(tmp_path, broken)).all()
        except UnusableAudio as error:
            assert str(error)
