"""Write audio files by hand, so that their headers may lie."""

import io
import struct
import zlib

import soundfile

from hostile.runners import RATE, good_sound

SOUND = good_sound().tobytes()


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """Make a chunk of a RIFF file, perhaps of another size than it says."""
    size = len(content) if size is None else size
    return name + struct.pack("<I", size) + content + b"\0" * (len(content) % 2)


def wav(
    *,
    form: int = 1,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    align: int | None = None,
    data: bytes = SOUND,
    size: int | None = None,
    riff: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    fmt: bytes | None = None,
) -> bytes:
    """Make a WAV file with a header of one's own."""
    align = channels * bits // 8 if align is None else align
    if fmt is None:
        fmt = struct.pack(
            "<HHIIHH", form, channels % 2**16, rate, rate * align % 2**32,
            align % 2**16, bits,
        )  # fmt: skip
    content = b"WAVE" + chunk(b"fmt ", fmt) + before
    content += chunk(b"data", data, size) + after
    riff = len(content) if riff is None else riff
    return b"RIFF" + struct.pack("<I", riff) + content


def floats(value: float, count: int = 9600) -> bytes:
    """Make a WAV file of floats."""
    return wav(form=3, bits=32, data=struct.pack("<f", value) * count)


def coded(form: str, subtype: str | None = None, wave=None, rate=RATE) -> bytes:
    """Make a good file in another format."""
    buffer = io.BytesIO()
    sound = good_sound() if wave is None else wave
    soundfile.write(buffer, sound, rate, format=form, subtype=subtype)
    return buffer.getvalue()


def changed(content: bytes, offset: int, new: bytes) -> bytes:
    """Content with other bytes at a place."""
    return content[:offset] + new + content[offset + len(new) :]


def flac_info(*, rate=RATE, channels=1, bits=16, total=9600, block=4096):
    """Make a FLAC file whose header says other things than its frames."""
    content = coded("FLAC")
    packed = rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | total
    content = changed(content, 18, struct.pack(">Q", packed))
    return changed(content, 8, struct.pack(">HH", block, block))


def constant_flac(frames: int, channels: int, rate: int = RATE) -> bytes:
    """Make FLAC of one constant, a few bytes for 65,535 samples."""
    info = struct.pack(">HH", 65535, 65535) + bytes(6)
    packed = rate << 44 | (channels - 1) << 41 | 15 << 36 | frames * 65535
    info += struct.pack(">Q", packed) + bytes(16)
    parts = [b"fLaC\x80" + len(info).to_bytes(3, "big") + info]
    for number in range(frames):
        head = b"\xff\xf8\x70" + bytes([(channels - 1) << 4 | 8])
        head += _utf8(number) + struct.pack(">H", 65534)
        head += bytes([_crc8(head)])
        frame = head + (b"\0" + struct.pack(">h", 3000)) * channels
        parts.append(frame + struct.pack(">H", _crc16(frame)))
    return b"".join(parts)


def _utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")


def _crc8(content: bytes) -> int:
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
    return value


def _crc16(content: bytes) -> int:
    value = 0
    for byte in content:
        value ^= byte << 8
        for _ in range(8):
            value = value << 1 ^ 0x8005 if value & 0x8000 else value << 1
            value &= 0xFFFF
    return value


def ogg_page(content: bytes, *, flags=0, position=0, number=0, serial=1):
    """Make one page of an Ogg file, of at most 255 * 255 bytes."""
    segments = bytes([255] * (len(content) // 255) + [len(content) % 255])
    head = struct.pack(
        "<4sBBqIIIB", b"OggS", 0, flags, position, serial, number, 0,
        len(segments),
    )  # fmt: skip
    page = head + segments + content
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = value << 1 ^ 0x04C11DB7 if value & 2**31 else value << 1
            value &= 2**32 - 1
    return page[:22] + struct.pack("<I", value) + page[26:]


def extended(value: int, exponent: int = 16398) -> bytes:
    """Give the 80-bit float of AIFF's rates."""
    return struct.pack(">HQ", exponent, value)


def aiff(rate: bytes, *, frames=9600, channels=1, bits=16, size=None) -> bytes:
    """Make an AIFF file with a header of one's own."""
    common = struct.pack(">hIh", channels, frames % 2**32, bits) + rate
    sound = bytes(8) + good_sound().byteswap().tobytes()
    size = len(sound) if size is None else size
    content = b"AIFFCOMM" + struct.pack(">I", 18) + common
    content += b"SSND" + struct.pack(">I", size) + sound
    return b"FORM" + struct.pack(">I", len(content)) + content


def caf(*, rate=8000.0, channels=1, bits=16, size=None, frames=1) -> bytes:
    """Make a CAF file with a header of one's own."""
    size = len(SOUND) + 4 if size is None else size
    desc = struct.pack(
        ">d4sIIIII",
        rate,
        b"lpcm",
        2,
        2 * channels % 2**32,
        frames,
        channels,
        bits,
    )
    return (
        b"caff\0\1\0\0desc" + struct.pack(">q", 32) + desc
        + b"data" + struct.pack(">q", size) + bytes(4) + SOUND
    )  # fmt: skip


def au(*, offset=24, size=0xFFFFFFFF, coding=3, rate=RATE, channels=1) -> bytes:
    """Make an AU file with a header of one's own."""
    fields = (offset, size, coding, rate % 2**32, channels)
    return struct.pack(">4sIIIII", b".snd", *fields) + SOUND


def png_of_bytes() -> bytes:
    """Make a picture."""
    return b"\x89PNG\r\n\x1a\n" + zlib.compress(SOUND)
