"""The course of a training run, kept so that an interruption loses nothing."""

import csv
import json
import math
import os
from pathlib import Path

from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.train_logger import TensorboardLogger


@register_checkpoint_hooks
class History:
    """Averages of named values, a row every few steps, written as CSV.

    Each stage has averages of its own, of what this process observed. Add it
    to the Checkpointer's recoverables: on resuming, the rows of steps that
    were lost with the interruption are dropped. (What the loggers wrote of
    these steps stays in their own files, twice.)

    Arguments
    ---------
    path : str or Path
        The CSV file; its folder must exist when the first row is written.
    loggers : sequence of TrainLogger
        SpeechBrain's, such as `FileTrainLogger`: they get every row, too.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> history = History(folder / "history.csv")
    >>> for step in range(4):
    ...     history.add("train", loss=float(step))
    >>> history.write(step=4, stage="train")
    {'step': 4, 'stage': 'train', 'loss': 1.5}
    """

    def __init__(self, path, loggers=()):
        self.path = Path(path)
        self.loggers = list(loggers)
        self.rows = []
        self._sums = {}

    def add(self, stage, **values):
        """Take one observation of each value into the running averages.

        Arguments
        ---------
        stage : str
            "train" or "valid": of the row that they go into.
        **values : float
            What was observed. In training, what is not finite is left out:
            its step is skipped (see `SkipNonFinite`), and one bad batch must
            not hide the others of a row.
        """
        sums = self._sums.setdefault(stage, {})
        for name, value in values.items():
            total, count = sums.get(name, (0.0, 0))
            value = float(value)
            if stage != "train" or math.isfinite(value):
                total, count = total + value, count + 1
            sums[name] = (total, count)

    def write(self, *, step, stage, **latest):
        """End a row: averages since the stage's last one, into the CSV.

        Of several processes the main one writes.

        Arguments
        ---------
        step : int
            Optimizer step.
        stage : str
            "train" or "valid".
        **latest : float
            Values that are written as they are, not averaged.

        Returns
        -------
        row : dict
        """
        row = {"step": step, "stage": stage}
        sums = self._sums.pop(stage, {})
        for name, (total, count) in sums.items():
            row[name] = total / count if count else math.nan
        row.update(latest)
        self.rows.append(row)
        if if_main_process():
            self._write_rows()
        values = {k: v for k, v in row.items() if k not in ("step", "stage")}
        # all processes: SpeechBrain's loggers meet inside
        for logger in self.loggers:
            if isinstance(logger, TensorboardLogger):
                # it counts its calls; the points belong to the steps
                logger.global_step[stage] = dict.fromkeys(values, step - 1)
            logger.log_stats({"step": step}, **{f"{stage}_stats": values})
        return row

    def _write_rows(self):
        """Replace the file in one step."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        partial = self.path.with_suffix(".partial")
        with open(partial, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(partial, self.path)

    @mark_as_saver
    def _save(self, path):
        # all processes have the same path, and not the same values
        if not if_main_process():
            return
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"rows": self.rows, "pending": self._sums}, file)

    @mark_as_loader
    def _load(self, path, end_of_epoch):
        del end_of_epoch
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        self.rows = state["rows"]
        self._sums = state["pending"]
