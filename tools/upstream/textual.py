"""Checks of what goes upstream that need no checkout of SpeechBrain."""

import ast
import re
from collections.abc import Collection, Mapping

import yaml

from upstream.library import PACKAGE
from upstream.python38 import newer_than_3_8

BOOLEANS = {
    word
    for name in ("yes", "no", "on", "off", "true", "false")
    for word in (name, name.title(), name.upper())
} - {"True", "False"}


def find_faults(files: Mapping[str, str]) -> list[str]:
    """Find what SpeechBrain would refuse in Python and YAML files.

    Arguments
    ---------
    files : Mapping
        Path -> text.

    Returns
    -------
    faults : list of str
        One line each.
    """
    faults = []
    for path, text in files.items():
        if path.endswith(".py"):
            faults += [f"{path}, {line}" for line in newer_than_3_8(text)]
        if path.startswith("speechbrain/"):
            faults += [f"{path}, {line}" for line in missing_docstrings(text)]
        if path.endswith((".yaml", ".yml")):
            faults += [f"{path}, {line}" for line in wrong_booleans(text)]
        faults += [
            f"{path}, line {number}: it names {PACKAGE}: {line.strip()[:60]}"
            for number, line in enumerate(text.splitlines(), start=1)
            if PACKAGE in line
        ]
        faults += [
            f"{path}, line {number}: it ends with a space"
            for number, line in enumerate(text.split("\n"), start=1)
            if line != line.rstrip()
        ]
        if not text.endswith("\n") or text.endswith("\n\n"):
            faults.append(f"{path}: it must end with one newline")
    return faults


def missing_docstrings(text: str) -> list[str]:
    """Find what SpeechBrain's check of docstrings would miss.

    It looks at the module, and at public functions and classes wherever they
    are defined. (It overlooks functions whose return is annotated.)
    """
    tree = ast.parse(text)
    return [
        f"line {getattr(node, 'lineno', 1)}: it has no docstring"
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and not getattr(node, "name", "").startswith("_")
        and getattr(node, "returns", None) is None
        and ast.get_docstring(node) is None
    ]


def wrong_booleans(text: str) -> list[str]:
    """Find truth values of YAML that are not True or False."""
    return [
        f"line {token.start_mark.line + 1}: write True or False, not "
        f"{token.value}"
        for token in yaml.scan(text)
        if isinstance(token, yaml.ScalarToken)
        and token.plain
        and token.value in BOOLEANS
    ]


def unused_keys(
    hparams: str, script: str, run_options: Collection[str] = ()
) -> list[str]:
    """Find top-level keys that neither the script nor a !ref uses.

    SpeechBrain's own check compares texts, and takes a comment for a use;
    this one reads the syntax trees of both files.

    Arguments
    ---------
    hparams : str
        Text of the hyperparameter file.
    script : str
        Text of the script that reads it.
    run_options : collection of str
        Keys that SpeechBrain's Brain reads itself.

    Returns
    -------
    keys : list of str
        In the order of the file.
    """
    root = yaml.compose(hparams)
    used = keys_read_by(script) | set(run_options)
    for node in walk_yaml(root):
        if isinstance(node, yaml.ScalarNode) and node.tag == "!ref":
            used |= set(re.findall(r"<(\w+)", node.value))
        if isinstance(node, yaml.ScalarNode) and node.tag == "!copy":
            used |= set(re.findall(r"<(\w+)", node.value))
    return [
        key.value
        for key, value in root.value
        if key.value not in used and not value.tag.startswith("!apply:")
    ]


def walk_yaml(node: yaml.Node):
    """Give a node and all below it."""
    yield node
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for child in pair:
                yield from walk_yaml(child)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from walk_yaml(child)


def keys_read_by(script: str) -> set[str]:
    """List the keys that a script reads from its hparams."""

    def is_hparams(node):
        return ast.unparse(node).split(".")[-1] == "hparams"

    keys = set()
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Subscript) and is_hparams(node.value):
            key = node.slice
        elif isinstance(node, ast.Attribute) and is_hparams(node.value):
            key = ast.Constant(node.attr)
        elif not isinstance(node, ast.Call) or not node.args:
            continue
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            key = node.args[0] if is_hparams(node.func.value) else None
        elif ast.unparse(node.func) in ("getattr", "hasattr"):
            key = node.args[1] if is_hparams(node.args[0]) else None
        else:
            continue
        is_read = not isinstance(getattr(node, "ctx", None), ast.Store)
        if is_read and isinstance(key, ast.Constant):
            keys.add(key.value)
    return keys
