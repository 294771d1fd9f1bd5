"""Converting recordings of any kind to a manifest of mono PCM-16 WAV.

Why convert: a random segment of such a file costs one seek, whether the file
lasts five seconds or five minutes; of a compressed file it costs decoding.
"""

import errno
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from speechbrain_ext.console import DISK_FAULTS, printable
from speechbrain_ext.corpora.candidate import Candidate
from speechbrain_ext.corpora.decoding import UnusableAudio, decode
from speechbrain_ext.corpora.journal import (
    Journal,
    state_of,
    target_fault,
    target_of,
)
from speechbrain_ext.corpora.listing import find_reasons, write_tables
from speechbrain_ext.dataio.prepared import JOURNAL, MANIFEST, PreparedFolder
from speechbrain_ext.files import replaced

logger = logging.getLogger(__name__)

# An offset below this share of the deviation raises the level by 0.004 dB.
LARGEST_OFFSET = 0.03

FORBIDDEN = {errno.EACCES, errno.EPERM}


def convert_all(
    candidates: Iterable[Candidate],
    folder: str | os.PathLike,
    *,
    sample_rate: int,
    minimum_seconds: float,
    skipped: Iterable[tuple[str, str, str]] = (),
) -> Path:
    """Convert candidates to mono PCM-16 WAV at one rate; write the manifest.

    A file that is such a WAV already, and has no offset, stays where it is.
    Any other becomes ``folder/audio/<id>.wav``. Files that cannot be used are
    listed in ``folder/skipped.csv`` (id, path, reason) and counted in one
    warning.

    Interrupted at any moment, the next call resumes where it stopped, for
    ``folder/conversion.jsonl`` holds a line for every finished file. A file
    is converted again if it, its id, its channel or what was made of it has
    changed. A call with nothing to do writes nothing. ``manifest.csv`` is
    there only while it is true: it is removed before the first file is
    converted. A second process waits for the first and takes up what that
    has made; under DDP call this by
    ``speechbrain.utils.distributed.run_on_main``.

    Names that are not UTF-8 stand in all these files as their bytes are on
    disk (Python's ``surrogateescape``), in the journal as JSON escapes.

    Arguments
    ---------
    candidates : iterable of Candidate
        Of two with one id the first is taken.
    folder : str or PathLike
        Where to write; made if missing. A `PreparedFolder` knows the data
        and options that it is for; of a path these are the two below.
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
        If the folder holds what was made from something else, or if of some
        kind no candidate is usable.
    OSError
        If the folder cannot be written to.

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
    if not isinstance(folder, PreparedFolder):
        options = {
            "sample_rate": sample_rate,
            "minimum_seconds": minimum_seconds,
        }
        folder = PreparedFolder(folder, options)
    skipped = list(skipped)
    candidates = _without_doubles(candidates, skipped)
    with folder.taken():
        outcomes = _convert_missing(candidates, folder.path, sample_rate)
        reasons = find_reasons(
            candidates, outcomes, sample_rate, minimum_seconds
        )
        return write_tables(
            candidates, outcomes, reasons, skipped, folder.path, sample_rate
        )


def _without_doubles(
    candidates: Iterable[Candidate], skipped: list[tuple[str, str, str]]
) -> list[Candidate]:
    """Keep the first candidate of each id, and list the others."""
    first = {}
    for candidate in candidates:
        if candidate.id not in first:
            first[candidate.id] = candidate
            continue
        path = str(candidate.source_path)
        other = str(first[candidate.id].source_path)
        reason = f"has the id of {other}"
        if path == other:
            reason = "is listed twice"
        skipped.append((candidate.id, path, reason))
    return list(first.values())


def _convert_missing(
    candidates: list[Candidate], folder: Path, sample_rate: int
) -> dict[str, dict]:
    """Convert what is not converted yet; give the outcome of every id."""
    journal = Journal(folder / JOURNAL)
    outcomes, missing = {}, []
    for candidate in candidates:
        try:
            wanted = _request(candidate, sample_rate)
        except (OSError, ValueError) as error:
            outcomes[candidate.id] = _failed(error)
            continue
        known = journal.done.get(candidate.id)
        if known and _is_done(known, wanted, folder):
            outcomes[candidate.id] = known
        else:
            missing.append((candidate, wanted))
    if not missing:
        return outcomes

    stale = sum(
        item.make is not None
        and journal.done.get(item.id, wanted)["source"] != wanted["source"]
        for item, wanted in missing
    )
    if stale:
        logger.warning(
            "%d sounds in %s were made by another version of the code; making "
            "them again",
            stale,
            folder,
        )
    (folder / MANIFEST).unlink(missing_ok=True)
    averaged = raised = 0
    with journal:
        for candidate, wanted in tqdm(missing, "preparing audio", disable=None):
            fault = target_fault(candidate.id, folder, journal.begun)
            if not fault:
                journal.write({"id": candidate.id})
            try:
                outcome = wanted | _convert(
                    candidate, folder, sample_rate, fault
                )
            except OSError as error:
                is_source = str(error.filename) == str(candidate.source_path)
                if error.errno in DISK_FAULTS or (
                    error.errno in FORBIDDEN and not is_source
                ):
                    raise
                outcomes[candidate.id] = _failed(error)
                continue
            except (ValueError, RuntimeError, MemoryError) as error:
                outcomes[candidate.id] = _failed(error)
                continue
            outcomes[candidate.id] = outcome
            journal.write(outcome)
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
    source, size, time = candidate.source_path, 0, 0
    if candidate.make is None:
        status = os.stat(candidate.source_path)
        size, time = status.st_size, status.st_mtime_ns
        source = os.path.abspath(candidate.source_path)
    return {
        "id": candidate.id,
        "source": source,
        "size": size,
        "mtime_ns": time,
        "sample_rate": sample_rate,
        "channel": candidate.channel,
    }


def _convert(
    candidate: Candidate, folder: Path, sample_rate: int, fault: str
) -> dict:
    """Decode or make one file and, unless it stays in place, write it."""
    outcome = {
        "reason": "",
        "in_place": False,
        "channels": 1,
        "source_rate": sample_rate,
    }
    if candidate.make is not None:
        waveform = candidate.make()
    else:
        try:
            decoded = decode(
                candidate.source_path,
                sample_rate=sample_rate,
                channel=candidate.channel,
            )
        except UnusableAudio as error:
            return outcome | {
                "reason": str(error),
                "samples": 0,
                "channels": 0,
                "source_rate": 0,
            }
        waveform = decoded.waveform
        if candidate.kind != "rir":
            waveform = without_offset(waveform)
        outcome |= {
            "in_place": decoded.is_pcm16
            and waveform is decoded.waveform
            and decoded.channels == 1
            and decoded.source_rate == sample_rate,
            "channels": decoded.channels,
            "source_rate": decoded.source_rate,
        }
    outcome["samples"] = len(waveform)
    if not outcome["in_place"]:
        if fault:
            raise ValueError(fault)
        target = target_of(candidate.id, folder)
        write_wav(target, waveform, sample_rate)
        outcome["target"] = state_of(target)
    return outcome


def without_offset(waveform: np.ndarray) -> np.ndarray:
    """Remove a constant offset, which is no sound but counts in every level.

    Arguments
    ---------
    waveform : numpy.ndarray
        Shape (time,), at least one sample.

    Returns
    -------
    waveform : numpy.ndarray
        The same object if its mean is below ``LARGEST_OFFSET`` of its
        deviation; else without its mean, and not above 1 in magnitude.

    Example
    -------
    >>> without_offset(np.array([0.75, 0.25], np.float32))
    array([ 0.25, -0.25], dtype=float32)
    """
    mean = waveform.mean(dtype=np.float64)
    if abs(mean) <= LARGEST_OFFSET * waveform.std(dtype=np.float64):
        return waveform
    waveform = waveform - np.float32(mean)
    return waveform / max(np.abs(waveform).max(), np.float32(1.0))


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
        try:
            soundfile.write(
                partial,
                steps.astype(np.int16),
                sample_rate,
                subtype="PCM_16",
                format="WAV",
            )
        except (soundfile.LibsndfileError, AssertionError) as error:
            # libsndfile does not say why: the disk is the likely reason
            raise OSError(
                errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)
            ) from error


def _is_done(known: dict, wanted: dict, folder: Path) -> bool:
    """Tell whether a finished conversion still holds, its file included."""
    if any(known.get(key) != wanted[key] for key in wanted):
        return False
    if known["reason"] or known.get("in_place"):
        return True
    target = target_of(known["id"], folder)
    if known.get("target") == state_of(target):
        return True
    logger.warning(
        "%s is not as it was prepared; making it again", printable(target)
    )
    return False


def _failed(error: Exception) -> dict:
    """Give the outcome of a file that fails now and may not the next time."""
    reason = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        reason = f"cannot be read: {error.strerror}"
    return {"reason": reason, "samples": 0}
