"""The inference hyperparams.yaml of a training run."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import indent

import yaml

from speechbrain_ext.hub.allowed import PRETRAINER
from speechbrain_ext.hub.document import PLAIN_TAGS, STANDARD


class Unshared(yaml.SafeLoader):
    """Composes a node of its own wherever an alias stands for one."""

    def compose_node(self, parent, index):
        """Compose a node, or a copy of what an alias stands for."""
        shared = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        return copy.deepcopy(node) if shared else node


def inference_hyperparams(
    path: str | os.PathLike,
    *,
    modules: Sequence[str] | Mapping[str, str] = ("separator",),
    values: Sequence[str] = ("sample_rate",),
) -> str:
    """Compose the inference hyperparams.yaml of a training run.

    Of the file that `speechbrain.create_experiment_directory` left in the
    run's folder, the keys asked for are taken as they stand there; `modules`
    and `pretrainer` are added, as SpeechBrain and `load_folder` read them.
    Nothing is built or imported. References are resolved in such a file, and
    what they shared has anchors; here it is written out wherever it stands.

    Arguments
    ---------
    path : str or Path
        The run's hyperparams.yaml.
    modules : sequence of str, or mapping
        Keys of the trained modules; weights of NAME are in `NAME.ckpt`. A
        mapping gives each NAME its key; dots lead into mappings, as in
        `separators.first`.
    values : sequence of str
        Keys of plain values: numbers, text, and lists and mappings of them.

    Returns
    -------
    text : str
        For `build_release`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no YAML, or a key is missing or something else than asked
        for; the message names the file and the key.

    Example
    -------
    >>> path = getfixture("tmp_path") / "hyperparams.yaml"
    >>> _ = path.write_text('''
    ... sample_rate: 8000
    ... layer: &id001 !new:torch.nn.Linear [2, 1]
    ... checkpointer: !new:speechbrain.utils.checkpoints.Checkpointer
    ...     checkpoints_dir: results/save
    ...     recoverables: {layer: *id001}
    ... ''')
    >>> print(inference_hyperparams(path, modules=["layer"]))
    sample_rate: 8000
    layer: !new:torch.nn.Linear [2, 1]
    modules:
        layer: !ref <layer>
    pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
        loadables:
            layer: !ref <layer>
    """
    if not isinstance(modules, Mapping):
        modules = {key: key for key in modules}
    text = Path(path).read_text(encoding="utf-8")
    try:
        root = yaml.compose(text, Loader=Unshared)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{path} is not YAML: {said}") from error
    if not isinstance(root, yaml.MappingNode):
        raise ValueError(f"{path} is not a mapping of keys to values")
    keys = {**{key: key for key in values}, **modules}
    nodes = {name: find_node(root, key, path) for name, key in keys.items()}
    for name, node in nodes.items():
        fits = is_plain(node)
        why = "is no plain value; name what is built among the modules"
        if name in modules:
            fits = node.tag.startswith("!new:")
            why = "is not built by !new:, so it is no module"
        if not fits:
            raise ValueError(f"{path}: the key {keys[name]!r} {why}")
    root.value = [
        (yaml.ScalarNode(STANDARD + "str", name), node)
        for name, node in nodes.items()
    ]
    root.flow_style = False
    options = {"Dumper": yaml.SafeDumper, "indent": 4, "allow_unicode": True}
    text = yaml.serialize(root, **options)
    lines = "".join(f"    {name}: !ref <{name}>\n" for name in modules)
    return (
        f"{text}modules:\n{lines}pretrainer: !new:{PRETRAINER}\n"
        f"    loadables:\n{indent(lines, '    ')}"
    )


def find_node(
    root: yaml.MappingNode, key: str, path: str | os.PathLike
) -> yaml.Node:
    """Find the node of a key.

    Arguments
    ---------
    root : yaml.MappingNode
        Where to look.
    key : str
        Dots lead into mappings.
    path : str or Path
        Of the file, for the message.

    Returns
    -------
    node : yaml.Node

    Raises
    ------
    ValueError
        If there is no such key.
    """
    node = root
    for part in key.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = {name.value: value for name, value in pairs}.get(part)
        if node is None:
            raise ValueError(
                f"{path} has no key {key!r}; name keys that the training's "
                "YAML file has"
            )
    return node


def is_plain(node: yaml.Node) -> bool:
    """Tell whether nothing but plain values stands in a node."""
    inner = () if isinstance(node, yaml.ScalarNode) else node.value
    if isinstance(node, yaml.MappingNode):
        inner = [item for pair in node.value for item in pair]
    return node.tag in PLAIN_TAGS and all(map(is_plain, inner))
