"""A page to look at and to listen to what became of recordings."""

import logging
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import yaml

from speechbrain_ext.console import describe_error, printable
from speechbrain_ext.evaluation.measures import available, dnsmos
from speechbrain_ext.evaluation.pages import (
    Item,
    Score,
    Track,
    address_of,
    format_time,
    write_page,
)
from speechbrain_ext.evaluation.sounds import clipping_gain, lowering_db
from speechbrain_ext.evaluation.tracks import (
    COVERED_SECONDS,
    data_uri,
    draw,
    encode,
    outline,
)
from speechbrain_ext.hub.folder import CARD
from speechbrain_ext.hub.redaction import home_pattern, redact, redact_option
from speechbrain_ext.inference.recordings import Recording
from speechbrain_ext.inference.scoring import score_files
from speechbrain_ext.inference.sisnr_estimator import SHIPPED, SISNREstimator

logger = logging.getLogger(__name__)

# Bytes of sound that a page holds itself.
INSIDE = 10_000_000
# Characters of spectrograms that a page holds: of some 300 recordings.
PICTURES = 40_000_000
# FLAC is smaller than 16-bit samples, by no more than this.
SMALLEST = 8
# Rates above are played by no browser.
HIGHEST_RATE = 192_000
DNSMOS_SECONDS = 15


class RecordingsPage:
    """Collects what became of recordings, and writes a page of it.

    Arguments
    ---------
    path : Path
        Where the page is going to be written.
    of_voices : bool
        Whether two outputs are separated voices, whose SI-SNR can be
        estimated.
    device : str, optional
        Where to do so.

    Example
    -------
    >>> page = RecordingsPage(getfixture("tmp_path") / "index.html")
    >>> for name in ():
    ...     page.add(name, f"{name}.wav", [f"{name}_enhanced.wav"])
    >>> page.write(title="Enhanced", notes=[], words=["enhance", "a.wav"])
    >>> "speechbrain-ext enhance a.wav" in page.path.read_text()
    True
    """

    def __init__(
        self, path: Path, *, of_voices: bool = False, device: str | None = None
    ) -> None:
        self.path, self.estimator = path, None
        if of_voices:
            self.estimator = SISNREstimator.from_hparams(device=device)
            self.typical_error = read_typical_error(SHIPPED / CARD)
        self.measures_dnsmos = available()["dnsmos"]
        self.left, self.pictures_left = INSIDE, PICTURES
        self.items: list[tuple[float, Item]] = []

    def add(self, name: str, recording: Path, outputs: Sequence[Path]) -> None:
        """Take in what became of a recording.

        Arguments
        ---------
        name : str
            Of the recording, on the page.
        recording : Path
            The file that was read.
        outputs : sequence of Path
            The files that were written, of the same rate and length.
        """
        paths, notes = [recording, *outputs], []
        with Recording(recording) as blocks:
            frames, rate = sum(map(len, blocks)), blocks.sample_rate
        outlines = []
        for path in paths:
            with Recording(path) as blocks:
                outlines.append(
                    outline(blocks, frames=frames, sample_rate=rate)
                )
        gain = clipping_gain(max(outline.peak for outline in outlines))
        sounds = self._embedded(paths, frames, rate, gain)
        if sounds is None:
            sounds = [self._linked(path) for path in paths]
        elif gain < 1:
            notes.append(
                f"All sounds are lowered by {lowering_db(gain):.1f} dB to "
                "avoid clipping."
            )
        if not sounds[0]:
            notes.append(
                "The recording itself lies elsewhere, and is too long to be "
                "played here."
            )
        if frames > COVERED_SECONDS * rate:
            notes.append(
                "It is long: spectrograms are drawn from short windows that "
                "are spread evenly over it."
            )
        pictures = draw(outlines)
        size = sum(len(picture["spectrogram"]) for picture in pictures)
        if size > self.pictures_left:
            notes.append(
                "It has no spectrograms, so that this page stays small."
            )
            pictures = [picture | {"spectrogram": ""} for picture in pictures]
        else:
            self.pictures_left -= size
        scores, badness = self._score(recording, outputs, notes)
        names = ["Recording", *(f"Output {n + 1}" for n in range(len(outputs)))]
        if len(outputs) == 1:
            names[1] = "Output"
        tracks = [
            Track(name, sound, scores=score, **picture)
            for name, sound, score, picture in zip(
                names, sounds, scores, pictures, strict=True
            )
        ]
        seconds = frames / rate
        notes.insert(0, f"{format_time(seconds)}, {rate} Hz")
        item = Item(shown(name), tracks, seconds, rate, notes)
        self.items.append((badness, item))

    def _embedded(
        self, paths: Sequence[Path], frames: int, rate: int, gain: float
    ) -> list[str] | None:
        """Encode sounds into addresses, if there is room for all of them."""
        size = 2 * frames * len(paths)
        if size > SMALLEST * self.left or rate > HIGHEST_RATE:
            return None
        sounds = []
        for path in paths:
            with Recording(path) as blocks:
                sounds.append(encode(blocks, sample_rate=rate, gain=gain))
        size = sum(map(len, sounds))
        if size > self.left:
            return None
        self.left -= size
        return [data_uri(sound, "audio/flac") for sound in sounds]

    def _linked(self, path: Path) -> str:
        """Give the address of a file; empty if it would tell a home folder."""
        address = os.path.relpath(path, self.path.parent)
        if home_pattern().search(f"/{address.replace('../', '')}"):
            return ""
        return address_of(path, self.path)

    def _score(
        self, recording: Path, outputs: Sequence[Path], notes: list[str]
    ) -> tuple[list[list[Score]], float]:
        """Score the signals, and say how good the outputs are at large."""
        scores = [[] for _ in range(1 + len(outputs))]
        figures = []
        if self.estimator and len(outputs) == 2:
            with told(notes, "The SI-SNR is not estimated"):
                rows = score_files(self.estimator, {recording: outputs})
                for row, found in zip(rows, scores[1:], strict=True):
                    figures.append(row["si_snr"])
                    error = row.get("error", self.typical_error)
                    text = f"{row['si_snr']:.1f} ± {error:.1f}"
                    text = text.replace("-", "\N{MINUS SIGN}")
                    found.append(Score("Blind SI-SNR", text, "dB"))
        if self.measures_dnsmos:
            opinions = []
            for path, found in zip([recording, *outputs], scores, strict=True):
                with told(notes, "DNSMOS is not measured"):
                    values = measure_dnsmos(path)
                    opinions.append(values["ovrl"])
                    for kind, label in (
                        ("ovrl", "DNSMOS overall"),
                        ("sig", "DNSMOS speech"),
                        ("bak", "DNSMOS background"),
                    ):
                        found.append(Score(label, values[kind]))
            figures = figures or opinions[1:]
        badness = float(np.mean(figures)) if figures else np.inf
        return scores, badness

    def write(
        self,
        *,
        title: str,
        notes: Sequence[str],
        words: Sequence[str],
        failures: Iterable[str] = (),
        path: Path | None = None,
    ) -> None:
        """Write the page, the worst recording first.

        Arguments
        ---------
        title : str
            Heading of the page.
        notes : sequence of str
            Paragraphs below it.
        words : sequence of str
            The command, without the name of the program.
        failures : iterable of str
            What failed, and why.
        path : Path, optional
            Where to write instead, beside `path`.
        """
        notes = list(notes)
        if self.estimator:
            notes.append(
                "The blind SI-SNR is estimated without references; ± is how "
                "far the estimate of an output typically is off."
            )
        if self.measures_dnsmos:
            notes.append(
                "DNSMOS predicts opinion scores from 1 (bad) to 5, of the "
                f"first {DNSMOS_SECONDS} seconds."
            )
        items = sorted(self.items, key=lambda pair: pair[0])
        if len(items) > 1 and np.isfinite(items[0][0]):
            notes.append("The worst recording comes first.")
        write_page(
            path or self.path,
            "recordings.html",
            title=title,
            notes=notes,
            failures=[shown(redact(reason)) for reason in failures],
            items=[item for _, item in items],
            command=describe_command(words),
        )


