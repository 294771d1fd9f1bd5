"""What a run left in its output folder, read back."""

import csv
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML

from speechbrain_ext.dataio.recordings import read_recordings
from speechbrain_ext.evaluation.scores import ScoreTable
from speechbrain_ext.services.identity import RUN, read_plain

HYPERPARAMS = "hyperparams.yaml"
DESCRIPTION = "report.yaml"
RESULTS = "test_results.csv"
HISTORY = "history.csv"
# columns of the test results that are no scores
NAMES = ("id", "source", "test")


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

    @functools.cached_property
    def results(self) -> list[dict]:
        """Rows of the test results; scores are numbers, or left out."""
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

    def course(self) -> dict:
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

    @functools.cached_property
    def reference(self) -> dict | None:
        """The stored figures that this run is compared with, if any."""
        path = self.values.get("reference")
        if path is None or self.values.get("store_reference"):
            return None
        path = Path(path)
        return json.loads(path.read_text()) if path.is_file() else None

    def training_data(self) -> dict:
        """Sum up what was trained on, from the prepared tables.

        Returns
        -------
        data : dict
            "recordings", "speakers", "hours" of speech; "noises", and
            "licenses", of both; "kinds", all there are, to "recordings",
            "hours" and "licenses".
        """
        rows, kinds = {}, {}
        for kind, key in (("speech", "train_data"), ("noise", "train_noise")):
            path, split = self.values.get(key), self.values.get("train_split")
            if path is not None and Path(path).is_file():
                every = read_recordings(
                    path, root=self.values.get("data_folder")
                )
                split_rows = [row for row in every if row.split in ("", split)]
                rows[kind] = [
                    row for row in split_rows if row.kind in ("", kind)
                ]
                for row in split_rows:
                    kinds.setdefault(row.kind, {})[row.id] = row
        speech, noise = rows.get("speech", []), rows.get("noise", [])
        return {
            "recordings": len(speech),
            "speakers": len({row.speaker for row in speech}),
            "hours": sum(row.seconds for row in speech) / 3600,
            "noises": len(noise),
            "licenses": sorted(
                {row.licence or "not stated" for row in (*speech, *noise)}
            ),
            "kinds": {
                kind: {
                    "recordings": len(found),
                    "hours": sum(r.seconds for r in found.values()) / 3600,
                    "licenses": sorted(
                        {r.licence or "not stated" for r in found.values()}
                    ),
                }
                for kind, found in sorted(kinds.items())
            },
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
