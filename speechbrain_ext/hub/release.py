"""Making the folder that goes to the hub."""

import logging
from collections.abc import Mapping
from pathlib import Path
from string import Template

import torch

from speechbrain_ext.files import replaced
from speechbrain_ext.hub.card import Card
from speechbrain_ext.hub.document import parse
from speechbrain_ext.hub.download import pair
from speechbrain_ext.hub.folder import (
    CARD,
    HYPERPARAMS,
    RELEASE,
    find_release,
    inner_file,
)
from speechbrain_ext.hub.loading import load_folder, read_plan
from speechbrain_ext.hub.pretrainer import find_loadables
from speechbrain_ext.hub.weights import write_weights

logger = logging.getLogger(__name__)
__all__ = ["RELEASE", "build_release", "find_release", "release_files"]


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
    expects them. SpeechBrain's own `from_hparams` loads it too.

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
    parse(hyperparams, folder / HYPERPARAMS)
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / HYPERPARAMS) as partial:
        partial.write_text(hyperparams, encoding="utf-8")
    loadables = {item.name: item for item in find_loadables(read_plan(folder))}
    if loadables.keys() != modules.keys():
        raise ValueError(
            f"modules {sorted(modules)} are not the loadables of the "
            f"pretrainer, {sorted(loadables)}"
        )
    for name, module in modules.items():
        for file in pair(loadables[name]):
            write_weights(folder / file, module.state_dict())
    with replaced(folder / CARD) as partial:
        partial.write_text(card.text(), encoding="utf-8")
    loaded = load_folder(folder)
    for name, module in modules.items():
        again = loaded.hparams["pretrainer"].loadables[name].state_dict()
        compare_weights(folder, name, module.state_dict(), again)
    return folder


def compare_weights(
    folder: Path,
    name: str,
    expected: Mapping[str, torch.Tensor],
    found: Mapping[str, torch.Tensor],
) -> None:
    """Check that weights came back as they were, bit for bit.

    Arguments
    ---------
    folder : Path
        Where from, for the message.
    name : str
        Of the module, for the message.
    expected, found : Mapping
        Tensors by name.

    Raises
    ------
    ValueError
        If one differs.

    Example
    -------
    >>> weights = {"weight": torch.ones(2)}
    >>> compare_weights(Path("release"), "model", weights, weights)
    """
    for key, value in expected.items():
        value = value.detach().cpu()
        other = found[key]
        if value.dtype != other.dtype or not same_bits(value, other):
            raise ValueError(
                f"{folder}: {key} of the module {name!r} was saved as "
                f"{value.dtype} and came back otherwise; build the module in "
                "hyperparams.yaml as it was trained, in the same precision"
            )


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Compare two tensors bit for bit; NaN is the same as NaN."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return torch.equal(
        first.contiguous().view(-1).view(torch.uint8)
        if first.dtype != torch.bool
        else first,
        second.contiguous().view(-1).view(torch.uint8)
        if second.dtype != torch.bool
        else second,
    )


def release_files(folder: str | Path) -> list[str]:
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
        If one of them is missing.
    RefusedError
        If `load_folder` would refuse hyperparams.yaml.
    """
    folder = Path(folder)
    loadables = find_loadables(read_plan(folder))
    weights = [name for item in loadables for name in pair(item)]
    names = [HYPERPARAMS, CARD, *weights]
    for name in names:
        try:
            inner_file(folder, name)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{folder} is no release folder, {name} is missing; "
                "speechbrain_ext.hub.build_release makes one"
            ) from error
    return names