def read_typical_error(card: Path) -> float:
    """Read an estimator's mean absolute error off its card, in dB.

    Of several tests, it is the largest one.
    """
    _, front, _ = card.read_text(encoding="utf-8").split("---\n", 2)
    (model,) = yaml.safe_load(front)["model-index"]
    return max(
        metric["value"]
        for result in model["results"]
        for metric in result["metrics"]
        if metric["type"] == "mae"
    )


def shown(text: str) -> str:
    """Make a stranger's text one line that can be shown."""
    return printable(text, 4000, lines=False)


def describe_command(words: Sequence[str]) -> str:
    """Write a command down, without places of this machine and secrets.

    Arguments
    ---------
    words : sequence of str
        Options and values, without the name of the program.

    Returns
    -------
    command : str
        For a shell.

    Example
    -------
    >>> describe_command(["separate", "my talk.wav", "--out=~/out"])
    "speechbrain-ext separate 'my talk.wav' --out=DIR"
    """
    before = ["", *words]
    words = map(redact_option, words, before)
    return shown(f"speechbrain-ext {shlex.join(words)}")


def measure_dnsmos(path: Path) -> dict[str, float]:
    """Measure DNSMOS of the beginning of a file."""
    parts, time = [], 0
    with Recording(path) as blocks:
        most = DNSMOS_SECONDS * blocks.sample_rate
        for block in blocks:
            parts.append(block[: most - time])
            time += len(parts[-1])
            if time == most:
                break
    signal = torch.from_numpy(np.concatenate(parts))
    return dnsmos(estimate=signal, sample_rate=blocks.sample_rate)


@contextmanager
def told(notes: list[str], what: str) -> Iterator[None]:
    """Let a figure that cannot be had be a note, and no failure."""
    try:
        yield
    # third-party measures raise what they like
    except Exception as error:
        note = f"{what}: {redact(describe_error(error))}"
        logger.warning("%s", printable(note))
        notes.append(shown(note))
