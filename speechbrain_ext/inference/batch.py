"""The files of a command: what is read, what is written, what may fail."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from speechbrain_ext.console import Failures, printable
from speechbrain_ext.corpora.finding import (
    describe_absence,
    expand,
    find_audio,
)
from speechbrain_ext.outputs import is_output, made_of, require_free

logger = logging.getLogger(__name__)

# What stands between the name of a recording and the number of a source.
SOURCE = "_source"
ENHANCED = "_enhanced"
# Bytes of a name that file systems take, and those of it that are kept for
# the recording's name: what is added to it must fit as well.
LONGEST_STEM = 255 - len(f"{SOURCE}9999.wav")


class Item(NamedTuple):
    """A recording of a command.

    Arguments
    ---------
    path : Path
        The file to read.
    folder : Path or None
        Where what becomes of it is written, if anything is.
    """

    path: Path
    folder: Path | None

    def made(self, maker: str, model: str) -> str:
        """Say what makes its results, for the mark of their folder."""
        return made_of(maker, self.source(model))

    def source(self, model: str) -> str:
        """Say what its results are made of: the recording and the model."""
        path = os.path.abspath(self.path)
        return f"{path} with {model}" if model else path

    def sources(self, count: int) -> list[Path]:
        """Name the files of the separated sources."""
        stem = output_stem(self.path)
        numbers = range(1, count + 1)
        return [self.folder / f"{stem}{SOURCE}{n}.wav" for n in numbers]

    def enhanced(self) -> list[Path]:
        """Name the file of the enhanced recording."""
        return [self.folder / f"{output_stem(self.path)}{ENHANCED}.wav"]


def model_name(source: str | os.PathLike) -> str:
    """Name a model by its folder, wherever it is called from, or its id.

    Example
    -------
    >>> model_name("speechbrain/sepformer-wsj02mix")
    'speechbrain/sepformer-wsj02mix'
    """
    path = os.path.expanduser(os.fspath(source))
    return os.path.abspath(path) if os.path.isdir(path) else str(source)


def output_stem(path: str | os.PathLike) -> str:
    """Give the name of a recording that begins the names of its outputs.

    Arguments
    ---------
    path : str or Path
        The recording.

    Returns
    -------
    stem : str
        Its name without the ending. Of a name that is too long for anything
        to be added, the beginning and a digest of the whole are kept.

    Example
    -------
    >>> output_stem("day/talk.wav")
    'talk'
    >>> output_stem("a" * 250 + ".wav")[-12:]
    'aaa-3f3e35e0'
    """
    stem = Path(path).stem
    encoded = os.fsencode(stem)
    if len(encoded) <= LONGEST_STEM:
        return stem
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    kept = encoded[: LONGEST_STEM - 9].decode("utf-8", "ignore")
    return f"{kept}-{digest}"


def list_audio(
    path: str | Path, *, exclude: str | Path | None = None
) -> list[Path]:
    """List a file, or the audio files of a folder and of those below.

    Arguments
    ---------
    path : str or Path
        A file or a folder. What this project wrote is passed over in a
        folder, see `find_audio`.
    exclude : str or Path, optional
        Where the command writes: if it lies in the folder, it is not
        searched.

    Returns
    -------
    paths : list of Path
        Sorted.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or no audio in it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "a.wav").touch()
    >>> [path.name for path in list_audio(folder)]
    ['a.wav']
    """
    path = Path(path)
    if not path.is_dir():
        if not os.path.lexists(path):
            raise FileNotFoundError(f"there is no file or folder {path}")
        return [path]
    excluded = []
    if (
        exclude is not None
        and path.resolve() in Path(exclude).resolve().parents
    ):
        excluded = [Path(exclude)]
        if Path(exclude).is_dir():
            count = len(find_audio(exclude, outputs=True))
            logger.warning(
                "the folder %s is passed over, with %d files of audio: the "
                "results go there",
                printable(exclude),
                count,
            )
    paths = find_audio(path, exclude=excluded)
    if not paths:
        raise FileNotFoundError(describe_absence(path))
    return paths


def find_items(
    roots: str | Path | Iterable[str | Path],
    folder: str | Path | None = None,
    failures: Failures | None = None,
) -> list[Item]:
    """Find recordings, and the folder for what becomes of each.

    Arguments
    ---------
    roots : str, Path or iterable of these
        Files, folders and patterns; see `expand`.
    folder : str or Path, optional
        Where the command writes: of a folder of `roots` into folders like
        those in it.
    failures : Failures, optional
        Takes recordings of one name; by default the first one is raised.

    Returns
    -------
    items : list of Item
        Each recording once.

    Raises
    ------
    FileNotFoundError
        If there are no recordings.
    ValueError
        If recordings have one name, so that what becomes of them would.
    OSError
        If the folder cannot be written.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("talk.wav", "talk.mp3"):
    ...     (folder / name).touch()
    >>> find_items(folder, "out")
    Traceback (most recent call last):
    ValueError: ...talk.mp3: the results would have the names of those of
    ...talk.wav; rename one, or put them into folders of their own
    """
    failures = FirstFailure() if failures is None else failures
    roots = [roots] if isinstance(roots, str | os.PathLike) else roots
    items, named = {}, {}
    for root in expand(roots):
        for path in list_audio(root, exclude=folder):
            if (place := os.path.abspath(path)) in items:
                continue
            inner = path.parent.relative_to(root) if root.is_dir() else Path()
            target = None if folder is None else Path(folder) / inner
            items[place] = Item(path, target)
            if target:
                name = target / output_stem(path)
                named.setdefault(name, []).append(path)
    for paths in named.values():
        for path in paths if len(paths) > 1 else ():
            del items[os.path.abspath(path)]
            other = next(found for found in paths if found != path)
            with failures.item(path):
                raise ValueError(
                    f"{path}: the results would have the names of those of "
                    f"{other}; rename one, or put them into folders of their "
                    "own"
                )
    if folder is not None:
        require_writable(item.folder for item in items.values())
    return list(items.values())


def plan(
    items: Sequence[Item],
    outputs: Sequence[Sequence[Path]] = (),
    *,
    maker: str,
    model: str = "",
    tables: Iterable[Path] = (),
    tables_of: str | Path = "",
    overwrite: bool = False,
) -> list[Item]:
    """Check all that a command is going to write, before it begins.

    Arguments
    ---------
    items : sequence of Item
        What is read.
    outputs : sequence of sequence of Path
        The files that become of each item, if any do.
    maker : str
        The command.
    model : str
        What makes the outputs.
    tables : iterable of Path
        Further files that are written.
    tables_of : str or Path
        What they are about.
    overwrite : bool
        Whether files may be replaced that the same command has not written.

    Returns
    -------
    items : list of Item
        Without those that an earlier run of the same command has written.

    Raises
    ------
    FileExistsError
        If such files are there.
    ValueError
        If what is written would take the place of what is read.
    OSError
        If a folder cannot be written.
    """
    outputs = outputs or [[]] * len(items)
    read = {os.path.realpath(item.path): item for item in items}
    targets = [*(path for paths in outputs for path in paths), *tables]
    ours, clashes = set(), []
    for target in targets:
        if target.is_dir():
            raise IsADirectoryError(
                f"{target} is a folder, and a file of this name is to be "
                "written; choose another folder or name"
            )
        item = read.get(os.path.realpath(target))
        if item is None:
            continue
        if target not in tables and is_output(item.path):
            ours.add(item)
        else:
            clashes.append(str(target))
    if clashes:
        raise ValueError(
            f"{shorten(clashes)} would be read and overwritten; choose "
            "another folder or name for the results"
        )
    if ours:
        logger.warning(
            "%d files that the same command wrote earlier are passed over, "
            "such as %s",
            len(ours),
            printable(min(ours).path),
        )
    kept = [place for place, item in enumerate(items) if item not in ours]
    tables = list(tables)
    require_writable(table.parent for table in tables)
    free = [
        (path, items[place].made(maker, model))
        for place in kept
        for path in outputs[place]
    ]
    free += [(table, made_of(maker, tables_of)) for table in tables]
    require_free(free, overwrite=overwrite)
    return [items[place] for place in kept]


def shorten(names: Sequence[str]) -> str:
    """Join names; of many, the first and their number."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def existing_folder(folder: str | os.PathLike) -> Path:
    """Give a folder, or what exists of the folders that it lies in.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> existing_folder(root / "new" / "folder") == root
    True
    """
    folder = Path(os.path.abspath(folder))
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


def require_writable(folders: Iterable[Path]) -> None:
    """Raise where folders cannot be created or written, leaving no trace.

    Arguments
    ---------
    folders : iterable of Path
        They need not exist.

    Raises
    ------
    OSError
        The message names the folder.

    Example
    -------
    >>> path = getfixture("tmp_path") / "talk.wav"
    >>> path.touch()
    >>> require_writable([path / "results"])
    Traceback (most recent call last):
    NotADirectoryError: ...talk.wav is a file; results need a folder
    """
    for folder in {existing_folder(folder) for folder in folders}:
        if not folder.is_dir():
            raise NotADirectoryError(
                f"{folder} is a file; results need a folder"
            )
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise type(error)(
                error.errno,
                f"results cannot be written there ({error.strerror}); choose "
                "another folder",
                str(folder),
            ) from error


class FirstFailure(Failures):
    """Stops at the first item that fails: its error is raised."""

    @contextmanager
    def item(self, name: object) -> Iterator[None]:
        """Work on one item."""
        yield
