"""Making the folder that goes to the hub, and checking it."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from speechbrain_ext.files import replaced
from speechbrain_ext.hub.card import Card
from speechbrain_ext.hub.document import parse
from speechbrain_ext.hub.folder import CARD, HYPERPARAMS, inner_file
from speechbrain_ext.hub.loading import build_and_load, read_plan
from speechbrain_ext.hub.redaction import redact, require_public
from speechbrain_ext.hub.refusal import LIMITS, Limits
from speechbrain_ext.hub.weights import read_weights, write_weights

TEXTS = (HYPERPARAMS, CARD)


def build_release(
    folder: str | Path,
    *,
    hyperparams: str,
    modules: Mapping[str, torch.nn.Module],
    card: Card,
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
    ... predictor: !new:speechbrain_ext.models.SNRPredictor {hidden: 8}
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
    ... )
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'hyperparams.yaml', 'predictor.ckpt', 'predictor.safetensors']
    """
    folder = Path(folder)
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
    for name, weights in check_release(folder).items():
        compare_weights(folder, modules[name].state_dict(), weights)
    return folder


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def check_release(
    folder: Path, limits: Limits = LIMITS
) -> dict[str, dict[str, torch.Tensor]]:
    """Load a release folder, and check that all its files say the same.

    Arguments
    ---------
    folder : Path
        With the files of `release_files`.
    limits : Limits, optional
        Sizes above which it is refused.

    Returns
    -------
    weights : dict
        Name of each loadable to its weights, as they were loaded.

    Raises
    ------
    RefusedError
        If `load_folder` would refuse it.
    ValueError
        If weights differ, or a text holds something private.
    """
    for name in TEXTS:
        require_public(inner_file(folder, name))
    plan, loadables = read_plan(folder, limits)
    loaded = build_and_load(folder, plan, loadables, limits)
    modules = loaded.hparams["pretrainer"].loadables
    weights = {name: module.state_dict() for name, module in modules.items()}
    for item in loadables:
        for name in item.files:
            found = read_weights(folder / name)
            compare_weights(folder / name, found, weights[item.name])
    return weights


def compare_weights(
    where: Path,
    expected: Mapping[str, torch.Tensor],
    found: Mapping[str, torch.Tensor],
) -> None:
    """Check that weights are the same, bit for bit.

    Arguments
    ---------
    where : Path
        What holds one of them, for the message.
    expected, found : Mapping
        Tensors by name.

    Raises
    ------
    ValueError
        If one differs.

    Example
    -------
    >>> weights = {"weight": torch.ones(2)}
    >>> compare_weights(Path("model.ckpt"), weights, weights)
    """
    for key in [*expected, *(found.keys() - expected.keys())]:
        if bits(expected.get(key)) != bits(found.get(key)):
            kind = getattr(expected.get(key), "dtype", "nothing")
            raise ValueError(
                f"{where}: {key} was saved as {kind} and came back otherwise; "
                f"both files must hold the module as {HYPERPARAMS} builds it, "
                "in the same precision: call build_release again"
            )


def bits(tensor: torch.Tensor | None) -> object:
    """Give what two tensors share if they are the same, NaN included."""
    if tensor is None:
        return None
    values = tensor.detach().cpu().reshape(-1).view(torch.uint8)
    return tensor.shape, tensor.dtype, values.numpy().tobytes()


def _either_file(folder: Path, name: str, twin: str) -> Path:
    """Find a file of weights, or the other one of the same module."""
    try:
        return inner_file(folder, name)
    except FileNotFoundError:
        with suppress(FileNotFoundError):
            return inner_file(folder, twin)
        raise


@contextmanager
def checked_copy(
    folder: Path, limits: Limits, repo_id: str
) -> Iterator[tuple[Path, list[str]]]:
    """Copy a release to a private place, and check the copy.

    What is sent is what was checked, even if somebody writes to the folder
    meanwhile. Logs and other files of the folder stay where they are. Where
    the folder holds the weights of a module in one of the two files only, as
    those do that come with the package, the copy has both.

    Arguments
    ---------
    folder : Path
        The release folder.
    limits : Limits
        As `load_folder` has them.
    repo_id : str
        The repository that it is published to.

    Yields
    ------
    copy : Path
        With the files that go to the hub, and no others.
    names : list of str
        hyperparams.yaml, README.md and the files of weights.
    """
    _, loadables = read_plan(folder, limits, repo_id)
    kinds = [*zip(*(item.files for item in loadables), strict=True)]
    names = list(dict.fromkeys(sum(kinds, TEXTS)))
    paths = {name: inner_file(folder, name) for name in TEXTS}
    for name in TEXTS:
        size = paths[name].stat().st_size
        limits.check(f"{paths[name]} has", size, "yaml_bytes")
    for files, twins in zip(kinds, reversed(kinds), strict=True):
        found = {
            name: _either_file(folder, name, twin)
            for name, twin in zip(files, twins, strict=True)
        }
        limits.check_weights(
            {path: path.stat().st_size for path in found.values()}
        )
        paths |= found
    with tempfile.TemporaryDirectory() as copy:
        for name, path in paths.items():
            target = Path(copy, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == target.suffix or name in TEXTS:
                path = path.resolve()
                shutil.copyfile(path, target, follow_symlinks=False)
            else:
                write_weights(target, read_weights(path))
        try:
            check_release(Path(copy), limits)
        except (ValueError, OSError) as error:
            error.args = (str(error).replace(copy, str(folder)),)
            raise
        yield Path(copy), names
