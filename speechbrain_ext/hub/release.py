"""Making the folder that goes to the hub, and checking it."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from string import Template

import torch

from speechbrain_ext.files import replaced
from speechbrain_ext.hub.card import Card
from speechbrain_ext.hub.document import parse
from speechbrain_ext.hub.folder import CARD, HYPERPARAMS, inner_file
from speechbrain_ext.hub.loading import LoadedFolder, load_folder, read_plan
from speechbrain_ext.hub.redaction import redact, require_public
from speechbrain_ext.hub.refusal import LIMITS, Limits, RefusedError
from speechbrain_ext.hub.weights import read_weights, write_weights


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
    >>> from speechbrain_ext.models import SNRPredictor
    >>> text = '''
    ... predictor: !new:speechbrain_ext.models.SNRPredictor {hidden: $size}
    ... modules: {predictor: !ref <predictor>}
    ... pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    ...     loadables: {predictor: !ref <predictor>}
    ... '''
    >>> says = dict.fromkeys(
    ...     ["name", "summary", "data", "command", "usage", "limits",
    ...      "citation"], "Example",
    ... )
    >>> folder = build_release(
    ...     getfixture("tmp_path"),
    ...     hyperparams=text,
    ...     modules={"predictor": SNRPredictor(hidden=8)},
    ...     card=Card(license="mit", **says),
    ...     values={"size": 8},
    ... )
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'hyperparams.yaml', 'predictor.ckpt', 'predictor.safetensors']
    """
    folder = Path(folder)
    if values is not None:
        hyperparams = Template(hyperparams).substitute(values)
    # in YAML, *** alone would be an alias
    hyperparams = redact(hyperparams, secret="'***'")
    parse(hyperparams, folder / HYPERPARAMS)
    write_text(folder / HYPERPARAMS, hyperparams)
    _, found = read_plan(folder)
    loadables = {item.name: item for item in found}
    if loadables.keys() != modules.keys():
        raise ValueError(
            f"modules {sorted(modules)} are not the loadables of the "
            f"pretrainer, {sorted(loadables)}"
        )
    for name, module in modules.items():
        for file in loadables[name].files:
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
    limits: Limits = LIMITS,
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
    for path in (folder / HYPERPARAMS, folder / CARD):
        require_public(path)
    loaded = load_folder(folder, limits=limits)
    pretrainer = loaded.hparams.get("pretrainer")
    built = loaded.modules | getattr(pretrainer, "loadables", {})
    for item in read_plan(folder, limits)[1]:
        first, second = (folder / name for name in item.files)
        expected = read_weights(first)
        if modules:
            compare_weights(first, modules[item.name].state_dict(), expected)
        compare_weights(second, expected, read_weights(second))
        module = f"{folder / HYPERPARAMS}, {item.name}"
        compare_weights(module, expected, built[item.name].state_dict())
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
    for key in [*expected, *(found.keys() - expected.keys())]:
        if not same_bits(expected.get(key), found.get(key)):
            kind = getattr(expected.get(key), "dtype", "nothing")
            raise ValueError(
                f"{where}: {key} was saved as {kind} and came back otherwise; "
                f"both files must hold the module as {HYPERPARAMS} builds it, "
                "in the same precision: call build_release again"
            )


def same_bits(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    """Compare two tensors bit for bit; NaN is the same as NaN."""
    if one is None or two is None:
        return False
    if (one.shape, one.dtype) != (two.shape, two.dtype):
        return False
    bits = [x.detach().cpu().reshape(-1).view(torch.uint8) for x in (one, two)]
    return torch.equal(*bits)


@contextmanager
def checked_copy(
    folder: Path, limits: Limits = LIMITS
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
    with tempfile.TemporaryDirectory() as copy:
        try:
            for name in (HYPERPARAMS, CARD):
                copy_file(folder, name, copy, limits.yaml_bytes)
            room = 2 * limits.weight_bytes
            for name in release_files(Path(copy), limits)[2:]:
                room -= copy_file(folder, name, copy, room)
            loaded = check_release(Path(copy), limits=limits)
        except (ValueError, OSError) as error:
            error.args = (str(error).replace(copy, str(folder)),)
            raise
        yield Path(copy), loaded


def copy_file(folder: Path, name: str, copy: str, most: int) -> int:
    """Copy a file of a folder that is not trusted, and give its size."""
    path, target = folder / name, Path(copy, name)
    try:
        source = inner_file(folder, name).resolve()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{folder} is no release folder, {path} is missing; "
            "speechbrain_ext.hub.build_release makes one"
        ) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    # whatever stands there by now: no link is followed, no pipe waited for
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    opener = lambda file, given: os.open(file, given | flags)  # noqa: E731
    with open(source, "rb", opener=opener) as file, open(target, "wb") as out:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            raise RefusedError(
                f"{path} is no regular file of at most {most} bytes, which "
                "Limits(yaml_bytes=..., weight_bytes=...) changes"
            )
        shutil.copyfileobj(file, out)
    return found.st_size


def release_files(
    folder: Path, limits: Limits = LIMITS, repo_id: str | None = None
) -> list[str]:
    """List the files of a release folder that go to the hub, and no others.

    Arguments
    ---------
    folder : Path
        From `build_release`, or of the same layout. It may hold logs and
        other files, which stay where they are.
    limits : Limits, optional
        Size that hyperparams.yaml may have.
    repo_id : str, optional
        The repository that it is published to.

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
    _, loadables = read_plan(folder, limits, repo_id)
    weights = [name for item in loadables for name in item.files]
    return list(dict.fromkeys([HYPERPARAMS, CARD, *weights]))
