"""Noises for different purposes, and a user whose recordings are noisy."""

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import soundfile
import torch
from speechbrain.utils.logger import get_logger

from speechbrain_ext.dataio.recordings import (
    COLUMNS,
    Recording,
    read_recordings,
)
from speechbrain_ext.dataio.references import find_references
from speechbrain_ext.dataio.whole_recordings import read_whole

logger = get_logger(__name__)

# Of the largest sample in a file that is written.
HIGHEST_PEAK = 0.99
REDRAWS = 5
QUOTED = ("=", "+", "-", "@", "'")
TEST = "test"
# Ratio of the frames that must be predicted above 0 dB.
LEAST_SPEECH = 0.1
DOUBTFUL_SPEECH = 0.3
LEAST_SECONDS = 60
# What is checked: so many recordings, so much of each.
CHECKED_RECORDINGS = 30
CHECKED_SECONDS = 20


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


def read_noises(
    part: str,
    purpose: str,
    *,
    tables: Mapping[str, str | os.PathLike],
    splits: Mapping[str, str | None],
    sources: Mapping[str, str | None],
    labels_dropped: Sequence[str] = (),
    root: str | os.PathLike | None = None,
) -> list[Recording]:
    """Read the noises that are for one purpose.

    Arguments
    ---------
    part : str
        Such as train, valid or test: which table, and which split of it.
    purpose : str
        One of `sources`. The purpose "test" has its noises for itself, all
        others divide those of one part between them, by file.
    tables : mapping
        Part to a table of recordings.
    splits : mapping
        Part to a split of its table; None takes all.
    sources : mapping
        See `divide_noises`.
    labels_dropped : sequence of str
        Noises of these labels are left out.
    root : str or PathLike, optional
        See `read_recordings`.

    Returns
    -------
    noises : list of Recording

    Raises
    ------
    ValueError
        If there are too few, or see `read_recordings`.
    """
    table, split = tables[part], splits[part]
    rows = read_recordings(table, kind="noise", split=split, root=root)
    noises = [noise for noise in rows if noise.label not in labels_dropped]
    roles = {
        name: source
        for name, source in sources.items()
        if (name == TEST) == (purpose == TEST)
    }
    try:
        return divide_noises(noises, roles)[purpose]
    except ValueError as error:
        raise ValueError(f"{table}, split {split!r}: {error}") from error


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
) -> str:
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
        Where the recordings and their table are written.
    snr_db : sequence of float
        Lowest and highest SNR of an utterance.
    seed : int
        Of the user.

    Returns
    -------
    path : str
        The table. For each utterance it has a mixture and its references,
        the speech and the noise in it: see
        `speechbrain_ext.dataio.find_references`.

    Raises
    ------
    ValueError
        If there is no speech or no noise.
    """
    for name, recordings in (("speech", speech), ("noise", noises)):
        if not recordings:
            raise ValueError(f"there is no {name} to simulate a user with")
    rows = []
    for number, recording in enumerate(speech, start=1):
        name = recording.id.partition("/")[2] or recording.id
        ids = f"mixture/{name}", f"speech/{name}/clean", f"noise/{name}/around"
        signals = add_surroundings(recording, noises, snr_db, seed)
        for identity, signal in zip(ids, signals, strict=True):
            kind = identity.partition("/")[0]
            place = os.path.join("audio", kind, f"{number:04d}.wav")
            path = os.path.join(folder, place)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            soundfile.write(path, signal, recording.sample_rate, "PCM_16")
            cells = {
                **vars(recording),
                "seconds": recording.seconds,
                "id": identity,
                "kind": kind,
                "path": place,
            }
            rows.append({name: cells[key] for name, key in COLUMNS.items()})
    rows.sort(key=lambda row: row["ID"])
    table = os.path.join(folder, "manifest.csv")
    with open(
        table, "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            # spreadsheets run nothing that begins with an apostrophe
            cells = [str(cell) for cell in row.values()]
            writer.writerow(
                [f"'{cell}" if cell[:1] in QUOTED else cell for cell in cells]
            )
    return table


def add_surroundings(
    recording: Recording,
    noises: Sequence[Recording],
    snr_db: Sequence[float],
    seed: int,
) -> list[np.ndarray]:
    """Make a noisy recording, the speech and the noise in it, as 16 bits."""
    generator = generator_for(seed, recording.id)
    clean = read_whole(recording)
    noise = draw_noise(noises, len(clean), generator)
    ratio = generator.uniform(*snr_db)
    wanted = np.mean(np.square(clean)) * 10 ** (-ratio / 10)
    noise = noise * np.sqrt(wanted / np.mean(np.square(noise)))
    noisy = clean + noise
    gain = min(1.0, HIGHEST_PEAK / np.abs(noisy).max())
    return [
        np.rint(gain * signal * 32767).astype(np.int16)
        for signal in (noisy, clean, noise)
    ]


def read_user(
    table: str | os.PathLike, *, split: str, clean: bool
) -> tuple[list[Recording], list[Recording] | None]:
    """Read a user's noisy recordings, and the clean speech in them.

    Arguments
    ---------
    table : str or PathLike
        From `simulate_user`, or of a real user's recordings.
    split : str
        user_train, user_valid or user_test.
    clean : bool
        Whether the clean speech is known.

    Returns
    -------
    recordings, speech : list of Recording, list of Recording or None

    Raises
    ------
    ValueError
        See `find_references`.
    """
    found = find_references(table, split=split, required=clean)
    speech = [
        reference
        for item in found
        for reference in item.references
        if reference.kind == "speech"
    ]
    return [item.mixture for item in found], speech if clean else None


@torch.no_grad()
def check_speech(
    recordings: Sequence[Recording], predictor: torch.nn.Module | None
) -> None:
    """Check that there is speech in the recordings of a user.

    Where hardly any frame is predicted to hold more speech than noise, there
    is none. A crowd passes for speech, and noise unlike any that the
    predictor has heard may. Whether there is a second voice cannot be told:
    to the predictor it is speech like the first.

    Arguments
    ---------
    recordings : sequence of Recording
        To train on.
    predictor : torch.nn.Module or None
        Of frame SNRs; without one only the length is checked.

    Raises
    ------
    ValueError
        If hardly a frame holds speech. Little speech is logged.
    """
    seconds = sum(recording.seconds for recording in recordings)
    if seconds < LEAST_SECONDS:
        logger.warning(
            "There are %.0f s of recordings to train on; a few minutes are "
            "needed to learn a voice.",
            seconds,
        )
    if predictor is None:
        logger.warning(
            "Whether there is speech in the recordings was not checked: that "
            "needs a predictor, and check_recordings."
        )
        return
    above = frames = 0
    for recording in recordings[:CHECKED_RECORDINGS]:
        samples = read_whole(recording)
        samples = samples[: CHECKED_SECONDS * recording.sample_rate]
        levels = predictor(torch.from_numpy(samples)[None])
        above += int((levels > 0).sum())
        frames += levels.numel()
    ratio = above / frames
    if ratio < LEAST_SPEECH:
        raise ValueError(
            f"the recordings of the user seem to hold no speech: in "
            f"{100 * ratio:.1f} % of their frames the predictor finds more "
            f"speech than noise, and at least {100 * LEAST_SPEECH:.0f} % are "
            "wanted. Listen to them; if there is speech all the same, set "
            "check_recordings to False"
        )
    logger.info(
        "In %.0f %% of the frames of the recordings the predictor finds more "
        "speech than noise. Whether it is one voice cannot be told: keep "
        "recordings of others out.",
        100 * ratio,
    )
    if ratio < DOUBTFUL_SPEECH:
        logger.warning(
            "That is little: there may be no speech in some of the "
            "recordings, or more noise than speech. Listen to them."
        )


def _digest(text):
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
