"""Decoding files by libsndfile, where their headers are wrong as well.

Programs that write to a pipe cannot go back to the header and fill in the
length. libsndfile believes such a header, and reads nothing or too little.
It is given a view of the file in which the header is right.
"""

import logging
import os
import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

import numpy as np
import soundfile

from speechbrain_ext.console import printable
from speechbrain_ext.corpora.chunks import FAMILIES, view_of_chunks
from speechbrain_ext.corpora.views import (
    UNKNOWN_32,
    UNKNOWN_64,
    UnusableAudio,
    View,
    peek,
    truncated,
)

logger = logging.getLogger(__name__)

MOST_LINKS = 2_000
MOST_TAGS = 16  # in a row, in or behind an MP3
# How files begin that libsndfile does not decode.
CONVERT = "; convert it to WAV or FLAC"
FOREIGN = (
    (rb"....ftyp", "MP4, M4A or MOV" + CONVERT),
    (rb"\x1aE\xdf\xa3", "WebM or Matroska" + CONVERT),
    (rb"\xff[\xf0\xf1\xf8\xf9]|ADIF", "AAC" + CONVERT),
    (rb"0&\xb2u\x8ef\xcf\x11", "WMA, WMV or ASF" + CONVERT),
    (rb"#!AMR", "AMR" + CONVERT),
    (rb"RIFF....AVI ", "AVI" + CONVERT),
    (rb"FLV|\x00\x00\x01[\xb3\xba]", "a video" + CONVERT),
    (rb"wvpk", "WavPack" + CONVERT),
    (
        rb"MAC |TTA1|tBaK|DSD |FRM8|\.RMF|ajkg|\x0bw",
        "a foreign format" + CONVERT,
    ),
    (rb"OggS.*Speex  ", "Speex" + CONVERT),
    (rb"\s*<(!doctype|html)", "a web page; download it again"),
    (rb"version https://git-lfs", "a pointer of Git LFS; run git lfs pull"),
    (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc", "an archive; unpack it"),
)


def views_of(file: BinaryIO) -> list[View]:
    r"""Find the parts of a file that libsndfile is to decode in turn.

    Arguments
    ---------
    file : file object
        Open for reading bytes.

    Returns
    -------
    views : list of View
        One, or several for an Ogg file that is chained of streams.

    Raises
    ------
    UnusableAudio
        If the file is shorter than it says.

    Example
    -------
    >>> import io
    >>> header = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + bytes(16)
    >>> file = io.BytesIO(header + b"data\0\0\0\0" + bytes(range(1, 9)))
    >>> views_of(file)[0].patches
    {40: b'\x08\x00\x00\x00'}
    """
    stop = file.seek(0, os.SEEK_END)
    start = _after_tags(file, stop)
    magic = peek(file, start, 16)
    if magic[:4] == b"OggS":
        views = list(islice(_ogg_links(file, start, stop), MOST_LINKS + 1))
        if len(views) > MOST_LINKS:
            raise UnusableAudio(f"is chained of more than {MOST_LINKS} parts")
        return views
    if magic[:4] == b"fLaC":
        return [_flac(file, start, stop)]
    if magic[:4] in (b".snd", b"dns."):
        return [_au(file, start, stop)]
    for family in FAMILIES:
        if re.match(family.magic, magic, re.DOTALL):
            return [view_of_chunks(file, start, stop, family)]
    if start or re.match(rb"\xff[\xe2-\xff]", magic):
        return [_mpeg(file, start, stop)]
    return [View(file, start, stop)]


class Sound(soundfile.SoundFile):
    """A view that libsndfile decodes from its start to its end."""

    def __init__(self, view: View) -> None:
        self.view = view
        try:
            super().__init__(view)
        except soundfile.LibsndfileError as error:
            raise _undecodable(view, error) from error

    def seekable(self) -> bool:
        """Say no: soundfile seeks after reading, which a decoder may not."""
        return False

    @property
    def said(self) -> int | None:
        """Samples of a channel that the file says are there, if it does."""
        if self.view.frames is not None:
            return self.view.frames
        is_said = self.view.is_bounded and self.frames < UNKNOWN_64
        return self.frames if is_said else None

    def read_blocks(self, size: int) -> Iterator[np.ndarray]:
        """Read to the end, and compare it with what the file says."""
        view, said, done = self.view, self.said, 0
        while True:
            # never across the end that the file tells: behind it, an error
            # only means that something else is attached
            ahead = size if said is None or done >= said else said - done
            try:
                block = self.read(
                    min(size, ahead), dtype="float32", always_2d=True
                )
            except soundfile.LibsndfileError as error:
                if said is not None and done >= said > 0:
                    logger.warning(
                        "%s: something behind its %d samples is passed over",
                        printable(view.name),
                        done,
                    )
                    return
                raise _undecodable(view, error) from error
            if not len(block):
                break
            done += len(block)
            yield block
        if view.error:
            raise view.error
        # encoders differ by about a frame in what they count
        slack = self.samplerate // 25 if self.format in ("MP3", "OGG") else 0
        if said is not None and done + slack < said:
            raise UnusableAudio(
                f"truncated: {done} of {said} samples are there"
            )


def _after_tags(file: BinaryIO, stop: int) -> int:
    """Pass over ID3v2 tags, which hold titles and covers."""
    return min(max(islice(_tags(file, 0), 100), default=0), stop)


def _tags(file: BinaryIO, start: int) -> Iterator[int]:
    """Give the end of each ID3v2 tag of those that follow each other."""
    while True:
        header = peek(file, start, 10)
        if header[:3] != b"ID3" or len(header) < 10:
            return
        size = 0
        for byte in header[6:]:
            size = size << 7 | byte & 127
        start += 10 + size + (10 if header[5] & 16 else 0)
        yield start


def _before_tags(file: BinaryIO, start: int, stop: int) -> int:
    """Find where so many tags follow that the decoder would hang."""
    end, step = start, 2**20
    for offset in range(start, stop, step):
        for found in re.finditer(b"ID3", peek(file, offset, step + 2)):
            first = offset + found.start()
            if first >= end:
                ends = list(islice(_tags(file, first), MOST_TAGS + 1))
                if len(ends) > MOST_TAGS:
                    logger.warning(
                        "%s: what stands behind more than %d tags is passed "
                        "over",
                        printable(getattr(file, "name", "a file")),
                        MOST_TAGS,
                    )
                    return first
                end = max(ends, default=end)
    return stop


def _au(file: BinaryIO, start: int, stop: int) -> View:
    """Look at the length in the header of an AU file."""
    order = ">" if peek(file, start, 4) == b".snd" else "<"
    header = peek(file, start, 12).ljust(12, b"\0")
    begin, length = struct.unpack(f"{order}4xII", header)
    left = stop - start - begin
    if left < length < UNKNOWN_32:
        raise truncated()
    if length == 0 or length > left:
        return View(file, start, stop, patches={start + 8: b"\xff" * 4})
    return View(file, start, stop)


def _flac(file: BinaryIO, start: int, stop: int) -> View:
    """Hide the number of samples, which the decoder would stop at."""
    if peek(file, stop - 128, 3) == b"TAG":  # ID3v1
        stop -= 128
    offset = start + 8 + 13
    content = peek(file, offset, 5)
    if len(content) < 5:
        raise truncated()
    frames = int.from_bytes(content, "big") & (2**36 - 1)
    patch = bytes([content[0] & 0xF0]) + bytes(4)
    return View(
        file, start, stop, patches={offset: patch}, frames=frames or None
    )


def _mpeg(file: BinaryIO, start: int, stop: int) -> View:
    """Let an MP3 be decoded to its end, whatever length is estimated.

    A Xing header that fits the size of the file tells the length. Without
    one, the decoder estimates it from the size; told 0, it counts.
    """
    stop = _before_tags(file, start, stop)
    head = peek(file, start, 8192)
    sync = re.search(rb"\xff[\xe2-\xff][^\xf0-\xff]", head)
    start += sync.start() if sync else 0
    head = head[sync.start() if sync else 0 :]
    # the header stands behind the side information of the first frame
    found = re.search(
        rb"\xff[\xe2-\xff]..(?:.{9}|.{17}|.{32})(Xing|Info)(.{12})",
        head,
        re.DOTALL,
    )
    patches = {}
    if found:
        flags, _, size = struct.unpack(">III", found[2])
        left = stop - start - found.start()
        rest = max(0.01 * left, 4096)  # tags behind the sound
        if flags & 1 and (not flags & 2 or size + rest >= left):
            return View(file, start, stop)
        patches[start + found.start(1)] = bytes(4)
    return View(file, start, stop, patches=patches, size=0)


def _ogg_links(file: BinaryIO, start: int, stop: int) -> Iterator[View]:
    """Split a chained Ogg file (RFC 3533), and look whether it is whole."""
    first = last = None
    was_first_page = False
    for offset, is_first_page in _ogg_pages(file, start, stop):
        if first is None:
            first = offset
        elif is_first_page and not was_first_page:
            yield _ogg_link(file, first, offset, last)
            first = offset
        last, was_first_page = offset, is_first_page
    if last is None:
        raise truncated()
    yield _ogg_link(file, first, stop, last)


def _ogg_pages(
    file: BinaryIO, start: int, stop: int
) -> Iterator[tuple[int, bool]]:
    """Find the pages, and tell which of them begin a stream."""
    step = 2**20
    for offset in range(start, stop, step):
        content = peek(file, offset, step + 5)
        for page in re.finditer(rb"OggS\0[\0-\7]", content):
            if page.start() < step:
                yield offset + page.start(), bool(content[page.end() - 1] & 2)


def _ogg_link(file: BinaryIO, start: int, stop: int, last: int) -> View:
    """Check the last page, and mark it as the last where that is missing."""
    page = peek(file, last, min(stop - last, 27 + 255 + 255 * 255))
    size = 27 + page[26] if len(page) >= 27 else len(page) + 1
    size += sum(page[27:size])
    if size > len(page):
        raise truncated()
    patches = {}
    if not page[5] & 4:  # recorders of streams leave it out; Opus needs it
        page = bytearray(page[:size])
        page[5] |= 4
        page[22:26] = bytes(4)
        logger.warning(
            "%s: its last page is not marked as the last; it may be cut off",
            printable(getattr(file, "name", "a file")),
        )
        patches[last + 5] = bytes(page[5:6])
        patches[last + 22] = struct.pack("<I", _ogg_checksum(page))
    return View(file, start, stop, patches=patches)


def _ogg_checksum(page: bytes) -> int:
    """Compute the checksum of a page (RFC 3533, section 6)."""
    table = []
    for value in range(256):
        value <<= 24
        for _ in range(8):
            value = value << 1 ^ (0x04C11DB7 if value >> 31 else 0)
            value &= 0xFFFFFFFF
        table.append(value)
    checksum = 0
    for byte in page:
        checksum = (checksum << 8 ^ table[checksum >> 24 ^ byte]) & 0xFFFFFFFF
    return checksum


def _undecodable(view: View, error: soundfile.LibsndfileError) -> Exception:
    """Say why libsndfile gave up, and what helps."""
    if view.error:
        return view.error
    view.seek(0)
    head = view.read(512)
    for magic, name in FOREIGN:
        if re.match(magic, head, re.DOTALL | re.IGNORECASE):
            return UnusableAudio(f"cannot be decoded: it is {name}")
    reason = "damaged or truncated"
    if view.is_bounded and error.error_string:
        reason = printable(error.error_string.rstrip("."))
    return UnusableAudio(
        f"cannot be decoded: {reason}; if another program plays it, convert "
        "it to WAV or FLAC"
    )
