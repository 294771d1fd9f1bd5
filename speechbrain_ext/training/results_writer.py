"""Scores and sounds of a test, kept as files in the output folder."""

import csv
import os

from speechbrain.dataio import audio_io
from speechbrain.utils.distributed import if_main_process


class ResultsWriter:
    """Collect the scores of a test and some of its sounds, and write them.

    Arguments
    ---------
    folder : str or PathLike
        The output folder, which must exist when `write` is called.
    sample_rate : int
        Of the sounds, in Hz.
    examples : int
        How many mixtures of each kind are kept to be listened to.

    Example
    -------
    >>> import torch
    >>> writer = ResultsWriter(getfixture("tmp_path"), 8000, examples=1)
    >>> sound = torch.zeros(800)
    >>> writer.add("a", [{"si_sdr": 9.0}], mixture=sound, estimate=[sound])
    >>> writer.write()
    >>> (writer.folder / "test_results.csv").read_text().split()
    ['id,source,test,si_sdr', 'a,0,test,9.0']
    """

    def __init__(self, folder, sample_rate, examples=0):
        self.folder = folder
        self.sample_rate = sample_rate
        self.examples = examples
        self.clear()

    def clear(self):
        """Forget what was added."""
        self.mixtures, self.rows, self.kept = 0, [], {}

    def add(self, name, scores, *, test="test", kind=0, **signals):
        """Add a row for every source of a mixture.

        Arguments
        ---------
        name : str
            Of the mixture, unique within the test.
        scores : sequence of dict
            For every source, column to value; sources may have different ones.
        test : str
            Name of the test.
        kind : int
            Of the mixture, such as its number of sources: the first mixtures
            of each kind are kept to be listened to.
        **signals : torch.Tensor or sequence of torch.Tensor
            "mixture" of shape (time,); "estimate" and, where they exist,
            "reference", for every source. Without estimates nothing is kept.
        """
        self.mixtures += 1
        for source, score in enumerate(scores):
            row = {"id": name, "source": source, "test": test}
            self.rows.append({**row, **score})
        kept = self.kept.setdefault(kind, [])
        if len(kept) < self.examples and len(signals["estimate"]):
            sounds = {"mixture": signals.pop("mixture").cpu()}
            for group, sources in signals.items():
                for index, sound in enumerate(sources, start=1):
                    sounds[f"{group}_{index}"] = sound.cpu()
            kept.append((test, name, sounds))

    def write(self):
        """Write test_results.csv and examples/NN; of all processes, one.

        An example's id.txt names its test and, in another line, its mixture.
        The sounds are 32-bit float.
        """
        if not if_main_process():
            return
        names = dict.fromkeys(name for row in self.rows for name in row)
        path = os.path.join(self.folder, "test_results.csv")
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
        kept = [
            each for _, group in sorted(self.kept.items()) for each in group
        ]
        for number, (test, name, sounds) in enumerate(kept, start=1):
            place = os.path.join(self.folder, "examples", f"{number:02d}")
            os.makedirs(place, exist_ok=True)
            with open(
                os.path.join(place, "id.txt"), "w", encoding="utf-8"
            ) as file:
                file.write(f"{test}\n{name}")
            for kind, sound in sounds.items():
                audio_io.save(
                    os.path.join(place, f"{kind}.wav"),
                    sound,
                    self.sample_rate,
                    subtype="FLOAT",
                )
