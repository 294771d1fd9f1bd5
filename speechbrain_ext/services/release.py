"""The release of a run: its selected model, with a card.

Nothing that the files of a run say is built, but for what the hub's list of
classes allows.
"""

import importlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

from ruamel.yaml import YAML
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.evaluation.metrics import COLUMNS, column_of
from speechbrain_ext.hub import (
    RELEASE,
    Card,
    Metric,
    build_release,
    inference_hyperparams,
)
from speechbrain_ext.hub.building import build_sizes
from speechbrain_ext.hub.document import Call
from speechbrain_ext.hub.loading import read_plan
from speechbrain_ext.hub.refusal import LIMITS
from speechbrain_ext.hub.weights import read_weights
from speechbrain_ext.services.described import TEMPLATES, inner_name
from speechbrain_ext.services.identity import read_plain
from speechbrain_ext.services.run_folder import (
    HYPERPARAMS,
    RunFolder,
    by_corpus,
    plain_values,
    render,
)

# what gives an adapted run its separator
LOADED = "load_start"


def require_releasable(text: str, description: Path) -> None:
    """Raise if the model of a run could not be released.

    Arguments
    ---------
    text : str
        Hyperparameters, references resolved.
    description : Path
        The recipe's report.yaml, whose `modules` are released.

    Raises
    ------
    ValueError
        Saying what the release's hyperparams.yaml may not hold.
    """
    told = YAML(typ="safe").load(description.read_text(encoding="utf-8"))
    if is_adapted(plain_values(text)):
        return  # what it adapts was read from a release
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, HYPERPARAMS)
        path.write_text(text, encoding="utf-8")
        released = inference_text(path, told, plain_values(text))
    read_released(released)


