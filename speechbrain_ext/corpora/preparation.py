"""What all `prepare` functions share: paths, and a folder for one thing."""

import functools
import inspect
import os
from collections.abc import Callable

from speechbrain_ext.dataio.prepared import PreparedFolder, absolute_path

# Options that do not change what is prepared.
IRRELEVANT = {"download"}


def prepares(function: Callable) -> Callable:
    """Let the folder that is prepared belong to the data and the options.

    In all arguments called ``folder`` or ``..._folder`` a leading ``~`` is
    the home folder, and an empty path is an error. The function gets the
    folder as a `PreparedFolder` that knows the other arguments, and is not
    called if that folder holds what was made from something else.

    Arguments
    ---------
    function : Callable
        The `prepare` of a corpus. It hands its argument `folder` on to
        `convert_all`.

    Returns
    -------
    prepare : Callable
        Of the same arguments.

    Example
    -------
    >>> @prepares
    ... def prepare(data_folder, folder, *, sample_rate=16000):
    ...     return folder.made_from["data_folder"], data_folder
    >>> prepare("/data/../ann", getfixture("tmp_path"))
    ('/ann', '/ann')
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def prepare(*arguments, **options):
        bound = signature.bind(*arguments, **options)
        bound.apply_defaults()
        values = bound.arguments
        made_from = {"corpus": function.__module__.rpartition(".")[2]}
        for name, value in values.items():
            if name == "folder" or name.endswith("_folder"):
                default = signature.parameters[name].default
                if value is not None or default is not None:
                    values[name] = str(absolute_path(value, argument=name))
            if name != "folder" and name not in IRRELEVANT:
                is_path = name.endswith("_folder") and values[name]
                made_from[name] = (
                    os.path.realpath(values[name]) if is_path else value
                )
        values["folder"] = PreparedFolder(values["folder"], made_from)
        values["folder"].require_same()
        return function(*bound.args, **bound.kwargs)

    return prepare
