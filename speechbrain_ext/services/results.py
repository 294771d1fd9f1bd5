"""Figures and results page, of what a run left in its folder."""

import json
import math
import os
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import soundfile
import torch

from speechbrain_ext.evaluation.levels import match_mixture_level
from speechbrain_ext.evaluation.metrics import COLUMNS, column_of
from speechbrain_ext.evaluation.plots import training_curves
from speechbrain_ext.evaluation.report import Example, results_of, write_report
from speechbrain_ext.evaluation.scores import without_nan
from speechbrain_ext.files import replaced
from speechbrain_ext.hub import publish_command
from speechbrain_ext.services.described import find_function, inner_name
from speechbrain_ext.services.identity import differences
from speechbrain_ext.services.release import make_release
from speechbrain_ext.services.run_folder import (
    COMMAND,
    HISTORY,
    RunFolder,
    render,
)
from speechbrain_ext.services.stages import FOLDER

FIGURES = "metrics.json"


def make_results(folder: str | os.PathLike, command: str | None = None) -> None:
    """Write figures, results page and release of a run, and print them.

    Arguments
    ---------
    folder : str or PathLike
        The output folder. Nothing that its files say is built or run, but for
        what the hub's list of classes allows.
    command : str, optional
        What repeats the training, for the model card; by default what an
        earlier call was given.

    Raises
    ------
    FileNotFoundError
        If it is not the output folder of a run, or holds no checkpoint.
    """
    run = RunFolder(folder)
    if command is not None:
        with replaced(run.folder / COMMAND) as partial:
            partial.write_text(f"{command}\n", encoding="utf-8")
    summary = write_figures(run)
    write_page(run, summary)
    print_summary(run, summary)
    release = make_release(run)
    for name in run.description.get("releases", ()):
        make_release(run, folder=name, selection=name, test=name)
    print(f"Model, figures and page with players: {run.folder}/index.html")
    print(f"Model to publish: {release}, by the command")
    print(f"  {publish_command(run.folder)}")


