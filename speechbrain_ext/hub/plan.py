"""From nodes to a plan: plain values and calls that have not been made."""

import re
from dataclasses import dataclass, field

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from speechbrain_ext.hub.arithmetic import evaluate
from speechbrain_ext.hub.document import (
    PLAIN_TAGS,
    REFERENCES,
    TUPLE,
    Document,
    constructor,
)
from speechbrain_ext.hub.refusal import Limits, Place

LONGEST_TEXT = 2000
REFERENCE = re.compile(r"<[^>]*>")
SCALARS = (str, int, float, bool, type(None))


@dataclass(eq=False)
class Call:
    """Something that the file builds or names; nothing is imported yet.

    Arguments
    ---------
    kind : str
        `!new:` builds an object, `!name:` names a class.
    name : str
        Dotted name.
    place : Place
        Where it stands.
    positional : list
        Arguments without a name.
    keywords : dict
        Arguments by name.
    """

    kind: str
    name: str
    place: Place
    positional: list = field(default_factory=list)
    keywords: dict[str, object] = field(default_factory=dict)


def make_plan(
    document: Document, limits: Limits | None = None
) -> dict[str, object]:
    r"""Follow the references of a document.

    The same node is always the same object, as in HyperPyYAML: two
    references to a module are one module. `!copy` gives a new one.

    Arguments
    ---------
    document : Document
        Parsed and checked.
    limits : Limits, optional
        Values and levels above which it is refused, references followed.

    Returns
    -------
    plan : dict
        Top-level keys to numbers, text, lists, dicts, tuples and `Call`.

    Raises
    ------
    RefusedError
        If a reference leads nowhere, to itself or to an attribute, or if
        the result would be too large.

    Example
    -------
    >>> from pathlib import Path
    >>> from speechbrain_ext.hub.document import parse
    >>> text = "a: 4\nb: !ref <a> * 2\nc: (1, 2)\nd: [!ref <b>]"
    >>> make_plan(parse(text, Path("hyperparams.yaml")))
    {'a': 4, 'b': 8, 'c': (1, 2), 'd': [8]}
    """
    return Planner(document, limits or Limits()).value(document.root)


