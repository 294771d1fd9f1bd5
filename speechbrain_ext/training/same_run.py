"""Going on with a run only as the run that it was."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from speechbrain_ext.files import replaced

RUN = "run.json"
# of a configuration: what a run that goes on may have another value of
FREE = ("number_of_epochs", "selection", "test_", "processes")


def run_configuration(
    hparams: Mapping,
    keys: Iterable[str],
    *,
    module: torch.nn.Module,
    **more: object,
) -> dict:
    """Collect what two runs must share for their figures to compare.

    Arguments
    ---------
    hparams : Mapping
        Of the hyperparameter file.
    keys : iterable of str
        Those of plain values that count.
    module : torch.nn.Module
        Its parameters are counted.
    **more : object
        Other plain values that count.

    Returns
    -------
    configuration : dict
        Plain values, as they come back from a JSON file; the optimiser's name
        and the number of processes among them.

    Example
    -------
    >>> from functools import partial
    >>> hparams = {"rate": 8, "optimizer": partial(torch.optim.Adam, lr=1)}
    >>> run_configuration(hparams, ["rate"], module=torch.nn.Linear(2, 1))
    {'rate': 8, 'parameters': 3, 'optimizer': 'Adam', 'processes': 1}
    """
    chosen = {key: hparams[key] for key in keys} | more
    chosen["parameters"] = sum(p.numel() for p in module.parameters())
    chosen["optimizer"] = hparams["optimizer"].func.__name__
    # a batch for each process makes a step of as many batches
    chosen["processes"] = int(os.environ.get("WORLD_SIZE", 1))
    return json.loads(json.dumps(chosen))


def without_free(configuration: Mapping) -> dict:
    """Leave out what a run that goes on may have another value of.

    Arguments
    ---------
    configuration : Mapping
        From `run_configuration`.

    Returns
    -------
    values : dict
        What stays, for `require_same_run`.

    Example
    -------
    >>> without_free({"rate": 8, "processes": 2, "test_batches": 5})
    {'rate': 8}
    """
    return {
        key: value
        for key, value in configuration.items()
        if not key.startswith(FREE)
    }


def data_identity(hparams: Mapping) -> dict:
    """Tell which data a run works on, wherever it is called from.

    Arguments
    ---------
    hparams : Mapping
        With "manifest", a path, and "prepare", a partial function. Whether
        that downloads is no matter, nor where it writes.

    Returns
    -------
    values : dict
        "manifest", relative to where it is prepared if it lies there, and
        "corpus", with absolute paths, for `require_same_run`.

    Example
    -------
    >>> from functools import partial
    >>> prepare = partial(print, folder="/out", seed=1, download=True)
    >>> data_identity({"manifest": "/out/manifest.csv", "prepare": prepare})
    {'manifest': 'manifest.csv', 'corpus': {'seed': 1}}
    """
    options = hparams["prepare"].keywords
    corpus = {
        key: os.path.abspath(value)
        if key.endswith("folder") and value is not None
        else value
        for key, value in options.items()
        if key not in ("download", "folder")
    }
    manifest = Path(os.path.abspath(hparams["manifest"]))
    prepared = options.get("folder")
    if prepared and manifest.is_relative_to(os.path.abspath(prepared)):
        manifest = manifest.relative_to(os.path.abspath(prepared))
    return {"manifest": str(manifest), "corpus": corpus}


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
    """Raise if a folder holds a run of other options.

    Arguments
    ---------
    folder : str or Path
        Output folder.
    values : Mapping
        What makes another run of a run, if it is changed: plain values.

    Raises
    ------
    ValueError
        The message names the folder, the keys and the mend.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> remember_run(folder, {"seed": 1})
    >>> require_same_run(folder, {"seed": 2})
    Traceback (most recent call last):
    ValueError: output_folder: ... holds a run with another seed; going on ...
    """
    folder = Path(folder)
    file = folder / RUN
    if not file.is_file():
        return
    values = json.loads(json.dumps(values))
    try:
        found = dict(json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"output_folder: {file} cannot be read ({error}); give another "
            "folder, or delete that one"
        ) from error
    differs = differences(values, found)
    if differs:
        raise ValueError(
            f"output_folder: {folder} holds a run with another "
            f"{', '.join(differs)}; going on with it would mix the two. Give "
            "another folder, or delete that one"
        )


def remember_run(folder: str | os.PathLike, values: Mapping) -> None:
    """Write down what `require_same_run` compares, when the training begins.

    Arguments
    ---------
    folder : str or Path
        Output folder.
    values : Mapping
        Plain values.
    """
    with replaced(Path(folder) / RUN) as partial:
        partial.write_text(json.dumps(values, indent=2) + "\n")
