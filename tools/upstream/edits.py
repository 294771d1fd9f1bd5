"""Edits of Python files at the places that their syntax trees name."""

import ast
from collections.abc import Iterable


class Edited:
    """A Python text with pieces to be replaced.

    Arguments
    ---------
    text : str
        The file.
    """

    def __init__(self, text: str) -> None:
        self.lines = text.encode().splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.edits = []

    def replace(self, start: tuple, end: tuple, text: str) -> None:
        """Replace what lies between two places, (line from 1, column)."""
        first, last = (
            self.starts[n - 1] + column for n, column in (start, end)
        )
        self.edits.append((first, last, text.encode()))

    def replace_lines(self, first: int, last: int, text: str) -> None:
        """Replace whole lines, numbered from 1, the last included."""
        self.replace((first, 0), (last + 1, 0), text)

    def result(self) -> str:
        """Give the text with all edits."""
        text = b"".join(self.lines)
        for first, last, new in sorted(self.edits, reverse=True):
            text = text[:first] + new + text[last:]
        return text.decode()


def cut(text: str, names: Iterable[str]) -> str:
    """Remove definitions, and the imports that only they needed.

    Arguments
    ---------
    text : str
        The file.
    names : iterable of str
        Functions, classes, or methods as "Class.method".

    Raises
    ------
    KeyError
        If there is no such definition.
    """
    tree = ast.parse(text)
    found = {}
    for node in tree.body:
        found[getattr(node, "name", None)] = node
        for inner in getattr(node, "body", []):
            found[
                f"{getattr(node, 'name', '')}.{getattr(inner, 'name', '')}"
            ] = inner
    edited = Edited(text)
    for name in names:
        node = found[name]
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        while first > 1 and not edited.lines[first - 2].strip():
            first -= 1  # the blank lines before it
        edited.replace_lines(first, node.end_lineno, "")
    return without_unused_imports(edited.result())


def without_unused_imports(text: str) -> str:
    """Remove imported names that a file does not use."""
    tree = ast.parse(text)
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    edited = Edited(text)
    for node in tree.body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        kept = [
            alias
            for alias in node.names
            if (alias.asname or alias.name.split(".")[0]) in used
            or getattr(node, "module", "") == "__future__"
        ]
        if len(kept) == len(node.names):
            continue
        node.names = kept
        new = ast.unparse(node) + "\n" if kept else ""
        edited.replace_lines(node.lineno, node.end_lineno, new)
    return edited.result()


def without_base(text: str, base: str) -> str:
    """Remove a base class, and the import that only it needed."""
    edited = Edited(text)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ClassDef):
            continue
        kept = [b for b in node.bases if ast.unparse(b) != base]
        if len(kept) == len(node.bases):
            continue
        start, end = node.bases[0], node.bases[-1]
        edited.replace(
            (start.lineno, start.col_offset),
            (end.end_lineno, end.end_col_offset),
            ", ".join(ast.unparse(b) for b in kept),
        )
    return without_unused_imports(edited.result())


def for_python_3_8(text: str) -> tuple[str, list[str]]:
    """Make the changes for Python 3.8 that no reader would miss.

    Arguments
    ---------
    text : str
        The file.

    Returns
    -------
    text : str
        Annotations are not evaluated, where any needs a newer Python, `zip`
        is called without `strict`, and `functools.cache` is `lru_cache`.
    changes : list of str
        What was done.
    """
    changes = []
    edited = Edited(text)
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if ast.unparse(node) == "functools.cache":
                start = node.lineno, node.col_offset
                end = node.end_lineno, node.end_col_offset
                edited.replace(start, end, "functools.lru_cache(maxsize=None)")
                changes.append("functools.lru_cache for functools.cache")
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "zip":
            continue
        for keyword in node.keywords:
            if keyword.arg == "strict" and node.args:
                before, value = node.args[-1], keyword.value
                edited.replace(
                    (before.end_lineno, before.end_col_offset),
                    (value.end_lineno, value.end_col_offset),
                    "",
                )
                changes.append("zip(strict=) without strict")
    future = "from __future__ import annotations"
    if future not in text and any(map(is_new_annotation, annotations(tree))):
        first = tree.body[0]
        line = first.lineno
        if isinstance(first, ast.Expr) and ast.get_docstring(tree) is not None:
            line = first.end_lineno + 1
        edited.replace((line, 0), (line, 0), f"\n{future}\n\n")
        changes.append(future)
    return edited.result(), list(dict.fromkeys(changes))


def annotations(tree: ast.AST) -> list[ast.expr]:
    """List all annotations of a file."""
    found = []
    for node in ast.walk(tree):
        found.append(getattr(node, "annotation", None))
        found.append(getattr(node, "returns", None))
    return [node for node in found if isinstance(node, ast.expr)]


def is_new_annotation(annotation: ast.expr) -> bool:
    """Tell whether an annotation, evaluated, needs more than Python 3.8."""
    return any(
        isinstance(node, ast.Subscript)
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr))
        for node in ast.walk(annotation)
    )
