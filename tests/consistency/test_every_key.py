"""Changing any key of any hyperparameter file changes what is done."""

import io
import os

import pytest
from checkout import ROOT, tracked_files
from ruamel.yaml import YAML

from speechbrain_ext.services.configuration import check_hparams
from speechbrain_ext.services.identity import (
    FREE,
    FREE_BEGINNINGS,
    FREE_ENDS,
    run_identity,
)

PATHS = [
    path
    for path in tracked_files()
    if path.suffix == ".yaml"
    and path.parent.name == "hparams"
    and path.is_relative_to(ROOT / "recipes")
    and (path.parents[1] / "ablation.yaml").is_file()
]


def changed(node):
    """Another value of the same type; None if there is nothing to change."""
    if isinstance(node, bool):
        return not node
    if isinstance(node, int | float):
        return node + 1
    if isinstance(node, str) or node is None:
        return f"{node}x"
    if isinstance(node, list):
        return [*node, 1]
    return None


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_changed_key_makes_another_run(path):
    tree = YAML().load(path.read_text())
    required = {
        key: "-"
        for key, value in tree.items()
        if getattr(getattr(value, "tag", None), "value", "") == "!PLACEHOLDER"
    }
    before = run_identity(check_hparams(path, required).text)
    for key, value in tree.items():
        if (
            key in FREE
            or key.startswith(FREE_BEGINNINGS)
            or key.endswith(FREE_ENDS)
        ):
            continue
        tag = getattr(getattr(value, "tag", None), "value", None)
        if tag and tag.startswith("!"):
            continue  # built, or follows from other keys
        new = changed(value)
        if new is None:
            continue
        stream = io.StringIO()
        edited = YAML().load(path.read_text())
        edited[key] = new
        YAML().dump(edited, stream)
        copy = os.path.join(os.getcwd(), path.name)
        with open(copy, "w") as file:
            file.write(stream.getvalue())
        after = run_identity(check_hparams(copy, required).text)
        assert before != after, key
