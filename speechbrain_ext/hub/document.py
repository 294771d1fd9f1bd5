"""Reading hyperparams.yaml: nothing is imported, built or run."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from hyperpyyaml.core import parse_arithmetic
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from speechbrain_ext.hub.refusal import LIMITS, Limits, Place

STANDARD = "tag:yaml.org,2002:"
LIST, MAPPING = STANDARD + "seq", STANDARD + "map"
# HyperPyYAML gives !tuple to text in parentheses, for all of the process:
# whether a node has it depends on what was loaded before
SCALAR_TAGS = {"!tuple"} | {
    STANDARD + name
    for name in ("str", "int", "float", "bool", "null", "timestamp")
}
PLAIN_TAGS = {*SCALAR_TAGS, LIST, MAPPING}
BUILT = "!new:"
REFERENCE = re.compile(r"<([^<>]*)>")
LONGEST_TEXT = 1000
SCALARS = (str, int, float, bool, type(None))
# without powers, results have no more digits than that
FORMULA = re.compile(r"(?!.*\*\*)[-+*/% ().\deE]{1,200}")


@dataclass(eq=False)
class Call:
    """Something that the file builds; nothing is imported yet.

    Arguments
    ---------
    name : str
        Dotted name of its class.
    place : Place
        Where it stands.
    positional : list
        Arguments without a name.
    keywords : dict
        Arguments by name.
    """

    name: str
    place: Place
    positional: list = field(default_factory=list)
    keywords: dict[str, object] = field(default_factory=dict)


def parse(text: str, path: Path, limits: Limits = LIMITS) -> dict[str, object]:
    r"""Read HyperPyYAML as plain values and calls that have not been made.

    Parser and grammar are those that HyperPyYAML itself reads with, so both
    see the same. A node that is referred to is one object, however often.

    Arguments
    ---------
    text : str
        Content of the file.
    path : Path
        The file, for messages.
    limits : Limits, optional
        Sizes above which it is refused.

    Returns
    -------
    plan : dict
        Top-level keys to numbers, text, lists, dicts, tuples and `Call`.

    Raises
    ------
    RefusedError
        For tags other than `!new:` and `!ref`, for references that lead
        nowhere, to themselves or to an attribute, and for what is too large
        or too deep; the message names the line.

    Example
    -------
    >>> text = "a: 4\nb: !ref <a> * 2\nc: (1, 2)\nd: [!ref <b>]"
    >>> parse(text, Path("hyperparams.yaml"))
    {'a': 4, 'b': 8, 'c': (1, 2), 'd': [8]}
    """
    reader = Reader(text.splitlines(), path, limits)
    start = reader.at(0)
    # of these signs there is one before every value
    if len(re.findall(r"[,\n\[{]|[:?-]\s", text)) > limits.yaml_values:
        raise start.refuse(f"more than {limits.yaml_values} values")
    # the time that the parser takes grows with the square of the levels
    levels = 0
    for sign in re.findall(r"[\[\]{}]", text):
        levels = max(0, levels + (1 if sign in "[{" else -1))
        if levels > limits.yaml_depth:
            raise start.refuse(f"more than {limits.yaml_depth} levels")
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        place = start if mark is None else reader.at(mark.line)
        why = f"not YAML ({' '.join(problem.split())})"
        raise place.refuse(why) from error
    except RecursionError as error:
        raise start.refuse("too many levels") from error
    if not isinstance(root, MappingNode) or root.tag != MAPPING:
        raise start.refuse("the file is not a mapping of keys to values")
    reader.keys = {
        key.value: value
        for key, value in root.value
        if isinstance(key, ScalarNode)
    }
    return reader.value(root)


def children(value: object) -> Iterable[object]:
    """List what stands directly in a list, a dict or a call."""
    if isinstance(value, Call):
        return [*value.positional, *value.keywords.values()]
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class Reader:
    """Turns the nodes of one file into values.

    Arguments
    ---------
    lines : list of str
        Its text.
    path : Path
        The file, for messages.
    limits : Limits
        How much is too much.
    """

    def __init__(self, lines: list[str], path: Path, limits: Limits) -> None:
        self.lines, self.path, self.limits = lines, path, limits
        self.scalars = YAML(typ="safe", pure=True).constructor
        self.keys: dict[str, Node] = {}
        self.done: dict[Node, object] = {}
        self.pending: list[Node] = []
        # values in each list, dict or call, those behind references too
        self.sizes: dict[int, int] = {}

    def at(self, line: int) -> Place:
        """Name a line, counted from 0."""
        text = self.lines[line] if line < len(self.lines) else ""
        return Place(self.path, line + 1, text)

    def value(self, node: Node) -> object:
        """Give the value of a node: always the same object."""
        if node in self.done:
            return self.done[node]
        place = self.at(node.start_mark.line)
        if node in self.pending:
            raise place.refuse("a reference leads back to itself")
        if len(self.pending) > self.limits.yaml_depth:
            raise place.refuse(
                f"more than {self.limits.yaml_depth} levels, references "
                "followed"
            )
        self.pending.append(node)
        value = self.make(node, place)
        self.pending.pop()
        parts = children(value)
        size = 1 + sum(self.sizes.get(id(part), 1) for part in parts)
        if size > self.limits.yaml_values:
            raise place.refuse(
                f"more than {self.limits.yaml_values} values, references "
                "followed"
            )
        if parts:
            self.sizes[id(value)] = size
        self.done[node] = value
        return value

    def make(self, node: Node, place: Place) -> object:
        """Give the value of a node that has not been seen before."""
        tag = node.tag
        if tag.startswith(BUILT):
            return self.call(node, place)
        if isinstance(node, ScalarNode):
            text = self.short(node.value, place)
            if tag == "!ref":
                return self.reference(text.strip(), place)
            if tag in SCALAR_TAGS:
                return self.scalar(node, place)
        elif isinstance(node, SequenceNode) and tag == LIST:
            return [self.value(item) for item in node.value]
        elif isinstance(node, MappingNode) and tag == MAPPING:
            return self.mapping(node)
        raise place.refuse(
            f"the tag {tag} is not taken: others than !new and !ref may run "
            "code or read files"
        )

    def call(self, node: Node, place: Place) -> Call:
        """Give the call that a node describes."""
        call = Call(node.tag.removeprefix(BUILT), place)
        if isinstance(node, MappingNode):
            call.keywords = self.mapping(node)
        elif isinstance(node, SequenceNode):
            call.positional = [self.value(item) for item in node.value]
        elif node.value:
            raise place.refuse("arguments are a mapping or a list")
        return call

    def mapping(self, node: MappingNode) -> dict[str, object]:
        """Give the values of a mapping, whose keys are plain text."""
        pairs = {}
        for key, value in node.value:
            place = self.at(key.start_mark.line)
            if not isinstance(key, ScalarNode) or key.tag != STANDARD + "str":
                raise place.refuse("a key is not plain text")
            if key.value in pairs:
                raise place.refuse(f"the key {key.value!r} stands twice")
            pairs[key.value] = self.value(value)
        return pairs

    def scalar(self, node: ScalarNode, place: Place) -> object:
        """Give the value of plain text, a number, ... or a tuple."""
        if node.tag == "!tuple":
            return as_tuple(node.value, place)
        try:
            value = self.scalars.construct_object(node)
        except (
            *(ValueError, LookupError, TypeError, AttributeError),
            YAMLError,
        ) as error:
            # the kind may be forced by a tag: !!bool maybe
            raise place.refuse(f"no value of its kind ({error})") from error
        return as_tuple(value, place)

    def reference(self, text: str, place: Place) -> object:
        """Give what `!ref` stands for."""
        whole = REFERENCE.fullmatch(text)
        if whole:
            return self.target(whole[1], place)

        def replace(match: re.Match) -> str:
            value = self.target(match[1], place)
            if not isinstance(value, SCALARS):
                raise place.refuse(f"{match[0]} is no text or number")
            return str(value)

        text = self.short(REFERENCE.sub(replace, text), place)
        if not FORMULA.fullmatch(text):  # a path, a name
            return as_tuple(text, place)
        try:
            return as_tuple(parse_arithmetic(text), place)
        except ArithmeticError as error:
            raise place.refuse(f"it cannot be calculated ({error})") from error

    def short(self, text: str, place: Place) -> str:
        """Give a text, if it is not too long."""
        if len(text) > LONGEST_TEXT:
            raise place.refuse(
                f"a text has more than {LONGEST_TEXT} characters"
            )
        return text

    def target(self, name: str, place: Place) -> object:
        """Find the value that `<key[inner]>` names."""
        if "." in name:
            raise place.refuse(
                f"<{name}> reads an attribute of an object",
                "Refer to whole values only.",
            )
        key, *inner = name.replace("]", "").split("[")
        if key not in self.keys:
            raise place.refuse(f"<{name}> is not in the file")
        value = self.value(self.keys[key])
        for part in inner:
            if not isinstance(value, dict) or part not in value:
                raise place.refuse(f"<{name}> is not in the file")
            value = value[part]
        return value


def as_tuple(value: object, place: Place) -> object:
    """Read text in parentheses as a tuple of plain values.

    HyperPyYAML reads it with a loader that runs `!!python` tags. In the
    first file of a process it does so for quoted text, and text made of
    references, too; that is what is done here.
    """
    text = value if isinstance(value, str) else ""
    if not (text.startswith("(") and text.endswith(")")):
        return value
    try:
        items = yaml.safe_load(f"[{text[1:-1]}]")
    except (yaml.YAMLError, RecursionError, ValueError):
        items = None
    if not isinstance(items, list) or not all(
        isinstance(item, SCALARS) for item in items
    ):
        raise place.refuse("a tuple holds something else than plain values")
    return tuple(items)
