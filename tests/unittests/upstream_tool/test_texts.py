"""What tools/upstream.py reads in texts, and how it edits them."""

import pytest
from upstream.edits import cut, for_python_3_8
from upstream.python38 import newer_than_3_8
from upstream.textual import missing_docstrings, unused_keys, wrong_booleans

NEWER = {
    "match": "match x:\n    case 1:\n        pass\n",
    "with": "with (open(a) as b, open(c) as d):\n    pass\n",
    "removeprefix": "x.removeprefix('a')\n",
    "cache": "from functools import cache\n",
    "pairwise": "import itertools as i\ni.pairwise(x)\n",
    "module": "import tomllib\n",
    "union": "isinstance(x, int | str)\n",
    "alias": "Pair = tuple[int, int]\n",
    "abstract": "from collections.abc import Sequence\nX = Sequence[int]\n",
    "annotation": "def f(x: list[int]): ...\n",
    "optional": "def f(x: int | None): ...\n",
    "dict": "x = {**a} | b\n",
    "update": "import os\nos.environ |= x\n",
    "zip": "zip(a, b, strict=True)\n",
    "slots": "@dataclass(slots=True)\nclass X: ...\n",
}
OLDER = {
    "positional": "def f(a, /, b): ...\n",
    "walrus": "if (x := y): ...\n",
    "lazy": (
        "from __future__ import annotations\n"
        "class X:\n    a: list[int]\n"
        "def f(x: int | None) -> dict[int, str]: ...\n"
    ),
    "typing": "from typing import List\nX = List[int]\n",
    "bits": "x = a | b\n",
    "index": "x = values[0]\n",
    "del": "list_of[0] = dict_of['a']\n",
}


@pytest.mark.parametrize("name", NEWER)
def test_what_python_3_8_lacks_is_found(name):
    assert len(newer_than_3_8(NEWER[name])) == 1


@pytest.mark.parametrize("name", OLDER)
def test_what_python_3_8_has_is_left_alone(name):
    assert newer_than_3_8(OLDER[name]) == []


@pytest.mark.parametrize("name", ["cache_of", "annotation", "optional", "zip"])
def test_changes_for_python_3_8(name):
    text = {"cache_of": "import functools\n@functools.cache\ndef f(): ...\n"}
    changed, changes = for_python_3_8((text | NEWER)[name])
    assert newer_than_3_8(changed) == []
    assert len(changes) == 1
    assert for_python_3_8(changed) == (changed, [])


def test_lazy_annotations_come_after_the_docstring():
    text = '#!/usr/bin/env python3\n"""One\ntwo."""\nX: list[int] = []\n'
    changed, _ = for_python_3_8(text)
    compiled = compile(changed, "changed", "exec")
    assert compiled.co_consts[0] == "One\ntwo."
    assert changed.startswith("#!/usr/bin/env python3\n")


def test_cut_takes_decorators_and_imports_along():
    text = (
        "import os\nimport sys\nfrom a import b, c\n\n\n@b\ndef f():\n    os\n"
        "\n\ndef g(x='ä', y=c):\n    sys\n"
    )
    assert cut(text, ["f"]) == (
        "import sys\nfrom a import c\n\n\ndef g(x='ä', y=c):\n    sys\n"
    )


def test_unused_keys_are_those_that_no_code_and_no_reference_reads():
    hparams = """
__set: !apply:print [x]
by_item: 1
by_attribute: 2
by_getattr: 3
by_get: 4
by_reference: 5
by_path: 6
of_brain: 7
in_comment: 8
stored: 9
in_text: 10
nested:
    deep: [!ref <by_reference> * 2, !ref a/<by_path>/b]
"""
    script = """
hparams["by_item"], self.hparams.by_attribute, hparams.get("by_get")
getattr(brain.hparams, "by_getattr", None), hparams["nested"]
# hparams["in_comment"]
hparams["stored"] = 1
"hparams['in_text']"
"""
    assert unused_keys(hparams, script, {"of_brain"}) == [
        "in_comment",
        "stored",
        "in_text",
    ]


def test_truth_values():
    text = "a: True\nb: false # no\nc: 'no'\nd: [yes, False]\ne: nothing\n"
    assert [line.split(":")[0] for line in wrong_booleans(text)] == [
        "line 2",
        "line 4",
    ]


def test_docstrings_that_speechbrain_asks_for():
    text = (
        '"""A module."""\ndef f(): ...\ndef _g(): ...\n'
        "class A:\n    def forward(ctx): ...\n    def h(self) -> int: ...\n"
    )
    assert [line.split(":")[0] for line in missing_docstrings(text)] == [
        "line 2",
        "line 4",
        "line 5",
    ]
