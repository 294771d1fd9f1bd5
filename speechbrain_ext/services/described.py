"""What files of descriptions say: templates, functions, names of files.

A run's report.yaml may come from anybody with the rest of an output folder,
so its templates are sandboxed, the functions that it names are those of the
evaluation, and its files lie in that folder.
"""

import importlib
from collections.abc import Callable
from pathlib import PurePath

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATES = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
# what an option names, one or several: [a, [b, c]] is [a, b, c]
TEMPLATES.filters["flat"] = lambda values: [
    item
    for value in values
    for item in (value if isinstance(value, list) else [value])
]
FUNCTIONS = "speechbrain_ext.evaluation."


def find_function(place: str) -> Callable:
    """Find a function of the evaluation by its dotted name.

    Arguments
    ---------
    place : str
        Such as "speechbrain_ext.evaluation.run_plots.blind_selection".

    Returns
    -------
    function : Callable

    Raises
    ------
    ValueError
        If it lies elsewhere, or is not defined in the module that is named.

    Example
    -------
    >>> find_function("shutil.rmtree")
    Traceback (most recent call last):
    ValueError: shutil.rmtree is no function of speechbrain_ext.evaluation
    """
    module, _, name = place.rpartition(".")
    found = None
    if f"{module}.".startswith(FUNCTIONS):
        found = getattr(importlib.import_module(module), name, None)
    if getattr(found, "__module__", None) != module:
        raise ValueError(f"{place} is no function of {FUNCTIONS[:-1]}")
    return found


def inner_name(name: str) -> str:
    """Check that a name is that of a file in the folder at hand.

    Arguments
    ---------
    name : str
        Without folders.

    Returns
    -------
    name : str

    Raises
    ------
    ValueError
        If it leads elsewhere.

    Example
    -------
    >>> inner_name("../a.png")
    Traceback (most recent call last):
    ValueError: '../a.png' is no name of a file in the output folder
    """
    if name in ("", ".", "..") or PurePath(name).name != name:
        raise ValueError(f"{name!r} is no name of a file in the output folder")
    return name
