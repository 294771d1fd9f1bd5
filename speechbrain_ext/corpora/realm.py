"""REAL-M: real mixtures of two talkers, with what both said.

Source: the folders of the archive REAL-M-v0.1.0; C. Subakan et al., "REAL-M:
Towards speech separation on real mixtures", ICASSP 2022.
"""

import logging
import os
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.tables import read_table
from speechbrain_ext.corpora.tree import require_folder, with_unique_ids

logger = logging.getLogger(__name__)

AUDIO = "audio_files_converted_8000Hz"
TEXTS = "transcriptions"
BETWEEN = " | "
COLUMNS = ("sentence1", "sentence2", "filename")


@prepares
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
        rows = read_table(
            table, COLUMNS, needed=COLUMNS, argument="realm_folder"
        ).rows
        for row in rows:
            first, second, name = (row.cells[column] for column in COLUMNS)
            path = f"{os.path.splitext(audio / table.stem / name)[0]}.wav"
            fault = row.fault or ("" if os.path.isfile(path) else "missing")
            if any(BETWEEN.strip() in text for text in (first, second)):
                fault = f"line {row.line}: a transcript holds {BETWEEN!r}"
            if fault:
                missing.append((f"{table.stem}/{name}", path, fault))
                continue
            candidates.append(
                Candidate(
                    source_path=path,
                    id=f"mixture/{table.stem}/{Path(path).stem}",
                    kind="mixture",
                    split="test",
                    text=f"{first}{BETWEEN}{second}",
                    source="REAL-M",
                )
            )
    if missing:
        logger.warning(
            "%d of the mixtures that the transcripts of REAL-M name are not "
            "usable (listed in skipped.csv)",
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
