"""WHAM!: read speech of WSJ0 and the noise of WHAM!.

Sources: the folder layouts of LDC93S6A (WSJ0, converted to WAV) and of the
WHAM! noise archive; G. Wichern et al., "WHAM!: Extending speech separation
to noisy environments", Interspeech 2019.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.splits import warn_of_shared_speakers
from speechbrain_ext.corpora.tree import (
    list_audio,
    require_folder,
    with_unique_ids,
)

SPEECH_SPLITS = {
    "train": ("si_tr_s",),
    "valid": ("si_dt_05",),
    "test": ("si_et_05",),
}
NOISE_SPLITS = {"train": "tr", "valid": "cv", "test": "tt"}


@prepares
def prepare(
    wsj0_folder: str | os.PathLike,
    wham_noise_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 8000,
    splits: Mapping[str, Sequence[str]] = SPEECH_SPLITS,
    minimum_seconds: float = 1.0,
) -> Path:
    """Make the manifest of WSJ0 speech and WHAM! noise.

    The recordings stay unmixed; at which SNR the noise is added (0, 10 or
    20 dB per source for WHAM!+) is the recipe's choice. Of the two-channel
    noise the first channel is taken, as in the single-channel WHAM!.

    Note that the test mixtures of the published WSJ0-2mix draw on both
    si_dt_05 and si_et_05.

    Arguments
    ---------
    wsj0_folder : str or PathLike
        Holds ``si_tr_s/SPEAKER/*.wav`` and the others at any depth, in
        upper or lower case. Where a ``*spkrinfo.txt`` of the corpus is
        there, sexes are read from it.
    wham_noise_folder : str or PathLike
        Holds ``tr``, ``cv`` and ``tt``.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    splits : mapping
        The WSJ0 folders of train, valid and test.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest.

    Raises
    ------
    FileNotFoundError
        If a folder is not there; the argument is named.
    ValueError
        If a split finds no files, or nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: wsj0_folder: there is no folder /nowhere
    """
    root = require_folder(wsj0_folder, argument="wsj0_folder")
    noise_root = require_folder(wham_noise_folder, argument="wham_noise_folder")
    candidates = _find_speech(root, splits)
    for split, name in NOISE_SPLITS.items():
        paths = list_audio(noise_root / name, argument="wham_noise_folder")
        candidates += [
            Candidate(
                source_path=str(path),
                id=f"noise/{name}/{path.stem}",
                kind="noise",
                split=split,
                source="WHAM! noise",
                licence="CC BY-NC 4.0",
                channel=0,
            )
            for path in paths
        ]
    warn_of_shared_speakers(candidates)
    return convert_all(
        with_unique_ids(candidates),
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
    )


def _find_speech(
    root: Path, splits: Mapping[str, Sequence[str]]
) -> list[Candidate]:
    """Find the utterances of every split."""
    subsets = {
        subset.lower(): split
        for split, names in splits.items()
        for subset in names
    }
    sexes = _read_sexes(root)
    candidates = []
    for path in list_audio(root, argument="wsj0_folder"):
        parts = [part.lower() for part in path.relative_to(root).parts]
        if len(parts) < 3 or parts[-3] not in subsets:
            continue
        subset, speaker = parts[-3:-1]
        candidates.append(
            Candidate(
                source_path=str(path),
                id=f"speech/{subset}/{speaker}/{path.stem.lower()}",
                kind="speech",
                split=subsets[subset],
                speaker=speaker,
                sex=sexes.get(speaker, ""),
                source="WSJ0",
                licence="LDC",
            )
        )
    found = {candidate.split for candidate in candidates}
    for split, names in splits.items():
        if split not in found:
            raise ValueError(
                f"wsj0_folder: {root} holds no audio for the split {split}; "
                f"looked for {', '.join(names)}/SPEAKER/*.wav at any depth"
            )
    return candidates


def _read_sexes(root: Path) -> dict[str, str]:
    """Read the speaker tables: rows begin with the speaker and F or M."""
    sexes = {}
    for path in sorted(root.rglob("*")):
        if path.name.lower().endswith("spkrinfo.txt") and path.is_file():
            text = path.read_text(encoding="latin-1")
            for speaker, sex in re.findall(r"(?m)^(\w{3})\s+([FM])\b", text):
                sexes[speaker.lower()] = sex
    return sexes
