"""The archives of FUSS, fetched and unpacked.

The recipe recipes/FUSS/mixit_separation prepares what is in them.
Source: Zenodo record 3743844; S. Wisdom et al., "What's all the FUSS about
free universal sound separation data?", ICASSP 2021, arXiv 2011.00803.
"""

import os
from pathlib import Path

from speechbrain_ext.corpora.download import Archive, fetch_folder

FOLDERS = {"dry": "ssdata", "reverb": "ssdata_reverb"}

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


def fetch(data_folder: str | os.PathLike, condition: str = "dry") -> Path:
    """Download and unpack an archive of FUSS, unless its folder is there.

    Stopped at any moment, the next call resumes.

    Arguments
    ---------
    data_folder : str or PathLike
        Where ``ssdata`` or ``ssdata_reverb`` is put; the archive has 8.9 or
        7.9 GB, and takes some 25 GB when unpacked.
    condition : str
        dry (``ssdata``, which the official MixIT training reads) or reverb
        (``ssdata_reverb``).

    Returns
    -------
    folder : Path

    Raises
    ------
    ValueError
        If the condition is unknown; see also ``fetch_folder`` of
        ``speechbrain_ext.corpora.download``.
    """
    if condition not in FOLDERS:
        raise ValueError(
            f"condition={condition!r} is not one of {', '.join(FOLDERS)}"
        )
    root = Path(data_folder) / FOLDERS[condition]
    fetch_folder(ARCHIVES[condition], root)
    return root
