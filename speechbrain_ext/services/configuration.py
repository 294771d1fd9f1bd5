"""Reading hyperparameter files: every mistake is found before data is.

HyperPyYAML builds whatever a file says.  A mistyped key on the command line,
a path left out or a word that no code knows would otherwise show up hours
into a run, or never.
"""

import difflib
import functools
import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml import YAML

from speechbrain_ext.console import printable
from speechbrain_ext.hub.building import sizes_only
from speechbrain_ext.services.options import (
    OptionConstructor,
    find_mistakes,
    find_split_fault,
    is_path,
    read_option,
    read_yaml,
    tag_of,
)

_SHELTER = re.compile(r"text_(\d+)_of_an_option")


class CheckedHparams(NamedTuple):
    """A hyperparameter file without mistakes, before anything is built.

    Arguments
    ---------
    text : str
        YAML, with the options in it and all references resolved.
    values : dict
        Its plain values; None for what is to be built.
    """

    text: str
    values: dict


class _PlainConstructor(OptionConstructor):
    """None for all that is to be built."""


_PlainConstructor.add_multi_constructor("!", lambda loader, tag, node: None)


def _read_tree(path: str | os.PathLike) -> Mapping:
    """Read the top level of a file with its tags; it is not to be changed."""
    try:
        return _parse(Path(path).read_text(encoding="utf-8"), path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error


@functools.lru_cache(maxsize=4)
def _parse(text: str, path: str | os.PathLike) -> Mapping:
    """Parse YAML of a path, once for all that ask."""
    try:
        tree = YAML().load(text)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(tree, Mapping):
        raise ValueError(f"{path} holds no keys; it is no hyperparameter file")
    return tree


def read_keys(path: str | os.PathLike) -> set[str]:
    r"""Read the names of the keys at the top level of a hyperparameter file.

    Arguments
    ---------
    path : str or PathLike
        The hyperparameter file.

    Returns
    -------
    keys : set of str

    Example
    -------
    >>> path = getfixture("tmp_path") / "hparams.yaml"
    >>> _ = path.write_text("model:\n    size: 3\n")
    >>> read_keys(path)
    {'model'}
    """
    return set(_read_tree(path))


def check_hparams(
    path: str | os.PathLike,
    overrides: Mapping,
    rules: Mapping | None = None,
    find_conflicts: Callable | None = None,
    mistakes: list[str] | None = None,
) -> CheckedHparams:
    r"""Read a hyperparameter file and its options without building anything.

    Arguments
    ---------
    path : str or PathLike
        The hyperparameter file.
    overrides : Mapping
        Key to value; a text is read as `read_option` does.
    rules : Mapping, optional
        What `find_mistakes` understands: the legal values of top-level keys.
    find_conflicts : Callable, optional
        Given the file's plain values, lists the mistakes (str) of values
        that are legal one by one but not together.
    mistakes : list of str, optional
        Found before, to be told as well.

    Returns
    -------
    checked : CheckedHparams

    Raises
    ------
    ValueError
        Naming, all together, every override the file does not know, every
        required key without a value, and every value that breaks a rule.

    Example
    -------
    >>> path = getfixture("tmp_path") / "hparams.yaml"
    >>> _ = path.write_text("seed: 1\nmixing: ring\n")
    >>> check_hparams(path, {"seed": "2"}, {"mixing": ["ring", "pairs"]}).values
    {'seed': 2, 'mixing': 'ring'}
    >>> check_hparams(path, {"mixng": "pairs"})
    Traceback (most recent call last):
    ValueError: ...hparams.yaml: 1 mistake
      mixng: no such key; did you mean mixing?
    """
    tree, rules = _read_tree(path), rules or {}
    mistakes, known, values = list(mistakes or ()), list(tree), {}
    for key, value in overrides.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            mistakes.append(f"{printable(key, 100)}: no such key{hint}")
            continue
        if key.startswith("__"):
            mistakes.append(f"{key}: the file alone sets it; it is no option")
            continue
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, str):
            rule = rules.get(key)
            try:
                value = read_option(key, value, default=tree[key], rule=rule)
            except ValueError as error:
                mistakes.append(f"{key}: {error}")
                if not _is_required(tree[key]):
                    continue
                value = "-"
        values[key] = value
    for key, value in tree.items():
        if _is_required(value) and key not in values:
            told = _comment_at(path, key)
            mistakes.append(f"{key}: required, give it as --{key}=VALUE{told}")
            values[key] = "-"
    text, plain = _resolve(path, values)
    mistakes += find_mistakes(plain, rules)
    mistakes += [
        f"{key}: {fault}"
        for key, value in plain.items()
        if key.endswith("_split") and (fault := find_split_fault(value))
    ]
    mistakes += [
        f"{key}: {value!r} is no text; put it in quotes"
        for key, value in plain.items()
        if is_path(key) and type(value) in (int, float)
    ]
    if find_conflicts is not None and not mistakes:
        mistakes += find_conflicts(plain)
    if mistakes:
        plural = "mistake" if len(mistakes) == 1 else "mistakes"
        lines = "\n  ".join(mistakes)
        raise ValueError(f"{path}: {len(mistakes)} {plural}\n  {lines}")
    return CheckedHparams(text, plain)


