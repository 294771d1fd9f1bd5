"""FUSS: mixtures of one to four sounds of any kind, with their references.

Source: the archives of Zenodo record 3743844 and the scripts that made them
(google-research/sound-separation, datasets/fuss); S. Wisdom et al., "What's
all the FUSS about free universal sound separation data?", ICASSP 2021, arXiv
2011.00803.
"""

import os
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.download import Archive, fetch_folder
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.tables import read_text
from speechbrain_ext.corpora.tree import require_folder

SPLITS = {"train": "train", "valid": "validation", "test": "eval"}
FOLDERS = {"dry": "ssdata", "reverb": "ssdata_reverb"}
SOURCES = 4  # the most in a mixture

# Sizes and SHA-256 as TensorFlow Datasets records them (tensorflow/datasets,
# url_checksums/fuss.txt). Room to unpack: 22,000 clips of 320 kB, and as many
# backgrounds, and one and a half times as many foregrounds.
_RECORD = "https://zenodo.org/record/3743844/files"
ARCHIVES = {
    "dry": Archive(
        url=f"{_RECORD}/FUSS_ssdata.tar.gz",
        size=8_892_152_218,
        sha256=(
            "7f51e4231661aa99150c51d42d3fad30a381a38416dba02c3b81fe217188d005"
        ),
        unpacked_size=25_000_000_000,
    ),
    "reverb": Archive(
        url=f"{_RECORD}/FUSS_ssdata_reverb.tar.gz",
        size=7_890_709_248,
        sha256=(
            "474012562eb7539f8d90acb759584907119606ac396b588d4c99822b73a86b67"
        ),
        unpacked_size=25_000_000_000,
    ),
}


@prepares
def prepare(
    fuss_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 16000,
    condition: str = "dry",
    download: bool = False,
    minimum_seconds: float = 1.0,
) -> Path:
    """Make the manifest of the mixtures of FUSS and of their references.

    A mixture has the kind mixture; its background is a noise, its
    foregrounds are events, and any of them may be silent. Which belong to
    which is told by ``speechbrain_ext.dataio.find_references``; the sum of
    the references is the mixture without the rounding of its file. A mixture
    is skipped if one of its references cannot be used, and the other way
    round.

    Arguments
    ---------
    fuss_folder : str or PathLike
        Holds ``ssdata`` or ``ssdata_reverb`` as the archives unpack: lists
        ``{train,validation,eval}_example_list.txt``, each line a mixture, its
        background and up to three foregrounds, parted by tabs, relative to
        the list; ``train/example00000.wav`` and so on, and
        ``train/example00000_sources/background0_sound.wav``,
        ``foreground0_sound.wav`` ... beside it.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz; FUSS has 16000.
    condition : str
        dry (``ssdata``, which the official MixIT training reads) or reverb
        (``ssdata_reverb``).
    download : bool
        Whether to fetch the archive (8.9 GB or 7.9 GB, some 25 GB unpacked)
        into ``fuss_folder``, if its folder is not there.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest; sounds have no labels.

    Raises
    ------
    FileNotFoundError
        If a folder or a list is not there; the argument is named.
    ValueError
        If the condition is unknown, a line of a list is malformed, or
        nothing is usable; see also ``fetch_folder`` of
        ``speechbrain_ext.corpora.download``.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: fuss_folder: there is no folder /nowhere/ssdata
    """
    if condition not in FOLDERS:
        raise ValueError(
            f"condition={condition!r} is not one of {', '.join(FOLDERS)}"
        )
    root = Path(fuss_folder) / FOLDERS[condition]
    if download:
        fetch_folder(ARCHIVES[condition], root)
    root = require_folder(root, argument="fuss_folder")
    candidates = [
        candidate
        for split, name in SPLITS.items()
        for candidate in _read_list(root, name, split)
    ]
    return convert_all(
        candidates,
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
    )


def _read_list(root: Path, name: str, split: str) -> list[Candidate]:
    """Find the mixtures and references that a list names."""
    path = root / f"{name}_example_list.txt"
    if not path.is_file():
        raise FileNotFoundError(
            f"fuss_folder: there is no list {path}; is the archive unpacked "
            "whole?"
        )
    candidates = []
    lines = read_text(path, argument="fuss_folder").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        mixture, *sources = line.split("\t")
        if not 1 <= len(set(sources)) == len(sources) <= SOURCES:
            raise ValueError(
                f"{path}, line {number}: {len(sources)} sources, parted by "
                f"tabs from the mixture; there must be 1 to {SOURCES}, none "
                "of them twice"
            )
        example = f"{name}/{Path(mixture).stem}"
        files = {f"mixture/{example}": mixture}
        for source in sources:
            kind, stem = _kind_of(source, f"{path}, line {number}")
            files[f"{kind}/{example}/{stem}"] = source
        candidates += [
            Candidate(
                source_path=str(root / file),
                id=identity,
                kind=identity.partition("/")[0],
                split=split,
                source=f"FUSS {root.name}",
                licence="CC BY 4.0",
                may_be_silent=file != mixture,
                together=example,
            )
            for identity, file in files.items()
        ]
    return candidates


def _kind_of(source: str, place: str) -> tuple[str, str]:
    """Tell from ``.../background0_sound.wav`` that it is (noise, name)."""
    stem = Path(source).stem.removesuffix("_sound")
    for beginning, kind in (("background", "noise"), ("foreground", "event")):
        if stem.startswith(beginning):
            return kind, stem
    raise ValueError(
        f"{place}: {source} is named neither background... nor foreground...; "
        "is this a list of FUSS?"
    )
