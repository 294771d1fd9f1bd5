"""REAL-M: real mixtures of two talkers, with what both said.

Source: the folders of the archive REAL-M-v0.1.0; C. Subakan et al., "REAL-M:
Towards speech separation on real mixtures", ICASSP 2022.
"""

import csv
import logging
import os
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.tree import require_folder, with_unique_ids

logger = logging.getLogger(__name__)

AUDIO = "audio_files_converted_8000Hz"
TEXTS = "transcriptions"
BETWEEN = " | "
COLUMNS = ("sentence1", "sentence2", "filename")


def prepare(
    realm_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 8000,
    minimum_seconds: float = 1.0,
) -> Path:
    """Make the manifest of the mixtures of REAL-M.

    There are no references; all mixtures are for testing.

    Arguments
    ---------
    realm_folder : str or PathLike
        ``REAL-M-v0.1.0``: holds ``audio_files_converted_8000Hz/SESSION`` and
        ``transcriptions/SESSION.csv``, whose columns sentence1, sentence2
        and filename tell what was said. (Some of the tables name MP3 files;
        the audio beside them is WAV.)
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest; ``text`` holds both transcripts, see
        `both_transcripts`.

    Raises
    ------
    FileNotFoundError
        If a folder is not there; the argument is named.
    ValueError
        If there are no tables, a table lacks a column, or nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: realm_folder: there is no folder /nowhere
    """
    root = require_folder(realm_folder, argument="realm_folder")
    audio = require_folder(root / AUDIO, argument="realm_folder")
    texts = require_folder(root / TEXTS, argument="realm_folder")
    tables = sorted(texts.glob("*.csv"))
    if not tables:
        raise ValueError(
            f"realm_folder: there are no transcripts, {texts}/*.csv"
        )
    candidates, missing = [], []
    for table in tables:
        for number, first, second, name in _read_table(table):
            path = (audio / table.stem / name).with_suffix(".wav")
            if not path.is_file():
                missing.append((f"{table.stem}/{name}", str(path), "missing"))
                continue
            candidates.append(
                Candidate(
                    source_path=str(path),
                    id=f"mixture/{table.stem}/{path.stem}",
                    kind="mixture",
                    split="test",
                    text=_join(first, second, f"{table}, row {number}"),
                    source="REAL-M",
                )
            )
    if missing:
        logger.warning(
            "%d of the mixtures that the transcripts of REAL-M name are not "
            "there (listed in skipped.csv)",
            len(missing),
        )
    return convert_all(
        with_unique_ids(candidates),
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
        skipped=missing,
    )


def both_transcripts(text: str) -> tuple[str, str]:
    """Part the text of a mixture into what each talker said.

    Arguments
    ---------
    text : str
        Of a row of the manifest.

    Returns
    -------
    first, second : str

    Raises
    ------
    ValueError
        If it does not hold two transcripts.

    Example
    -------
    >>> both_transcripts("GOOD MORNING | GOOD NIGHT")
    ('GOOD MORNING', 'GOOD NIGHT')
    """
    parts = text.split(BETWEEN)
    if len(parts) != 2:
        raise ValueError(
            f"{text!r} holds {len(parts)} transcripts, parted by "
            f"{BETWEEN!r}; there must be two"
        )
    return parts[0], parts[1]


def _read_table(path: Path) -> list[tuple[int, str, str, str]]:
    """Read (row number, sentence1, sentence2, filename) of a session."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        absent = [c for c in COLUMNS if c not in (reader.fieldnames or [])]
        if absent:
            raise ValueError(
                f"{path} has no column {', '.join(absent)}; its columns are "
                f"{', '.join(reader.fieldnames or ['none'])}"
            )
        return [
            (number, *((row[column] or "").strip() for column in COLUMNS))
            for number, row in enumerate(reader, start=2)
        ]


def _join(first: str, second: str, place: str) -> str:
    """Join two transcripts so that they can be parted again."""
    for transcript in (first, second):
        if BETWEEN.strip() in transcript:
            raise ValueError(f"{place}: a transcript holds {BETWEEN!r}")
    return f"{first}{BETWEEN}{second}"
