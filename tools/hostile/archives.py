"""Archives of corpora that would write elsewhere, or without end."""

import gzip
import io
import os
import tarfile

from hostile.case import Case
from hostile.runners import unpack

FILE = tarfile.REGTYPE


def entry(
    name: str, content: bytes = b"text", kind: bytes = FILE, **fields
) -> tuple[tarfile.TarInfo, bytes]:
    """Make a member of an archive."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE):
    """Make a link as a member."""
    return entry(name, b"", kind, linkname=target)


def packed(
    *members, form: int = tarfile.GNU_FORMAT, good: bool = True
) -> bytes:
    """Make a tar.gz file, good members first."""
    buffer = io.BytesIO()
    first = [entry("corpus/", b"", tarfile.DIRTYPE), entry("corpus/a.txt")]
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as stream:
        with tarfile.open(fileobj=stream, mode="w|", format=form) as archive:
            for member, content in (*(first if good else ()), *members):
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def raw(*blocks: bytes) -> bytes:
    """Make a tar.gz file of hand-written blocks."""
    return gzip.compress(b"".join(blocks) + bytes(1024), 1)


def header(name: str = "corpus/b", kind: bytes = FILE, **fields) -> bytes:
    """Give the 512 bytes of a member."""
    return entry(name, b"", kind, **fields)[0].tobuf(tarfile.GNU_FORMAT)


def signed(block: bytes) -> bytes:
    """Make a header with the right checksum."""
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def sized(field: bytes, kind: bytes = FILE) -> bytes:
    """Make an archive whose member has this in its field of the size."""
    block = header(kind=kind)
    block = signed(block[:124] + field.ljust(12, b"\0") + block[136:])
    return raw(header("corpus", tarfile.DIRTYPE), block)


def zeros(size: int) -> bytes:
    """Make a file of zeros in an archive."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as stream:
        stream.write(header("corpus", tarfile.DIRTYPE))
        stream.write(header("corpus/zeros", size=size))
        for _ in range(size // 10_000_000):
            stream.write(bytes(10_000_000))
        stream.write(bytes(1024))
    return buffer.getvalue()


def many(count: int) -> bytes:
    """Make very many empty files."""
    block = bytearray(header("corpus/00000000"))
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    blocks = [header("corpus", tarfile.DIRTYPE)]
    for number in range(count):
        digits = b"%08d" % number
        block[7:15] = digits
        block[148:156] = b"%06o\0 " % (total + sum(digits) - 8 * 48)
        blocks.append(bytes(block))
    return raw(*blocks)


def pax(**records: str) -> bytes:
    """Make a member with extended headers."""
    return packed(
        entry("corpus/b", pax_headers=records), form=tarfile.PAX_FORMAT
    )


UP = "corpus/../../outside/mine/take.flac"
DEEP = "/".join(["corpus", *["d"] * 900, "a.txt"])
ARCHIVES = {
    "absolute name": lambda place: packed(
        entry(str(place.outside / "mine" / "take.flac"))
    ),
    "name that leads up": packed(entry(UP)),
    "name that leads up at once": packed(entry("../outside/evil")),
    "name that leads up and back": packed(
        entry("corpus/../../out/corpus/b.txt")
    ),
    "folder that leads up": packed(
        entry("corpus/../../outside/evil/", b"", tarfile.DIRTYPE)
    ),
    "double slashes": packed(entry("//corpus//../..//outside/evil")),
    "backslashes": packed(entry("corpus\\..\\..\\outside\\evil")),
    "drive letter": packed(entry("C:/corpus/evil")),
    "link out, then through it": packed(
        link("corpus/l", "../../outside"), entry("corpus/l/mine/take.flac")
    ),
    "link out alone": packed(link("corpus/l", "../../outside/mine/take.flac")),
    "absolute link": packed(link("corpus/l", "/etc/passwd")),
    "link inside": packed(link("corpus/l", "a.txt")),
    "link to itself": packed(link("corpus/l", "l"), entry("corpus/l/b")),
    "chain of links out": packed(
        entry("corpus/d/", b"", tarfile.DIRTYPE),
        link("corpus/d/l", ".."),
        link("corpus/m", "d/l/../.."),
        link("corpus/n", "m/../../outside"),
        entry("corpus/n/evil"),
    ),
    "the folder itself a link": packed(
        link("corpus", "../outside"), entry("corpus/evil"), good=False
    ),
    "link of 5000 characters": packed(link("corpus/l", "a/../" * 1000 + "b")),
    "hard link out": packed(
        link("corpus/h", "../outside/mine/take.flac", tarfile.LNKTYPE)
    ),
    "hard link out, then written": packed(
        link("corpus/h", "../outside/mine/take.flac", tarfile.LNKTYPE),
        entry("corpus/h", b"overwritten"),
    ),
    "absolute hard link": packed(
        link("corpus/h", "/etc/passwd", tarfile.LNKTYPE)
    ),
    "hard link inside": packed(
        link("corpus/h", "corpus/a.txt", tarfile.LNKTYPE)
    ),
    "hard link to nothing": packed(
        link("corpus/h", "corpus/nothing", tarfile.LNKTYPE)
    ),
    "FIFO": packed(entry("corpus/f", b"", tarfile.FIFOTYPE)),
    "character device": packed(
        entry("corpus/c", b"", tarfile.CHRTYPE, devmajor=1, devminor=5)
    ),
    "block device": packed(
        entry("corpus/c", b"", tarfile.BLKTYPE, devmajor=8, devminor=0)
    ),
    "unknown kind": packed(entry("corpus/x", b"", b"Z")),
    "sparse file of 1 TB": lambda place: packed(
        entry("corpus/s", b"", tarfile.GNUTYPE_SPARSE, size=0)
    ),
    "sparse by PAX": pax(
        **{
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.realsize": "999999999999",
            "GNU.sparse.name": "../../outside/evil",
        }
    ),
    "name by PAX that leads up": pax(path="../outside/evil"),
    "name by PAX with NUL": pax(path="corpus/a\0b"),
    "size by PAX": pax(size="99999999999999"),
    "size by PAX negative": pax(size="-1"),
    "size by PAX no number": pax(size="many"),
    "time by PAX infinite": pax(mtime="inf"),
    "PAX header of 1 TB": sized(b"17777777777", tarfile.XHDTYPE),
    "long name of 8 GB": sized(b"77777777777", tarfile.GNUTYPE_LONGNAME),
    "size of 8 GB that is not there": sized(b"77777777777"),
    "size in base 256 beyond 64 bits": sized(b"\x80" + b"\xff" * 11),
    "size in base 256 negative": sized(b"\xff" * 12),
    "size of words": sized(b"not octal"),
    "setuid": packed(entry("corpus/s", mode=0o6777)),
    "writable for all": packed(entry("corpus/s", mode=0o777)),
    "folder without rights": packed(
        entry("corpus/d/", b"", tarfile.DIRTYPE, mode=0),
        entry("corpus/d/b"),
    ),
    "owned by somebody": packed(
        entry("corpus/s", uid=12345, gid=12345, uname="x", gname="y")
    ),
    "time beyond all": packed(entry("corpus/t", mtime=8**11 - 1)),
    "bomb of 1 GB": lambda place: zeros(1_000_000_000),
    "5000 empty files": lambda place: many(5_000),
    "900 levels": packed(entry(DEEP), form=tarfile.GNU_FORMAT),
    "name of 5000 characters": packed(entry("corpus/" + "n" * 5000)),
    "name of 255 characters": packed(entry("corpus/" + "n" * 255)),
    "name not UTF-8": packed(entry("corpus/\udcff\udcfe")),
    "name with terminal codes": packed(entry("corpus/\x1b[2J\x1b]0;x\x07")),
    "name with a line break": packed(entry("corpus/a\nb")),
    "name right to left": packed(entry("corpus/\u202egpj.wav")),
    "name empty": packed(entry("")),
    "name a dot": packed(entry(".")),
    "name two dots": packed(entry("corpus/..")),
    "file of the folder's name": packed(entry("corpus"), good=False),
    "file twice": packed(entry("corpus/b", b"1"), entry("corpus/b", b"2")),
    "file, then folder": packed(
        entry("corpus/b"), entry("corpus/b/", b"", tarfile.DIRTYPE)
    ),
    "file, then a file in it": packed(entry("corpus/b"), entry("corpus/b/c")),
    "folder, then file": packed(
        entry("corpus/b/", b"", tarfile.DIRTYPE), entry("corpus/b")
    ),
    "names that differ in case": packed(
        entry("corpus/b", b"1"), entry("corpus/B", b"2")
    ),
    "no folder of that name": packed(entry("other/a"), good=False),
    "a mark of ours": packed(
        entry("corpus/.speechbrain_ext.jsonl", b'{"maker": "x", "whole": 1}')
    ),
    "empty": b"",
    "no members": packed(good=False),
    "not gzip": b"this is no archive" * 1000,
    "gzip of no tar": gzip.compress(b"this is no archive" * 1000),
    "gzip of random bytes": gzip.compress(bytes(range(256)) * 40),
    "tar without gzip": gzip.decompress(packed()),
    "a zip archive": b"PK\x05\x06" + bytes(18),
    "cut in half": packed(entry("corpus/b", os.urandom(5000)))[:2500],
    "wrong checksum": packed()[:-8] + bytes(8),
    "rest behind": packed() + b"rest" * 100,
    "two archives in a row": packed() + packed(entry("corpus/c")),
    "gzip header with a name": gzip.compress(b"x")[:3]
    + b"\x08" + b"\0" * 6 + b"n" * 10**6,
    "gzip in gzip": gzip.compress(packed()),
}  # fmt: skip
# taken without harm; what was written is looked at
EITHER = {
    *("backslashes", "drive letter", "time by PAX infinite", "setuid"),
    *("size in base 256 negative", "writable for all", "owned by somebody"),
    *("folder without rights", "time beyond all", "5000 empty files"),
    *("900 levels", "name of 255 characters", "name a dot", "rest behind"),
    *("names that differ in case", "a mark of ours", "wrong checksum"),
    "two archives in a row",
}


def with_archive(content):
    """Make a maker of one archive."""

    def make(place):
        said = content(place) if callable(content) else content
        (place.given / "corpus.tar.gz").write_bytes(said)

    return make


def cases() -> list[Case]:
    """List the cases."""
    if EITHER - ARCHIVES.keys():
        raise ValueError(f"no such cases: {EITHER - ARCHIVES.keys()}")
    return [
        Case(
            f"tar: {name}", "archive", with_archive(content), unpack,
            "either" if name in EITHER else "refused",
        )
        for name, content in ARCHIVES.items()
    ] + [
        Case("tar: harmless", "archive", with_archive(packed()), unpack,
             "loaded")
    ]  # fmt: skip
