"""Many runs of one recipe, trained and compared by one command."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

from speechbrain_ext.console import Parser, readable_errors
from speechbrain_ext.outputs import mark_folder
from speechbrain_ext.training.command_line import RUN_OPTIONS, split_options
from speechbrain_ext.training.configuration import load_hparams, read_keys
from speechbrain_ext.training.same_run import differences
from speechbrain_ext.training.stored_figures import (
    FIGURES,
    merge,
    read_figures,
)


class Comparison:
    """The arms of a recipe: what is trained, and the table of its figures.

    Every arm is an ordinary run of the recipe's train.py in a process of its
    own; a finished run is not repeated, an interrupted one goes on. A recipe
    derives from this class and says what its runs are. A run has

    - `corpus`, and `name`, its folder below the output folder;
    - `start`, the run whose model it goes on from, or None (others that must
      be finished before it are listed by `needed`);
    - `overrides()`, its options on the recipe's command line.

    Attributes
    ----------
    recipe : Path
        Folder of train.py.
    reference : Path
        Where figures are stored.
    table : module
        What the table is: `rows_of(plan, figures)`, `markdown(rows)` and
        `draw(rows, folder, prefix)`.
    corpora : sequence of str
        Those in the stored table.
    data_corpus : str
        The one of them that needs --data_folder.
    varied : sequence of str
        Keys of the configuration that the runs differ in.
    output : str
        Where runs are kept, unless told otherwise.
    """

    recipe: Path
    reference: Path
    table: ModuleType
    corpora: Sequence[str]
    data_corpus: str
    varied: Sequence[str]
    output: str

    def plan(self, corpora: Sequence[str]) -> list:
        """List all runs, the ones that carry the claim first."""
        raise NotImplementedError

    def hparams_file(self, run) -> str:
        """Name the hyperparameter file of a run."""
        raise NotImplementedError

    def configuration(self, hparams: Mapping) -> dict:
        """Collect what two runs must share for their figures to compare."""
        raise NotImplementedError

    def entry(self, content: Mapping) -> dict:
        """Choose what is kept of a run's metrics.json."""
        raise NotImplementedError

    def write_table(
        self, figures: Mapping, folder: str | Path, prefix: str = ""
    ) -> str:
        """Write results.md and its plots into a folder; return the table."""
        folder = Path(folder)
        rows = self.table.rows_of(self.plan(self.corpora), figures)
        text = self.table.markdown(rows)
        (folder / f"{prefix}results.md").write_text(text + "\n")
        self.table.draw(rows, folder, prefix)
        return text

    def needed(self, run) -> list:
        """List the runs that must be finished before a run begins."""
        return [run.start] if run.start else []

    def command_line(self, run, arguments, output_folder) -> list[str]:
        """Return the recipe's arguments: the YAML file and all options."""
        options = {**run.overrides(), "output_folder": output_folder}
        if run.corpus == self.data_corpus:
            options["data_folder"] = arguments.data_folder
            # prepared once, for all runs
            options["prepared_folder"] = (
                arguments.prepared_folder or Path(arguments.output) / "data"
            )
            for key in ("include", "test_split"):
                if getattr(arguments, key) is not None:
                    options[key] = getattr(arguments, key)
        if run.start is not None:
            options["start_from"] = Path(arguments.output) / run.start.name
        return [
            str(self.recipe / "hparams" / self.hparams_file(run)),
            *(f"--{key}={value}" for key, value in options.items()),
            *arguments.options,
        ]

    def read_options(self, run, arguments) -> dict:
        """Return the hyperparameters of a run."""
        folder = Path(arguments.output) / run.name
        # building the hyperparameters may write there
        mark_folder(folder, "train")
        hparams_file, options, mistakes = split_options(
            self.command_line(run, arguments, folder)
        )
        if mistakes:
            raise ValueError("\n".join(mistakes))
        overrides = {
            key: words[-1]
            for key, words in options.items()
            if key in read_keys(hparams_file) or key not in RUN_OPTIONS
        }
        return load_hparams(hparams_file, overrides)

    def is_finished(self, run, arguments) -> bool:
        """Tell whether a run's figures are there.

        Raises
        ------
        ValueError
            If they were made with other options.
        """
        file = Path(arguments.output) / run.name / FIGURES
        if not file.is_file():
            return False
        differs = differences(
            self.configuration(self.read_options(run, arguments)),
            json.loads(file.read_text())["info"]["configuration"],
        )
        if differs:
            raise ValueError(
                f"{file.parent} was made with another {', '.join(differs)}; "
                "take another --output, or delete it"
            )
        return True

    def execute(self, run, arguments) -> None:
        """Train one arm, in a process of its own."""
        folder = Path(arguments.output) / run.name
        mark_folder(folder, "train")
        command = [
            sys.executable,
            str(self.recipe / "train.py"),
            *self.command_line(run, arguments, folder),
            "--noprogressbar",
        ]
        threads = str(max(1, (os.cpu_count() or 1) // arguments.jobs))
        environment = dict(os.environ, OMP_NUM_THREADS=threads)
        search_path = [str(self.recipe.parents[2])]
        search_path += filter(None, [environment.get("PYTHONPATH")])
        environment["PYTHONPATH"] = os.pathsep.join(search_path)
        start = time.monotonic()
        print(f"start  {run.name}", flush=True)
        with open(folder / "output.txt", "w") as log:
            code = subprocess.run(
                command, env=environment, stdout=log, stderr=log
            ).returncode
        minutes = (time.monotonic() - start) / 60
        if code:
            raise RuntimeError(
                f"{run.name} failed after {minutes:.1f} min, see {log.name}"
            )
        print(f"done   {run.name} in {minutes:.1f} min", flush=True)

    def read_figures(self, runs: Sequence, output: str | Path) -> dict:
        """Read what finished runs left; see `read_figures`."""
        return read_figures(runs, output, entry=self.entry, varied=self.varied)

    @property
    def stored(self) -> Path:
        """The figures behind the README's table."""
        return self.reference / "arms_runs.json"

    def read_stored(self) -> dict:
        """Read the figures behind the README's table."""
        return (
            json.loads(self.stored.read_text()) if self.stored.is_file() else {}
        )

    def store(self, figures: Mapping) -> None:
        """Add figures to the stored ones and renew the README's table."""
        everything = merge(self.read_stored(), figures)
        self.reference.mkdir(exist_ok=True)
        self.stored.write_text(json.dumps(everything, indent=1) + "\n")
        self.write_table(everything, self.reference, "arms_")

    def choose_runs(self, parser, arguments) -> list:
        """List what is to be trained."""
        corpora = [
            corpus
            for corpus in self.corpora
            if corpus != self.data_corpus or arguments.data_folder
        ]
        runs = [r for r in self.plan(corpora) if arguments.only in r.name]
        if not runs:
            parser.error(
                f"--only={arguments.only}: no run has this in its name"
            )
        if arguments.missing:
            stored = self.read_stored()
            names = {name for part in stored.values() for name in part["runs"]}
            runs = [run for run in runs if run.name not in names]
        # what another run needs comes before it
        runs = [first for run in runs for first in self.needed(run)] + runs
        runs = list(dict.fromkeys(runs))
        return [run for run in runs if not self.is_finished(run, arguments)]

    def parse(
        self, parser: argparse.ArgumentParser, words: Sequence | None = None
    ) -> argparse.Namespace:
        """Read the command line; unknown options are the recipe's."""
        add = parser.add_argument
        add("--data_folder", help=f"needed for the runs {self.data_corpus}/...")
        add(
            "--prepared_folder",
            help="where they are prepared; by default OUTPUT/data",
        )
        add("--include", help="which of its paths are taken; for them only")
        add("--test_split", help="which of its splits tests; likewise")
        add("--output", default=self.output)
        add("--jobs", type=int, default=2, help="runs at a time")
        add("--only", default="", help="run only what has this in its name")
        add(
            "--missing",
            action="store_true",
            help="run only what the stored figures in reference/ lack",
        )
        add(
            "--table",
            action="store_true",
            help="only collect what is finished",
        )
        add(
            "--store",
            action="store_true",
            help="add the figures to those in reference/, which README shows",
        )
        arguments, arguments.options = parser.parse_known_args(words)
        return arguments

    def main(self, description: str) -> None:
        """Run what is not finished, then write and print the table.

        Arguments
        ---------
        description : str
            Of the command.
        """
        parser = Parser(description=description)
        arguments = self.parse(parser)
        with readable_errors():
            self._run(parser, arguments)

    def _run(self, parser, arguments) -> None:
        """Do what `main` is for."""
        if not arguments.table:
            mark_folder(arguments.output, "arms")
            runs = self.choose_runs(parser, arguments)
            # each corpus once, before runs that share it start together
            for run in {run.corpus: run for run in runs}.values():
                self.read_options(run, arguments)["prepare"]()
            with ThreadPoolExecutor(arguments.jobs) as pool:
                for later in (False, True):
                    chosen = [r for r in runs if bool(self.needed(r)) == later]
                    for _ in pool.map(
                        lambda run: self.execute(run, arguments), chosen
                    ):
                        pass
        figures = self.read_figures(self.plan(self.corpora), arguments.output)
        if not figures:
            parser.error(f"{arguments.output}: no finished run")
        table = self.write_table(figures, arguments.output)
        if arguments.store:
            self.store(figures)
        print(table)
