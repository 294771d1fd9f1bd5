"""Audio files that lie about their size, or are something else."""

import os
import socket
import struct

from hostile.bases import base
from hostile.case import Case
from hostile.runners import decode, prepare, separate
from hostile.runners import write_good as write_recordings
from hostile.sounds import (
    SOUND,
    aiff,
    au,
    caf,
    changed,
    chunk,
    coded,
    constant_flac,
    extended,
    flac_info,
    floats,
    ogg_page,
    png_of_bytes,
    wav,
)

ID3 = b"ID3\x04\0\0"
MP3 = coded("MP3")
OGG = coded("OGG")
GOOD_RATE = extended(8000 << 48, 16398)
RATES = (0, 1, 7, 999, 768_001, 160_000_000, 2**31 - 1, 2**31, 2**32 - 1)
FILES = {
    **{f"WAV of {rate} Hz": ("wav", wav(rate=rate)) for rate in RATES},
    **{
        f"WAV of {count} channels": ("wav", wav(channels=count))
        for count in (0, 65, 1024, 65535)
    },
    **{f"FLAC of {r} Hz": ("flac", flac_info(rate=r)) for r in (1, 655_350)},
    "WAV of 1024 channels, constant": (
        "wav",
        wav(channels=1024, data=SOUND * 100),
    ),
    "WAV of block align 0": ("wav", wav(align=0)),
    "WAV of block align 1": ("wav", wav(align=1)),
    "WAV of block align 65535": ("wav", wav(align=65535)),
    "WAV of 0 bits": ("wav", wav(bits=0)),
    "WAV of 7 bits": ("wav", wav(bits=7)),
    "WAV of 65535 bits": ("wav", wav(bits=65535)),
    "WAV of format 0": ("wav", wav(form=0)),
    "WAV of format 0xFFFE without more": ("wav", wav(form=0xFFFE)),
    "WAV of format 0x55": ("wav", wav(form=0x55)),
    "WAV of ADPCM": ("wav", wav(form=2, align=1, bits=4)),
    "WAV of GSM": ("wav", wav(form=0x31, bits=0, align=65)),
    "WAV with fmt of 2 bytes": ("wav", wav(fmt=b"\1\0")),
    "WAV with fmt of 1 MB": ("wav", wav(fmt=bytes(10**6))),
    "WAV without fmt": ("wav", b"RIFF\x10\0\0\0WAVE" + chunk(b"data", SOUND)),
    "WAV without data": ("wav", wav()[:36]),
    "WAV header only": ("wav", wav(data=b"")),
    "WAV data cut off": ("wav", wav(size=10**6)),
    "WAV data of 2 GB declared": ("wav", wav(size=2**31 - 1)),
    "WAV data of odd length": ("wav", wav(data=SOUND[:-1])),
    "WAV of 24 bits and odd length": ("wav", wav(bits=24, data=SOUND[:-1])),
    "WAV RIFF size 0": ("wav", wav(riff=0)),
    "WAV RIFF size 4 GB": ("wav", wav(riff=2**32 - 1)),
    "WAV data twice": ("wav", wav(after=chunk(b"data", SOUND))),
    "WAV fmt twice": ("wav", wav(before=chunk(b"fmt ", bytes(16)))),
    "WAV chunk of 4 GB in front": (
        "wav",
        wav(before=chunk(b"junk", b"", 2**32 - 1)),
    ),
    "WAV chunk of 0xFFFFFFF8": (
        "wav",
        wav(before=chunk(b"LIST", b"", 2**32 - 8)),
    ),
    "WAV 100000 empty chunks": (
        "wav",
        wav(before=chunk(b"junk", b"") * 100_000),
    ),
    "WAV text of 1 MB": (
        "wav",
        wav(
            before=chunk(
                b"LIST", b"INFO" + chunk(b"INAM", b"\x1b[2J" * 250_000)
            )
        ),
    ),
    "WAV text that lies": (
        "wav",
        wav(before=chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x", 2**31))),
    ),
    "WAV cue points": ("wav", wav(before=chunk(b"cue ", b"\xff" * 4))),
    "WAV smpl loops": ("wav", wav(before=chunk(b"smpl", b"\xff" * 36))),
    "WAV bext of nothing": ("wav", wav(before=chunk(b"bext", b""))),
    "WAV PEAK of nothing": (
        "wav",
        wav(before=chunk(b"PEAK", b""), form=3, bits=32),
    ),
    "WAV fact that lies": ("wav", wav(before=chunk(b"fact", b"\xff" * 4))),
    "WAV silent": ("wav", wav(data=bytes(20_000))),
    "WAV of NaN": ("wav", floats(float("nan"))),
    "WAV of infinities": ("wav", floats(float("inf"))),
    "WAV of 1e38": ("wav", floats(1e38)),
    "WAV of denormals": ("wav", floats(1e-45)),
    "WAV of doubles of 1e308": (
        "wav",
        wav(form=3, bits=64, data=struct.pack("<d", 1e308) * 9600),
    ),
    "WAV constant": ("wav", wav(data=struct.pack("<h", 9999) * 9600)),
    "RIFX": ("wav", b"RIFX" + wav()[4:]),
    "RF64 of 2**63 bytes": (
        "wav",
        b"RF64\xff\xff\xff\xffWAVE"
        + chunk(b"ds64", struct.pack("<QQQI", 2**63, 2**63, 2**63, 0))
        + wav()[12:],
    ),
    "RF64 with a table of 4 billion": (
        "wav",
        b"RF64\xff\xff\xff\xffWAVE"
        + chunk(b"ds64", struct.pack("<QQQI", 9**9, 9**9, 9, 2**32 - 1))
        + wav()[12:],
    ),
    "W64 of 2**63 bytes": (
        "w64",
        changed(coded("W64"), 16, b"\xff" * 7 + b"\x7f"),
    ),
    "W64 with a chunk of 0 bytes": ("w64", changed(coded("W64"), 56, bytes(8))),
    "FLAC constant, 4 hours in 200 kB": (
        "flac",
        lambda _: constant_flac(1800, 1),
    ),
    "FLAC constant, 8 channels": ("flac", lambda _: constant_flac(2000, 8)),
    "FLAC constant at 655350 Hz": (
        "flac",
        lambda _: constant_flac(2000, 8, 655_350),
    ),
    "FLAC of total 2**36": ("flac", flac_info(total=2**36 - 1)),
    "FLAC of total 1": ("flac", flac_info(total=1)),
    "FLAC of 8 channels declared": ("flac", flac_info(channels=8)),
    "FLAC of 32 bits declared": ("flac", flac_info(bits=32)),
    "FLAC of 4 bits declared": ("flac", flac_info(bits=4)),
    "FLAC of block size 0": ("flac", flac_info(block=0)),
    "FLAC of block size 16": ("flac", flac_info(block=16)),
    "FLAC cut in half": ("flac", coded("FLAC")[:5000]),
    "FLAC header only": ("flac", coded("FLAC")[:42]),
    "FLAC with frames of noise": (
        "flac",
        coded("FLAC")[:200] + os.urandom(9000),
    ),
    "FLAC metadata of 16 MB declared": (
        "flac",
        b"fLaC" + b"\x04\xff\xff\xff" + bytes(100),
    ),
    "FLAC comments of 4 billion": (
        "flac",
        coded("FLAC")[:42].replace(b"fLaC\x80", b"fLaC\0")
        + b"\x84\0\0\x08\0\0\0\0\xff\xff\xff\xff",
    ),
    "FLAC cover of 16 MB": (
        "flac",
        changed(coded("FLAC"), 4, b"\0")[:42]
        + b"\x86\xff\xff\xff"
        + bytes(2**24 - 1),
    ),
    "FLAC endless metadata": (
        "flac",
        coded("FLAC")[:42] + b"\1\0\0\0" * 100_000,
    ),
    "OGG cut in half": ("ogg", OGG[: len(OGG) // 2]),
    "OGG first page only": ("ogg", OGG[:58]),
    "OGG first page without end": ("ogg", OGG[:58] * 1000),
    "OGG of position 2**62": (
        "ogg",
        OGG[:-3000] + changed(OGG[-3000:], 6, b"\xff" * 7 + b"\x3f"),
    ),
    "OGG of empty pages": ("ogg", ogg_page(b"") * 5000),
    "OGG pages of other streams": (
        "ogg",
        OGG[:58]
        + b"".join(ogg_page(b"x", flags=2, serial=n) for n in range(500))
        + OGG[58:],
    ),
    "OGG of a codec unknown": (
        "ogg",
        ogg_page(b"\x01evil" + bytes(50), flags=2),
    ),
    "OGG Vorbis of 255 channels": ("ogg", changed(OGG, 39, b"\xff")),
    "OGG Vorbis of 4 GHz": ("ogg", changed(OGG, 40, b"\xff" * 4)),
    "OGG comments of 4 GB": (
        "ogg",
        ogg_page(OGG[28:58], flags=2)
        + ogg_page(b"\x03vorbis\xff\xff\xff\xff" + bytes(50), number=1),
    ),
    "OGG names only": ("ogg", b"OggS" * 50_000),
    "OGG last page cut": ("ogg", OGG[:-1]),
    "Opus with gain": (
        "opus",
        ogg_page(b"OpusHead\1\1\0\0\x80\xbb\0\0\xff\x7f\0", flags=2),
    ),
    "Opus of 255 channels": (
        "opus",
        ogg_page(
            b"OpusHead\1\xff\0\0\x80\xbb\0\0\0\0\xff\xff\xff" + bytes(255),
            flags=2,
        ),
    ),
    "MP3 of noise": ("mp3", os.urandom(50_000)),
    "MP3 of sync words": ("mp3", b"\xff\xfb" * 50_000),
    "MP3 of headers": ("mp3", b"\xff\xfb\x90\x64" * 20_000),
    "MP3 with a tag of 256 MB declared": ("mp3", ID3 + b"\x7f" * 4 + MP3),
    "MP3 with a tag of 10 MB": (
        "mp3",
        ID3 + b"\0\4\x61\x28" + bytes(76_968) + MP3,
    ),
    "MP3 with tags in tags": ("mp3", (ID3 + b"\0\0\0\0") * 20_000 + MP3),
    "MP3 tag only": ("mp3", ID3 + b"\0\0\0\0"),
    "MP3 cut in half": ("mp3", MP3[: len(MP3) // 2]),
    "MP3 whose Xing header lies": (
        "mp3",
        MP3[:4]
        + MP3[4:].replace(b"Xing", b"Xing\0\0\0\x0f\x7f\xff\xff\xff", 1),
    ),
    "MP3 that changes its rate": ("mp3", MP3 + coded("MP3", rate=44100)),
    "AIFF of rate 0": ("aiff", aiff(bytes(10))),
    "AIFF of rate infinite": ("aiff", aiff(extended(0, 0x7FFF))),
    "AIFF of rate not a number": ("aiff", aiff(extended(2**63 - 1, 0x7FFF))),
    "AIFF of rate negative": ("aiff", aiff(extended(8000 << 48, 0xC00D))),
    "AIFF of rate beyond 2**60": (
        "aiff",
        aiff(extended(2**64 - 1, 16383 + 60)),
    ),
    "AIFF of 4 billion frames": ("aiff", aiff(GOOD_RATE, frames=2**32 - 1)),
    "AIFF of no channels": ("aiff", aiff(GOOD_RATE, channels=0)),
    "AIFF of negative channels": ("aiff", aiff(GOOD_RATE, channels=-1)),
    "AIFF of 32767 channels": ("aiff", aiff(GOOD_RATE, channels=32767)),
    "AIFF of 255 bits": ("aiff", aiff(GOOD_RATE, bits=255)),
    "AIFF sound of 4 GB": ("aiff", aiff(GOOD_RATE, size=2**32 - 1)),
    "AIFF header only": ("aiff", aiff(GOOD_RATE)[:38]),
    "CAF of rate not a number": ("caf", caf(rate=float("nan"))),
    "CAF of rate infinite": ("caf", caf(rate=float("inf"))),
    "CAF of rate negative": ("caf", caf(rate=-8000.0)),
    "CAF of rate 1e300": ("caf", caf(rate=1e300)),
    "CAF of 4 billion channels": ("caf", caf(channels=2**31)),
    "CAF of 1024 channels": ("caf", caf(channels=1024)),
    "CAF data of 2**62 bytes": ("caf", caf(size=2**62)),
    "CAF data of negative size": ("caf", caf(size=-9)),
    "CAF data to the end": ("caf", caf(size=-1)),
    "CAF of 0 bits": ("caf", caf(bits=0)),
    "CAF chunk of 2**62 bytes": (
        "caf",
        caf()[:8] + b"free" + struct.pack(">q", 2**62) + caf()[8:],
    ),
    "CAF chunk of negative size": (
        "caf",
        caf()[:8] + b"free" + struct.pack(">q", -16) + caf()[8:],
    ),
    "AU of rate 0": ("au", au(rate=0)),
    "AU of rate 4 GHz": ("au", au(rate=2**32 - 1)),
    "AU of 65535 channels": ("au", au(channels=65535)),
    "AU of coding 99": ("au", au(coding=99)),
    "AU data beyond the file": ("au", au(offset=2**31)),
    "AU data before the header": ("au", au(offset=0)),
    "VOC of noise": (
        "voc",
        b"Creative Voice File\x1a\x1a\0" + os.urandom(5000),
    ),
    "SVX of noise": ("svx", b"FORM\xff\xff\xff\xff8SVXVHDR" + os.urandom(5000)),
    "NIST header that lies": (
        "sph",
        b"NIST_1A\n   1024\nsample_rate -i "
        b"999999999\nchannel_count -i 0\nend_head\n".ljust(1024)
        + SOUND,
    ),
    "MAT5 of noise": (
        "mat",
        b"MATLAB 5.0 MAT-file".ljust(124) + os.urandom(999),
    ),
    "empty": ("wav", b""),
    "one byte": ("wav", b"R"),
    "NUL of 1 MB": ("wav", bytes(10**6)),
    "noise of 1 MB": ("wav", os.urandom(10**6)),
    "text": ("wav", b"this is no audio\n" * 500),
    "a picture": ("flac", png_of_bytes()),
    "a zip archive": ("mp3", b"PK\x03\x04" + os.urandom(5000)),
    "a program": ("ogg", b"#!/bin/sh\nmkdir canary\n"),
    "HTML": ("mp3", b"<html><script>alert(1)</script></html>" * 200),
    "a playlist": ("mp3", b"#EXTM3U\nfile:///etc/passwd\n" * 200),
    "WAV named flac": ("flac", wav()),
    "FLAC named wav": ("wav", coded("FLAC")),
    "WAV in an ID3 tag": ("wav", ID3 + b"\0\0\0\x10" + bytes(16) + wav()),
}
NAMES = {
    "name not UTF-8": b"\xff\xfe\x80.wav",
    "name of 255 bytes": b"n" * 251 + b".wav",
    "name of 255 bytes in two-byte letters": "\u00e9".encode() * 125 + b".wav",
    "name with a line break": b"a\nb.wav",
    "name with terminal codes": b"\x1b[2J\x1b]0;x\x07.wav",
    "name with a C1 code": "\x9b2J.wav".encode(),
    "name right to left": "\u202evaw.wav".encode(),
    "name a formula": b"=cmd|'c'!A1.wav",
    "name an option": b"--overwrite.wav",
    "name of a results file": b"0_source1.wav",
    "name of quotes": b"\"'`$(mkdir canary)`.wav",
    "name of a comma": b"a,b;c\td.wav",
    "name of an ending only": b"x..wav",
    "name in capitals": b"A.WAV",
    "name of percent signs": b"%s%n%d{0}.wav",
}


def unix_socket(path):
    """Make a socket."""
    before = os.getcwd()
    os.chdir(os.path.dirname(path))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("a.wav")
    finally:
        os.chdir(before)


PUT = {
    "FIFO": os.mkfifo,
    "socket": unix_socket,
    "folder": os.mkdir,
    "dangling link": lambda path: os.symlink("nowhere", path),
    "link to itself": lambda path: os.symlink("a.wav", path),
    "link to /dev/zero": lambda path: os.symlink("/dev/zero", path),
    "link to /dev/urandom": lambda path: os.symlink("/dev/urandom", path),
    "link to standard input": lambda path: os.symlink("/dev/stdin", path),
    "link to /proc/self/mem": lambda p: os.symlink("/proc/self/mem", p),
    "hole of 1 TB": lambda path: hole(path),
    "file without rights": lambda path: without_rights(path),
}


def hole(path):
    """Make a file that has a size and no content."""
    with open(path, "wb") as file:
        file.truncate(2**40)


def without_rights(path):
    """Make a file that nobody may read."""
    if os.geteuid() == 0:
        raise OSError("root may read everything")
    with open(path, "wb") as file:
        file.write(wav())
    os.chmod(path, 0)


def with_file(name: bytes, content):
    """Make a maker of good recordings and one hostile file."""

    def make(place):
        write_recordings(place)
        os.mkdir(place.given / "hostile")
        path = os.path.join(os.fsencode(place.given / "hostile"), name)
        said = content(path) if callable(content) else content
        if said is not None:
            with open(path, "wb") as file:
                file.write(said)
        (place.root / "model").symlink_to(base("ours"))

    return make


def cases() -> list[Case]:
    """List the cases: each file is decoded, prepared and separated."""
    makers = {
        name: with_file(b"a." + ending.encode(), content)
        for name, (ending, content) in FILES.items()
    }
    makers |= {n: with_file(name, wav()) for n, name in NAMES.items()}
    makers |= {n: with_file(b"a.wav", put) for n, put in PUT.items()}
    kinds = {"audio file": decode, "in a tree": prepare, "separated": separate}
    return [
        Case(f"{kind}: {name}", kind, make, run, "either")
        for kind, run in kinds.items()
        for name, make in makers.items()
    ]
