"""Going on with a run only as the run that it was."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from speechbrain_ext.files import replaced

RUN = "run.json"


def differences(ours: Mapping, theirs: Mapping) -> list[str]:
    """Name the keys whose values are not the same, sorted.

    Arguments
    ---------
    ours, theirs : Mapping
        Key to plain value.

    Returns
    -------
    keys : list of str
        Of `ours`.

    Example
    -------
    >>> differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})
    ['b']
    """
    return sorted(key for key in ours if ours[key] != theirs.get(key))


def require_same_run(folder: str | os.PathLike, values: Mapping) -> None:
    """Raise if a folder holds checkpoints of other options.

    Arguments
    ---------
    folder : str or Path
        Output folder; checkpoints are in its `save`.
    values : Mapping
        What makes another run of a run, if it is changed: plain values.

    Raises
    ------
    ValueError
        The message names the folder, the keys and the mend.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "save/CKPT+1").mkdir(parents=True)
    >>> remember_run(folder, {"seed": 1})
    >>> require_same_run(folder, {"seed": 2})
    Traceback (most recent call last):
    ValueError: output_folder: ... holds a run with another seed; going on ...
    """
    folder = Path(folder)
    file = folder / RUN
    if not file.is_file() or not list(folder.glob("save/CKPT*")):
        return
    values = json.loads(json.dumps(values))
    differs = differences(values, json.loads(file.read_text()))
    if differs:
        raise ValueError(
            f"output_folder: {folder} holds a run with another "
            f"{', '.join(differs)}; going on with it would mix the two. Give "
            "another folder, or delete that one"
        )


def remember_run(folder: str | os.PathLike, values: Mapping) -> None:
    """Write down what `require_same_run` compares.

    Arguments
    ---------
    folder : str or Path
        Output folder.
    values : Mapping
        Plain values.
    """
    with replaced(Path(folder) / RUN) as partial:
        partial.write_text(json.dumps(values, indent=2) + "\n")
