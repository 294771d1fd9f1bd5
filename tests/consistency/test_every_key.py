"""Changing any key of any hyperparameter file changes what is done."""

import copy

import pytest
from checkout import ROOT, tracked_files

from speechbrain_ext.services.identity import (
    FREE,
    FREE_BEGINNINGS,
    FREE_ENDS,
    read_plain,
    run_identity,
)

PATHS = [
    path
    for path in tracked_files()
    if path.suffix == ".yaml"
    and path.parent.name == "hparams"
    and path.is_relative_to(ROOT / "recipes")
]


def changed(node):
    """Another value of the same type."""
    if isinstance(node, bool):
        return not node
    if isinstance(node, int | float):
        return node + 1
    if isinstance(node, list):
        return [*node, 1]
    if isinstance(node, dict):
        return {**node, "new": 1}
    return f"{node}x"


def nested(node, place=()):
    """The places of all values inside a value, itself included."""
    yield place
    items = node.items() if isinstance(node, dict) else ()
    items = enumerate(node) if isinstance(node, list) else items
    for key, value in items:
        yield from nested(value, (*place, key))


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_changed_key_makes_another_run(path):
    tree = read_plain(path.read_text())
    before, seen = run_identity(tree), 0
    for key, value in tree.items():
        if (
            key in FREE
            or key.startswith(FREE_BEGINNINGS)
            or key.endswith(FREE_ENDS)
        ):
            continue
        for place in nested(value):
            edited = copy.deepcopy(tree)
            parent, last = edited, key
            for step in place:
                parent, last = parent[last], step
            parent[last] = changed(parent[last])
            assert run_identity(edited) != before, (key, *place)
            seen += 1
    assert seen > 30