class Planner:
    """Turns nodes of one document into values.

    Arguments
    ---------
    document : Document
        Parsed and checked.
    limits : Limits
        How much is too much.
    """

    def __init__(self, document: Document, limits: Limits) -> None:
        self.document = document
        self.limits = limits
        self.scalars = YAML(typ="safe", pure=True).constructor
        self.done: dict[Node, tuple[object, int]] = {}
        self.pending: list[Node] = []
        self.made = 0
        self.hops = 0

    def value(self, node: Node) -> object:
        """Give the value of a node.

        Arguments
        ---------
        node : Node
            Any node of the document.

        Returns
        -------
        value : object
            Plain, or a `Call`.
        """
        return self.sized(node)[0]

    def sized(self, node: Node) -> tuple[object, int]:
        """Give the value of a node, and how many values are in it."""
        if node in self.done:
            return self.done[node]
        place = self.document.place(node)
        if node in self.pending:
            raise place.refuse("a reference leads back to itself")
        if len(self.pending) > 2 * self.limits.yaml_depth:
            raise place.refuse("references follow each other too deeply")
        self.pending.append(node)
        value, size = self.build(node, place)
        self.pending.pop()
        self.count(size, place)
        self.done[node] = value, size
        return value, size

    def count(self, size: int, place: Place) -> None:
        """Count a step, and refuse what is too large or takes too many."""
        self.made += 1
        if max(size, self.made) > self.limits.yaml_values:
            raise place.refuse(
                "with its references it has more than "
                f"{self.limits.yaml_values} values"
            )

    def build(self, node: Node, place: Place) -> tuple[object, int]:
        """Give the value of a node that has not been seen before."""
        if node.tag == "!ref":
            return self.reference(node.value, place)
        if node.tag == "!copy":
            target = self.target(node.value.strip(), place)
            before, self.done = self.done, {}
            value, size = self.sized(target)
            self.done = before
            return value, size
        kind, name = constructor(node)
        if isinstance(node, ScalarNode) and kind is None:
            return self.scalar(node, place), 1
        items, size = [], 1
        if isinstance(node, SequenceNode):
            for item in node.value:
                value, inner = self.sized(item)
                items.append(value)
                size += inner
        pairs = {}
        if isinstance(node, MappingNode):
            for key, item in node.value:
                value, inner = self.sized(item)
                pairs[self.plain(key, place)] = value
                size += inner
        if kind is not None:
            for key in pairs:
                if not isinstance(key, str) or not key.isidentifier():
                    raise place.refuse(
                        f"{key!r} is not the name of an argument"
                    )
            return Call(kind, name, place, items, pairs), size
        return (items if isinstance(node, SequenceNode) else pairs), size

    def scalar(self, node: ScalarNode, place: Place) -> object:
        """Give the value of plain text, a number, ... or a tuple."""
        return self.tuple_or_text(self.plain(node, place), place)

    def plain(self, node: ScalarNode, place: Place) -> object:
        """Give the value of a node that has no tag of HyperPyYAML."""
        if node.tag == TUPLE:
            return node.value
        try:
            return self.scalars.construct_object(node)
        except (
            *(ValueError, LookupError, TypeError, AttributeError),
            YAMLError,
        ) as error:
            # the kind may be forced by a tag: !!bool maybe
            raise place.refuse(f"no value of its kind ({error})") from error

    def tuple_or_text(self, value: object, place: Place) -> object:
        """Read text in parentheses as a tuple of plain values.

        HyperPyYAML reads it with a loader that runs `!!python` tags. In
        the first file of a process it does so for quoted text, and text
        made of references, too; that is what is done here.
        """
        text = value if isinstance(value, str) else ""
        if not re.fullmatch(r"\(.*\)", text):
            return value
        why = "a tuple holds something else than plain values"
        listed = f"[{text[1:-1]}]"
        try:
            node = yaml.compose(listed, Loader=yaml.SafeLoader)
            if not isinstance(node, yaml.SequenceNode):
                raise place.refuse(why)
            for item in node.value:
                if item.tag not in PLAIN_TAGS or not isinstance(
                    item, yaml.ScalarNode
                ):
                    raise place.refuse(why)
            return tuple(yaml.safe_load(listed))
        except (yaml.YAMLError, RecursionError) as error:
            raise place.refuse(why) from error

    def reference(self, text: str, place: Place) -> tuple[object, int]:
        """Give what `!ref` stands for."""
        text = text.strip()
        if REFERENCE.fullmatch(text):
            return self.sized(self.target(text, place))

        def replace(match: re.Match) -> str:
            value = self.sized(self.target(match[0], place))[0]
            if not isinstance(value, SCALARS):
                raise place.refuse(f"{match[0]} is no text or number")
            return str(value)

        parts = REFERENCE.findall(text)
        if len(parts) > self.limits.yaml_depth:
            raise place.refuse("too many references in one text")
        text = REFERENCE.sub(replace, text)
        if len(text) > LONGEST_TEXT:
            raise place.refuse(
                f"the text has more than {LONGEST_TEXT} characters"
            )
        try:
            value = evaluate(text)
        except ValueError as error:
            raise place.refuse(f"the arithmetic is refused: {error}") from error
        return self.tuple_or_text(value, place), 1

    def target(self, reference: str, place: Place) -> Node:
        """Find the node that `<key[inner]>` names."""
        if not REFERENCE.fullmatch(reference):
            raise place.refuse("a reference is written <key> or <key[inner]>")
        self.count(1, place)
        name = reference.strip("<>")
        if "." in name:
            raise place.refuse(
                f"{reference} reads an attribute of an object",
                "Refer to whole values only.",
            )
        node: Node = self.document.root
        for part in name.split("["):
            node = self.inner(node, part.strip("]"))
            if node is None:
                raise place.refuse(f"{reference} is not in the file")
        return node

    def inner(self, node: Node, key: str) -> Node | None:
        """Find the value behind a key; references on the way are followed."""
        if self.hops > self.limits.yaml_depth:
            raise self.document.place(node).refuse(
                "references follow each other too deeply"
            )
        self.hops += 1
        while node.tag in REFERENCES:
            node = self.target(node.value.strip(), self.document.place(node))
        self.hops -= 1
        if not isinstance(node, MappingNode):
            return None
        return next((item for k, item in node.value if k.value == key), None)
