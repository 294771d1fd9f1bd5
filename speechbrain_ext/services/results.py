"""Results page, figures and release, of what a run left in its folder."""

import importlib
import json
import logging
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import jinja2
import soundfile
import torch
from ruamel.yaml import YAML
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.evaluation.levels import match_mixture_level
from speechbrain_ext.evaluation.metrics import COLUMNS, column_of
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
    plain_values,
)
from speechbrain_ext.services.stages import FOLDER

FIGURES = "metrics.json"
COMMAND = "command.json"
TEMPLATES = jinja2.Environment(undefined=jinja2.StrictUndefined)
# what an option names, one or several: [a, [b, c]] is [a, b, c]
TEMPLATES.filters["flat"] = lambda values: [
    item
    for value in values
    for item in (value if isinstance(value, list) else [value])
]
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
    modules = released_modules(told, plain_values(text))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, HYPERPARAMS)
        path.write_text(text, encoding="utf-8")
        path.write_text(inference_text(path, told, modules), encoding="utf-8")
        try:
            read_plan(Path(place))
        except ValueError as error:
            said = str(error).replace(f"{place}{os.sep}", "")
            raise ValueError(f"the model could not be released: {said}") from (
                error
            )


def released_modules(description: Mapping, values: Mapping) -> list[str]:
    """Name the modules that are released; which may depend on options."""
    return [
        TEMPLATES.from_string(name).render(**values)
        for name in description["modules"]
    ]


def inference_text(
    path: Path, description: Mapping, modules: Sequence[str]
) -> str:
    """Compose the hyperparams.yaml of a release."""
    return inference_hyperparams(
        path,
        modules=modules,
        values=description.get("values", ["sample_rate"]),
    )


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
    summary = write_figures(run)
    if run.values.get("store_reference"):
        store_figures(run, summary)
    write_page(run, summary)
    print_summary(run, summary)
    release = make_release(run, summary)
    print(f"Model, figures and page with players: {run.folder}/index.html")
    print(f"Model to publish: {release}, by the command")
    print(f"  {publish_command(run.folder)}")


def write_figures(run: RunFolder) -> dict:
    """Write metrics.json: means of the tests, and what made them."""
    summary = run.summary()
    others = {}
    if not run.description.get("every_test"):
        others = {
            name: {
                column: figures["mean"]
                for column, figures in run.table(name).summary().items()
            }
            for name in run.tests[1:]
        }
    last = [row for row in run.history if row["stage"] == "train"][-1:]
    info = {
        "settings": run.settings,
        "seed": run.values.get("seed"),
        "selection": run.values.get("selection"),
        "steps": int(last[0]["step"]) if last else 0,
        "skipped_steps": int(last[0].get("skipped_steps") or 0) if last else 0,
        "stages": run.stages,
        "other_tests": others,
    }
    content = {"info": info, "rows": len(run.table()), "metrics": summary}
    text = json.dumps(without_nan(content), indent=2, allow_nan=False)
    with replaced(run.folder / FIGURES) as partial:
        partial.write_text(
            f"{text}\n", encoding="utf-8", errors="surrogateescape"
        )
    return summary


def store_figures(run: RunFolder, summary: Mapping) -> None:
    """Keep the figures of this run for others to be compared with."""
    info = json.loads((run.folder / FIGURES).read_text())["info"]
    content = {key: info[key] for key in ("settings", "seed", "other_tests")}
    content["metrics"] = {
        name: round(figures["mean"], 4) for name, figures in summary.items()
    }
    path = Path(run.values["reference"])
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
    logger.info("Stored the figures of this run in %s", path)


def write_page(run: RunFolder, summary: Mapping) -> None:
    """Write index.html, its plots and its sounds."""
    notes = [render(text, run) for text in run.description.get("notes", ())]
    stored = run.reference
    if stored and (other := unlike(run)):
        notes.append(
            "The stored figures belong to another configuration: "
            f"{', '.join(other)} differ."
        )
    write_report(
        run.folder,
        title=run.description["title"],
        figures=results_of(
            summary, references=stored["metrics"] if stored else None
        ),
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
    for stage in run.stages:
        history = run.folder / FOLDER / stage / HISTORY
        if history.is_file():
            path = run.folder / f"training_{stage}.png"
            training_curves(path, history=history)
            plots.append((path, f"The course of the stage {stage}."))
    for plot in run.description.get("plots", ()):
        module, _, name = plot["draw"].rpartition(".")
        draw = getattr(importlib.import_module(module), name)
        path = run.folder / plot["file"]
        if draw(path, run) is not None:
            plots.append((path, plot["caption"]))
    return plots


def read_examples(run: RunFolder) -> list[Example]:
    """Read the test mixtures that the run kept for listening.

    They are the first of the main test, then those of the other tests, where
    all tests are shown.
    """
    rows, number = {}, run.values.get("examples")
    for test in run.tests:
        found = {}
        for row in run.results:
            if row.get("test", "") == test:
                found.setdefault(row["id"], []).append(row)
        if not run.description.get("every_test"):
            rows = found
            break
        for name in list(found)[:number]:
            rows[f"{test}: {name}"] = found[name]
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
                scores=[
                    {k: v for k, v in row.items() if isinstance(v, float)}
                    for row in rows[name]
                ],
                note=describe_words(rows[name][0]),
            )
        )
    return examples


