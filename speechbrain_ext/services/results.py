"""Results page, figures and release, of what a run left in its folder."""

import importlib
import json
import logging
import math
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jinja2
import soundfile
import torch
from ruamel.yaml import YAML
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.evaluation.levels import match_mixture_level
from speechbrain_ext.evaluation.metrics import COLUMNS
from speechbrain_ext.evaluation.plots import training_curves
from speechbrain_ext.evaluation.report import Example, results_of, write_report
from speechbrain_ext.evaluation.scores import without_nan
from speechbrain_ext.files import replaced
from speechbrain_ext.hub import (
    RELEASE,
    Card,
    Metric,
    build_release,
    inference_hyperparams,
    publish_command,
    training_command,
)
from speechbrain_ext.hub.loading import read_plan
from speechbrain_ext.hub.weights import read_weights
from speechbrain_ext.services.identity import differences
from speechbrain_ext.services.run_folder import (
    HISTORY,
    HYPERPARAMS,
    RunFolder,
    by_corpus,
    plain_values,
)

FIGURES = "metrics.json"
COMMAND = "command.json"
TEMPLATES = jinja2.Environment(undefined=jinja2.StrictUndefined)
logger = logging.getLogger(__name__)


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
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, HYPERPARAMS)
        path.write_text(text, encoding="utf-8")
        released = inference_text(path, told, plain_values(text))
        path.write_text(released, encoding="utf-8")
        try:
            read_plan(Path(place))
        except ValueError as error:
            said = str(error).replace(f"{place}{os.sep}", "")
            raise ValueError(f"the model could not be released: {said}") from (
                error
            )


def inference_text(path: Path, description: Mapping, values: Mapping) -> str:
    """Compose the hyperparams.yaml of a release."""
    if "hyperparams" in description:
        template = TEMPLATES.from_string(description["hyperparams"])
        return template.render(**values) + "\n"
    return inference_hyperparams(
        path,
        modules=released_modules(description, values),
        values=description.get("values", ["sample_rate"]),
    )


def released_modules(description: Mapping, values: Mapping) -> dict[str, str]:
    """Give the keys of what is released, by the names it is released by."""
    modules = description["modules"]
    if not isinstance(modules, Mapping):
        return {name: name for name in modules}
    return {
        name: TEMPLATES.from_string(key).render(**values)
        for name, key in modules.items()
    }


def make_results(
    folder: str | os.PathLike, command: Sequence[str] | None = None
) -> None:
    """Write figures, results page and release of a run, and print them.

    Arguments
    ---------
    folder : str or PathLike
        The output folder. Nothing that its files say is built or run, but for
        what the hub's list of classes allows.
    command : sequence of str, optional
        Arguments of the training, for the model card; by default what an
        earlier call was given.

    Raises
    ------
    FileNotFoundError
        If it is not the output folder of a run, or holds no checkpoint.
    """
    run = RunFolder(folder)
    if command is not None:
        with replaced(run.folder / COMMAND) as partial:
            partial.write_text(json.dumps([str(word) for word in command]))
    write_figures(run)
    if run.values.get("store_reference"):
        store_figures(run)
    write_page(run)
    for test in run.shown_tests:
        print_summary(run, test)
    release = make_release(run)
    for name in run.description.get("releases", ()):
        make_release(run, folder=name, selection=name, tests=[name])
    print(f"Model, figures and page with players: {run.folder}/index.html")
    print(f"Model to publish: {release}, by the command")
    print(f"  {publish_command(run.folder)}")


def write_figures(run: RunFolder) -> None:
    """Write metrics.json: figures of the tests, and what made them."""
    others = {
        test: {
            column: figures["mean"]
            for column, figures in run.summary(test).items()
        }
        for test in run.tests[1:]
    }
    last = [row for row in run.history if row["stage"] == "train"][-1:]
    info = {
        "settings": run.settings,
        "seed": run.values.get("seed"),
        "selection": run.values.get("selection"),
        "steps": int(last[0]["step"]) if last else 0,
        "skipped_steps": int(last[0].get("skipped_steps") or 0) if last else 0,
        "other_tests": others,
    }
    content = {
        "info": info,
        "rows": len(run.rows_of(run.tests[0])),
        "metrics": run.summary(),
    }
    text = json.dumps(without_nan(content), indent=2, allow_nan=False)
    with replaced(run.folder / FIGURES) as partial:
        partial.write_text(
            f"{text}\n", encoding="utf-8", errors="surrogateescape"
        )