def build_node(node: object) -> object:
    """Build what one part of a hyperparameter file describes.

    Arguments
    ---------
    node : object
        As ruamel.yaml read it; its references are resolved.

    Returns
    -------
    built : object

    Example
    -------
    >>> build_node(YAML().load("!new:torch.nn.Linear [2, 1]"))
    Linear(in_features=2, out_features=1, bias=True)
    """
    stream = io.StringIO()
    YAML().dump({"part": node}, stream)
    return load_hyperpyyaml(stream.getvalue())["part"]


def require_buildable(text: str) -> None:
    """Raise if a module of a run could not be built; only sizes are made.

    Arguments
    ---------
    text : str
        Hyperparameters, references resolved.

    Raises
    ------
    ValueError
        Naming the module, and what its class says.

    Example
    -------
    >>> name = "speechbrain_ext.models.BandSeparator"
    >>> require_buildable(f"modules: {{separator: !new:{name} {{heads: 3}}}}")
    Traceback (most recent call last):
    ValueError: separator: channels=64 is no multiple of heads=3
    """
    for name, module in (YAML().load(text).get("modules") or {}).items():
        if not tag_of(module).startswith("!new:"):
            continue  # loaded from a folder
        try:
            with sizes_only():
                build_node(module)
        except (TypeError, ValueError) as error:
            said = "; ".join(map(str, error.args))
            raise ValueError(f"{name}: {said}") from error


def _is_required(value: object) -> bool:
    return tag_of(value) == "!PLACEHOLDER"


def _comment_at(path: str | os.PathLike, key: str) -> str:
    """Give the comment behind a key, in brackets; empty if there is none."""
    text = Path(path).read_text(encoding="utf-8")
    found = re.search(rf"(?m)^{re.escape(key)}:[^#\n]*#\s*(.+)$", text)
    return f" ({found[1].strip()})" if found else ""


def _resolve(path: str | os.PathLike, values: Mapping) -> tuple[str, dict]:
    """Put values into a file, resolve its references; give YAML and values.

    HyperPyYAML would take ``<`` and ``>`` in a text for a reference, and a
    path such as ``1/0`` for a division: it sees stand-ins of the texts.
    """
    texts = []

    def shelter(value):
        if isinstance(value, str):
            texts.append(value)
            return f"text_{len(texts) - 1}_of_an_option"
        if isinstance(value, list):
            return [shelter(item) for item in value]
        if isinstance(value, Mapping) and not hasattr(value, "tag"):
            return {key: shelter(item) for key, item in value.items()}
        return value

    def restore(node):
        if isinstance(node, str):
            return _SHELTER.sub(lambda found: texts[int(found[1])], node)
        if isinstance(node, list | dict):
            keys = node if isinstance(node, dict) else range(len(node))
            for key in keys:
                node[key] = restore(node[key])
        return node

    sheltered = {key: shelter(value) for key, value in values.items()}
    try:
        with open(path, encoding="utf-8") as file:
            resolved = resolve_references(file, sheltered)
        yaml, stream = YAML(), io.StringIO()
        yaml.dump(restore(yaml.load(resolved)), stream)
        text = stream.getvalue()
        return text, read_yaml(text, _PlainConstructor)
    except OSError:
        raise
    except Exception as error:
        said = restore("; ".join(map(str, error.args)))
        raise ValueError(f"{path}: {said}") from error
