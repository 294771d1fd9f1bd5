"""The tables of a prepared folder: its manifest, and what was skipped."""

import logging
import os
from pathlib import Path

from speechbrain_ext.console import printable
from speechbrain_ext.corpora.candidate import Candidate
from speechbrain_ext.corpora.journal import target_of
from speechbrain_ext.dataio.manifest import write_manifest, write_table
from speechbrain_ext.dataio.prepared import MANIFEST, SKIPPED
from speechbrain_ext.dataio.recordings import Recording
from speechbrain_ext.files import spreadsheet_safe

logger = logging.getLogger(__name__)

# Of a cell of the list of skipped files.
LONGEST_CELL = 4096


def write_tables(
    candidates: list[Candidate],
    outcomes: dict[str, dict],
    reasons: dict[str, str],
    skipped: list[tuple[str, str, str]],
    folder: Path,
    sample_rate: int,
) -> Path:
    """Write the list of skipped files, and the manifest of the others.

    Arguments
    ---------
    candidates : list of Candidate
        With unique ids.
    outcomes : dict
        Id to what the journal holds of it.
    reasons : dict
        Id to why it is not usable, from `find_reasons`.
    skipped : list of (id, path, reason)
        Files that were refused before, to be listed as well.
    folder : Path
        Where to write.
    sample_rate : int
        Of the manifest, in Hz.

    Returns
    -------
    path : Path
        The manifest.

    Raises
    ------
    ValueError
        If of some kind no candidate is usable; the list is written.
    """
    recordings = []
    for candidate in candidates:
        if reasons[candidate.id]:
            path = os.path.abspath(candidate.source_path)
            skipped.append((candidate.id, path, reasons[candidate.id]))
            continue
        outcome = outcomes[candidate.id]
        recordings.append(
            Recording(
                id=candidate.id,
                path=os.path.abspath(candidate.source_path)
                if outcome["in_place"]
                else str(target_of(candidate.id, folder)),
                samples=outcome["samples"],
                sample_rate=sample_rate,
                kind=candidate.kind,
                split=candidate.split,
                speaker=candidate.speaker,
                sex=candidate.sex,
                label=candidate.label,
                text=candidate.text,
                source=candidate.source,
                license=candidate.license,
            )
        )
    skipped = sorted(
        (_short(identity), _short(path), printable(reason))
        for identity, path, reason in skipped
    )
    write_table(
        folder / SKIPPED,
        ("id", "path", "reason"),
        (map(spreadsheet_safe, row) for row in skipped),
    )
    _require_some_of_each_kind(candidates, recordings, skipped, folder)
    if skipped:
        logger.warning(
            "%d of %d files are not usable: %s; all are in %s",
            len(skipped),
            len(skipped) + len(recordings),
            _first_few(skipped),
            folder / SKIPPED,
        )
    write_manifest(folder / MANIFEST, recordings)
    return folder / MANIFEST


def _short(cell: str) -> str:
    """Keep a name as it is, unless it is too long or holds a NUL."""
    if len(cell) > LONGEST_CELL or "\0" in cell:
        return printable(cell, LONGEST_CELL)
    return cell


def find_reasons(
    candidates: list[Candidate],
    outcomes: dict[str, dict],
    sample_rate: int,
    minimum_seconds: float,
) -> dict[str, str]:
    """Say of every id why it is not usable; empty if it is.

    Arguments
    ---------
    candidates, outcomes, sample_rate
        See `write_tables`.
    minimum_seconds : float
        Shorter files are not usable, except room responses.

    Returns
    -------
    reasons : dict
    """
    reasons = {}
    for candidate in candidates:
        outcome = outcomes[candidate.id]
        reasons[candidate.id] = outcome["reason"] or _shortage(
            candidate, outcome["samples"] / sample_rate, minimum_seconds
        )
    return reasons


def _shortage(
    candidate: Candidate, seconds: float, minimum_seconds: float
) -> str:
    """Say why a file is too short; empty if it is not."""
    if seconds < 0.99 * candidate.seconds - 0.1:
        return (
            f"truncated: {seconds:.2f} s where {candidate.seconds:.2f} s "
            "were declared"
        )
    if candidate.kind != "rir" and seconds < minimum_seconds:
        return f"too short: {seconds:.2f} s, less than {minimum_seconds:g} s"
    return ""


def _require_some_of_each_kind(
    candidates: list[Candidate],
    recordings: list[Recording],
    skipped: list[tuple[str, str, str]],
    folder: Path,
) -> None:
    """Refuse to go on without a single usable file of some kind."""
    usable = {recording.kind for recording in recordings}
    for kind in sorted({candidate.kind for candidate in candidates} - usable):
        ids = {item.id for item in candidates if item.kind == kind}
        lost = [row for row in skipped if row[0] in ids]
        raise ValueError(
            f"none of the {len(lost)} {kind} files is usable: "
            f"{_first_few(lost)}; all are in {folder / SKIPPED}"
        )
    if not recordings:
        raise ValueError(
            f"nothing usable for {folder}: "
            + (_first_few(skipped) if skipped else "no audio files given")
        )


def _first_few(rows: list[tuple[str, str, str]]) -> str:
    """Name the first three skipped files with their reasons."""
    named = [
        f"{printable(path, lines=False)} ({reason})"
        for _, path, reason in rows[:3]
    ]
    return ", ".join(named) + (", ..." if len(rows) > 3 else "")
