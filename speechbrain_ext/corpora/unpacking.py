"""Unpacking the archive of a corpus: nothing but files, and no more than told.

``tarfile`` believes what an archive says: a header of gigabytes is read into
memory, and what is unpacked has no limit.
"""

import gzip
import logging
import os
import re
import shutil
import tarfile
import zlib
from pathlib import Path

from tqdm import tqdm

from speechbrain_ext.console import printable

logger = logging.getLogger(__name__)

# Of what is unpacked to the archive, and bytes that are always allowed.
HIGHEST_RATIO = 50
MARGIN = 2**24
MOST_MEMBERS = 5_000_000
LONGEST_NAME, LONGEST_PATH = 255, 2000
LONGEST_EXTENSION = 2**16  # of a header
MOST_EXTENSIONS = 4  # of a member
# the search for the character set is quadratic in the digits of a record
MOST_DIGITS = 300
RECORD = re.compile(rb"(\d{1,5}) ([^=]+)=")
EXTENSIONS = {
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
}
SPARSE = {tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE}


def unpack(
    path: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    unpacked_size: int | None = None,
) -> Path:
    """Unpack the folder that a tar.gz file holds, whole or not at all.

    Only files and folders are taken, only those of that folder, and only
    their contents: no owners, rights and times. Sizes are checked while the
    archive is read, before anything is written.

    Arguments
    ---------
    path : str or PathLike
        The archive.
    folder : str or PathLike
        Where its folder of the same name shall stand.
    unpacked_size : int, optional
        Bytes that it should take, about; a quarter more is too much. By
        default as much as audio that is compressed very well would take.

    Returns
    -------
    folder : Path
        Absolute.

    Raises
    ------
    ValueError
        If the archive is damaged, holds links, devices, names that no file
        can have, more than it should, or no such folder.
    """
    folder = Path(os.path.abspath(folder))
    if unpacked_size is None:
        unpacked_size = HIGHEST_RATIO * os.path.getsize(path)
    limit = unpacked_size * 5 // 4 + MARGIN
    staging = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        others = _extract(path, staging, folder.name, limit)
        if not (staging / folder.name).is_dir():
            named = printable(", ".join(sorted(others)) or "nothing")
            raise ValueError(
                f"{path} holds no folder {folder.name}; it holds {named}"
            )
        if others:
            logger.warning(
                "%s: left out what is not in %s: %s",
                path,
                folder.name,
                printable(", ".join(sorted(others))),
            )
        os.replace(staging / folder.name, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


class _Member(tarfile.TarInfo):
    """A member whose header does not fill the memory."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        """Read a header; refuse what is no plain file and no folder."""
        try:
            member = super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as e:
            # `tarfile` would take it for the end of the archive
            raise ValueError(f"a header is damaged: {e}") from e
        if member.type in EXTENSIONS:
            if member.size > LONGEST_EXTENSION:
                raise ValueError(f"a header of {member.size} bytes")
        elif not (member.isreg() or member.isdir()) or member.type in SPARSE:
            raise ValueError(
                f"{printable(member.name)} is a link or a special file"
            )
        return member

    def _proc_member(self, tarfile):
        """Read what a header says, and the one that it is about."""
        depth = getattr(tarfile, "extensions", 0)
        if depth > MOST_EXTENSIONS:
            raise ValueError(
                f"more than {MOST_EXTENSIONS} headers for one member"
            )
        tarfile.extensions = depth + 1
        try:
            return super()._proc_member(tarfile)
        finally:
            tarfile.extensions = depth

    def _proc_pax(self, tarfile):
        """Check extended headers before they are searched."""
        stream = tarfile.fileobj
        content = stream.read(self._block(self.size))
        _check_records(content[: self.size])
        tarfile.fileobj = _Again(content, stream)
        try:
            return super()._proc_pax(tarfile)
        finally:
            tarfile.fileobj = stream


class _Again:
    """A stream of which the last block is read once more."""

    def __init__(self, block: bytes, stream) -> None:
        self.block, self.stream = block, stream
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        """Give the block, then what is behind it."""
        block, self.block = self.block, None
        return self.stream.read(size) if block is None else block


def _check_records(content: bytes) -> None:
    """Refuse records of an extended header that `tarfile` would pass over."""
    if re.search(rb"\d{%d}" % MOST_DIGITS, content):
        raise ValueError(f"a header with a number of {MOST_DIGITS} digits")
    position = 0
    content = content.rstrip(b"\0")
    while position < len(content):
        match = RECORD.match(content, position)
        end = position + int(match[1]) if match else 0
        if not match or match.end() >= end or content[end - 1 : end] != b"\n":
            raise ValueError("a record of an extended header is damaged")
        if match[2].startswith(b"GNU.sparse"):
            raise ValueError("a file with holes in it is a special file")
        position = end


class _Counted:
    """The bytes that an archive unpacks to, up to a limit."""

    def __init__(self, file, limit: int) -> None:
        self.file, self.left = file, limit

    def read(self, size: int) -> bytes:
        """Read so many bytes, or all that are left."""
        data = self.file.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("it unpacks to more than it should")
        return data


def _extract(
    path: str | os.PathLike, staging: Path, wanted: str, limit: int
) -> set[str]:
    """Extract one folder; give the names of what lies beside it."""
    others, made, count = set(), set(), 0
    try:
        with (
            gzip.open(path) as file,
            tarfile.open(
                fileobj=_Counted(file, limit), mode="r|", tarinfo=_Member
            ) as archive,
        ):
            for member in tqdm(archive, "unpacking", unit="", disable=None):
                count += 1
                _check_member(member, count, limit)
                archive.members.clear()  # else all headers stay in memory
                parts = [part for part in member.name.split("/") if part != "."]
                if parts[:1] != [wanted]:
                    others.update(parts[:1])
                    continue
                target = os.path.join(staging, *parts)
                inner = target if member.isdir() else os.path.dirname(target)
                if inner not in made:
                    os.makedirs(inner, exist_ok=True)
                    made.add(inner)
                if member.isreg():
                    with open(target, "xb") as output:
                        shutil.copyfileobj(archive.extractfile(member), output)
    except (
        *(tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error),
        *(ValueError, FileExistsError, NotADirectoryError),
    ) as error:
        raise ValueError(
            f"{path} cannot be unpacked: {printable(error, lines=False)}"
        ) from error
    return others


def _check_member(member: tarfile.TarInfo, count: int, limit: int) -> None:
    """Refuse a member that no corpus has."""
    if count > MOST_MEMBERS:
        raise ValueError(f"it holds more than {MOST_MEMBERS} files")
    if member.size > limit:
        raise ValueError(
            f"{printable(member.name)} takes {member.size} bytes, more than "
            f"the {limit} of all together"
        )
    if member.issparse():
        raise ValueError(
            f"{printable(member.name)} is a special file: it has holes"
        )
    if not member.name or (member.isreg() and member.name.endswith("/")):
        raise ValueError(
            f"the name {printable(repr(member.name))} is no name of a file"
        )
    if not member.name.isprintable():  # bytes that are not UTF-8 are not
        raise ValueError(
            f"the name {printable(member.name)} is not printable text"
        )
    if member.name.startswith("/") or ".." in member.name.split("/"):
        raise ValueError(f"{printable(member.name)} would lie outside of it")
    parts = [len(part.encode()) for part in member.name.split("/")]
    if max(parts) > LONGEST_NAME or sum(parts) > LONGEST_PATH:
        raise ValueError(f"the name {printable(member.name)} is too long")
