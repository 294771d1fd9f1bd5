"""Scores and sounds of a test, as files."""

import csv
import os
from collections import Counter
from collections.abc import Mapping

import torch
from speechbrain.dataio import audio_io
from speechbrain.utils.distributed import if_main_process


class ResultsWriter:
    """Keep a row of scores for all that is tested, and a few sounds.

    Of several processes the main one writes.

    Arguments
    ---------
    folder : str or PathLike
        Gets test_results.csv, and examples/NN/NAME.wav as 32-bit floats.
    sample_rate : int
        Of the sounds, in Hz.
    examples : int
        The sounds of so many rows of each test are written, those of the
        first ones.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> results = ResultsWriter(folder, sample_rate=8000, examples=1)
    >>> for name in ("a", "b"):
    ...     row = {"id": name, "source": 0, "test": "5 dB", "si_sdr": 7.5}
    ...     results.add(row, mixture=torch.zeros(80))
    >>> results.write()
    >>> (folder / "test_results.csv").read_text().splitlines()[:2]
    ['id,source,test,si_sdr', 'a,0,5 dB,7.5']
    >>> [path.name for path in folder.glob("examples/*/*")]
    ['mixture.wav']
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        sample_rate: int,
        examples: int = 0,
    ) -> None:
        self.folder = folder
        self.sample_rate = sample_rate
        self.examples = examples
        self.rows = []
        self._saved = Counter()

    def add(self, row: Mapping, **signals: torch.Tensor) -> None:
        """Add a row.

        Arguments
        ---------
        row : Mapping
            "id", "source" and "test", which names the test, then scores.
        **signals : torch.Tensor
            By the names of their files, shape (time,).
        """
        self.rows.append(dict(row))
        if self._saved[row["test"]] >= self.examples:
            return
        self._saved[row["test"]] += 1
        if not if_main_process():
            return
        number = sum(self._saved.values())
        folder = os.path.join(self.folder, "examples", f"{number:02d}")
        os.makedirs(folder, exist_ok=True)
        for name, signal in signals.items():
            audio_io.save(
                os.path.join(folder, f"{name}.wav"),
                signal.detach().cpu(),
                self.sample_rate,
                subtype="FLOAT",
            )

    def write(self) -> None:
        """Write all rows so far."""
        if not if_main_process():
            return
        names = dict.fromkeys(name for row in self.rows for name in row)
        path = os.path.join(self.folder, "test_results.csv")
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
