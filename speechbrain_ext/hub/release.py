"""Making the folder that goes to the hub, and checking it."""

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from string import Template

import torch

from speechbrain_ext.console import DISK_FAULTS
from speechbrain_ext.files import replaced
from speechbrain_ext.hub.card import Card
from speechbrain_ext.hub.document import parse
from speechbrain_ext.hub.download import pair
from speechbrain_ext.hub.folder import CARD, HYPERPARAMS, inner_file
from speechbrain_ext.hub.loading import LoadedFolder, load_folder, read_plan
from speechbrain_ext.hub.pretrainer import find_loadables
from speechbrain_ext.hub.redaction import redact, require_public
from speechbrain_ext.hub.refusal import Limits, RefusedError
from speechbrain_ext.hub.weights import read_weights, write_weights

# subfolder of a results folder, made by the recipe
RELEASE = "release"
BLOCK_BYTES = 2**20


def build_release(
    folder: str | Path,
    *,
    hyperparams: str,
    modules: Mapping[str, torch.nn.Module],
    card: Card,
    values: Mapping[str, object] | None = None,
) -> Path:
    """Write a release folder, and check that it gives back what it was given.

    It holds `hyperparams.yaml`, `README.md` and, for each module, its weights
    twice: `NAME.safetensors`, and `NAME.ckpt` as SpeechBrain's Pretrainer
    expects them. SpeechBrain's own `from_hparams` loads it too. Card and
    hyperparams.yaml are written as `redact` gives them.

    Arguments
    ---------
    folder : str or Path
        Is made, or written anew.
    hyperparams : str
        Text of the inference hyperparams.yaml. All that it builds must be
        on the list that `load_folder` allows.
    modules : Mapping
        Name, as among the loadables of the pretrainer, to trained module.
    card : Card
        Becomes README.md.
    values : Mapping, optional
        Makes `hyperparams` a template: `$name` is replaced by the value of
        that name, and `$$` is a dollar.

    Returns
    -------
    folder : Path
        Complete.

    Raises
    ------
    RefusedError
        If `load_folder` would refuse it.
    ValueError
        If modules and loadables differ, or if what was loaded back has
        other weights.

    Example
    -------
    >>> text = '''
    ... model: !new:torch.nn.Linear {in_features: $size, out_features: 1}
    ... modules: {model: !ref <model>}
    ... pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    ...     loadables: {model: !ref <model>}
    ... '''
    >>> says = dict.fromkeys(
    ...     ["name", "summary", "data", "command", "usage", "limits",
    ...      "citation"], "Example",
    ... )
    >>> folder = build_release(
    ...     getfixture("tmp_path"),
    ...     hyperparams=text,
    ...     modules={"model": torch.nn.Linear(2, 1)},
    ...     card=Card(license="mit", **says),
    ...     values={"size": 2},
    ... )
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'hyperparams.yaml', 'model.ckpt', 'model.safetensors']
    """
    folder = Path(folder)
    if values is not None:
        hyperparams = Template(hyperparams).substitute(values)
    # in YAML, *** alone would be an alias
    hyperparams = redact(hyperparams, secret="'***'")
    parse(hyperparams, folder / HYPERPARAMS)
    write_text(folder / HYPERPARAMS, hyperparams)
    loadables = {item.name: item for item in find_loadables(read_plan(folder))}
    if loadables.keys() != modules.keys():
        raise ValueError(
            f"modules {sorted(modules)} are not the loadables of the "
            f"pretrainer, {sorted(loadables)}"
        )
    for name, module in modules.items():
        for file in pair(loadables[name]):
            write_weights(folder / file, module.state_dict())
    write_text(folder / CARD, card.text())
    check_release(folder, modules=modules)
    return folder


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def check_release(
    folder: Path,
    *,
    modules: Mapping[str, torch.nn.Module] | None = None,
    limits: Limits | None = None,
) -> LoadedFolder:
    """Load a release folder, and check that all its files say the same.

    Arguments
    ---------
    folder : Path
        With the files of `release_files`.
    modules : Mapping, optional
        What both files of each loadable must hold; by default they are
        compared with each other.
    limits : Limits, optional
        Sizes above which it is refused.

    Returns
    -------
    loaded : LoadedFolder

    Raises
    ------
    RefusedError
        If `load_folder` would refuse it.
    ValueError
        If weights differ, or a text holds something private.
    """
    for name in (HYPERPARAMS, CARD):
        text = (folder / name).read_text(encoding="utf-8", errors="replace")
        require_public(folder / name, text)
    loaded = load_folder(folder, limits=limits)
    pretrainer = loaded.hparams.get("pretrainer")
    built = loaded.modules | getattr(pretrainer, "loadables", {})
    for item in find_loadables(read_plan(folder, limits)):
        files = [folder / name for name in pair(item)]
        expected = (
            modules[item.name].state_dict()
            if modules
            else read_weights(files[0], limits)
        )
        for file in files:
            compare_weights(file, expected, read_weights(file, limits))
        compare_weights(
            f"{folder / HYPERPARAMS}: {item.name}",
            expected,
            built[item.name].state_dict(),
        )
    return loaded


