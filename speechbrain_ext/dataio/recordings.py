"""Recordings of a prepared corpus, read from a CSV file as SpeechBrain has it.

=============  ===========================================================
ID             unique within the file
duration       in seconds
wav            audio file; relative to the folder of the CSV if below it
samples        length in samples
sample_rate    in Hz
kind           speech, noise, event, rir or mixture
split          train, valid, test, user_train, user_valid or user_test
spk_id         speaker of a speech recording, else empty
sex            F, M or empty
label          class of an event or noise, else empty
text, or wrd   what is said (by both talkers of a mixture), or a remark
source         corpus the recording comes from
license        license of the recording
=============  ===========================================================

Only ID and wav are needed: lengths and sample rates that are not told are
read from the audio files, and rows without kind or split count for any.
"""

import csv
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import soundfile

KINDS = ("speech", "noise", "event", "rir", "mixture")
SPLITS = ("train", "valid", "test", "user_train", "user_valid", "user_test")
SEXES = ("F", "M", "")


@dataclass(frozen=True)
class Recording:
    """One recording of a manifest.

    Arguments
    ---------
    id : str
        Unique name within the manifest, not empty.
    path : str
        Absolute path of the audio file.
    samples : int
        Length in samples, at least 1.
    sample_rate : int
        In Hz, at least 1.
    kind : str
        One of ``KINDS``; empty for any.
    split : str
        One of ``SPLITS``; empty for any.
    speaker, sex, label, text, source, license : str
        As in the table of this module; empty where unknown. ``sex`` is one
        of ``SEXES``.

    Raises
    ------
    ValueError
        If a field holds a value outside its range.
    """

    id: str
    path: str
    samples: int
    sample_rate: int
    kind: str = ""
    split: str = ""
    speaker: str = ""
    sex: str = ""
    label: str = ""
    text: str = ""
    source: str = ""
    license: str = ""

    def __post_init__(self):
        for name in ("id", "path"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; every recording needs one")
        for name in ("samples", "sample_rate"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it must be at least 1"
                )
        for name, valid in (
            ("kind", ("", *KINDS)),
            ("split", ("", *SPLITS)),
            ("sex", SEXES),
        ):
            if getattr(self, name) not in valid:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it must be one of "
                    f"{', '.join(value or '(empty)' for value in valid)}"
                )

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


# column of the CSV to field of a Recording; "duration" follows from two others
COLUMNS = {
    "ID": "id",
    "duration": "seconds",
    "wav": "path",
    "samples": "samples",
    "sample_rate": "sample_rate",
    "kind": "kind",
    "split": "split",
    "spk_id": "speaker",
    "sex": "sex",
    "label": "label",
    "text": "text",
    "source": "source",
    "license": "license",
}


def read_recordings(
    path,
    *,
    kind: str | None = None,
    split: str | None = None,
    root=None,
) -> list[Recording]:
    r"""Read the recordings of a CSV file, or those of one kind and split.

    Arguments
    ---------
    path : str or PathLike
        The CSV file.
    kind, split : str, optional
        Keep these only, and the rows that do not tell theirs.
    root : str or PathLike, optional
        What ``$data_root``, or another such name that opens a path, stands
        for.

    Returns
    -------
    recordings : list of Recording
        In the order of the file, with absolute paths.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or an audio file that must be measured.
    ValueError
        If a column is missing, a row is malformed (its number is named), an
        id stands twice, or nothing is left.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> soundfile.write(folder + "/a.wav", [0.5] * 80, 8000)
    >>> path = Path(folder, "train.csv")
    >>> _ = path.write_text("ID,duration,wav,spk_id\nx,0.01,a.wav,ann\n")
    >>> recording = read_recordings(path)[0]
    >>> recording.samples, recording.sample_rate, recording.speaker
    (80, 8000, 'ann')
    """
    path = Path(os.path.abspath(path))
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no table at {path}; prepare the corpus first"
        )
    recordings = {}
    for number, cells in _read_cells(path):
        try:
            if not _fits(cells, kind, split):
                # all rows must be sound, but not all audio must be there
                cells.setdefault("samples", "1")
                cells.setdefault("sample_rate", "1")
            recording = _from_cells(cells, path.parent, root)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        if recording.id in recordings:
            raise ValueError(
                f"{path}, line {number}: the id {recording.id!r} stands there "
                "twice; ids must be unique"
            )
        recordings[recording.id] = recording
    kept = [
        recording
        for recording in recordings.values()
        if _fits(vars(recording), kind, split)
    ]
    if not kept:
        there = sorted({(r.kind, r.split) for r in recordings.values()})
        raise ValueError(
            f"{path} has no recording with kind={kind or 'any'} and "
            f"split={split or 'any'}; it has "
            + (", ".join(f"{k}/{s}" for k, s in there) or "no rows at all")
            + _advice(kind, split, there)
        )
    return kept


