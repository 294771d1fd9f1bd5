"""Ablations as data: many runs of one recipe, trained and put into a table.

A recipe's ablation.yaml says what its runs differ in. Every run is an
ordinary run of the recipe, in a process of its own; a finished one is not
repeated, an interrupted one resumes. Its texts are Jinja2 templates over the
factors of a run, such as its seed.
"""

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev

from ruamel.yaml import YAML

from speechbrain_ext.files import replaced
from speechbrain_ext.outputs import mark_folder
from speechbrain_ext.services.ablation_table import (
    STORED,
    cells,
    merge,
    sort_key,
    without,
    without_data,
)
from speechbrain_ext.services.command_line import split_options
from speechbrain_ext.services.described import TEMPLATES, find_function
from speechbrain_ext.services.identity import RUN, differences, read_plain
from speechbrain_ext.services.launcher import (
    check_recipe,
    identity_of,
    prepare_data,
)
from speechbrain_ext.services.results import FIGURES

TABLE = "ablation_results.md"


class Run:
    """One run of an ablation.

    Arguments
    ---------
    ablation : Ablation
        What it is a part of.
    factors : Mapping
        Factor to value, such as {"arm": "C", "seed": 1}.
    """

    def __init__(self, ablation: "Ablation", factors: Mapping) -> None:
        self.ablation = ablation
        self.factors = factors
        self.name = self.fill(ablation.plan["name"])
        self.hparams_file = ablation.folder / self.fill(ablation.plan["file"])

    def fill(self, text: object) -> str:
        """Fill in a template."""
        return TEMPLATES.from_string(str(text)).render(**self.factors)

    @property
    def corpus(self) -> str:
        """The group of runs whose settings are the same but for the factors."""
        return str(self.factors.get("corpus", ""))

    @property
    def needed(self) -> list[tuple[str, "Run"]]:
        """Options that are folders of other runs, and these runs."""
        found = []
        for need in self.ablation.plan.get("needs", ()):
            when = TEMPLATES.compile_expression(need["when"])
            if when(**self.factors):
                other = Run(self.ablation, self.factors | need["run"])
                found.append((need["option"], other))
        return found

    @functools.cached_property
    def options(self) -> dict[str, str]:
        """Options of the recipe's command line, but for folders."""
        chosen = {}
        for factor, values in self.ablation.plan.get("variants", {}).items():
            chosen |= values[self.factors[factor]].get("options", {})
        chosen |= self.ablation.plan.get("options", {})
        filled = {key: self.fill(value) for key, value in chosen.items()}
        return {key: value for key, value in filled.items() if value}


