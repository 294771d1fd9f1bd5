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
        that downloads is no matter.

    Returns
    -------
    values : dict
        "manifest" and "corpus", with absolute paths, for `require_same_run`.

    Example
    -------
    >>> from functools import partial
    >>> prepare = partial(print, folder="/out", seed=1, download=True)
    >>> data_identity({"manifest": "/out/manifest.csv", "prepare": prepare})
    {'manifest': '/out/manifest.csv', 'corpus': {'folder': '/out', 'seed': 1}}
    """
    corpus = {
        key: os.path.abspath(value)
        if key.endswith("folder") and value is not None
        else value
        for key, value in hparams["prepare"].keywords.items()
        if key != "download"
    }
    return {
        "manifest": os.path.abspath(hparams["manifest"]),
        "corpus": corpus,
    }


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
