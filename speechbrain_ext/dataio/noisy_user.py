"""Noises for different purposes, and a user whose recordings are noisy."""

import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_ext.dataio.manifest import write_manifest
from speechbrain_ext.dataio.prepared import (
    AUDIO,
    MANIFEST,
    PreparedFolder,
    leads_outside,
)
from speechbrain_ext.dataio.recordings import Recording
from speechbrain_ext.dataio.segments import read_whole
from speechbrain_ext.outputs import is_output, written

logger = logging.getLogger(__name__)

# Of the largest sample in a file that is written.
HIGHEST_PEAK = 0.99
REDRAWS = 5


def divide_noises(
    noises: Sequence[Recording], roles: Mapping[str, str | None]
) -> dict[str, list[Recording]]:
    """Share out noises between purposes that must not have one in common.

    Arguments
    ---------
    noises : sequence of Recording
        Of one split.
    roles : mapping
        Name of a purpose to the `source` of the recordings that it takes, or
        None for any. Purposes of the same source share its recordings evenly
        over their labels.

    Returns
    -------
    divided : dict
        Role to its recordings.

    Raises
    ------
    ValueError
        If a role gets none.

    Example
    -------
    >>> noises = [
    ...     Recording(f"{label}{n}", f"/{label}{n}", 9, 8, "noise", "train",
    ...               label=label)
    ...     for label in ("rain", "sea") for n in range(2)
    ... ]
    >>> divided = divide_noises(noises, {"user": None, "injected": None})
    >>> sorted(noise.label for noise in divided["user"])
    ['rain', 'sea']
    """
    groups = defaultdict(list)
    for role, source in roles.items():
        groups[source].append(role)
    divided = {role: [] for role in roles}
    for source, members in groups.items():
        fitting = [n for n in noises if source in (None, n.source)]
        fitting.sort(key=lambda n: (n.label, _digest(n.id), n.id))
        for place, noise in enumerate(fitting):
            divided[members[place % len(members)]].append(noise)
    for role, found in divided.items():
        if not found:
            there = sorted({noise.source or "(none)" for noise in noises})
            raise ValueError(
                f"there are too few noises for {role}: {len(noises)} "
                f"recordings of the sources {', '.join(there) or '(none)'}; "
                f"it takes the source {roles[role] or '(any)'} and shares it "
                f"with {', '.join(groups[roles[role]])}. Add noise recordings"
            )
    return divided


def draw_noise(
    noises: Sequence[Recording], samples: int, generator: np.random.Generator
) -> np.ndarray:
    """Cut a piece of any length from one of several noises.

    Arguments
    ---------
    noises : sequence of Recording
        One is chosen at random. A shorter one is repeated.
    samples : int
        Length of the piece.
    generator : numpy.random.Generator
        Where the randomness comes from.

    Returns
    -------
    piece : numpy.ndarray
        Shape (samples,), float32. Silent pieces are drawn again.

    Example
    -------
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, [0.5, 0.25], 8000)
    >>> noise = Recording("a", path, 2, 8000, "noise", "train")
    >>> piece = draw_noise([noise], 5, np.random.default_rng(0))
    >>> sorted(piece.tolist())[:2]
    [0.25, 0.25]
    """
    whole = read_whole(noises[int(generator.integers(len(noises)))])
    for _ in range(REDRAWS):
        start = int(generator.integers(max(1, len(whole) - samples + 1)))
        if len(whole) < samples:
            start = int(generator.integers(len(whole)))
            piece = np.resize(np.roll(whole, -start), samples)
        else:
            piece = whole[start : start + samples]
        if piece.any():
            return piece
    start = max(0, int(np.abs(whole).argmax()) - samples + 1)
    return np.resize(whole[start : start + samples], samples)


def generator_for(seed: int, name: str) -> np.random.Generator:
    """Make a generator that follows from a seed and a name alone."""
    return np.random.default_rng([seed, int(_digest(name)[:12], 16)])


def simulate_user(
    speech: Sequence[Recording],
    noises: Sequence[Recording],
    folder: str | os.PathLike,
    *,
    snr_db: Sequence[float],
    seed: int,
) -> Path:
    """Make the noisy recordings of a user whose clean speech is known.

    For experiments: a real user has nothing but such recordings. Each
    utterance gets one piece of noise, once and for all; pieces and levels
    follow from the seed and the utterance's id.

    Arguments
    ---------
    speech : sequence of Recording
        Of the user.
    noises : sequence of Recording
        What is around the user.
    folder : str or PathLike
        Where the recordings and their manifest are written.
    snr_db : sequence of float
        Lowest and highest SNR of an utterance.
    seed : int
        Of the user.

    Returns
    -------
    path : Path
        The manifest. For each utterance it has a mixture and its references,
        the speech and the noise in it: see
        `speechbrain_ext.dataio.find_references`.

    Raises
    ------
    ValueError
        If there is no speech or no noise, or the folder holds a user that
        was made from something else.
    """
    for name, recordings in (("speech", speech), ("noise", noises)):
        if not recordings:
            raise ValueError(f"there is no {name} to simulate a user with")
    made_from = {
        "corpus": "simulate_user",
        "speech": _digest(str(speech)),
        "noises": _digest(str(noises)),
        "snr_db": list(snr_db),
        "seed": seed,
    }
    prepared = PreparedFolder(folder, made_from)
    with prepared.taken():
        rows = [
            row
            for recording in speech
            for row in _add_noise(
                recording, noises, prepared.path, snr_db, seed
            )
        ]
        manifest = prepared.path / MANIFEST
        write_manifest(manifest, rows)
    return manifest


def _add_noise(
    recording: Recording,
    noises: Sequence[Recording],
    folder: Path,
    snr_db: Sequence[float],
    seed: int,
) -> list[Recording]:
    """Write a mixture and its references, unless they are there unchanged."""
    name = recording.id.partition("/")[2] or recording.id
    ids = (f"mixture/{name}", f"speech/{name}/clean", f"noise/{name}/around")
    rows = [
        replace(
            recording,
            id=identity,
            path=str(folder / AUDIO / f"{identity}.wav"),
            kind=identity.partition("/")[0],
        )
        for identity in ids
    ]
    if all(is_output(row.path) for row in rows):
        return rows
    generator = generator_for(seed, recording.id)
    clean = read_whole(recording)
    noise = draw_noise(noises, len(clean), generator)
    ratio = generator.uniform(*snr_db)
    wanted = np.mean(np.square(clean)) * 10 ** (-ratio / 10)
    noise = noise * np.sqrt(wanted / np.mean(np.square(noise)))
    noisy = clean + noise
    gain = min(1.0, HIGHEST_PEAK / np.abs(noisy).max())
    for row, signal in zip(rows, (noisy, clean, noise), strict=True):
        if leads_outside(row.path, folder):
            raise ValueError(f"the id {row.id!r} leads out of {folder}")
        if os.path.lexists(row.path):
            logger.warning(
                "%s is not as it was prepared; making it again", row.path
            )
        # all in this folder is ours: it was new when the folder was
        with written(row.path, "simulate_user", overwrite=True) as partial:
            soundfile.write(
                partial,
                np.rint(gain * signal * 32767).astype(np.int16),
                recording.sample_rate,
                subtype="PCM_16",
                format="WAV",
            )
    return rows


def _digest(text):
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
