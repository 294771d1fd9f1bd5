"""Finding audio files below a folder, and saying what was passed over."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from speechbrain_ext.console import printable
from speechbrain_ext.outputs import Mark, is_output, read_mark

logger = logging.getLogger(__name__)

# Endings of what libsndfile reads, and of audio and video that it does not
# read. The latter are found all the same, so that they are reported.
AUDIO_SUFFIXES = frozenset(
    """
    .wav .wave .bwf .w64 .rf64 .bw64 .aif .aiff .aifc .au .snd .caf .flac
    .ogg .oga .opus .mp1 .mp2 .mp3 .mpa .mpga .m2a .sph .nist .wv1 .wv2 .voc
    .avr .paf .fap .ircam .sf .svx .8svx .16svx .pvf .htk .sds .sd2 .xi .wve

    .webm .weba .mkv .mka .mp4 .m4a .m4b .m4p .m4r .m4v .mov .qt .3gp .3gpp
    .3g2 .aac .adts .ac3 .ec3 .eac3 .dts .amr .awb .wma .wmv .asf .avi .mpg
    .mpeg .vob .ts .mts .m2ts .flv .f4v .f4a .ogv .ogx .ogm .spx .ape .wv
    .tta .tak .shn .ofr .mpc .mp+ .alac .dsf .dff .ra .rm .rmvb .gsm .vox
    .dss .ds2 .qcp .oma .g722 .g729 .sln .pcm .raw .ulaw .alaw
    """.split()
)

# A link into one of these, or to a folder that holds the one searched, would
# lead through all of the machine.
SYSTEM_FOLDERS = ("/proc/", "/sys/", "/dev/fd/")


def find_audio(
    root: str | os.PathLike,
    *,
    exclude: Iterable[str | os.PathLike] = (),
    outputs: bool = False,
) -> list[Path]:
    """Find the audio files below a folder.

    Links are followed, but no folder is entered twice, and none that leads
    to a folder around `root` or to files of the system. Files and folders
    whose name begins with a dot are passed over; a warning counts the audio
    files among them. What this project has written (see
    `speechbrain_ext.outputs`) is passed over with a warning, unless the
    folder itself is such a folder.

    Arguments
    ---------
    root : str or PathLike
        The folder.
    exclude : iterable of str or PathLike
        Folders not to enter.
    outputs : bool
        Whether to take what this project has written as well.

    Returns
    -------
    paths : list of Path
        Below `root` as it is given, sorted. Links to files that are not
        there, and names of audio that are no files, are among them: reading
        them tells the reason.

    Raises
    ------
    OSError
        If the folder itself cannot be read. Folders below it that cannot be
        read are passed over with a warning.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "a.wav").touch()
    >>> [path.name for path in find_audio(folder)]
    ['a.wav']
    """
    mark = _mark_of(root)
    outputs = outputs or (mark is not None and mark.whole)
    found, hidden = [], []
    for parent, names, mark in _walk(root, exclude, outputs):
        hidden += [
            os.path.join(parent, name)
            for name in names
            # what macOS leaves beside a file is no audio
            if name[0] == "."
            and not os.path.basename(name).startswith("._")
            and _is_audio(f"x{name}")
        ]
        names = _shown(names)
        paths = {name: os.path.join(parent, name) for name in names}
        audio = [paths[name] for name in names if _is_audio(name)]
        for name in names:
            # of a folder, perhaps; one of a file is among the audio
            if not _is_audio(name) and _is_dangling(paths[name]):
                logger.warning(
                    "the link %s is passed over: it leads nowhere",
                    printable(paths[name]),
                )
        if mark is not None and not outputs:
            others = [path for path in audio if not is_output(path, mark)]
            if len(others) < len(audio):
                logger.warning(
                    "%s: %d files that %s wrote are passed over",
                    printable(parent),
                    len(audio) - len(others),
                    printable(mark.maker, 80),
                )
            audio = others
        found += map(Path, audio)
    if hidden:
        logger.warning(
            "%s: %d hidden audio files are passed over, such as %s; give files "
            "and folders names that do not begin with a dot to read them",
            printable(root),
            len(hidden),
            printable(min(hidden)),
        )
    return sorted(found)


def expand(roots: Iterable[str | Path]) -> list[Path]:
    """Replace patterns, which not every shell does, by what they match.

    Arguments
    ---------
    roots : iterable of str or Path
        Files, folders, and patterns such as ``talks/*.wav`` or
        ``**/day*.flac``. What is there of a name is no pattern.

    Returns
    -------
    paths : list of Path
        Each once. As in a folder, what this project wrote is passed over in
        a pattern.

    Raises
    ------
    FileNotFoundError
        If a pattern matches nothing.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("a.wav", "b.wav", "c.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in expand([folder / "*.wav", folder / "a.wav"])]
    ['a.wav', 'b.wav']
    """
    paths = {}
    for root in map(str, roots):
        found = [root]
        if glob.has_magic(root) and not os.path.lexists(root):
            matches = sorted(glob.glob(root, recursive=True))
            found = [path for path in matches if not is_output(path)]
            if not found:
                ours = "; what is there was written by this project"
                raise FileNotFoundError(
                    f"no file matches {printable(root)}{ours * bool(matches)}"
                )
            if len(found) < len(matches):
                logger.warning(
                    "%s: %d files that this project wrote are passed over",
                    printable(root),
                    len(matches) - len(found),
                )
        paths.update((os.path.abspath(path), Path(path)) for path in found)
    return list(paths.values())


def describe_absence(root: str | os.PathLike) -> str:
    """Say that a folder holds no audio files, and what it holds instead.

    Arguments
    ---------
    root : str or PathLike
        A folder in which `find_audio` found nothing.

    Returns
    -------
    text : str

    Example
    -------
    >>> folder = getfixture("tmp_path") / "texts"
    >>> folder.mkdir()
    >>> (folder / "a.txt").touch()
    >>> print(describe_absence(folder))
    there are no audio files in ...texts; the files there end in .txt (1)
    """
    text = f"there are no audio files in {printable(root)}"
    seen, ours = Counter(), 0
    for _, names, _ in _walk(root, (), outputs=True):
        names = _shown(names)
        audio = sum(map(_is_audio, names))
        ours += audio
        seen.update(
            os.path.splitext(name)[1].lower() or "no ending"
            for name in names
            if not _is_audio(name)
        )
    if ours:
        text += (
            f"; {ours} that are there were written by this project, or lie "
            "in folders left out: give their folder itself to read them"
        )
    if seen:
        order = sorted(seen, key=lambda ending: (-seen[ending], ending))
        named = [f"{ending} ({seen[ending]})" for ending in order[:8]]
        if len(seen) > 8:
            named.append("...")
        text += f"; the files there end in {printable(', '.join(named))}"
    return text


def _shown(names: Iterable[str]) -> list[str]:
    """Keep the names that are not hidden."""
    return [name for name in names if name[0] != "."]


def _is_audio(name: str) -> bool:
    """Tell by the ending whether a file is audio."""
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES


def _is_dangling(path: str) -> bool:
    """Tell whether a link leads nowhere."""
    return os.path.islink(path) and not os.path.exists(path)


def _walk(
    root: str | os.PathLike,
    exclude: Iterable[str | os.PathLike],
    outputs: bool,
) -> Iterator[tuple[str, list[str], Mark | None]]:
    """Give each folder below a root, the names of its files, and its mark."""

    def tell(error: OSError) -> None:
        if error.filename == os.fspath(root):
            raise error
        logger.warning(
            "the folder %s is passed over: %s",
            printable(error.filename),
            error.strerror,
        )

    def is_open(path: str) -> bool:
        place = os.path.realpath(path)
        if place in closed:
            return False
        if os.path.islink(path) and (
            f"{place}/".startswith(SYSTEM_FOLDERS)
            or f"{top}/".startswith(f"{place}/".replace("//", "/"))
        ):
            logger.warning(
                "the link %s is not followed: it leads to %s",
                printable(path),
                printable(place),
            )
            return False
        return True

    top = os.path.realpath(root)
    closed = {os.path.realpath(path) for path in exclude}
    entered = set()
    for parent, folders, names in os.walk(root, onerror=tell, followlinks=True):
        place = os.path.realpath(parent)
        if place in entered:
            folders.clear()
            continue
        entered.add(place)
        mark = _mark_of(parent)
        if mark is not None and mark.whole and not outputs:
            logger.warning(
                "the folder %s is passed over: %s wrote it; give it itself to "
                "read it",
                printable(parent),
                printable(mark.maker, 80),
            )
            folders.clear()
            continue
        inner = [os.path.join(parent, x) for x in folders if x[0] == "."]
        names += [
            os.path.relpath(os.path.join(place, name), parent)
            for path in inner
            if not os.path.islink(path) and os.path.realpath(path) not in closed
            for place, _, hidden in os.walk(path)
            for name in hidden
        ]
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and is_open(os.path.join(parent, name))
        ]
        yield parent, names, mark


def _mark_of(folder: str | os.PathLike) -> Mark | None:
    """Read a mark; one that cannot be read is no mark."""
    try:
        return read_mark(folder)
    except OSError:
        return None
