"""What a run left in its output folder, read back."""

import csv
import functools
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from ruamel.yaml import YAML

from speechbrain_ext.dataio.recordings import read_recordings
from speechbrain_ext.evaluation.scores import ScoreTable
from speechbrain_ext.services.identity import (
    RUN,
    read_plain,
    test_settings,
)
from speechbrain_ext.services.stages import FINISHED, FOLDER

EXPRESSIONS = jinja2.Environment(undefined=jinja2.StrictUndefined)
HYPERPARAMS = "hyperparams.yaml"
DESCRIPTION = "report.yaml"
RESULTS = "test_results.csv"
HISTORY = "history.csv"
REFERENCE = "reference.json"
# columns of the test results that are no scores
NAMES = ("id", "source", "test", "reference", "hypothesis")


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

    def table(self, test: str | None = None) -> ScoreTable:
        """Collect the scores of one test, by default of the main one."""
        test = self.tests[0] if test is None else test
        table = ScoreTable()
        for row in self.results:
            if row.get("test", "") == test:
                scores = {k: v for k, v in row.items() if k not in NAMES}
                source = row.get("source", 0)
                table.add(utterance=row["id"], source=source, **scores)
        return table

    def summary(self) -> dict:
        """Sum up the scores of the main test, or of every one by its name.

        Returns
        -------
        summary : dict of dict
            See `ScoreTable.summary`. Where the description says `every_test`,
            the name of the test follows that of the score: "wer, 5 dB".
        """
        if not self.description.get("every_test"):
            return self._summary(self.tests[:1])
        groups = {name: [name] for name in self.tests}
        for name, rule in self.description.get("groups", {}).items():
            among = EXPRESSIONS.compile_expression(rule)
            groups[name] = [test for test in self.tests if among(test=test)]
        return {
            f"{score}, {name}": figures
            for name, tests in groups.items()
            for score, figures in self._summary(tests).items()
        }

    def _summary(self, tests: Sequence[str]) -> dict:
        """Sum up the scores of some tests, and ratios of their sums."""
        table = ScoreTable()
        for test in tests:
            for row in self.table(test).rows:
                row = {**row, "utterance": f"{test} {row['utterance']}"}
                table.add(**row)
        summary = table.summary()
        for name, (above, below) in self.description.get("ratios", {}).items():
            percent = 100 * sum(table.values(above)) / sum(table.values(below))
            figures = {**summary.pop(above), "mean": percent}
            summary[name] = {**figures, "std": math.nan}
            del summary[below]
        return summary

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
            "recordings", "speakers", "hours" of speech; "noises", and
            "licenses", of all.
        """
        rows = {}
        for kind, key in (("speech", "train_data"), ("noise", "train_noise")):
            path, split = self.values.get(key), self.values.get("train_split")
            splits = split if isinstance(split, list) else [split]
            root = self.values.get("data_folder")
            if kind == "noise":
                root = self.values.get("noise_folder") or root
            if path is not None and Path(path).is_file():
                rows[kind] = [
                    row
                    for row in read_recordings(path, root=root)
                    if row.kind in ("", kind)
                    and (split is None or row.split in ("", *splits))
                ]
        speech, noise = rows.get("speech", []), rows.get("noise", [])
        return {
            "recordings": len(speech),
            "speakers": len({row.speaker for row in speech}),
            "hours": sum(row.seconds for row in speech) / 3600,
            "noises": len(noise),
            "licenses": sorted(
                {row.licence or "not stated" for row in (*speech, *noise)}
            ),
        }


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
