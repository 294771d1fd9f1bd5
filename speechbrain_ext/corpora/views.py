"""Parts of files, read as if they were files, with some bytes replaced."""

import io
import os
import stat
from typing import BinaryIO

# A length from here on means that the writer did not know it.
UNKNOWN_32, UNKNOWN_64 = 0x7FFFF000, 2**60

KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class UnusableAudio(ValueError):
    """A file that cannot serve as a recording; the message is the reason."""


class View(io.RawIOBase):
    """A part of a file, read as if it were a file; some bytes replaced.

    Arguments
    ---------
    file : file object
        Open for reading bytes.
    start, stop : int
        The part.
    patches : dict, optional
        Offset in the file to the bytes to read there.
    size : int, optional
        Length to report in place of the true one.
    frames : int, optional
        Samples of a channel that the file itself says are there.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int,
        stop: int,
        *,
        patches: dict[int, bytes] | None = None,
        size: int | None = None,
        frames: int | None = None,
    ) -> None:
        super().__init__()
        self.file, self.start, self.stop = file, start, stop
        self.patches = patches or {}
        self.is_bounded = size is None
        self.size = stop - start if size is None else size
        self.frames = frames
        self.name = getattr(file, "name", "a file")
        self.error = None
        self._position = 0

    @property
    def is_changed(self) -> bool:
        """Whether the view differs from the file."""
        return bool(self.patches or self.start)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it has a position."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; beyond either end there is nothing to read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}
        position = base.get(whence, self.size) + offset
        self._position = min(max(0, position), UNKNOWN_64)
        return self._position

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def readinto(self, buffer) -> int:
        """Read; an error ends the file, and is kept for who decodes it."""
        first = self.start + self._position
        with memoryview(buffer).cast("B") as target:
            count = min(len(target), max(0, self.stop - first))
            try:
                self.file.seek(first)
                count = self.file.readinto(target[:count]) or 0
            except OSError as error:
                self.error = OSError(error.errno, error.strerror, self.name)
                count = 0
            for offset, content in self.patches.items():
                low = max(offset, first)
                high = min(offset + len(content), first + count)
                if low < high:
                    target[low - first : high - first] = content[
                        low - offset : high - offset
                    ]
        self._position += count
        return count


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Open a file to read bytes; refuse what is none before opening it."""
    # a pipe would let us wait forever, and some devices act when opened
    kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind != stat.S_IFREG:
        raise UnusableAudio(
            f"is a {KINDS.get(kind, 'special file')}, not a file of audio"
        )
    file = open(path, "rb")
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise UnusableAudio("empty file")
    return file


def truncated() -> UnusableAudio:
    """Make the error for a file that is shorter than it says."""
    return UnusableAudio("truncated: its last part is missing")


def peek(file: BinaryIO, offset: int, count: int) -> bytes:
    """Read some bytes from a place, where there are any."""
    file.seek(max(0, offset))
    return file.read(count)
