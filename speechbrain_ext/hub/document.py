"""Reading hyperparams.yaml as a tree of nodes: nothing is built or run."""

import re
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    NodeEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from speechbrain_ext.hub.refusal import Limits, Place

STANDARD = "tag:yaml.org,2002:"
PLAIN_TAGS = {
    STANDARD + name
    for name in ("str", "int", "float", "bool", "null", "seq", "map")
}
# HyperPyYAML gives it to text in parentheses, for all of the process: whether
# a node has it depends on what was loaded before
TUPLE = "!tuple"
REFERENCES = ("!ref", "!copy")
CONSTRUCTORS = ("!new:", "!name:")
REASONS = {
    "!apply:": "!apply runs a function while the file is read",
    "!applyref:": "!applyref runs a function while the file is read",
    "!module:": "!module imports a module and hands it over",
    "!include:": "!include reads another file",
    "!PLACEHOLDER": "!PLACEHOLDER leaves a value open",
    STANDARD + "python": "!!python tags build any object",
}
DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Arguments
    ---------
    path : Path
        The file, for messages.
    lines : tuple of str
        Its text.
    root : MappingNode
        Its content as nodes, as they were written.
    """

    path: Path
    lines: tuple[str, ...]
    root: MappingNode

    def place(self, node: Node) -> Place:
        """Find the line at which a node begins."""
        line = node.start_mark.line
        text = self.lines[line] if line < len(self.lines) else ""
        return Place(self.path, line + 1, text)


def parse(text: str, path: Path, limits: Limits | None = None) -> Document:
    r"""Parse HyperPyYAML into nodes, and check their tags.

    Parser and grammar are those that HyperPyYAML itself reads with, so both
    see the same. Names behind `!new:` and `!name:` are not looked at here.

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
    document : Document
        Its nodes have the tags of plain YAML, `!ref`, `!copy`, `!new:` or
        `!name:`, no anchors and no key twice.

    Raises
    ------
    RefusedError
        For everything else; the message names the line.

    Example
    -------
    >>> document = parse("a: 1\nb: !ref <a>", Path("hyperparams.yaml"))
    >>> [key.value for key, _ in document.root.value]
    ['a', 'b']
    """
    limits = limits or Limits()
    lines = tuple(text.splitlines())
    try:
        check_events(text, path, lines, limits)
        root = reader().compose(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line if mark is not None else 0
        quote = lines[line] if line < len(lines) else ""
        problem = getattr(error, "problem", None) or str(error)
        raise Place(path, line + 1, quote).refuse(
            f"not YAML ({' '.join(problem.split())})"
        ) from error
    if not isinstance(root, MappingNode):
        raise Place(path, 1, lines[0] if lines else "").refuse(
            "the file is not a mapping of keys to values"
        )
    document = Document(path, lines, root)
    if root.tag != STANDARD + "map":
        raise document.place(root).refuse(
            f"the whole file has a tag, {root.tag}"
        )
    check_node(document, root)
    return document


def reader() -> YAML:
    """Make a parser that keeps positions."""
    return YAML(typ="safe", pure=True)


def check_events(
    text: str, path: Path, lines: tuple[str, ...], limits: Limits
) -> None:
    """Refuse what would make the tree of nodes large, deep or circular.

    Arguments
    ---------
    text : str
        Content of the file.
    path : Path
        The file, for messages.
    lines : tuple of str
        Its lines.
    limits : Limits
        How much is too much.

    Raises
    ------
    RefusedError
        If there are anchors, directives, several documents, too many values
        or too many levels.
    """
    values = depth = documents = 0
    for event in reader().parse(text):
        why = None
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                why = "the file holds several documents"
            elif event.version is not None or event.tags:
                why = "directives change how the file is read"
        elif isinstance(event, NodeEvent):
            values += 1
            if isinstance(event, AliasEvent) or event.anchor is not None:
                why = "anchors and aliases are not read (write !ref <key>)"
            elif values > limits.yaml_values:
                why = f"more than {limits.yaml_values} values"
            elif isinstance(event, CollectionStartEvent):
                depth += 1
                if depth > limits.yaml_depth:
                    why = f"more than {limits.yaml_depth} levels"
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if why is not None:
            line = event.start_mark.line
            quote = lines[line] if line < len(lines) else ""
            raise Place(path, line + 1, quote).refuse(why)


def check_node(document: Document, node: Node) -> None:
    """Check the tags and keys of a node and of all below it.

    Arguments
    ---------
    document : Document
        Where it stands.
    node : Node
        Any node of it.

    Raises
    ------
    RefusedError
        If a tag is unknown, or a key no plain text or stands twice.
    """
    check_tag(document, node)
    if isinstance(node, SequenceNode):
        for item in node.value:
            check_node(document, item)
    elif isinstance(node, MappingNode):
        seen = set()
        for key, value in node.value:
            place = document.place(key)
            if not isinstance(key, ScalarNode) or key.tag not in PLAIN_TAGS:
                raise place.refuse("a key is not plain text")
            if key.value in seen:
                raise place.refuse(f"the key {key.value!r} stands twice")
            seen.add(key.value)
            check_node(document, value)


def check_tag(document: Document, node: Node) -> None:
    """Check the tag of one node."""
    tag, place = node.tag, document.place(node)
    if tag in PLAIN_TAGS or tag in (TUPLE, STANDARD + "timestamp"):
        kinds = {STANDARD + "seq": SequenceNode, STANDARD + "map": MappingNode}
        if not isinstance(node, kinds.get(tag, ScalarNode)):
            raise place.refuse(f"the tag {tag} stands before another kind")
        return
    if tag in REFERENCES:
        if not isinstance(node, ScalarNode):
            raise place.refuse(f"{tag} needs text such as <key>")
        return
    kind, name = constructor(node)
    if kind is not None:
        if not DOTTED_NAME.fullmatch(name):
            raise place.refuse(f"{name!r} is not the name of a class")
        if isinstance(node, ScalarNode) and node.value:
            raise place.refuse(f"{kind} takes a mapping or a list of arguments")
        return
    for beginning, why in REASONS.items():
        if tag.startswith(beginning):
            raise place.refuse(why)
    raise place.refuse(f"the tag {tag} is not known")


def constructor(node: Node) -> tuple[str | None, str]:
    """Split the tag of a node that builds or names something.

    Arguments
    ---------
    node : Node
        Any node.

    Returns
    -------
    kind : str or None
        `!new:` or `!name:`, None for other tags.
    name : str
        What stands behind it.
    """
    for kind in CONSTRUCTORS:
        if node.tag.startswith(kind):
            return kind, node.tag.removeprefix(kind)
    return None, ""
