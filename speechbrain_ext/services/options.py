"""Options are text until they are checked: what each of them means."""

import difflib
import inspect
import math
import os
import pydoc
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Number

from ruamel.yaml import YAML, SafeConstructor

from speechbrain_ext.console import printable

# Keys of paths, and of models: a folder, or a name of the hub. They are taken
# as they are written, whatever they look like.
_PATH = re.compile(
    r"\w*_folder|folder_prepared|manifest|labels|start_from|predictor"
    r"|estimator|purification"
)
_TEXT = re.compile(r"\w*_split")
_FOLDER = re.compile(r"\w*_folder|folder_prepared|manifest")
_NULL = ("null", "none", "None")
_BOOLEANS = dict.fromkeys(("true", "yes", "on"), True)
_BOOLEANS |= dict.fromkeys(("false", "no", "off"), False)


class OptionConstructor(SafeConstructor):
    """Makes plain values alone; dates are texts."""


OptionConstructor.add_constructor(
    "tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str
)


def read_yaml(text: str, constructor: type = OptionConstructor) -> object:
    """Read YAML 1.2, where ``1e-4`` is a number and ``yes`` a word.

    Arguments
    ---------
    text : str
        YAML.
    constructor : type
        What makes the values.

    Returns
    -------
    value : object

    Example
    -------
    >>> read_yaml("[1e-4, yes]")
    [0.0001, 'yes']
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = constructor
    return yaml.load(text)


@dataclass(frozen=True)
class ListOf:
    """A rule for a key whose value is a list.

    Arguments
    ---------
    kind : type
        float for finite numbers, str for texts.
    choices : sequence of str
        The texts that are legal; all by default.
    least : int
        How many items there are at least.
    interval : bool
        Whether it holds two numbers, the lower one first.
    optional : bool
        Whether null is legal, too.

    Example
    -------
    >>> ListOf(float, interval=True).find_fault([5.0])
    '[5.0] is no list of two numbers, the lower one first'
    """

    kind: type
    choices: Sequence[str] = ()
    least: int = 0
    interval: bool = False
    optional: bool = False

    def find_fault(self, value: object) -> str:
        """Say what is wrong with a value; empty if nothing is."""
        if value is None and self.optional:
            return ""
        fits = isinstance(value, list) and len(value) >= self.least
        if self.kind is str:
            what = "list of names"
            if self.choices:
                what = f"list of some of {', '.join(self.choices)}"
            fits = fits and all(
                isinstance(item, str) and item in (self.choices or [item])
                for item in value
            )
        else:
            what = "list of numbers"
            fits = fits and all(
                type(item) in (int, float) and math.isfinite(item)
                for item in value
            )
        if self.interval:
            what = "list of two numbers, the lower one first"
            fits = fits and len(value) == 2 and value[0] <= value[1]
        if self.least:
            what += f", at least {self.least}"
        null = ", nor null" * self.optional
        return "" if fits else f"{_shown(value)} is no {what}{null}"


INTERVAL = ListOf(float, interval=True)


def find_split_fault(value: object) -> str:
    """Say what is wrong with the value of a key of splits, if anything is.

    Arguments
    ---------
    value : object
        A name, a list of names, null for all, or a mapping of corpora to
        such.

    Returns
    -------
    fault : str

    Example
    -------
    >>> find_split_fault([])
    '[] names no split; give a name, a list of names, or null for all'
    """
    if isinstance(value, Mapping):
        return next(filter(None, map(find_split_fault, value.values())), "")
    names = value if isinstance(value, list) else [value]
    if value is None or (
        names
        and all(
            isinstance(name, str) and name and name[0] not in "[{"
            for name in names
        )
    ):
        return ""
    return (
        f"{_shown(value)} names no split; give a name, a list of names, or "
        "null for all"
    )


def is_path(key: str) -> bool:
    """Tell whether a key is that of a path, or of a model."""
    return _PATH.fullmatch(key) is not None


def read_option(
    key: str, text: str, *, default: object = None, rule: object = None
) -> object:
    """Turn the text of an option into the value that it means.

    Arguments
    ---------
    key : str
        Of the hyperparameter file.
    text : str
        What was typed.
    default : object
        The file's own value, as ruamel.yaml reads it.
    rule : list, tuple or ListOf, optional
        As for `find_mistakes`: a list or tuple decides the type, and a text
        that does not fit is returned as it is.

    Returns
    -------
    value : object
        Keys of paths, and keys whose default is a text, keep the text as it
        is, whatever it looks like; in a path a leading ``~`` is the home
        folder. All others are read as YAML.

    Raises
    ------
    ValueError
        If the text is empty, no YAML, of another type than the default, or
        put in the place of objects that the file builds.

    Example
    -------
    >>> read_option("data_folder", "20240101")
    '20240101'
    >>> read_option("rate", "1e-4", rule=(float, 0, 1))
    0.0001
    >>> read_option("snr_db", "[0, 1e1]", default=[-5.0, 5.0])
    [0, 10.0]
    """
    if not text.strip():
        raise ValueError("it is empty; give a value")
    value = _read_value(key, text, default, rule)
    if fault := _find_misfit(value, value if is_path(key) else default):
        raise ValueError(fault)
    return value


def tag_of(node: object) -> str:
    """Give the tag of what ruamel.yaml read; empty without one."""
    return getattr(getattr(node, "tag", None), "value", None) or ""


def _find_misfit(value: object, default: object) -> str:
    """Say why a value cannot stand where the file has another; empty if not.

    Plain values inside an object can be given, as a mapping of them.
    """
    if isinstance(value, list):
        faults = [_find_misfit(item, item) for item in value]
        return next(filter(None, faults), "")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return f"{_shown(value)} does not fit into 64 bits"
    built = tag_of(default).startswith(("!new", "!name", "!apply", "!module"))
    if not isinstance(default, Mapping):
        if built:
            return "it builds objects; change it in the file"
        if isinstance(value, Mapping):
            return f"{_shown(value)} is a mapping, and its value is none"
        return ""
    built = built or any(map(tag_of, default.values()))
    if built and not (value and isinstance(value, Mapping)):
        return (
            f"it builds objects; change it in the file ({_shown(value)} is no "
            "mapping of values in it, such as '{size: 3}')"
        )
    for key, item in value.items() if isinstance(value, Mapping) else ():
        if built and key not in default:
            if fault := _find_unknown(str(key), default):
                return fault
        inner = default.get(key, item)
        if tag_of(inner) == "!ref":
            return (
                f"its {printable(key, 100)} is {inner.value}, and follows; "
                "change it in the file, or give what it follows"
            )
        if fault := _find_misfit(item, inner):
            return fault
    return ""


def _find_unknown(key: str, default: Mapping) -> str:
    """Say that what a mapping builds takes no such argument; empty if it does.

    Of a mapping that builds nothing itself, but holds what is built, the keys
    are known.
    """
    name = tag_of(default).partition(":")[2]
    owner, known = name.rpartition(".")[2] or "it", [*default]
    if name:
        try:
            parameters = inspect.signature(pydoc.locate(name)).parameters
        except (pydoc.ErrorDuringImport, TypeError, ValueError):
            return ""  # told when it is built
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return ""
        known = [*parameters]
    if key in known:
        return ""
    near = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
    return f"{owner} has no {printable(key, 100)}; {hint}"


def _read_value(key: str, text: str, default: object, rule: object) -> object:
    """Turn the text of an option into a value, whatever the file builds."""
    if isinstance(rule, list | tuple):
        return _read_by_rule(text, rule)
    if isinstance(default, bool):
        value = _read_by_rule(text, [True, False])
        if not isinstance(value, bool):
            raise ValueError(f"{_shown(text)} is none of True, False")
        return value
    path = is_path(key) and not isinstance(default, Mapping)
    if (
        path
        # "{" begins a mapping of corpora to their splits
        or (
            _TEXT.fullmatch(key)
            and not text.lstrip().startswith("{")
            and not isinstance(default, list)
        )
        or isinstance(default, str)
        or tag_of(default) == "!PLACEHOLDER"
    ):
        optional = default is None or (path and not _FOLDER.fullmatch(key))
        if optional and text in _NULL:
            return None
        return os.path.expanduser(text) if path else text
    try:
        value = read_yaml(text)
    # ruamel.yaml raises many kinds of errors
    except Exception as error:
        reason = getattr(error, "problem", None) or error
        raise ValueError(
            f"{_shown(text)} cannot be read as YAML: {reason}"
        ) from error
    if isinstance(default, Number) and (
        isinstance(value, bool) or not isinstance(value, Number | None)
    ):
        kind = "float" if isinstance(default, float) else "number"
        raise ValueError(f"{_shown(value)} is no {kind}")
    return value


def _shown(value: object) -> str:
    return printable(repr(value), 100)


def _read_by_rule(text: str, rule: list | tuple) -> object:
    """Read a text as one of the choices, or as a number."""
    text = text.strip()
    if rule[0] is bool or isinstance(rule[0], bool):
        return _BOOLEANS.get(text.lower(), text)
    if isinstance(rule, list):
        return next((choice for choice in rule if str(choice) == text), text)
    try:
        number = int(text) if rule[0] is int else float(text)
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            return text
        if not number.is_integer():
            return text
        number = int(number)
    return number


def find_mistakes(values, rules):
    """Check values against rules.

    Arguments
    ---------
    values : dict
        Of a hyperparameter file.
    rules : dict
        Key to a list of legal values, to a tuple (type, smallest, largest)
        where None means no bound, or to a `ListOf`; `float` takes whole
        numbers too, and no infinite ones. A key that `values` lacks is a
        mistake.

    Returns
    -------
    mistakes : list of str
        One line each; empty where all is well.

    Example
    -------
    >>> find_mistakes({"seed": -1, "mixing": "rings"},
    ...               {"seed": (int, 0, None), "mixing": ["ring", "pairs"]})
    ['seed: -1 is below 0', "mixing: 'rings' is none of 'ring', 'pairs'"]
    """
    mistakes = []
    for key, rule in rules.items():
        if key not in values:
            mistakes.append(f"{key}: missing")
            continue
        value = values[key]
        shown = _shown(value)
        if isinstance(rule, ListOf):
            if fault := rule.find_fault(value):
                mistakes.append(f"{key}: {fault}")
            continue
        if isinstance(rule, list):
            # 1 equals True, but is none
            same = any(type(c) is type(value) and c == value for c in rule)
            if not same:
                legal = ", ".join(map(repr, rule))
                mistakes.append(f"{key}: {shown} is none of {legal}")
            continue
        kind, smallest, largest = rule
        accepted = (int, float) if kind is float else kind
        if isinstance(value, bool) is not (kind is bool) or not isinstance(
            value, accepted
        ):
            mistakes.append(f"{key}: {shown} is no {kind.__name__}")
        elif isinstance(value, float) and not math.isfinite(value):
            mistakes.append(f"{key}: {shown} is no finite number")
        elif smallest is not None and not value >= smallest:
            mistakes.append(f"{key}: {shown} is below {smallest}")
        elif largest is not None and not value <= largest:
            mistakes.append(f"{key}: {shown} is above {largest}")
    return mistakes
