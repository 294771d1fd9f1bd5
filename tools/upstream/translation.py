"""Translate Python, YAML and Markdown files of ours into SpeechBrain's."""

import ast
import re
from collections.abc import Mapping

from upstream import edits
from upstream.destinations import EXCHANGES
from upstream.library import PACKAGE, Library, Name, Unresolved, imports_of

DOTTED = re.compile(rf"\b{PACKAGE}((?:\.[A-Za-z]\w*)+)")
DOCTEST_IMPORT = re.compile(
    rf"(?m)^([ ]*>>> )from {PACKAGE}([.\w]*) import ([\w, ]+)$"
)
# a key whose object a recipe makes only where an option asks for it
OPTIONAL = re.compile(
    rf"(?m)^(\w+): !\w+:({PACKAGE}\.(?:inference|evaluation)\.[\w.]+).*\n"
    r"(?:[ ]+.*\n)*"
)
NOT_UPSTREAM = re.compile(
    r"(?s)<!-- not upstream -->.*?<!-- end not upstream -->\n?"
)


class Translator:
    """Translates files, and notes what it met.

    Arguments
    ---------
    library : Library
        The modules of ours.
    table : Mapping
        Module of ours -> path in SpeechBrain.
    cuts : Mapping
        Path or module of ours -> definitions that stay here.

    Attributes
    ----------
    needed : dict
        Module -> the file that asked for it first.
    substitutions : list of (file, ours, theirs)
        What is not as it was, imports of moved modules aside.
    mistakes : list of str
        What cannot be translated; it is left as it was.
    """

    def __init__(self, library: Library, table: Mapping, cuts: Mapping) -> None:
        self.library = library
        self.table = table
        self.cuts = cuts
        self.needed = {}
        self.substitutions = []
        self.mistakes = []

    def python(self, text: str, file: str) -> str:
        """Translate a Python file.

        Arguments
        ---------
        text : str
            The file.
        file : str
            Our name of it: a module of the table, or a path.
        """
        package = "" if file.endswith(".py") else file.rpartition(".")[0]
        if file in self.cuts:
            try:
                text = edits.cut(text, self.cuts[file])
            except KeyError as missing:
                self.mistakes.append(
                    f"{file}: there is no {missing.args[0]} to cut; mend CUTS "
                    "in tools/upstream/destinations.py"
                )
            for name in self.cuts[file]:
                self.note(file, name, "left out")
        text = self._imports(text, file, package)
        text = self._doctests(text, file)
        text, changes = edits.for_python_3_8(text)
        for change in changes:
            self.note(file, "for Python 3.8", change)
        return self._mentions(text)

    def _imports(self, text, file, package):
        """Translate import statements; classes with base classes left out."""
        edited = edits.Edited(text)
        statements, bases = {}, []
        for found in imports_of(ast.parse(text), package):
            try:
                if not found.name:
                    raise Unresolved(
                        f"write `from {PACKAGE}.module import name`, not "
                        f"`{ast.unparse(found.node)}`"
                    )
                name = self.library.resolve(found.source, found.name)
                line = self._import_line(name, found.bound, file)
            except Unresolved as reason:
                self.mistakes.append(
                    f"{file}, line {found.node.lineno}: {reason}"
                )
                # as it was, for the checks to show
                source = f"{PACKAGE}.{found.source}".rstrip(".")
                line = f"from {source} import {found.name}"
                if not found.name:
                    line = ast.unparse(found.node)
            if line is None:
                bases.append(found.bound)
                line = f"from {PACKAGE} import {found.bound}"
            statements.setdefault(found.node, []).append(line)
        for node, lines in statements.items():
            indent = " " * node.col_offset
            new = "\n".join(indent + line for line in dict.fromkeys(lines))
            edited.replace_lines(node.lineno, node.end_lineno, new + "\n")
        text = edited.result()
        for base in bases:
            text = edits.without_base(text, base)
        return text

    def _doctests(self, text, file):
        """Translate the import statements of doctests."""

        def theirs(match):
            start, source, names = match.groups()
            try:
                lines = [
                    self._import_line(
                        self.library.resolve(source[1:], name.strip()),
                        name.strip(),
                        file,
                    )
                    for name in names.split(",")
                ]
            except Unresolved as reason:
                self.mistakes.append(f"{file}, a doctest: {reason}")
                return match[0]
            return "\n".join(start + line for line in lines if line)

        return DOCTEST_IMPORT.sub(theirs, text)

    def _import_line(self, name: Name, bound: str, file: str) -> str | None:
        """Give the import of SpeechBrain's; None for a base to leave out."""
        exchange = EXCHANGES.get(str(name))
        if exchange is not None and not exchange.theirs:
            self.note(file, str(name), "base class left out")
            return None
        theirs = self._theirs(name, file)
        source, _, last = theirs.rpartition(".")
        alias = "" if last == bound else f" as {bound}"
        return f"from {source} import {last}{alias}"

    def _theirs(self, name: Name, file: str) -> str:
        """Give the dotted name in SpeechBrain."""
        exchange = EXCHANGES.get(str(name))
        if exchange is not None and exchange.theirs:
            self.note(file, str(name), exchange.theirs)
            if not exchange.theirs.startswith(f"{PACKAGE}."):
                return exchange.theirs
            name = self.library.locate(exchange.theirs.partition(".")[2])
        if name.module not in self.table:
            raise Unresolved(
                f"{PACKAGE}.{name} has no destination: {name.module} is not "
                "in tools/upstream/destinations.py"
            )
        self.needed.setdefault(name.module, file)
        return f"{dotted_path(self.table[name.module])}.{name.rest}".rstrip(".")

    def yaml(self, text: str, file: str, scripts: str = "") -> str:
        """Translate a hyperparameter file: the names after ! tags.

        Keys that `scripts` do not read go with the objects that they are for,
        if SpeechBrain has no part for these.
        """
        text = self._without_optional(text, file, scripts)
        lines, result, dropped = text.splitlines(keepends=True), [], None
        for number, line in enumerate(lines, start=1):
            code, comment = split_comment(line)
            indent = len(line) - len(line.lstrip())
            if dropped is not None and line.strip():
                outer, names = dropped
                if indent <= outer:
                    dropped = None
                elif code.split(":")[0].strip() in names:
                    self.note(file, code.strip(), "left out")
                    continue
            for match in reversed(list(DOTTED.finditer(code))):
                try:
                    name = self.library.locate(match[1].lstrip("."))
                    theirs = self._theirs(name, file)
                except Unresolved as reason:
                    self.mistakes.append(f"{file}, line {number}: {reason}")
                    continue
                code = code[: match.start()] + theirs + code[match.end() :]
                exchange = EXCHANGES.get(str(name))
                if exchange is not None and exchange.without:
                    dropped = indent, exchange.without
            result.append(code + comment)
        return self._mentions("".join(result))

    def _without_optional(self, text, file, scripts):
        """Make objects that SpeechBrain has no part for null."""
        asked = set()

        def null(match):
            asked.update(re.findall(r"<(\w+)", match[0]))
            self.note(file, f"{match[1]}: {match[2]}", "null")
            return f"{match[1]}: null\n"

        text = OPTIONAL.sub(null, text)
        for key in sorted(asked):
            read = re.search(rf"[\"\'.]{key}\b", scripts)
            if not read and f"<{key}" not in text:
                text, count = re.subn(rf"(?m)^{key}: .*\n", "", text)
                if count:
                    self.note(file, key, "left out")
        return text

    def readme(self, text: str, file: str) -> str:
        """Leave out the parts of a README that are about this project."""
        text, count = NOT_UPSTREAM.subn("", text)
        if count:
            self.note(file, f"{count} parts 'not upstream'", "left out")
        return self._mentions(text)

    def _mentions(self, text):
        """Translate names of ours in prose, where they have a destination."""

        def theirs(match):
            try:
                name = self.library.locate(match[1].lstrip("."))
            except Unresolved:
                return match[0]
            if str(name) in EXCHANGES:
                return EXCHANGES[str(name)].theirs or match[0]
            if name.module not in self.table:
                return match[0]
            module = dotted_path(self.table[name.module])
            return f"{module}.{name.rest}".rstrip(".")

        return DOTTED.sub(theirs, text)

    def note(self, file: str, ours: str, theirs: str) -> None:
        """Note a substitution, once."""
        row = (file, ours, theirs)
        if row not in self.substitutions:
            self.substitutions.append(row)


def dotted_path(path: str) -> str:
    """Give the module of a file, as in speechbrain.nnet.loss.pit."""
    return path.removesuffix(".py").replace("/", ".")


def split_comment(line: str) -> tuple[str, str]:
    """Split a line of YAML before its comment."""
    match = re.search(r"(^|\s)#", re.sub(r"'[^']*'|\"[^\"]*\"", mask, line))
    return (
        (line[: match.start()], line[match.start() :]) if match else (line, "")
    )


def mask(match: re.Match) -> str:
    """Give as many letters as were matched."""
    return "x" * len(match[0])
