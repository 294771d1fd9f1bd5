"""Fetching the archive of a corpus: resumed, checked, unpacked whole."""

import hashlib
import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from speechbrain_ext.corpora.unpacking import unpack
from speechbrain_ext.dataio.prepared import locked

logger = logging.getLogger(__name__)

ATTEMPTS = 5
WAIT_SECONDS = 2.0
TIMEOUT_SECONDS = 30.0
BLOCK = 2**20


@dataclass(frozen=True)
class Archive:
    """A tar.gz file on the web that holds a folder.

    Arguments
    ---------
    url : str
        Where it is.
    size : int
        In bytes.
    sha256 : str
        Of the file, 64 hexadecimal digits.
    unpacked_size : int
        Bytes that it takes when unpacked, about.

    Example
    -------
    >>> Archive("https://a.b/files/c.tar.gz", 10, "0" * 64, 20).name
    'c.tar.gz'
    """

    url: str
    size: int
    sha256: str
    unpacked_size: int

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]


def fetch_folder(archive: Archive, folder: str | os.PathLike) -> Path:
    """Download an archive and unpack the folder in it, unless it is there.

    Stopped at any moment, the next call resumes where it stopped. A second
    process waits for the first; under DDP call this by
    ``speechbrain.utils.distributed.run_on_main``.

    Arguments
    ---------
    archive : Archive
        It holds a folder of the name that `folder` has.
    folder : str or PathLike
        The folder wanted. The archive is downloaded beside it, and removed
        once it is unpacked; one that lay there before is used and kept.

    Returns
    -------
    folder : Path
        Absolute; whole, or not there.

    Raises
    ------
    OSError
        If the disk has too little room (before anything is fetched) or the
        download fails; what has arrived is kept.
    ValueError
        If the file is another than expected, or holds what would be written
        elsewhere or no such folder.
    """
    folder = Path(os.path.abspath(folder))
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent):
        if folder.is_dir():  # another process has made it meanwhile
            return folder
        path = folder.parent / archive.name
        ours = not path.is_file()
        here = _size(_partial(path)) if ours else archive.size
        _require_room(folder, archive.size - here + archive.unpacked_size)
        download(archive, path)
        unpack(path, folder, unpacked_size=archive.unpacked_size)
        if ours:
            path.unlink()
    return folder


def download(archive: Archive, path: str | os.PathLike) -> Path:
    """Download a file; what an earlier call left off is gone on with.

    A file that is there already is checked, and never removed.

    Arguments
    ---------
    archive : Archive
        What to download.
    path : str or PathLike
        Where to; until it is whole and checked it is called PATH.part.

    Returns
    -------
    path : Path
        The file, of the size and checksum expected.

    Raises
    ------
    OSError
        If it fails for good; what has arrived is kept.
    ValueError
        If the size or the checksum is another; what was downloaded is
        removed.
    """
    path = Path(path)
    if path.is_file():
        _require_whole(archive, path)
        return path
    partial = _partial(path)
    if _size(partial) > archive.size:
        partial.unlink()
    _fetch(archive, partial)
    found = _sha256(partial)
    if found != archive.sha256:
        partial.unlink()
        raise ValueError(
            f"{archive.url} has the SHA-256 {found}, not {archive.sha256}: it "
            "was damaged on its way, or is another file; it is removed, try "
            "again"
        )
    os.replace(partial, path)
    return path


def _partial(path: Path) -> Path:
    """Name the file while it is not whole."""
    return path.with_name(f"{path.name}.part")


def _require_whole(archive: Archive, path: Path) -> None:
    """Refuse a file that lies there and is not the archive."""
    size = _size(path)
    found = f"{size} bytes, not {archive.size}"
    if size == archive.size:
        digest = _sha256(path)
        if digest == archive.sha256:
            return
        found = f"the SHA-256 {digest}, not {archive.sha256}"
    raise ValueError(
        f"{path} has {found}: it is damaged, or another file; move it away, "
        "and the next call downloads it"
    )


def _require_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold."""
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise OSError(
            f"{folder} needs {needed / 1e9:.1f} GB more and its disk has "
            f"{free / 1e9:.1f} GB left; free some, or choose another disk"
        )


def _fetch(archive: Archive, partial: Path) -> None:
    """Append what is missing to a file, again and again while it grows.

    It is given up after several attempts in a row that brought nothing new,
    and at once where the server refuses.
    """
    import httpx2  # only who downloads needs it

    attempt, here = 0, _size(partial)
    while here < archive.size:
        attempt += 1
        try:
            _append(archive, partial)
            problem = f"{_size(partial)} of {archive.size} bytes came"
            final = _size(partial) > archive.size
        except httpx2.HTTPError as error:
            problem = f"{type(error).__name__}: {error}"
            final = _is_refusal(error)
        before, here = here, _size(partial)
        if here == archive.size:
            return
        if here > before:
            attempt = 0
        if final or attempt == ATTEMPTS:
            raise OSError(
                f"{archive.url} could not be downloaded ({problem}); what has "
                f"arrived is kept in {partial}: the next call resumes from "
                "there"
            )
        logger.warning("%s: %s; trying again", archive.url, problem)
        time.sleep(WAIT_SECONDS)


def _append(archive: Archive, partial: Path) -> None:
    """Ask once for what is missing; begin anew if all of it is sent."""
    import httpx2

    with open(partial, "ab") as file:
        start = file.tell()
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with httpx2.stream(
            "GET",
            archive.url,
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=True,
        ) as response:
            response.raise_for_status()
            if response.status_code != httpx2.codes.PARTIAL_CONTENT:
                file.truncate(0)
                start = 0
            with tqdm(
                desc=archive.name,
                total=archive.size,
                initial=start,
                unit="B",
                unit_scale=True,
                disable=None,
            ) as bar:
                for block in response.iter_raw():
                    file.write(block)
                    bar.update(len(block))
                    if file.tell() > archive.size:
                        return  # another file


def _is_refusal(error: Exception) -> bool:
    """Tell whether the server answered, and would answer the same again."""
    import httpx2

    if not isinstance(error, httpx2.HTTPStatusError):
        return False
    code = error.response.status_code
    return code < 500 and code != httpx2.codes.TOO_MANY_REQUESTS


def _size(path: Path) -> int:
    """Give the size of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    """Hash a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