class Ablation:
    """The runs of an ablation.yaml, and the table of their figures.

    Arguments
    ---------
    path : str or PathLike
        The ablation.yaml, beside the recipe's train.py.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If a key is missing.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        path = Path(path)
        self.folder = path.resolve().parent
        self.reference = self.folder / "reference"
        text = path.read_text(encoding="utf-8")
        self.plan = YAML(typ="safe", pure=True).load(text)
        for key in ("output", "name", "file", "runs", "group", "metrics"):
            if key not in self.plan:
                raise ValueError(f"{path}: the key {key} is missing")
        entries = self.plan["runs"]
        names = dict.fromkeys(name for entry in entries for name in entry)
        self.runs = []
        for entry in entries:
            lists = [
                entry[name] if isinstance(entry[name], list) else [entry[name]]
                for name in entry
            ]
            for values in itertools.product(*lists):
                factors = dict.fromkeys(names)
                factors |= dict(zip(entry, values, strict=True))
                self.runs.append(Run(self, factors))

    def choose(self, arguments: argparse.Namespace) -> list[Run]:
        """List what is to be trained, what others need first."""
        data = self.plan.get("data", ())
        runs = [
            run
            for run in self.runs
            if arguments.only in run.name
            and (arguments.data_folder or run.corpus not in data)
        ]
        if not runs:
            raise ValueError(
                f"--only={arguments.only}: no run has this in its name, or "
                "all that have need --data_folder"
            )
        if arguments.missing:
            known = self.read_stored()
            names = {name for part in known.values() for name in part["runs"]}
            runs = [run for run in runs if run.name not in names]
        found = {}
        for run in runs:
            for needed in [*(other for _, other in run.needed), run]:
                found.setdefault(needed.name, needed)
        return [
            run
            for run in found.values()
            if not self.is_finished(run, arguments)
        ]

    def words(self, run: Run, arguments: argparse.Namespace) -> list[str]:
        """Give the options of a run's command line."""
        output = Path(arguments.output)
        options = {**run.options, "output_folder": output / run.name}
        if run.corpus in self.plan.get("data", ()):
            options["data_folder"] = arguments.data_folder
            # prepared once, for all runs
            options["prepared_folder"] = output / "data"
        for option, other in run.needed:
            options[option] = output / other.name
        words = [f"--{key}={value}" for key, value in options.items()]
        return [*words, *self.shared_words(run, arguments.options)]

    def shared_words(self, run: Run, words: Sequence[str]) -> list[str]:
        """Leave out options that only the files of other runs have."""
        _, given, mistakes = split_options([str(run.hparams_file), *words])
        if mistakes:
            # the check of the first run tells them
            return list(words)
        own = read_keys(run.hparams_file)
        files = {other.hparams_file for other in self.runs}
        strange = set().union(*map(read_keys, files)) - own
        words = []
        for key, values in given.items():
            if key not in strange:
                words += [f"--{key}", *values]
        return words

    def is_finished(self, run: Run, arguments: argparse.Namespace) -> bool:
        """Tell whether a run's figures are there.

        Raises
        ------
        ValueError
            If they were made with other settings.
        """
        folder = Path(arguments.output) / run.name
        if not (folder / FIGURES).is_file():
            return False
        found = json.loads((folder / RUN).read_text(encoding="utf-8"))
        differs = differences(
            without_data(self.identify(run, arguments)), without_data(found)
        )
        if differs:
            raise ValueError(
                f"{folder} was made with another {', '.join(differs)}; take "
                "another --output, or delete it"
            )
        return True

    def identify(self, run: Run, arguments: argparse.Namespace) -> dict:
        """Collect the settings that identify a run before it is started."""
        words = self.words(run, arguments)
        command, declared = check_recipe(run.hparams_file, words)
        return identity_of(command, declared)

    def execute(self, run: Run, arguments: argparse.Namespace) -> None:
        """Train one run, in a process of its own."""
        folder = Path(arguments.output) / run.name
        mark_folder(folder, "train")
        command = [
            *(sys.executable, "-m", "speechbrain_ext.services.launcher"),
            str(run.hparams_file),
            *self.words(run, arguments),
            "--noprogressbar",
        ]
        threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
        places = [str(Path(__file__).resolve().parents[2])]
        places += filter(None, [os.environ.get("PYTHONPATH")])
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": os.pathsep.join(places),
        }
        begin = time.monotonic()
        print(f"start  {run.name}", flush=True)
        with open(folder / "output.txt", "w") as log:
            code = subprocess.run(
                command, env=environment, stdout=log, stderr=log
            ).returncode
        minutes = (time.monotonic() - begin) / 60
        if code:
            raise RuntimeError(
                f"{run.name} failed after {minutes:.1f} min, see {log.name}"
            )
        print(f"done   {run.name} in {minutes:.1f} min", flush=True)

    def read_figures(self, output: str | os.PathLike) -> dict:
        """Read what finished runs left.

        Returns
        -------
        figures : dict
            Corpus to "settings", what its runs share, and "runs": name to
            means by metric.
        """
        figures = {}
        for run in self.runs:
            folder = Path(output) / run.name
            if not (folder / FIGURES).is_file():
                continue
            content = json.loads((folder / FIGURES).read_text())
            means = {
                name: round(content["metrics"][name]["mean"], 4)
                for name in self.plan["metrics"]
                if content["metrics"].get(name, {}).get("mean") is not None
            }
            for name, place in self.plan.get("details", {}).items():
                means[name] = find_function(place)(folder)
            found = {
                "settings": self.shared(content["info"]["settings"]),
                "runs": {run.name: means},
            }
            figures = merge(figures, {run.corpus: found})
        return figures

    def shared(self, settings: Mapping) -> dict:
        """Leave the settings that all runs of a corpus share."""
        varied = {"seed", *self.plan.get("options", {})}
        # names of arguments whose values are those of varied options
        varied |= set(self.plan.get("varied", ()))
        varied |= {need["option"] for need in self.plan.get("needs", ())}
        for values in self.plan.get("variants", {}).values():
            for variant in values.values():
                varied |= variant.get("options", {}).keys()
        return without(without_data(settings), varied)

    def read_stored(self) -> dict:
        """Read the figures behind the README's table."""
        path = self.reference / STORED
        return json.loads(path.read_text()) if path.is_file() else {}

    def store(self, figures: Mapping) -> None:
        """Add figures to the stored ones, and renew the README's table."""
        everything = merge(self.read_stored(), figures)
        self.reference.mkdir(exist_ok=True)
        with replaced(self.reference / STORED) as partial:
            partial.write_text(json.dumps(everything, indent=1) + "\n")
        self.write_table(everything, self.reference)

    def rows(self, figures: Mapping) -> list[dict]:
        """Average over all factors but those of `group`.

        Returns
        -------
        rows : list of dict
            Sorted: "factors" of the group, "labels" of variants, "values"
            (metrics of each run), "mean" and "std" by metric.
        """
        groups = {}
        for run in self.runs:
            means = figures.get(run.corpus, {"runs": {}})["runs"].get(run.name)
            if means is not None:
                key = tuple(run.factors[name] for name in self.plan["group"])
                # a run may stand in the plan more than once
                groups.setdefault(key, {})[run.name] = means
        rows = []
        for key, found in sorted(groups.items(), key=self.order):
            values = list(found.values())
            columns = {
                name: [value[name] for value in values]
                for name in self.plan["metrics"]
                if all(value.get(name) is not None for value in values)
            }
            factors = dict(zip(self.plan["group"], key, strict=True))
            rows.append(
                {
                    "factors": factors,
                    "labels": {
                        name: choices[factors[name]].get("label", "")
                        for name, choices in self.plan.get(
                            "variants", {}
                        ).items()
                        if name in factors
                    },
                    "values": values,
                    "mean": {n: mean(c) for n, c in columns.items()},
                    "std": {n: stdev(c) for n, c in columns.items() if c[1:]},
                }
            )
        return rows

    def order(self, group: tuple[tuple, dict]) -> list[tuple]:
        """Give the place of a row: variants stand as in the file."""
        variants = self.plan.get("variants", {})
        return [
            sort_key(
                list(variants[name]).index(value) if name in variants else value
            )
            for name, value in zip(self.plan["group"], group[0], strict=True)
        ]

    def write_table(self, figures: Mapping, folder: str | os.PathLike) -> str:
        """Write the tables and plots into a folder; return the tables."""
        rows, tables = self.rows(figures), self.plan["table"]
        texts = [
            "\n".join(
                [
                    f"| {' | '.join(table)} |",
                    "|" + "---|" * len(table),
                    *(f"| {' | '.join(cells(row, table))} |" for row in rows),
                ]
            )
            for table in (tables if isinstance(tables, list) else [tables])
        ]
        for place in self.plan.get("plots", ()):
            # some of them have a table of their own to add
            texts += filter(None, [find_function(place)(Path(folder), rows)])
        text = "\n\n".join(texts)
        (Path(folder) / TABLE).write_text(text + "\n", encoding="utf-8")
        return text