def compare_weights(
    where: str | Path,
    expected: Mapping[str, torch.Tensor],
    found: Mapping[str, torch.Tensor],
) -> None:
    """Check that weights are the same, bit for bit.

    Arguments
    ---------
    where : str or Path
        File or module of `found`, for the message.
    expected, found : Mapping
        Tensors by name.

    Raises
    ------
    ValueError
        If one differs.

    Example
    -------
    >>> weights = {"weight": torch.ones(2)}
    >>> compare_weights("model.ckpt", weights, weights)
    """
    for key in expected.keys() | found.keys():
        value, other = expected.get(key), found.get(key)
        if value is None or other is None or not same_bits(value, other):
            was, now = (
                "missing" if x is None else f"{tuple(x.shape)} of {x.dtype}"
                for x in (value, other)
            )
            raise ValueError(
                f"{where}: the tensor {key!r} was saved as {was} and came "
                f"back otherwise ({now}); build the modules in {HYPERPARAMS} "
                "as they were trained, in the same precision, and call "
                "build_release again"
            )


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Compare two tensors bit for bit; NaN is the same as NaN."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    one, other = (
        tensor.detach().cpu().reshape(-1).view(torch.uint8)
        for tensor in (first, second)
    )
    return torch.equal(one, other)


@contextmanager
def checked_copy(
    folder: Path, limits: Limits | None = None
) -> Iterator[tuple[Path, LoadedFolder]]:
    """Copy a release to a private place, and check the copy.

    What is sent is what was checked, even if somebody writes to the folder
    meanwhile.

    Arguments
    ---------
    folder : Path
        The release folder.
    limits : Limits, optional
        As `load_folder` has them; no more is read.

    Yields
    ------
    copy : Path
        With the files of `release_files`, and no others.
    loaded : LoadedFolder
        From `check_release`.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory() as copy:
        try:
            for name in (HYPERPARAMS, CARD):
                copy_file(folder, name, Path(copy), limits.yaml_bytes)
            room = 2 * limits.weight_bytes
            for name in release_files(copy, limits)[2:]:
                room -= copy_file(folder, name, Path(copy), room)
            loaded = check_release(Path(copy), limits=limits)
        except (ValueError, FileNotFoundError) as error:
            error.args = (str(error).replace(copy, str(folder)),)
            raise
        except OSError as error:
            if error.errno in DISK_FAULTS:
                raise OSError(
                    f"{folder} cannot be copied to {copy} ({error.strerror}): "
                    "make room there, or let TMPDIR name another folder"
                ) from error
            raise
        yield Path(copy), loaded


def copy_file(folder: Path, name: str, to: Path, most: int) -> int:
    """Copy a file of a folder that is not trusted, and give its size."""
    try:
        source = inner_file(folder, name).resolve()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{folder} is no release folder, {folder / name} is missing; "
            "speechbrain_ext.hub.build_release makes one"
        ) from error
    (to / name).parent.mkdir(parents=True, exist_ok=True)
    # whatever stands there by now: no link is followed, no pipe waited for
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    size = 0
    with (
        open(source, "rb", opener=lambda p, f: os.open(p, f | flags)) as file,
        open(to / name, "wb") as out,
    ):
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RefusedError(f"{folder / name} is not a regular file")
        while block := file.read(BLOCK_BYTES):
            size += out.write(block)
            if size > most:
                raise RefusedError(
                    f"{folder / name} has more than {most} bytes; "
                    "Limits(yaml_bytes=..., weight_bytes=...) changes that"
                )
    return size


def find_release(folder: str | Path) -> Path:
    """Find the release folder of a results folder.

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
    >>> _ = (folder / "hyperparams.yaml").write_text("seed: 1")
    >>> (folder / "release").mkdir()
    >>> find_release(folder).name
    'release'
    """
    folder = Path(folder)
    path = folder / HYPERPARAMS
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if path.is_file():
        with open(path, "rb") as file:
            if re.search(rb"(?m)^pretrainer *:", file.read(BLOCK_BYTES)):
                return folder
    if (folder / RELEASE).is_dir():
        return folder / RELEASE
    raise FileNotFoundError(
        f"{folder} is neither a release folder ({HYPERPARAMS} with the key "
        f"pretrainer) nor a results folder with a subfolder {RELEASE}; run "
        "the training's command again, which makes it at its end, or call "
        "speechbrain_ext.hub.build_release"
    )


def release_files(
    folder: str | Path, limits: Limits | None = None
) -> list[str]:
    """List the files of a release folder that go to the hub, and no others.

    Arguments
    ---------
    folder : str or Path
        From `build_release`, or of the same layout. It may hold logs and
        other files, which stay where they are.

    Returns
    -------
    names : list of str
        hyperparams.yaml, README.md and the files of weights.

    Raises
    ------
    FileNotFoundError
        If hyperparams.yaml is missing.
    RefusedError
        If `load_folder` would refuse hyperparams.yaml.
    """
    loadables = find_loadables(read_plan(Path(folder), limits))
    weights = [name for item in loadables for name in pair(item)]
    return list(dict.fromkeys([HYPERPARAMS, CARD, *weights]))