def _fits(row: Mapping, kind: str | None, split: str | None) -> bool:
    """Tell whether a row is of a kind and split, as far as it says."""
    return all(
        wanted is None or row.get(name, "") in ("", wanted)
        for name, wanted in (("kind", kind), ("split", split))
    )


def _read_cells(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each row, and its cells by field."""
    with cells_of_any_length(), open(
        path, newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        if "text" not in header:  # as SpeechBrain calls it
            header = ["text" if name == "wrd" else name for name in header]
        for name in ("ID", "wav"):
            if name not in header:
                raise ValueError(
                    f"{path} has the columns {', '.join(header) or '(none)'}; "
                    f"{name} is missing"
                )
        for row in rows:
            if len(row) != len(header):
                raise ValueError(
                    f"{path}, line {rows.line_num}: {len(row)} cells; there "
                    f"must be {len(header)}"
                )
            yield (
                rows.line_num,
                {
                    # an apostrophe in front is for spreadsheets alone
                    COLUMNS[name]: cell[1:] if cell[:1] == "'" else cell
                    for name, cell in zip(header, row, strict=True)
                    if name in COLUMNS
                },
            )


def _from_cells(cells: dict[str, str], folder: Path, root) -> Recording:
    """Turn the cells of a row into a Recording with an absolute path."""
    cells.pop("seconds", None)
    if cells["path"]:
        place = cells["path"]
        if root is not None:
            place = re.sub(r"^ *\$\w+", lambda _: os.fspath(root), place)
        found = os.path.join(folder, place)
        # SpeechBrain's tables are relative to where it is started
        here = not os.path.exists(found) and os.path.exists(place)
        cells["path"] = os.path.abspath(place) if here else found
    if "samples" not in cells or "sample_rate" not in cells:
        cells["samples"], cells["sample_rate"] = _measure(cells["path"])
    for name in ("samples", "sample_rate"):
        try:
            cells[name] = int(cells[name])
        except ValueError:
            raise ValueError(
                f"{name} is {cells[name]!r}; it must be a whole number"
            ) from None
    return Recording(**cells)


def _measure(path: str) -> tuple[int, int]:
    """Read the length and the sample rate of an audio file."""
    try:
        found = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        if not os.path.exists(path):
            raise FileNotFoundError(f"there is no {path}") from error
        raise ValueError(f"{path} cannot be read: {error}") from error
    return found.frames, found.samplerate


def _advice(
    kind: str | None, split: str | None, there: list[tuple[str, str]]
) -> str:
    """Say which option takes another split, if a split is missing."""
    others = [s for k, s in there if kind in (None, k)]
    if split not in ("train", "valid", "test") or not others:
        return ""
    option = f"{split}_split"
    if kind in ("noise", "event", "rir"):
        option += f" (or {option.replace('_split', '_noise_split')})"
    return (
        f". Set {option} to one of these splits, such as "
        f"--{option.partition(' ')[0]}={others[-1]}, or add recordings of "
        f"the split {split}"
    )


@contextmanager
def cells_of_any_length() -> Iterator[None]:
    """Let `csv` read cells over 131,072 characters for a while.

    Example
    -------
    >>> with cells_of_any_length():
    ...     [[cell]] = csv.reader(["a" * 200_000])
    """
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
