"""Reading hyperparameter files: every mistake is found before data is.

HyperPyYAML builds whatever a file says.  A mistyped key on the command line,
a path left out or a word that no code knows would otherwise show up hours
into a run, or never.
"""

import difflib
import re
from pathlib import Path

from hyperpyyaml import load_hyperpyyaml, resolve_references

_KEY = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*):")
_PLACEHOLDER = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*):\s*!PLACEHOLDER\b")


def _keys(text, pattern=_KEY):
    return [m.group(1) for m in map(pattern.match, text.splitlines()) if m]


def _override_keys(overrides):
    if not overrides:
        return []
    if isinstance(overrides, str):
        return _keys(overrides)
    return list(overrides)


def has_key(path, key):
    r"""Tell whether a hyperparameter file has a key at its top level.

    Arguments
    ---------
    path : str or Path
        The hyperparameter file.
    key : str
        What is looked for.

    Returns
    -------
    found : bool

    Example
    -------
    >>> path = getfixture("tmp_path") / "hparams.yaml"
    >>> _ = path.write_text("model:\n    size: 3\n")
    >>> has_key(path, "model"), has_key(path, "size")
    (True, False)
    """
    return key in _keys(Path(path).read_text())


def load_hparams(path, overrides=None, rules=None, find_conflicts=None):
    r"""Load a HyperPyYAML file after all its values were checked.

    Arguments
    ---------
    path : str or Path
        The hyperparameter file.
    overrides : str or dict
        Values from the command line, as `speechbrain.parse_arguments` gives
        them.
    rules : dict
        What `find_mistakes` understands: the legal values of top-level keys.
    find_conflicts : Callable
        Given the file's plain values, lists the mistakes (str) of values
        that are legal one by one but not together; optional.

    Returns
    -------
    hparams : dict

    Raises
    ------
    ValueError
        Naming, all together, every override the file does not know, every
        required key without a value, and every value that breaks a rule.

    Example
    -------
    >>> path = getfixture("tmp_path") / "hparams.yaml"
    >>> _ = path.write_text("seed: 1\nmixing: ring\n")
    >>> load_hparams(path, "seed: 2", {"mixing": ["ring", "pairs"]})
    {'seed': 2, 'mixing': 'ring'}
    >>> load_hparams(path, {"mixng": "pairs"})
    Traceback (most recent call last):
    ValueError: ...hparams.yaml: 1 mistake
      mixng: no such key; did you mean mixing?
    """
    text = Path(path).read_text(encoding="utf-8")
    known = _keys(text)
    given = _override_keys(overrides)
    mistakes = []
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            mistakes.append(f"{key}: no such key{hint}")
    for key in _keys(text, _PLACEHOLDER):
        if key not in given:
            mistakes.append(f"{key}: required, give it as --{key}=VALUE")
    if not mistakes:
        plain = _plain_values(path, overrides)
        mistakes = find_mistakes(plain, rules or {})
        if find_conflicts is not None and not mistakes:
            mistakes = find_conflicts(plain)
    _raise(path, mistakes)
    with open(path, encoding="utf-8") as file:
        return load_hyperpyyaml(file, overrides)


def _plain_values(path, overrides):
    """Read the plain values, references resolved, nothing built."""
    import yaml

    class _Loader(yaml.SafeLoader):
        pass

    # what is to be built is of no interest here
    _Loader.add_multi_constructor("!", lambda loader, tag, node: None)
    with open(path, encoding="utf-8") as file:
        resolved = resolve_references(file, overrides)
    return yaml.load(resolved, _Loader)  # noqa: S506 (a SafeLoader)


def find_mistakes(values, rules):
    """Hold values against rules.

    Arguments
    ---------
    values : dict
        Of a hyperparameter file.
    rules : dict
        Key to a list of legal values, or to a tuple (type, smallest,
        largest) where None means no bound; `float` takes whole numbers too.
        A key that `values` lacks is a mistake.

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
        if isinstance(rule, list):
            if value not in rule:
                legal = ", ".join(map(repr, rule))
                mistakes.append(f"{key}: {value!r} is none of {legal}")
            continue
        kind, smallest, largest = rule
        accepted = (int, float) if kind is float else kind
        if isinstance(value, bool) is not (kind is bool) or not isinstance(
            value, accepted
        ):
            mistakes.append(f"{key}: {value!r} is no {kind.__name__}")
        elif smallest is not None and not value >= smallest:
            mistakes.append(f"{key}: {value!r} is below {smallest}")
        elif largest is not None and not value <= largest:
            mistakes.append(f"{key}: {value!r} is above {largest}")
    return mistakes


def _raise(path, mistakes):
    if mistakes:
        plural = "mistake" if len(mistakes) == 1 else "mistakes"
        lines = "\n  ".join(mistakes)
        raise ValueError(f"{path}: {len(mistakes)} {plural}\n  {lines}")
