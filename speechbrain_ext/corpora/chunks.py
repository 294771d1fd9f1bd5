"""Files made of chunks: WAV, RF64, AIFF, CAF, W64."""

import logging
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from speechbrain_ext.console import printable
from speechbrain_ext.corpora.views import (
    UNKNOWN_32,
    UNKNOWN_64,
    UnusableAudio,
    View,
    peek,
    truncated,
)

logger = logging.getLogger(__name__)

MOST_CHUNKS = 10_000


class Family(NamedTuple):
    """How the chunks of a kind of file are laid out."""

    magic: bytes
    first: int  # offset of the first chunk
    name: int  # bytes of a chunk's name
    length: str  # format of a chunk's length
    pad: int  # chunks begin at multiples of this
    counts_header: bool
    samples: bytes  # name of the chunk with the samples, an expression


FAMILIES = (
    Family(rb"(RIFF|RF64|BW64)....WAVE", 12, 4, "<I", 2, False, rb"data"),
    Family(rb"RIFX....WAVE", 12, 4, ">I", 2, False, rb"data"),
    Family(
        rb"FORM....(AIFF|AIFC|8SVX|16SV)", 12, 4, ">I", 2, False, rb"SSND|BODY"
    ),
    Family(rb"caff", 8, 4, ">Q", 1, False, rb"data"),
    Family(
        rb"riff\x2e\x91\xcf\x11", 40, 16, "<Q", 8, True, rb"data\xf3\xac\xd3"
    ),
)


# What the chunk of samples holds before the samples: of CAF and of AIFF.
BEFORE_SAMPLES = {b"SSND": 8, b"data": 4}


class _Chunk(NamedTuple):
    name: bytes
    begin: int
    length: int


def _chunks(
    file: BinaryIO, offset: int, stop: int, family: Family, start: int
) -> Iterator[_Chunk]:
    """Walk the chunks of a file from an offset on."""
    header = family.name + struct.calcsize(family.length)
    for _ in range(MOST_CHUNKS):
        if offset + header > stop:
            return
        content = peek(file, offset, header)
        (length,) = struct.unpack(family.length, content[family.name :])
        if family.counts_header:
            length = max(0, length - header)
        yield _Chunk(content[: family.name], offset + header, length)
        offset += header + length
        offset += (start - offset) % family.pad
    raise UnusableAudio(f"holds more than {MOST_CHUNKS} chunks")


def view_of_chunks(
    file: BinaryIO, start: int, stop: int, family: Family
) -> View:
    """Compare the length of the samples with that of the file.

    Arguments
    ---------
    file : file object
        Open for reading bytes.
    start, stop : int
        Where its magic number begins, and where it ends.
    family : Family
        What it is.

    Returns
    -------
    view : View
        With a true length, where the header has none.

    Raises
    ------
    UnusableAudio
        If samples are missing.
    """
    field = None  # an RF64 has its length elsewhere (EBU Tech 3306)
    for chunk in _chunks(file, start + family.first, stop, family, start):
        if chunk.name == b"ds64":
            field = chunk.begin + 8, "<Q"
        if re.match(family.samples, chunk.name):
            break
    else:
        raise truncated()
    said, width = chunk.length, struct.calcsize(family.length)
    if field and said == 0xFFFFFFFF:
        content = peek(file, field[0], 8).ljust(8, b"\0")
        (said,) = struct.unpack(field[1], content)
    else:
        field = chunk.begin - width, family.length
    length = _true_length(file, chunk, said, stop, family, start)
    patches = {}
    if length != said:
        if family.counts_header:
            length += family.name + width
        most = 256 ** struct.calcsize(field[1]) - 1
        patches[field[0]] = struct.pack(field[1], min(length, most))
    if peek(file, start, 4) == b"BW64":  # the same in all that matters here
        patches[start] = b"RF64"
    return View(file, start, stop, patches=patches)


def _true_length(
    file: BinaryIO,
    chunk: _Chunk,
    said: int,
    stop: int,
    family: Family,
    start: int,
) -> int:
    """Give the true length of the samples; refuse a file that is cut off."""
    there = stop - chunk.begin
    narrow = family.length[1] == "I"
    if said > there:
        if said < (UNKNOWN_32 if narrow else UNKNOWN_64):
            raise truncated()
        return there
    if narrow and there - said >= 2**32:  # it did not fit into 32 bits
        return said + (there - said) // 2**32 * 2**32
    if _ends_in_chunks(file, chunk.begin + said, stop, family, start):
        return said
    if said <= BEFORE_SAMPLES.get(chunk.name, 0):
        return there
    if there - said > 1024:
        logger.warning(
            "%s: %d bytes behind the samples belong to nothing and are "
            "passed over",
            printable(getattr(file, "name", "a file")),
            there - said,
        )
    return said


def _ends_in_chunks(
    file: BinaryIO, offset: int, stop: int, family: Family, start: int
) -> bool:
    """Tell whether what follows is chunks up to the end, or nothing."""
    offset += (start - offset) % family.pad
    for chunk in _chunks(file, offset, stop, family, start):
        if not re.match(rb"[ -~]{4}", chunk.name):
            return False
        offset = chunk.begin + chunk.length
    # many programs leave out the last padding byte, or add one
    return offset >= stop - 1 and offset - stop < family.pad
