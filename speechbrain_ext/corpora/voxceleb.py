"""VoxCeleb: speech of celebrities from interviews, noisy as it was found.

Sources: the folder layouts of the corpora; A. Nagrani et al., "VoxCeleb: a
large-scale speaker identification dataset", Interspeech 2017, and J. S.
Chung et al., "VoxCeleb2: Deep speaker recognition", Interspeech 2018.
"""

import os
import re
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.folder import SEX_NAMES, find_others
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.splits import fill_splits
from speechbrain_ext.corpora.tables import read_text
from speechbrain_ext.corpora.tree import list_audio


@prepares
def prepare(
    voxceleb_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 16000,
    noise_folder: str | os.PathLike | None = None,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    minimum_seconds: float = 1.0,
    seed: int = 0,
) -> Path:
    """Make the manifest of VoxCeleb, if wanted with a folder of noise.

    The recordings are divided by speaker, not as in the official sets,
    which serve another task. The m4a files of VoxCeleb2 cannot be decoded
    here and are listed as skipped; convert them to WAV or FLAC beforehand.

    Arguments
    ---------
    voxceleb_folder : str or PathLike
        Holds ``wav/idXXXXX/VIDEO/*.wav`` (VoxCeleb1) or
        ``aac/idXXXXX/VIDEO/*.m4a`` (VoxCeleb2) at any depth. Where
        ``vox1_meta.csv`` or ``vox2_meta.csv`` lies in it, sexes are read.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    noise_folder : str or PathLike, optional
        As in ``speechbrain_ext.corpora.folder.prepare``.
    validation_share, test_share : float
        Shares of the speakers; of the noises too, if they have no splits.
    minimum_seconds : float
        Shorter files are skipped.
    seed : int
        Of the division.

    Returns
    -------
    path : Path
        The manifest.

    Raises
    ------
    FileNotFoundError
        If a folder is not there; the argument is named.
    ValueError
        If no file lies as it should, or nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: voxceleb_folder: there is no folder /nowhere
    """
    root = Path(os.path.abspath(voxceleb_folder))
    paths = list_audio(root, argument="voxceleb_folder")
    sexes = _read_sexes(root)
    candidates, skipped = [], []
    for path in paths:
        parts = path.relative_to(root.parent).parts[-4:]
        name = "/".join(parts)
        if not re.fullmatch(r"(wav|aac)/id\d+/[^/]+/[^/]+", name):
            reason = "does not lie in wav/idXXXXX/VIDEO or aac/idXXXXX/VIDEO"
            skipped.append((name, str(path), reason))
            continue
        speaker = parts[1]
        candidates.append(
            Candidate(
                source_path=str(path),
                id="/".join(("speech", speaker, parts[2], path.stem)),
                kind="speech",
                split="",
                speaker=speaker,
                sex=sexes.get(speaker, ""),
                source="VoxCeleb1" if parts[0] == "wav" else "VoxCeleb2",
                license="CC BY 4.0",
            )
        )
    if not candidates:
        raise ValueError(
            f"voxceleb_folder: none of the {len(paths)} audio files in {root} "
            "lies in wav/idXXXXX/VIDEO or aac/idXXXXX/VIDEO"
        )
    if noise_folder is not None:
        candidates += find_others(
            noise_folder, "noise", argument="noise_folder"
        )
    candidates = fill_splits(
        candidates,
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
    )
    return convert_all(
        candidates,
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
        skipped=skipped,
    )


def _read_sexes(root: Path) -> dict[str, str]:
    """Read the speaker tables: cells parted by tabs or commas."""
    sexes = {}
    for name in ("vox1_meta.csv", "vox2_meta.csv"):
        path = root / name
        if not path.is_file():
            continue
        lines = read_text(path, argument="voxceleb_folder").splitlines()
        rows = [
            [cell.strip() for cell in re.split(r"[\t,]", line)]
            for line in lines
            if line.strip()
        ]
        if not rows or "Gender" not in rows[0]:
            raise ValueError(
                f"{path} has no column 'Gender'; its columns are "
                f"{', '.join(rows[0]) if rows else '(none)'}"
            )
        column = rows[0].index("Gender")
        for row in rows[1:]:
            if len(row) == len(rows[0]):
                sexes[row[0]] = SEX_NAMES.get(row[column].lower(), "")
    return sexes