@functools.cache
def read_keys(hparams_file: Path) -> frozenset[str]:
    """Read the keys of a hyperparameter file."""
    return frozenset(read_plain(hparams_file.read_text(encoding="utf-8")))


def run(arguments: argparse.Namespace) -> None:
    """Run what is not finished, then write and print the table."""
    ablation = Ablation(arguments.file)
    arguments.output = arguments.output or ablation.plan["output"]
    if not arguments.table:
        train(ablation, arguments)
    figures = ablation.read_figures(arguments.output)
    if not figures:
        raise ValueError(f"{arguments.output}: no run is finished there")
    table = ablation.write_table(figures, arguments.output)
    if arguments.store:
        ablation.store(figures)
    print(table)


def train(ablation: Ablation, arguments: argparse.Namespace) -> None:
    """Train what is not finished: first what other runs need."""
    mark_folder(arguments.output, "ablation")
    runs = ablation.choose(arguments)
    # each corpus once, before runs that share it start together; the first
    # run of it needs no other, which would not be there yet
    for run in {run.corpus: run for run in reversed(runs)}.values():
        words = ablation.words(run, arguments)
        prepare_data(check_recipe(run.hparams_file, words)[0].checked.text)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for later in (False, True):
            chosen = [run for run in runs if bool(run.needed) == later]
            for _ in pool.map(
                lambda run: ablation.execute(run, arguments), chosen
            ):
                pass
