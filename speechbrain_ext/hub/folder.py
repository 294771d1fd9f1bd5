"""Finding folders, and files in those that are not trusted."""

import logging
import os
import re
from contextlib import suppress
from pathlib import Path

from speechbrain_ext.console import printable
from speechbrain_ext.hub.refusal import RefusedError

logger = logging.getLogger(__name__)
HYPERPARAMS = "hyperparams.yaml"
CARD = "README.md"
# subfolder of a results folder, made by the recipe
RELEASE = "release"
LARGEST_TRAINING_FILE = 1024**2
# no part begins with a dot, so none is ..
FILE_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
REPOSITORY = re.compile(
    r"(?=.{3,96}\Z)[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII
)


def find_folder(source: str | os.PathLike) -> Path | None:
    """Tell what names a model: a folder here, or a repository of the hub.

    Arguments
    ---------
    source : str or Path
        A path, whose `~` is the home folder, or `USER/NAME`. What begins
        with `.`, `/`, `~` or `results/`, or with the name of a folder that
        is here (other than a Python package, such as `speechbrain` in a
        checkout), has a backslash, or not exactly one `/`, is a path.

    Returns
    -------
    folder : Path or None
        The release folder, also that of a results folder; None for a
        repository.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, and the source names no repository.
    ValueError
        If the source is empty.

    Example
    -------
    >>> find_folder("speechbrain/sepformer-wsj02mix") is None
    True
    >>> find_folder("~/model")
    Traceback (most recent call last):
    FileNotFoundError: there is no folder ~/model; ...
    """
    text = os.fspath(source)
    if not text.strip():
        raise ValueError(
            "the model's name is empty; give a folder or USER/NAME"
        )
    path = Path(os.path.expanduser(text))
    repository = isinstance(source, str) and REPOSITORY.fullmatch(text)
    repository = repository and not text.startswith("results/")
    if os.path.isdir(path):
        if repository:
            logger.warning(
                "%s is a folder here, and is taken; the hub is not asked for "
                "a repository of that name",
                text,
            )
        with suppress(FileNotFoundError):
            return find_release(path)
        return path  # what it lacks is told when it is read
    first = Path(text.partition("/")[0])
    hides = repository and first.is_dir()
    hides = hides and not (first / "__init__.py").is_file()
    if repository and not hides:
        return None
    raise FileNotFoundError(
        f"there is no folder {printable(text)}"
        + ", it is a file" * os.path.isfile(path)
        + f"; give a folder that holds {HYPERPARAMS}, a results folder with a "
        f"subfolder {RELEASE}, a hub repository USER/NAME, or a name that "
        "`speechbrain-ext models` lists"
        + (f" (from elsewhere: {first} is a folder here)" if hides else "")
    )


def find_release(folder: str | os.PathLike) -> Path:
    r"""Find the release folder of a results folder.

    Arguments
    ---------
    folder : str or Path
        A release folder, or a results folder in which a recipe has made the
        subfolder `release`.

    Returns
    -------
    folder : Path
        The release folder.

    Raises
    ------
    FileNotFoundError
        If the folder is neither.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> text = "pretrainer: null\ncheckpointer: null\n"
    >>> _ = (folder / "hyperparams.yaml").write_text(text)
    >>> (folder / "release").mkdir()
    >>> find_release(folder).name
    'release'
    """
    folder = Path(folder)
    path, inner = folder / HYPERPARAMS, folder / RELEASE
    if path.is_file():
        with open(path, "rb") as file:
            text = file.read(LARGEST_TRAINING_FILE)
        keys = set(re.findall(rb"^(\w+)\s*:", text, re.MULTILINE))
        # a training may have a pretrainer, too, but a release no checkpoints
        training = b"checkpointer" in keys and inner.is_dir()
        if b"pretrainer" in keys and not training:
            return folder
    if inner.is_dir():
        return inner
    raise FileNotFoundError(
        f"{folder} is neither a release folder ({HYPERPARAMS} with the key "
        f"pretrainer) nor a results folder with a subfolder {RELEASE}; run "
        "the training's command again, which makes it at its end, or call "
        "speechbrain_ext.hub.build_release"
    )


def inner_file(folder: Path, name: str) -> Path:
    """Find a file of a folder, and nothing that is not in it.

    Links are followed where they stay in the folder, or, in a snapshot of
    the Hugging Face cache, lead to that repository's own blobs.

    Arguments
    ---------
    folder : Path
        The folder.
    name : str
        Relative, with `/` between its parts.

    Returns
    -------
    path : Path
        `folder / name`, a regular file.

    Raises
    ------
    RefusedError
        If the name is absolute, has `..`, a scheme or unusual characters,
        leads out of the folder, or is something else than a file.
    FileNotFoundError
        If there is no such file.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "encoder.ckpt").write_bytes(b"")
    >>> inner_file(folder, "encoder.ckpt").name
    'encoder.ckpt'
    """
    if not FILE_NAME.fullmatch(name):
        raise RefusedError(
            f"{folder}: {name!r} is not the name of a file in this folder; "
            "letters, digits, '_', '-', '.' and '/' are allowed, and no '..'"
        )
    path = folder / name
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{path} is missing, or a link that leads nowhere"
        ) from error
    real = folder.resolve()
    roots, blobs = [real], real.parent.parent / "blobs"
    # files of a snapshot in the Hugging Face cache are links to its blobs
    snapshot = real.match("models--*/snapshots/*")
    if snapshot and blobs.is_dir() and not blobs.is_symlink():
        roots.append(blobs)
    if not any(target.is_relative_to(root) for root in roots):
        raise RefusedError(
            f"{path} is a link to {printable(target)}, which is outside the "
            "folder; put the file itself there"
        )
    if not target.is_file():
        raise RefusedError(f"{path} is not a regular file")
    return path


def check_repo_id(repo_id: str) -> None:
    """Raise a ValueError if a name is not that of a repository."""
    if not REPOSITORY.fullmatch(repo_id):
        raise ValueError(f"{repo_id!r} is no repository; write USER/NAME")