def describe_words(row: Mapping) -> str:
    """Tell what was said and heard, where words were recognized."""
    if "hypothesis" not in row:
        return ""
    return f"Said: {row['reference']}. Heard: {row['hypothesis']}."


def read_sound(path: Path) -> torch.Tensor:
    """Read a WAV file of one channel."""
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])


def render(text: str, run: RunFolder, **more: object) -> str:
    """Fill in a text of report.yaml."""
    filled = TEMPLATES.from_string(text).render(**run.values, **more)
    if "\n" in text.strip():
        return filled
    return " ".join(filled.split())


def make_release(run: RunFolder, summary: Mapping) -> Path:
    """Make the release folder of the selected checkpoint.

    Arguments
    ---------
    run : RunFolder
        With checkpoints in its folder `save`.
    summary : Mapping
        From `ScoreTable.summary`.

    Returns
    -------
    folder : Path
        For `python -m speechbrain_ext.hub`.
    """
    modules = released_modules(run.description, run.values)
    weights = read_checkpoint(run, modules)
    parameters = sum(
        value.numel() for part in weights.values() for value in part.values()
    )
    more = {
        "parameters": parameters,
        "trained_on": run.training_data(),
        "corpus": describe_corpus(run.values.get("prepare", {})),
        "stages": run.stages,
    }
    texts = {
        name: render(text, run, **more) if isinstance(text, str) else text
        for name, text in run.description["card"].items()
    }
    split = run.values.get("test_split") or "test"
    command = run.folder / COMMAND
    arguments = json.loads(command.read_text()) if command.is_file() else []
    card = Card(
        **texts,
        command=training_command(arguments or [HYPERPARAMS], root="."),
        metrics=[
            Metric(
                name=column_of(name).label,
                value=round(figures["mean"], 3),
                dataset=more["corpus"]["name"],
                unit=column_of(name).unit,
                split=split if isinstance(split, str) else ", ".join(split),
            )
            for name, figures in summary.items()
            if base_of(name) in run.description.get("card_metrics", COLUMNS)
            and base_of(name) in COLUMNS
            and math.isfinite(figures["mean"])
        ],
    )
    return build_release(
        run.folder / RELEASE,
        hyperparams=inference_text(
            run.folder / HYPERPARAMS, run.description, modules
        ),
        modules={
            name: SimpleNamespace(state_dict=lambda part=part: part)
            for name, part in weights.items()
        },
        card=card,
    )


def read_checkpoint(run: RunFolder, modules: Sequence[str]) -> dict:
    """Read the weights of the selected checkpoint, by module."""
    save = run.folder / "save"
    found = None
    if save.is_dir():
        found = Checkpointer(save).find_checkpoint(
            min_key=run.values["selection"]
        )
    if found is None:
        raise FileNotFoundError(f"{save} holds no checkpoint to release")
    return {name: read_weights(found.paramfiles[name]) for name in modules}


def base_of(name: str) -> str:
    """Give the name of a score without that of its test."""
    return name.partition(",")[0]


def describe_corpus(prepare: Mapping) -> dict:
    """Tell the name of a corpus, and the line that opens its module."""
    name = prepare.get("module", "").rpartition(".")[2]
    if not prepare.get("module", "").startswith("speechbrain_ext."):
        return {"name": name.removesuffix("_prepare"), "description": ""}
    module = importlib.import_module(prepare["module"])
    return {"name": name, "description": module.__doc__.splitlines()[0]}


def print_summary(run: RunFolder, summary: Mapping) -> None:
    """Print the headline figures beside the stored ones."""
    stored = run.reference
    headline = run.description["headline"]
    shown = sorted(
        (name for name in summary if base_of(name) in headline),
        key=lambda name: headline.index(base_of(name)),
    )
    width = max([28, *(len(column_of(name).label) + 1 for name in shown)])
    heads = ["this run", "stored", "difference"] if stored else ["this run"]
    print("\n" + " " * width + "".join(f"{head:>12s}" for head in heads))
    for name in shown:
        label, unit, _ = column_of(name)
        mean = summary[name]["mean"]
        line = f"{label:{width}s}{mean:9.2f} {unit:2s}"
        if stored:
            other = stored["metrics"].get(name, math.nan)
            line += f"{other:9.2f} {unit:2s}{mean - other:+9.2f} {unit:2s}"
        print(line)
    if stored and (other := unlike(run)):
        print(f"stored: of another configuration: {', '.join(other)} differ")