def write_figures(run: RunFolder) -> dict:
    """Write metrics.json: figures of the tests, and what made them.

    Returns
    -------
    summary : dict
        What the page shows, the headline first.
    """
    summary = run.summary() | run.course()
    others = {}
    if not run.description.get("every_test"):
        others = {
            test: {
                column: figures["mean"]
                for column, figures in run.sum_up(test).items()
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
        "stages": run.stages,
        "other_tests": others,
        "each": run.each,
    }
    content = {
        "info": info,
        "rows": len(run.rows_of(run.tests[0])),
        "metrics": summary,
    }
    text = json.dumps(without_nan(content), indent=2, allow_nan=False)
    with replaced(run.folder / FIGURES) as partial:
        partial.write_text(
            f"{text}\n", encoding="utf-8", errors="surrogateescape"
        )
    first = [n for n in run.description["headline"] if n in summary]
    return {name: summary[name] for name in first} | summary


def store_figures(folder: str | os.PathLike, path: str | os.PathLike) -> None:
    """Keep the figures of a run for others to be compared with.

    Arguments
    ---------
    folder : str or PathLike
        The output folder of a finished run.
    path : str or PathLike
        JSON file to write; a recipe's reference/NAME.json is what runs of its
        hparams/NAME.yaml are compared with.
    """
    content = json.loads((Path(folder) / FIGURES).read_text())
    info = content["info"]
    stored = {key: info[key] for key in ("settings", "seed", "other_tests")}
    stored["metrics"] = {
        name: None if figures["mean"] is None else round(figures["mean"], 4)
        for name, figures in content["metrics"].items()
    }
    with replaced(path) as partial:
        partial.write_text(json.dumps(stored, indent=2) + "\n")


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
        draw = find_function(plot["draw"])
        for test in run.tests if plot.get("each_test") else [None]:
            path = run.folder / inner_name(plot["file"])
            caption = plot["caption"]
            arguments = []
            if test is not None:
                ending = re.sub(r"\W+", "_", test)
                path = path.with_stem(f"{path.stem}_{ending}")
                arguments, caption = [test], f"{test}: {caption}"
            if draw(path, run, *arguments) is not None:
                plots.append((path, caption))
    return plots


def find_examples(run: RunFolder) -> list[tuple[Path, str, list[dict]]]:
    """Find what may be listened to: folder, name and rows of each.

    Where no id.txt tells the test and the id of an example, they are the
    first ones of the main test.
    """
    rows = {}
    for row in run.results:
        rows.setdefault((row.get("test", ""), row["id"]), []).append(row)
    first = list(rows)
    found = []
    for number, folder in enumerate(
        sorted((run.folder / "examples").glob("[0-9]*"))
    ):
        told = folder / "id.txt"
        if told.is_file():
            test, _, name = told.read_text("utf-8").partition("\n")
        elif number < len(first):
            test, name = first[number]
        else:
            continue
        shown = run.description.get("every_test")
        title = f"{test}: {name}" if shown else name
        found.append((folder, title, rows.get((test, name), [])))
    return found


def read_examples(run: RunFolder) -> list[Example]:
    """Read the test mixtures that the run kept for listening."""
    examples, shown = [], run.description.get("scores")
    level = run.description.get("constants", {}).get("match_level", True)
    for folder, name, rows in find_examples(run):
        mixture = read_sound(folder / "mixture.wav")
        estimates, references = (
            [read_sound(path) for path in sorted(folder.glob(f"{kind}_*.wav"))]
            for kind in ("estimate", "reference")
        )
        estimates = torch.stack(estimates)
        if level:
            estimates = match_mixture_level(
                estimates=estimates, mixture=mixture
            )
        found = rows[: len(estimates)]
        scores = [
            {
                key: value
                for key, value in row.items()
                if isinstance(value, float) and (not shown or key in shown)
            }
            for row in found
        ]
        if run.description.get("example") and not references:
            scores = []
        more = [{}] * (len(estimates) - len(scores)) if scores else []
        examples.append(
            Example(
                name=name,
                mixture=mixture,
                estimates=estimates,
                references=torch.stack(references) if references else None,
                sample_rate=run.values["sample_rate"],
                scores=scores + more,
                note=describe_example(run, found),
            )
        )
    return examples


def describe_example(run: RunFolder, rows: Sequence[Mapping]) -> str:
    """Tell what was said and heard, or what report.yaml says of examples."""
    if rows and "hypothesis" in rows[0]:
        row = rows[0]
        return f"Said: {row['reference']}. Heard: {row['hypothesis']}."
    return render(run.description.get("example", ""), run)


def read_sound(path: Path) -> torch.Tensor:
    """Read a WAV file of one channel."""
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])


def print_summary(run: RunFolder, summary: Mapping) -> None:
    """Print the headline figures beside the stored ones."""
    stored = run.reference
    headline = run.description["headline"]
    base = {name: name.partition(",")[0] for name in summary}
    shown = sorted(
        (name for name in summary if base[name] in headline),
        key=lambda name: headline.index(base[name]),
    )
    width = max([28, *(len(column_of(name).label) + 1 for name in shown)])
    heads = ["this run", "stored", "difference"] if stored else ["this run"]
    print("\n" + " " * width + "".join(f"{head:>12s}" for head in heads))
    for name in shown:
        label, unit, _ = column_of(name)
        mean = summary[name]["mean"]
        line = f"{label:{width}s}{mean:9.2f} {unit:2s}"
        if stored:
            other = stored["metrics"].get(name)
            other = math.nan if other is None else other
            line += f"{other:9.2f} {unit:2s}{mean - other:+9.2f} {unit:2s}"
        print(line)
    for name, groups in run.each.items():
        for group, values in groups.items():
            label = COLUMNS.get(name, (name,))[0]
            average = statistics.fmean(values)
            print(f"{label}, {group}: {average:.2f} over {len(values)} tests")
    if stored and (other := unlike(run)):
        print(f"stored: of another configuration: {', '.join(other)} differ")
