"""Find what Python 3.8, SpeechBrain's lowest version, does not have."""

import ast
import builtins

from upstream.edits import annotations

NEW_METHODS = {
    "removeprefix": "3.9",
    "removesuffix": "3.9",
    "is_relative_to": "3.9",
    "with_stem": "3.9",
    "hardlink_to": "3.10",
    "bit_count": "3.10",
    "add_note": "3.11",
}
NEW_NAMES = {
    "functools": {"cache": "3.9"},
    "itertools": {"pairwise": "3.10", "batched": "3.12"},
    "math": {"lcm": "3.9", "nextafter": "3.9", "ulp": "3.9", "cbrt": "3.11"},
    "random": {"randbytes": "3.9"},
    "contextlib": {"aclosing": "3.10", "chdir": "3.11"},
    "typing": {
        "Annotated": "3.9",
        "ParamSpec": "3.10",
        "TypeAlias": "3.10",
        "TypeGuard": "3.10",
        "Self": "3.11",
        "Never": "3.11",
        "assert_never": "3.11",
        "override": "3.12",
    },
    "enum": {"StrEnum": "3.11"},
    "ast": {"unparse": "3.9"},
    "datetime": {"UTC": "3.11"},
    "dataclasses": {"KW_ONLY": "3.10"},
    "importlib.resources": {"files": "3.9", "as_file": "3.9"},
    "types": {"NoneType": "3.10", "UnionType": "3.10"},
}
NEW_MODULES = {"tomllib": "3.11", "zoneinfo": "3.9", "graphlib": "3.9"}
NEW_BUILTINS = {
    "aiter": "3.10",
    "anext": "3.10",
    "ExceptionGroup": "3.11",
}
NEW_KEYWORDS = {
    ("zip", "strict"): "3.10",
    ("dataclass", "slots"): "3.10",
    ("dataclass", "kw_only"): "3.10",
    ("bisect", "key"): "3.10",
    ("bisect_left", "key"): "3.10",
    ("bisect_right", "key"): "3.10",
    ("insort", "key"): "3.10",
    ("TemporaryDirectory", "ignore_cleanup_errors"): "3.10",
    ("read_text", "newline"): "3.13",
    ("write_text", "newline"): "3.10",
    ("glob", "root_dir"): "3.10",
}
# classes that cannot be subscripted before 3.9
PLAIN = {"tuple", "list", "dict", "set", "frozenset", "type"}
ABSTRACT = set(
    "Callable Collection Container Generator Hashable Iterable Iterator "
    "Mapping MutableMapping MutableSequence MutableSet Reversible Sequence "
    "Set Sized".split()
)


def newer_than_3_8(text: str) -> list[str]:
    """Find syntax and names that Python 3.8 does not have.

    Arguments
    ---------
    text : str
        A Python file.

    Returns
    -------
    found : list of str
        One line each, with the number of the line.
    """
    try:
        tree = ast.parse(text, feature_version=(3, 8))
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    lazy = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )
    skipped = set()
    if lazy:
        for annotation in annotations(tree):
            skipped |= set(ast.walk(annotation))
    origins = import_origins(tree)
    found = [
        (getattr(node, "lineno", 0), message)
        for node in ast.walk(tree)
        if node not in skipped
        for message in complaints(node, origins)
    ]
    return [f"line {line}: {message}" for line, message in sorted(found)]


def import_origins(tree: ast.Module) -> dict[str, str]:
    """Give what a file calls its imports -> where they come from."""
    origins = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                origins[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origins[alias.asname or alias.name] = (
                    f"{node.module}.{alias.name}"
                )
    return origins


def complaints(node: ast.AST, origins: dict[str, str]) -> list[str]:
    """Say what of one node is newer than Python 3.8."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return new_imports(node)
    if isinstance(node, ast.Attribute):
        if node.attr in NEW_METHODS:
            return [f".{node.attr} is of Python {NEW_METHODS[node.attr]}"]
        module = origins.get(ast.unparse(node.value))
        version = NEW_NAMES.get(module, {}).get(node.attr)
        return [f"{module}.{node.attr} is of Python {version}"] * bool(version)
    if isinstance(node, ast.Name) and node.id in NEW_BUILTINS:
        return [f"{node.id} is of Python {NEW_BUILTINS[node.id]}"]
    if isinstance(node, ast.Call):
        function = ast.unparse(node.func).rpartition(".")[2]
        return [
            f"{function}({keyword.arg}=) is of Python {version}"
            for keyword in node.keywords
            if (version := NEW_KEYWORDS.get((function, keyword.arg)))
        ]
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return subscripts(node, origins)
    if isinstance(node, ast.BinOp | ast.AugAssign):
        if isinstance(node.op, ast.BitOr):
            return unions(node)
    return []


def new_imports(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Say which imports are newer than Python 3.8."""
    if isinstance(node, ast.Import):
        versions = [(a.name, NEW_MODULES.get(a.name)) for a in node.names]
    else:
        names = NEW_NAMES.get(node.module, {})
        versions = [
            (
                f"{node.module}.{a.name}",
                NEW_MODULES.get(node.module) or names.get(a.name),
            )
            for a in node.names
        ]
    return [f"{name} is of Python {v}" for name, v in versions if v]


def subscripts(node: ast.Subscript, origins: dict[str, str]) -> list[str]:
    """Say whether a class is subscripted that Python 3.8 cannot."""
    value = ast.unparse(node.value)
    origin = origins.get(value, value)
    if value in PLAIN and value not in origins:
        return [f"{value}[...] outside of lazy annotations is of Python 3.9"]
    if origin.rpartition(".")[0] in ("collections.abc", "collections"):
        if origin.rpartition(".")[2] in ABSTRACT | {"deque", "Counter"}:
            return [f"{value}[...] outside of lazy annotations is of 3.9"]
    return []


def unions(node: ast.BinOp | ast.AugAssign) -> list[str]:
    """Say whether `|` joins types or dictionaries."""
    sides = (
        [node.left, node.right]
        if isinstance(node, ast.BinOp)
        else [node.target, node.value]
    )
    for side in sides:
        text = ast.unparse(side)
        is_dict = isinstance(side, ast.Dict | ast.DictComp)
        if is_dict or text == "os.environ" or text.startswith("dict("):
            return ["dict | dict is of Python 3.9"]
        is_none = isinstance(side, ast.Constant) and side.value is None
        is_class = isinstance(getattr(builtins, text, None), type)
        if is_none or is_class:
            return [
                "X | Y of types outside of lazy annotations is of Python 3.10"
            ]
    return []
