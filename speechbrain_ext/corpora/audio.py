"""Converting recordings of any kind to a manifest of mono PCM-16 WAV.

Why convert: a random segment of such a file costs one seek, whether the file
lasts five seconds or five minutes; of a compressed file it costs decoding.
"""

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
from tqdm import tqdm

from speechbrain_ext.corpora.candidate import Candidate
from speechbrain_ext.corpora.decoding import UnusableAudio, decode
from speechbrain_ext.dataio.manifest import (
    Recording,
    write_manifest,
    write_table,
)
from speechbrain_ext.files import replaced

logger = logging.getLogger(__name__)

JOURNAL = "conversion.jsonl"


def convert_all(
    candidates: Iterable[Candidate],
    folder: str | os.PathLike,
    *,
    sample_rate: int,
    minimum_seconds: float,
    skipped: Iterable[tuple[str, str, str]] = (),
) -> Path:
    """Convert candidates to mono PCM-16 WAV at one rate; write the manifest.

    A file that is such a WAV already stays where it is. Any other becomes
    ``folder/audio/<id>.wav``. Files that cannot be used are listed in
    ``folder/skipped.csv`` (id, path, reason) and counted in one warning.

    Interrupted at any moment, the next call goes on where it stopped, for
    ``folder/conversion.jsonl`` holds a line for every finished file. A file
    is converted again if it, its id, its channel or the rate has changed. A
    call with nothing to do writes nothing. ``manifest.csv`` is there only
    while it is true: it is removed before the first file is converted. Two
    processes must not convert to one folder at once; under
    DDP call this by ``speechbrain.utils.distributed.run_on_main``.

    Arguments
    ---------
    candidates : iterable of Candidate
        With unique ids.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of every recording of the manifest, in Hz.
    minimum_seconds : float
        Shorter files are skipped, except room responses.
    skipped : iterable of (id, path, reason)
        Files that the caller has refused already, to be listed as well.

    Returns
    -------
    path : Path
        The manifest, ``folder/manifest.csv``.

    Raises
    ------
    ValueError
        If an id is not unique or leads out of the folder, or if of some
        kind no candidate is usable.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> tone = np.sin(np.arange(44100) / 5)
    >>> soundfile.write(folder / "tone.flac", tone, 44100)
    >>> tone = Candidate(folder / "tone.flac", "tone", "noise", "train")
    >>> manifest = convert_all(
    ...     [tone], folder, sample_rate=8000, minimum_seconds=0.5
    ... )
    >>> soundfile.info(folder / "audio" / "tone.wav").frames
    8000
    """
    if sample_rate < 1:
        raise ValueError(f"sample_rate is {sample_rate}; it must be positive")
    folder = Path(os.path.abspath(folder))
    candidates = list(candidates)
    skipped = list(skipped)
    _check_ids(candidates)
    outcomes = _convert_missing(candidates, folder, sample_rate)
    reasons = _find_reasons(candidates, outcomes, sample_rate, minimum_seconds)

    recordings = []
    for candidate in candidates:
        outcome = outcomes[candidate.id]
        if reasons[candidate.id]:
            path = os.path.abspath(candidate.source_path)
            skipped.append((candidate.id, path, reasons[candidate.id]))
            continue
        recordings.append(
            Recording(
                id=candidate.id,
                path=str(_audio_path(candidate, folder, outcome)),
                samples=outcome["samples"],
                sample_rate=sample_rate,
                kind=candidate.kind,
                split=candidate.split,
                speaker=candidate.speaker,
                sex=candidate.sex,
                label=candidate.label,
                text=candidate.text,
                source=candidate.source,
                licence=candidate.licence,
            )
        )

    skipped.sort()
    write_table(folder / "skipped.csv", ("id", "path", "reason"), skipped)
    _require_some_of_each_kind(candidates, recordings, skipped, folder)
    if skipped:
        logger.warning(
            "%d of %d files are not usable: %s; all are in %s",
            len(skipped),
            len(skipped) + len(recordings),
            _first_few(skipped),
            folder / "skipped.csv",
        )
    manifest = folder / "manifest.csv"
    write_manifest(manifest, recordings)
    return manifest


def _check_ids(candidates: list[Candidate]) -> None:
    """Refuse ids that stand twice or would lead out of the folder."""
    seen = {}
    for candidate in candidates:
        parts = PurePosixPath(candidate.id).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise ValueError(
                f"the id {candidate.id!r} of {candidate.source_path} is not "
                "a path below the folder"
            )
        if candidate.id in seen:
            raise ValueError(
                f"the id {candidate.id!r} is given to "
                f"{seen[candidate.id]} and to {candidate.source_path}; ids "
                "must be unique"
            )
        seen[candidate.id] = candidate.source_path


