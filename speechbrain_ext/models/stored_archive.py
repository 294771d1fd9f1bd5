"""Zip archives of which every reader sees the same, and nothing is packed."""

import os
import struct
import zipfile

LARGEST_DIRECTORY = 4 * 1024**2
# signatures of the records at the end of a zip archive, and their sizes
END, END64, LOCATOR64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"
END_BYTES, END64_BYTES, LOCATOR_BYTES = 22, 56, 20
# a descriptor of what was written may follow an entry's data
LARGEST_DESCRIPTOR = 24
HEADER_BYTES = 30
# names in UTF-8, and sizes that also stand behind the data
PLAIN_FLAGS = 0x808


def require(fits: bool, why: str) -> None:
    """Raise a ValueError unless a condition holds."""
    if not fits:
        raise ValueError(why)


def check_end(file) -> int:
    """Check that the end of a file is the end of one plain zip archive.

    Arguments
    ---------
    file : file
        Open for reading bytes.

    Returns
    -------
    entries : int
        How many the archive says that it has.

    Raises
    ------
    ValueError
        If it is no archive, has a comment, more than one end, or a directory
        that is too large or does not lie right before its end.
    """
    size = os.fstat(file.fileno()).st_size
    whole = END64_BYTES + LOCATOR_BYTES + END_BYTES
    file.seek(max(0, size - whole))
    tail = file.read().rjust(whole, b"\0")
    end, stop = tail[-END_BYTES:], size - END_BYTES
    require(
        end.startswith(END),
        "it is not what torch.save writes since PyTorch 1.6: save it again, "
        "or as safetensors",
    )
    disk, start, here, entries, length, offset, comment = struct.unpack(
        "<4H2LH", end[4:]
    )
    locator = tail[END64_BYTES:-END_BYTES]
    if locator.startswith(LOCATOR64):
        stop = size - whole
        record = struct.unpack("<4sQ2H2L4Q", tail[:END64_BYTES])
        require(
            record[0] == END64
            and record[1] == END64_BYTES - 12
            and record[4:] == (0, 0, entries, entries, length, offset)
            and struct.unpack("<LQL", locator[4:]) == (0, stop, 1),
            "the archive has two ends that differ",
        )
    require(
        disk == start == comment == 0
        and here == entries
        and offset + length == stop
        and length <= LARGEST_DIRECTORY,
        "the archive has a comment, parts elsewhere or a huge directory",
    )
    return entries


def check_members(file, archive: zipfile.ZipFile) -> None:
    """Check that entries are stored as they are, one behind the other.

    Arguments
    ---------
    file : file
        Of the archive.
    archive : zipfile.ZipFile
        Opened.

    Raises
    ------
    ValueError
        If entries are packed, encrypted, overlap, or have room between.
    """
    members = sorted(archive.infolist(), key=lambda x: x.header_offset)
    starts = [member.header_offset for member in members]
    stop = 0
    for member, start in zip(members, starts, strict=True):
        require(
            member.compress_type == zipfile.ZIP_STORED
            and member.file_size == member.compress_size
            and not member.flag_bits & ~PLAIN_FLAGS
            and member.filename == member.orig_filename,
            "entries of the archive are packed, encrypted or have odd names",
        )
        # the first one stands at the very beginning
        room = LARGEST_DESCRIPTOR if stop else 0
        require(0 <= start - stop <= room, "entries of the archive overlap")
        file.seek(start)
        header = file.read(HEADER_BYTES)
        lengths = struct.unpack("<2H", header[26:])
        stop = start + HEADER_BYTES + sum(lengths) + member.file_size
    require(
        0 <= archive.start_dir - stop <= LARGEST_DESCRIPTOR,
        "entries of the archive overlap",
    )