def read_released(hyperparams: str) -> list[Call]:
    """Read the hyperparams.yaml of a release; give what has weights."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, HYPERPARAMS)
        path.write_text(hyperparams, encoding="utf-8")
        try:
            _, loadables = read_plan(Path(place))
        except ValueError as error:
            said = str(error).replace(f"{place}{os.sep}", "")
            # what follows is for those who load a stranger's model
            said, _, _ = said.partition(" Nothing was imported")
            raise ValueError(
                f"the model could not be released: {said} Add its class to "
                "speechbrain_ext/hub/allowed.py, or start the recipe's own "
                "train.py, which releases nothing"
            ) from error
    return [item.module for item in loadables]


def count_parameters(hyperparams: str) -> int:
    """Count the parameters of a release, without its buffers.

    Arguments
    ---------
    hyperparams : str
        Its hyperparams.yaml.

    Returns
    -------
    parameters : int
    """
    calls = read_released(hyperparams)
    built = build_sizes(calls, LIMITS)
    return sum(p.numel() for call in calls for p in built[call].parameters())


def released_modules(description: Mapping, values: Mapping) -> dict[str, str]:
    """Give the keys of what is released, by the names it is released by."""
    modules = description["modules"]
    if not isinstance(modules, Mapping):
        modules = {name: name for name in modules}
    return {
        TEMPLATES.from_string(name).render(**values): (
            TEMPLATES.from_string(key).render(**values)
        )
        for name, key in modules.items()
    }


def is_adapted(values: Mapping) -> bool:
    """Tell whether a run takes its separator from what it starts from."""
    separator = values.get("separator")
    is_built = isinstance(separator, Mapping)
    return is_built and separator.get("class") == LOADED


def describe_release(run: RunFolder) -> tuple[str, dict[str, str]]:
    """Compose the hyperparams.yaml of a release, and say where its parts are.

    Arguments
    ---------
    run : RunFolder
        Of the release.

    Returns
    -------
    text : str
        Of an adapted separator, that of the one it started from.
    modules : dict
        Name of each module in it to its key among the checkpoint's.
    """
    if not is_adapted(run.values):
        path = run.folder / HYPERPARAMS
        text = inference_text(path, run.description, run.values)
        return text, released_modules(run.description, run.values)
    if run.start is None:
        raise FileNotFoundError(
            f"{run.folder} does not hold the separator that it started from; "
            "run the training's command again"
        )
    text = (run.start / HYPERPARAMS).read_text(encoding="utf-8")
    names = read_plain(text)["modules"]
    whole = "separator" in names
    return text, {n: n if whole else f"separator.{n}" for n in names}


def inference_text(path: Path, description: Mapping, values: Mapping) -> str:
    """Compose the hyperparams.yaml of a release."""
    if "hyperparams" in description:
        template = TEMPLATES.from_string(description["hyperparams"])
        return template.render(**values) + "\n"
    text = inference_hyperparams(
        path,
        modules=released_modules(description, values),
        values=description.get("values", ["sample_rate"]),
    )
    constants = description.get("constants", {}).items()
    return "".join(f"{k}: {json.dumps(v)}\n" for k, v in constants) + text


def make_release(
    run: RunFolder,
    *,
    folder: str = RELEASE,
    selection: str | None = None,
    test: str | None = None,
) -> Path:
    """Make the release folder of a checkpoint.

    Arguments
    ---------
    run : RunFolder
        With checkpoints in its folder `save`.
    folder : str
        Below that of the run.
    selection : str, optional
        What chooses the checkpoint; by default as the run says.
    test : str, optional
        Whose figures the card tells; by default those that the page shows.

    Returns
    -------
    folder : Path
        For `speechbrain-ext publish`.
    """
    selection = selection or run.values["selection"]
    text, modules = describe_release(run)
    weights = read_checkpoint(
        find_files(run.folder / "save", selection), modules
    )
    told = plain_values(text)
    corpus = describe_corpus(run.values.get("prepare", {}))
    more = {
        "parameters": count_parameters(text),
        "trained_on": run.training_data(),
        "corpus": corpus,
        "selection": selection,
        "stages": run.stages,
        "adapted": is_adapted(run.values),
    }
    if is_adapted(run.values):
        more["separator"] = told.get("separator", told.get("masknet"))
    texts = {
        name: render(text, run, **more) if isinstance(text, str) else text
        for name, text in run.description["card"].items()
    }
    shown = run.description.get("card_metrics", COLUMNS)
    card = Card(
        **texts,
        command=run.command,
        metrics=[
            card_metric(run, name, figures["mean"], corpus["name"])
            for name, figures in run.summary().items()
            if name.partition(",")[0] in shown
            and name.partition(",")[0] in COLUMNS
            and math.isfinite(figures["mean"])
            and (test is None or name.partition(", ")[2] == test)
        ],
    )
    return build_release(
        run.folder / inner_name(folder),
        hyperparams=text,
        modules={
            name: SimpleNamespace(state_dict=lambda part=part: part)
            for name, part in weights.items()
        },
        card=card,
    )


def card_metric(run: RunFolder, name: str, value: float, corpus: str) -> Metric:
    """Put a figure into words; a test of one corpus begins with its name."""
    label, unit, _ = column_of(name)
    splits = by_corpus(run.values.get("test_split") or "test")
    names = [
        part
        for split in splits.values()
        for part in (split if isinstance(split, list) else [split])
    ]
    split = ", ".join(dict.fromkeys(names))
    _, _, test = name.partition(", ")
    own, _, group = test.partition(", ")
    if own and own in by_corpus(run.values.get("test_data")):
        base, corpus, split = (
            name.partition(",")[0],
            own,
            splits.get(own, split),
        )
        label = COLUMNS[base].label + (f", {group}" if group else "")
    return Metric(
        name=label,
        value=round(value, 3),
        dataset=corpus,
        unit=unit,
        split=split,
    )


def find_files(save: Path, selection: str) -> dict[str, Path]:
    """Find the files of a run's selected checkpoint, by module."""
    found = None
    if save.is_dir():
        found = Checkpointer(save).find_checkpoint(min_key=selection)
    if found is None:
        raise FileNotFoundError(f"{save} holds no checkpoint to release")
    return found.paramfiles


def read_checkpoint(
    files: Mapping[str, Path], modules: Mapping[str, str]
) -> dict[str, dict]:
    """Read the weights of a checkpoint, by the names of the release."""
    weights = {}
    for name, key in modules.items():
        if name in files:
            weights[name] = read_weights(files[name])
            continue
        # a part of what the checkpoint holds
        whole, _, part = key.partition(".")
        weights[name] = {
            weight.removeprefix(f"{part}."): value
            for weight, value in read_weights(files[whole]).items()
            if weight.startswith(f"{part}.")
        }
    return weights


def describe_corpus(prepare: Mapping) -> dict:
    """Tell the name of a corpus, and the line that opens its module."""
    module = prepare.get("module", "")
    if prepare and not module:
        several = [describe_corpus(part) for part in prepare.values()]
        lines = dict.fromkeys(part["description"] for part in several)
        return {
            "name": " and ".join(prepare),
            "description": " ".join(filter(None, lines)),
        }
    name = module.rpartition(".")[2]
    if not module.startswith("speechbrain_ext."):
        return {"name": name.removesuffix("_prepare"), "description": ""}
    text = importlib.import_module(module).__doc__
    return {"name": name, "description": text.splitlines()[0]}