def _convert_missing(
    candidates: list[Candidate], folder: Path, sample_rate: int
) -> dict[str, dict]:
    """Convert what is not converted yet; give the outcome of every id."""
    journal = _read_journal(folder / JOURNAL)
    outcomes, missing = {}, []
    for candidate in candidates:
        try:
            wanted = _request(candidate, sample_rate)
        except OSError as error:
            outcomes[candidate.id] = _unreadable(error)
            continue
        known = journal.get(candidate.id)
        if known and _is_done(known, wanted, candidate, folder):
            outcomes[candidate.id] = known
        else:
            missing.append((candidate, wanted))
    if not missing:
        return outcomes

    other_rates = {entry["sample_rate"] for entry in journal.values()}
    if other_rates - {sample_rate}:
        logger.warning(
            "%s was prepared at %s Hz; converting again at %d Hz",
            folder,
            ", ".join(map(str, sorted(other_rates - {sample_rate}))),
            sample_rate,
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.csv").unlink(missing_ok=True)
    averaged = raised = 0
    with open(folder / JOURNAL, "a", encoding="utf-8") as file:
        file.write("\n")  # ends a line that a kill may have cut off
        for candidate, wanted in tqdm(missing, "preparing audio", disable=None):
            try:
                outcome = wanted | _convert(candidate, folder, sample_rate)
            except OSError as error:
                if str(error.filename) != str(candidate.source_path):
                    raise
                outcomes[candidate.id] = _unreadable(error)
                continue
            outcomes[candidate.id] = outcome
            file.write(json.dumps(outcome) + "\n")
            file.flush()
            averaged += outcome["channels"] > 1 and candidate.channel is None
            raised += 0 < outcome["source_rate"] < sample_rate
    if averaged:
        logger.info("%d files: mean of their channels taken", averaged)
    if raised:
        logger.warning(
            "%d files have a lower rate than %d Hz: their upper band is empty",
            raised,
            sample_rate,
        )
    return outcomes


def _request(candidate: Candidate, sample_rate: int) -> dict:
    """Describe a conversion: equal descriptions have equal results."""
    status = os.stat(candidate.source_path)
    return {
        "id": candidate.id,
        "source": os.path.abspath(candidate.source_path),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sample_rate": sample_rate,
        "channel": candidate.channel,
        "may_be_silent": candidate.may_be_silent,
    }


def _convert(candidate: Candidate, folder: Path, sample_rate: int) -> dict:
    """Decode one file and, unless it can stay in place, write it anew."""
    try:
        decoded = decode(
            candidate.source_path,
            sample_rate=sample_rate,
            channel=candidate.channel,
            allow_silence=candidate.may_be_silent,
        )
    except UnusableAudio as error:
        return {
            "reason": str(error),
            "samples": 0,
            "in_place": False,
            "channels": 0,
            "source_rate": 0,
        }
    outcome = {
        "reason": "",
        "samples": len(decoded.waveform),
        "in_place": decoded.is_pcm16
        and decoded.channels == 1
        and decoded.source_rate == sample_rate,
        "channels": decoded.channels,
        "source_rate": decoded.source_rate,
    }
    if not outcome["in_place"]:
        target = _audio_path(candidate, folder, outcome)
        if target == Path(os.path.abspath(candidate.source_path)):
            raise ValueError(
                f"{target} would be overwritten by its own conversion; "
                "prepare into another folder"
            )
        write_wav(target, decoded.waveform, sample_rate)
    return outcome


def write_wav(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    """Write PCM-16 under another name and move it into place.

    Arguments
    ---------
    path : Path
        The WAV file to write; its folder is made if missing.
    waveform : numpy.ndarray
        Shape (time,); what exceeds full scale, 1, is clipped.
    sample_rate : int
        In Hz.

    Example
    -------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new" / "tone.wav"
    >>> write_wav(path, np.array([0.5, -0.5]), 8000)
    >>> soundfile.read(path)
    (array([ 0.5, -0.5]), 8000)
    """
    steps = np.clip(np.rint(waveform * 32768), -32768, 32767)
    with replaced(path) as partial:
        soundfile.write(
            partial,
            steps.astype(np.int16),
            sample_rate,
            subtype="PCM_16",
            format="WAV",
        )


def _audio_path(candidate: Candidate, folder: Path, outcome: dict) -> Path:
    """Say where the audio of a manifest row lies."""
    if outcome["in_place"]:
        return Path(os.path.abspath(candidate.source_path))
    return folder / "audio" / f"{candidate.id}.wav"


def _read_journal(path: Path) -> dict[str, dict]:
    """Read the finished conversions; a line cut off by a kill is ignored."""
    entries = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            entries[entry["id"]] = entry
    return entries


def _is_done(
    known: dict, wanted: dict, candidate: Candidate, folder: Path
) -> bool:
    """Tell whether a finished conversion still holds, its file included."""
    # journals of earlier versions do not tell what may be silent
    if any(known.get(key, False) != wanted[key] for key in wanted):
        return False
    if known["reason"]:
        return True
    path = _audio_path(candidate, folder, known)
    return path.is_file() and path.stat().st_size > 2 * known["samples"]


def _unreadable(error: OSError) -> dict:
    """Give the outcome of a file that the system does not let us read."""
    return {"reason": f"cannot be read: {error.strerror}", "samples": 0}


def _find_reasons(
    candidates: list[Candidate],
    outcomes: dict[str, dict],
    sample_rate: int,
    minimum_seconds: float,
) -> dict[str, str]:
    """Say of every id why it is not usable; empty if it is."""
    reasons, broken = {}, {}
    for candidate in candidates:
        outcome = outcomes[candidate.id]
        reasons[candidate.id] = outcome["reason"] or _shortage(
            candidate, outcome["samples"] / sample_rate, minimum_seconds
        )
        if reasons[candidate.id] and candidate.together:
            broken.setdefault(candidate.together, candidate.id)
    for candidate in candidates:
        if not reasons[candidate.id] and candidate.together in broken:
            reasons[candidate.id] = (
                f"belongs to {broken[candidate.together]}, which is not usable"
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
            f"{_first_few(lost)}; all are in {folder / 'skipped.csv'}"
        )
    if not recordings:
        raise ValueError(
            f"nothing usable for {folder}: "
            + (_first_few(skipped) if skipped else "no audio files given")
        )


def _first_few(rows: list[tuple[str, str, str]]) -> str:
    """Name the first three skipped files with their reasons."""
    named = [f"{path} ({reason})" for _, path, reason in rows[:3]]
    return ", ".join(named) + (", ..." if len(rows) > 3 else "")