def store_figures(run: RunFolder) -> None:
    """Keep the figures of this run for others to be compared with."""
    info = json.loads((run.folder / FIGURES).read_text())["info"]
    content = {key: info[key] for key in ("settings", "seed", "other_tests")}
    content["metrics"] = {
        name: round(figures["mean"], 4)
        for name, figures in run.summary().items()
    }
    path = Path(run.values["reference"])
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(without_nan(content), indent=2) + "\n")
    logger.info("Stored the figures of this run in %s", path)


def write_page(run: RunFolder) -> None:
    """Write index.html, its plots and its sounds."""
    notes = [render(text, run) for text in run.description.get("notes", ())]
    if run.reference and (other := unlike(run)):
        notes.append(
            "The stored figures belong to another configuration: "
            f"{', '.join(other)} differ."
        )
    write_report(
        run.folder,
        title=run.description["title"],
        figures=[
            replace(figure, name=f"{test}: {figure.name}")
            if run.shown_tests[1:]
            else figure
            for test in run.shown_tests
            for figure in results_of(
                run.summary(test), references=run.stored(test)
            )
        ],
        notes=notes,
        plots=draw_plots(run),
        examples=read_examples(run),
        reference_name=run.description.get("reference", "Stored reference"),
    )


def unlike(run: RunFolder) -> list[str]:
    """Name the settings in which the stored figures' run was another."""
    free = run.description.get("compared", ())
    differs = differences(run.settings, run.reference["settings"])
    return [name for name in differs if name not in free]


def draw_plots(run: RunFolder) -> list[tuple[Path, str]]:
    """Draw the course of the training, and the recipe's own plots."""
    plots = []
    if run.history:
        path = run.folder / "training.png"
        training_curves(path, history=run.folder / HISTORY)
        plots.append((path, "The course of the training."))
    for plot in run.description.get("plots", ()):
        module, _, name = plot["draw"].rpartition(".")
        draw = getattr(importlib.import_module(module), name)
        for test in run.tests if plot.get("each_test") else [None]:
            path, caption = run.folder / plot["file"], plot["caption"]
            arguments = []
            if test is not None:
                ending = re.sub(r"\W+", "_", test)
                path = path.with_stem(f"{path.stem}_{ending}")
                arguments, caption = [test], f"{test}: {caption}"
            if draw(path, run, *arguments) is not None:
                plots.append((path, caption))
    return plots


def read_examples(run: RunFolder) -> list[Example]:
    """Read the test mixtures that the run kept for listening."""
    rows = {}
    for row in run.results:
        if row.get("test", "") == run.tests[0]:
            rows.setdefault(row["id"], []).append(
                {k: v for k, v in row.items() if isinstance(v, float)}
            )
    examples = []
    for name, folder in zip(
        rows, sorted((run.folder / "examples").glob("[0-9]*")), strict=False
    ):
        mixture = read_sound(folder / "mixture.wav")
        estimates, references = (
            [read_sound(path) for path in sorted(folder.glob(f"{kind}_*.wav"))]
            for kind in ("estimate", "reference")
        )
        examples.append(
            Example(
                name=name,
                mixture=mixture,
                estimates=match_mixture_level(
                    estimates=torch.stack(estimates), mixture=mixture
                ),
                references=torch.stack(references) if references else None,
                sample_rate=run.values["sample_rate"],
                scores=rows[name],
            )
        )
    return examples


def read_sound(path: Path) -> torch.Tensor:
    """Read a WAV file of one channel."""
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])


def render(text: str, run: RunFolder, **more: object) -> str:
    """Fill in a text of report.yaml."""
    filled = TEMPLATES.from_string(text).render({**run.values, **more})
    if "\n" in text.strip():
        return filled
    return " ".join(filled.split())


