"""A table of scores: one row per separated source."""

import math
import statistics
from pathlib import Path

from speechbrain_ext.files import write_csv


class ScoreTable:
    """Collect scores, write them per utterance, and sum them up.

    Example
    -------
    >>> table = ScoreTable()
    >>> table.add(utterance="a", source=0, si_sdr=9.0, pesq_nb=2.5)
    >>> table.add(utterance="a", source=1, si_sdr=11.0, pesq_nb=float("nan"))
    >>> table.summary()["si_sdr"]["mean"]
    10.0
    >>> table.summary()["pesq_nb"]
    {'mean': 2.5, 'std': nan, 'count': 1, 'nan': 1}
    """

    def __init__(self):
        self.rows = []
        self._seen = set()

    def __len__(self):
        """Count the rows."""
        return len(self.rows)

    def add(self, *, utterance, source, **scores):
        """Append one row.

        Arguments
        ---------
        utterance : str
            Name of the mixture.
        source : int
            Which source of it, from 0.
        **scores : float
            Any columns; rows need not have the same ones.

        Raises
        ------
        ValueError
            The row is there already.
        """
        key = (utterance, source)
        if key in self._seen:
            raise ValueError(
                f"utterance {utterance!r}, source {source} was added twice; "
                "every row needs an utterance name of its own"
            )
        self._seen.add(key)
        row = {"utterance": utterance, "source": source}
        row.update({name: float(score) for name, score in scores.items()})
        self.rows.append(row)

    def columns(self):
        """List the score columns, in the order of their first appearance.

        Returns
        -------
        columns : list of str
        """
        names = {name: None for row in self.rows for name in row}
        return [n for n in names if n not in ("utterance", "source")]

    def values(self, column):
        """Return the scores of one column, NaN included.

        Arguments
        ---------
        column : str
            One of `columns`.

        Returns
        -------
        values : list of float
            Rows without the column are left out.
        """
        return [row[column] for row in self.rows if column in row]

    def summary(self):
        """Sum up every column over its finite scores.

        Returns
        -------
        summary : dict of dict
            By column: "mean", "std" (sample standard deviation, NaN below
            two scores), "count" of finite scores and "nan", the number of
            scores that are not finite.
        """
        summary = {}
        for column in self.columns():
            values = self.values(column)
            finite = [value for value in values if math.isfinite(value)]
            summary[column] = {
                "mean": statistics.fmean(finite) if finite else math.nan,
                "std": statistics.stdev(finite) if finite[1:] else math.nan,
                "count": len(finite),
                "nan": len(values) - len(finite),
            }
        return summary

    def write_csv(self, path):
        """Write one line per row; a file that is there is replaced whole.

        Arguments
        ---------
        path : str or Path
            Columns: utterance, source, then the scores.  A score that the
            row does not have is an empty cell, a failed one "nan".

        Returns
        -------
        path : Path
        """
        write_csv(path, self.rows, ["utterance", "source", *self.columns()])
        return Path(path)


def without_nan(content):
    """Put None for numbers that JSON has no word for.

    Arguments
    ---------
    content : object
        Dicts, lists and plain values.

    Returns
    -------
    content : object
        A copy.

    Example
    -------
    >>> without_nan({"a": [1.0, math.nan]})
    {'a': [1.0, None]}
    """
    if isinstance(content, dict):
        return {str(k): without_nan(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(item) for item in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
