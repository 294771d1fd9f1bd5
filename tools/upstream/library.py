"""Where names of speechbrain_ext are defined, and what a file imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "speechbrain_ext"


class Unresolved(Exception):
    """A name of ours that cannot be traced; the text says why."""


@dataclass(frozen=True)
class Name:
    """A name of ours, traced to the module that defines it.

    Arguments
    ---------
    module : str
        Without the package, as in "losses.pit".
    rest : str
        What follows in the module, as in "align"; empty for the module.
    """

    module: str
    rest: str = ""

    def __str__(self):
        return f"{self.module}.{self.rest}".rstrip(".")


@dataclass(frozen=True)
class Import:
    """One imported name.

    Arguments
    ---------
    node : ast.Import or ast.ImportFrom
        The statement.
    source : str
        The module it names, without the package.
    name : str
        What is imported from there; empty for `import module`.
    bound : str
        What the file calls it.
    """

    node: ast.stmt
    source: str
    name: str
    bound: str


class Library:
    """The modules of speechbrain_ext below a folder.

    Arguments
    ---------
    root : Path
        The checkout of this project.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._trees = {}

    def file(self, module: str) -> Path | None:
        """Give the file of a module or package, None if there is none."""
        path = self.root / PACKAGE / module.replace(".", "/")
        candidates = path.with_suffix(".py"), path / "__init__.py"
        return next((p for p in candidates if p.is_file()), None)

    def tree(self, module: str) -> ast.Module:
        """Parse a module."""
        if module not in self._trees:
            text = self.file(module).read_text(encoding="utf-8")
            self._trees[module] = ast.parse(text)
        return self._trees[module]

    def resolve(self, source: str, name: str) -> Name:
        """Trace `from speechbrain_ext.source import name`.

        Raises
        ------
        Unresolved
            If there is no such name, or it is a package.
        """
        dotted = f"{source}.{name}".strip(".")
        path = self.file(source)
        if path is None:
            raise Unresolved(f"{PACKAGE}.{source} is no module")
        first, _, more = name.partition(".")
        is_package = path.name == "__init__.py"
        package = source if is_package else source.rpartition(".")[0]
        for found in imports_of(self.tree(source), package):
            itself = found.source == source and found.name == first
            if found.bound == first and found.name and not itself:
                traced = self.resolve(found.source, found.name)
                rest = ".".join(filter(None, [traced.rest, more]))
                return Name(traced.module, rest)
        if first in defined_names(self.tree(source)):
            return Name(source, name)
        inner = self.file(dotted) if is_package else None
        if inner is None:
            raise Unresolved(f"{PACKAGE}.{dotted} is not defined")
        if inner.name == "__init__.py":
            raise Unresolved(
                f"{PACKAGE}.{dotted} is a package: import the names that are "
                "needed from it"
            )
        return Name(dotted)

    def locate(self, dotted: str) -> Name:
        """Trace a name as HyperPyYAML does, modules before other names.

        Raises
        ------
        Unresolved
            If there is no such name, or it is a package.
        """
        parts = dotted.split(".")
        for count in range(len(parts), 0, -1):
            module = ".".join(parts[:count])
            if self.file(module) and count < len(parts):
                return self.resolve(module, ".".join(parts[count:]))
            if self.file(module):
                return self.resolve(*dotted.rpartition(".")[::2])
        raise Unresolved(f"{PACKAGE}.{dotted} is not defined")


def imports_of(tree: ast.AST, package: str = "") -> Iterator[Import]:
    """List what a parsed file imports of ours, wherever it stands.

    Arguments
    ---------
    tree : ast.AST
        The parsed file.
    package : str
        The package of the file, without ours, for relative imports.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    source = alias.name.partition(".")[2]
                    yield Import(node, source, "", alias.asname or PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level and package:
                parts = package.split(".")
                parts = parts[: len(parts) - node.level + 1]
                source = ".".join([*parts, *filter(None, [source])])
            elif source.split(".")[0] != PACKAGE:
                continue
            else:
                source = source.partition(".")[2]
            for alias in node.names:
                bound = alias.asname or alias.name
                yield Import(node, source, alias.name, bound)


def defined_names(tree: ast.Module) -> set[str]:
    """List what a module defines at its top level."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name):
                    if isinstance(inner.ctx, ast.Store):
                        names.add(inner.id)
    return names