def make_release(
    run: RunFolder,
    *,
    folder: str = RELEASE,
    selection: str | None = None,
    tests: Sequence[str] | None = None,
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
    tests : sequence of str, optional
        Whose figures the card tells; by default those that the page shows.

    Returns
    -------
    folder : Path
        For `python -m speechbrain_ext.hub`.
    """
    selection = selection or run.values["selection"]
    tests = run.shown_tests if tests is None else tests
    weights = read_checkpoint(run, selection)
    parameters = sum(
        value.numel() for part in weights.values() for value in part.values()
    )
    corpus = describe_corpus(run.values.get("prepare", {}))
    more = {
        "parameters": parameters,
        "trained_on": run.training_data(),
        "corpus": corpus,
        "selection": selection,
    }
    texts = {
        name: render(text, run, **more)
        for name, text in run.description["card"].items()
    }
    command = run.folder / COMMAND
    arguments = json.loads(command.read_text()) if command.is_file() else []
    card = Card(
        **texts,
        command=training_command(arguments or [HYPERPARAMS], root="."),
        metrics=[
            card_metric(run, test, name, figures["mean"], corpus["name"])
            for test in tests
            for name, figures in run.summary(test).items()
            if name in COLUMNS and math.isfinite(figures["mean"])
        ],
    )
    return build_release(
        run.folder / folder,
        hyperparams=inference_text(
            run.folder / HYPERPARAMS, run.description, run.values
        ),
        modules={
            name: SimpleNamespace(state_dict=lambda part=part: part)
            for name, part in weights.items()
        },
        card=card,
    )


def card_metric(
    run: RunFolder, test: str, name: str, value: float, corpus: str
) -> Metric:
    """Put a figure into words; a test of one corpus begins with its name."""
    label, unit, _ = COLUMNS[name]
    splits = by_corpus(run.values.get("test_split") or "test")
    split = " and ".join(dict.fromkeys(splits.values()))
    own, _, group = test.partition(", ")
    if own in by_corpus(run.values.get("test_data")):
        corpus, split = own, splits.get(own, split)
        label += f", {group}" if group else ""
    return Metric(
        name=label,
        value=round(value, 3),
        dataset=corpus,
        unit=unit,
        split=split,
    )


def read_checkpoint(run: RunFolder, selection: str) -> dict:
    """Read the weights of a checkpoint, by the names of the release."""
    save, found = run.folder / "save", None
    if save.is_dir():
        found = Checkpointer(save).find_checkpoint(min_key=selection)
    if found is None:
        raise FileNotFoundError(f"{save} holds no checkpoint to release")
    weights = {}
    for name, key in released_modules(run.description, run.values).items():
        if name in found.paramfiles:
            weights[name] = read_weights(found.paramfiles[name])
            continue
        # a part of what the checkpoint holds
        whole, _, part = key.partition(".")
        weights[name] = {
            weight.removeprefix(f"{part}."): value
            for weight, value in read_weights(found.paramfiles[whole]).items()
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


def print_summary(run: RunFolder, test: str) -> None:
    """Print the headline figures of a test beside the stored ones."""
    stored, summary = run.stored(test), run.summary(test)
    heads = ["this run", "stored", "difference"] if stored else ["this run"]
    title = test if run.shown_tests[1:] else ""
    print(f"\n{title:28s}" + "".join(f"{head:>12s}" for head in heads))
    for name in run.description["headline"]:
        if name not in summary:
            continue
        label, unit, _ = COLUMNS.get(name, (name, "", ""))
        mean = summary[name]["mean"]
        line = f"{label:28s}{mean:9.2f} {unit:2s}"
        if stored:
            other = stored.get(name)
            other = math.nan if other is None else other
            line += f"{other:9.2f} {unit:2s}{mean - other:+9.2f} {unit:2s}"
        print(line)
    if stored and (other := unlike(run)):
        print(f"stored: of another configuration: {', '.join(other)} differ")
