"""What a run left in its output folder, read back."""

import csv
import functools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from speechbrain_ext.dataio.recordings import Recording, read_recordings
from speechbrain_ext.evaluation.scores import ScoreTable
from speechbrain_ext.services.described import TEMPLATES, find_function
from speechbrain_ext.services.identity import (
    RUN,
    read_plain,
    test_settings,
)
from speechbrain_ext.services.stages import FINISHED, FOLDER

HYPERPARAMS = "hyperparams.yaml"
DESCRIPTION = "report.yaml"
RESULTS = "test_results.csv"
HISTORY = "history.csv"
REFERENCE = "reference.json"
COMMAND = "command.txt"
# what a run started from, in its folder: each model by its digest, and in it
# a file that says what it was called
START, ORIGIN = "start", "origin.json"
# columns of the test results that are no scores
NAMES = ("id", "source", "test", "separator", "reference", "hypothesis")


class RunFolder:
    """The settings, the course and the test results of a run.

    Arguments
    ---------
    folder : str or PathLike
        The output folder. Nothing that its files say is built or run.

    Attributes
    ----------
    values : dict
        Of hyperparams.yaml: plain values; what is built is a mapping of
        "class" and its arguments.
    description : dict
        Of report.yaml: what the recipe tells about its results.

    Raises
    ------
    FileNotFoundError
        If it is not the output folder of a run.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        for name in (HYPERPARAMS, DESCRIPTION):
            if not (self.folder / name).is_file():
                raise FileNotFoundError(
                    f"{self.folder} holds no {name}; give the output folder "
                    "of a run that `python train.py` started"
                )
        self.text = (self.folder / HYPERPARAMS).read_text(encoding="utf-8")
        self.values = plain_values(self.text)
        text = (self.folder / DESCRIPTION).read_text(encoding="utf-8")
        self.description = YAML(typ="safe", pure=True).load(text)

    @functools.cached_property
    def identity(self) -> dict:
        """The settings that identify the run."""
        return json.loads((self.folder / RUN).read_text(encoding="utf-8"))

    @property
    def command(self) -> str:
        """The command that repeats the training, for others to read."""
        path = self.folder / COMMAND
        if not path.is_file():
            return "python train.py hyperparams.yaml"
        return path.read_text(encoding="utf-8").strip()

    @property
    def settings(self) -> dict:
        """The settings that figures must share to be compared."""
        return self.identity | test_settings(self.text)

    @functools.cached_property
    def results(self) -> list[dict]:
        """Rows of the test results, scores as numbers.

        Scores that a row does not have are left out.
        """
        return [
            {
                name: cell if name in NAMES else float(cell)
                for name, cell in row.items()
                if cell or name in NAMES
            }
            for row in read_rows(self.folder / RESULTS)
        ]

    @functools.cached_property
    def history(self) -> list[dict]:
        """Rows of the course of the training, as texts."""
        return read_rows(self.folder / HISTORY)

    @property
    def tests(self) -> list[str]:
        """Names of the tests, in their order; the first is the main one."""
        return list(dict.fromkeys(row.get("test", "") for row in self.results))

    def rows_of(self, test: str) -> list[dict]:
        """Rows of the results of one test."""
        return [row for row in self.results if row.get("test", "") == test]

    def table(self, *tests: str) -> ScoreTable:
        """Collect the scores of some tests, by default of the main one."""
        table = ScoreTable()
        for test in tests or self.tests[:1]:
            for row in self.rows_of(test):
                scores = {k: v for k, v in row.items() if k not in NAMES}
                name = f"{test} {row['id']}" if tests[1:] else row["id"]
                source = row.get("source", 0)
                table.add(utterance=name, source=source, **scores)
        return table

    def summary(self) -> dict[str, dict]:
        """Sum up the scores of the main test, or of every one by its name.

        Returns
        -------
        summary : dict of dict
            See `ScoreTable.summary`. Where the description says `every_test`,
            the name of the test follows that of the score: "wer, 5 dB".
        """
        if not self.description.get("every_test"):
            return self.sum_up(*self.tests[:1])
        groups = {name: [name] for name in self.tests}
        for name, rule in self.description.get("groups", {}).items():
            among = TEMPLATES.compile_expression(rule)
            groups[name] = [test for test in self.tests if among(test=test)]
        return {
            f"{score}, {name}": figures
            for name, tests in groups.items()
            for score, figures in self.sum_up(*tests).items()
        }

    def sum_up(self, *tests: str) -> dict[str, dict]:
        """Sum up some tests together.

        The function that the description names as `summary` may do it; else
        they are means, and `ratios` of sums, in percent.
        """
        place = self.description.get("summary")
        if place is not None:
            rows = [row for test in tests for row in self.rows_of(test)]
            return find_function(place)(rows, self.values)
        table = self.table(*tests)
        summary = table.summary()
        for name, (above, below) in self.description.get("ratios", {}).items():
            percent = 100 * sum(table.values(above)) / sum(table.values(below))
            figures = {**summary.pop(above), "mean": percent}
            summary[name] = {**figures, "std": math.nan}
            del summary[below]
        return summary

    def course(self) -> dict[str, dict]:
        """Sum up the columns of the training that report.yaml asks for."""
        table = ScoreTable()
        for number, row in enumerate(self.history):
            if row["stage"] == "train":
                scores = {
                    name: row[name]
                    for name in self.description.get("course", ())
                    if row.get(name)
                }
                table.add(utterance=str(number), source=0, **scores)
        return table.summary()

    @property
    def each(self) -> dict[str, dict[str, list[float]]]:
        """Scores of every row of the main test, in the order of their ids.

        Of the columns that report.yaml lists under `each`: by what stands
        before the first slash of an id, such as the speaker.
        """
        found = {}
        rows = self.rows_of(self.tests[0]) if self.tests else []
        for name in self.description.get("each", ()):
            groups = found.setdefault(name, {})
            for row in sorted(rows, key=lambda row: row["id"]):
                group = row["id"].partition("/")[0]
                groups.setdefault(group, []).append(round(row[name], 3))
        return found

    @functools.cached_property
    def stages(self) -> dict[str, dict]:
        """What is known of each finished stage, by its name."""
        paths = {
            name: self.folder / FOLDER / name / FINISHED
            for name in self.description.get("stages", ())
        }
        return {
            name: json.loads(path.read_text(encoding="utf-8"))
            for name, path in paths.items()
            if path.is_file()
        }

    @property
    def start(self) -> Path | None:
        """The folder that keeps the separator that it started from."""
        name = Path(str(self.values.get("start_from"))).name
        folder = self.folder / START / name
        return folder if (folder / ORIGIN).is_file() else None

    @functools.cached_property
    def started_from(self) -> dict | None:
        """What that separator is called, and its license."""
        if self.start is None:
            return None
        return json.loads((self.start / ORIGIN).read_text(encoding="utf-8"))

    @functools.cached_property
    def reference(self) -> dict | None:
        """The stored figures that this run is compared with, if any."""
        path = self.folder / REFERENCE
        return json.loads(path.read_text()) if path.is_file() else None

    def training_data(self) -> dict:
        """Sum up what was trained on, from the prepared tables.

        Returns
        -------
        data : dict
            "recordings", "speakers", "hours" and "sources" of speech;
            "noises" and "noise_sources"; "licenses", of both; "kinds", all
            there are, to "recordings", "hours" and "licenses".
        """
        rows, kinds = {"speech": [], "noise": []}, {}
        for kind, table, split, root in self._training_tables():
            splits = split if isinstance(split, list) else [split]
            every = [
                row
                for row in read_recordings(table, root=root)
                if split is None or row.split in ("", *splits)
            ]
            # a user's noisy recordings are mixtures
            fitting = [row for row in every if row.kind in ("", kind)]
            rows[kind] += fitting or (every if kind == "speech" else [])
            for row in every:
                kinds.setdefault(row.kind, {})[row.id] = row
        speech, noise = rows["speech"], rows["noise"]
        return {
            "recordings": len(speech),
            "speakers": len({row.speaker for row in speech}),
            "hours": sum(row.seconds for row in speech) / 3600,
            "sources": sorted({row.source for row in speech if row.source}),
            "noises": len(noise),
            "noise_sources": sorted(
                {row.source for row in noise if row.source}
            ),
            "licenses": licenses_of((*speech, *noise)),
            "kinds": {
                kind: {
                    "recordings": len(found),
                    "hours": sum(r.seconds for r in found.values()) / 3600,
                    "licenses": licenses_of(found.values()),
                }
                for kind, found in sorted(kinds.items())
            },
        }

    def _training_tables(self) -> Iterator[tuple]:
        """Yield kind, table, split and root of the tables that are there."""
        values = self.values
        split = values.get("train_split")
        sources = {
            "speech": (values.get("train_data"), split),
            "noise": (
                values.get("train_noise") or values.get("train_data"),
                values.get("train_noise_split", split),
            ),
        }
        for kind, told in self.description.get("trained_on", {}).items():
            sources[kind] = [
                TEMPLATES.from_string(text).render(**values) or None
                for text in told
            ]
        root = values.get("data_root") or values.get("data_folder")
        noise_root = values.get("noise_folder") or root
        for kind, (tables, splits) in sources.items():
            place = noise_root if kind == "noise" else root
            splits, places = by_corpus(splits), by_corpus(place)
            for corpus, table in by_corpus(tables).items():
                if Path(table).is_file():
                    yield kind, table, splits.get(corpus), places.get(corpus)


def render(text: str, run: RunFolder, **more: object) -> str:
    """Fill in a text of report.yaml."""
    known = {**run.values, "started_from": run.started_from, **more}
    filled = TEMPLATES.from_string(text).render(known)
    if "\n" in text.strip():
        return filled
    return " ".join(filled.split())


def licenses_of(rows: Iterable[Recording]) -> list[str]:
    """List the licenses of recordings, each once."""
    return sorted({row.license or "not stated" for row in rows})


def by_corpus(value: object) -> Mapping:
    """Give what an option says of each corpus; of a single one at ""."""
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {"": value}


def read_rows(path: Path) -> list[dict]:
    """Read a CSV file; no rows if it is not there."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def plain_values(text: str) -> dict:
    r"""Read a hyperparameter file without building what it names.

    Arguments
    ---------
    text : str
        Its references are resolved.

    Returns
    -------
    values : dict
        Plain values; what would be built is a mapping of "class" and its
        keyword arguments.

    Example
    -------
    >>> plain_values("net: !new:torch.nn.Linear\n    in_features: 2\n")
    {'net': {'class': 'Linear', 'module': 'torch.nn', 'in_features': 2}}
    """
    return {key: _described(value) for key, value in read_plain(text).items()}


def _described(value: object) -> object:
    if isinstance(value, list):
        return [_described(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    tags = [key for key in value if key.startswith("!")]
    if not tags:
        return {key: _described(item) for key, item in value.items()}
    inner = value[tags[0]]
    place, _, name = tags[0].partition(":")[2].rpartition(".")
    found = {"class": name, "module": place} if place else {"class": name}
    if isinstance(inner, Mapping):
        found |= {key: _described(item) for key, item in inner.items()}
    return found
