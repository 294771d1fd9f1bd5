"""One user's noisy recordings, as they are, and noises to add to them."""

import os
from dataclasses import replace
from pathlib import Path

from speechbrain_ext.corpora import mini
from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.folder import find_others
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.splits import fill_splits
from speechbrain_ext.corpora.tree import distinct_files
from speechbrain_ext.dataio.recordings import read_recordings

FEWEST = 3


@prepares
def prepare(
    data_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    noise_folder: str | os.PathLike | None = None,
    sample_rate: int = 16000,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    minimum_seconds: float = 1.0,
    seed: int = 0,
) -> Path:
    """Turn a tree of one user's recordings into a manifest.

    No clean speech is asked for. Recordings are of the kind mixture, for
    they hold the voice and whatever was around it.

    Arguments
    ---------
    data_folder : str or PathLike
        The tree, of any depth, rates and formats, with or without folders of
        splits, see ``speechbrain_ext.corpora.splits.find_splits``. Without
        them files are divided at random.
    folder : str or PathLike
        Where to write; made if missing.
    noise_folder : str or PathLike, optional
        A tree of noises to add, with or without such splits. By default the
        noises that the corpus ``mini`` makes by code.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    validation_share, test_share : float
        Shares of the files, where no splits are given.
    minimum_seconds : float
        Shorter files are skipped.
    seed : int
        Of the division.

    Returns
    -------
    path : Path
        The manifest; splits of the recordings are user_train, user_valid and
        user_test.

    Raises
    ------
    FileNotFoundError
        If a folder is not there; the argument is named.
    ValueError
        If there are fewer than three recordings, or a split has none that is
        usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: data_folder: there is no folder /nowhere
    """
    skipped = []
    found = find_others(
        data_folder, "mixture", argument="data_folder", exclude=[folder]
    )
    found = distinct_files(found, skipped)
    if len(found) < FEWEST:
        raise ValueError(
            f"data_folder: {data_folder} holds {len(found)} recording"
            f"{'s' * (len(found) > 1)}; training, validation and test need "
            f"{FEWEST} at least. Cut a long one into pieces, for example by: "
            f"ffmpeg -i {Path(found[0].source_path).name} -f segment "
            "-segment_time 10 PIECES/%03d.wav"
        )
    recordings = [
        replace(
            item,
            label="",  # a folder's name is no class here
            split=f"user_{item.split}" if item.split else "user",
            source="the user",
        )
        for item in found
    ]
    noises = (
        _made_noises(Path(folder) / "mini", sample_rate)
        if noise_folder is None
        else find_others(noise_folder, "noise", argument="noise_folder")
    )
    candidates = fill_splits(
        recordings + distinct_files(noises, skipped),
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
    )
    manifest = convert_all(
        candidates,
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
        skipped=skipped,
    )
    there = {row.split for row in read_recordings(manifest, kind="mixture")}
    for split in ("user_train", "user_valid", "user_test"):
        if split not in {item.split for item in candidates}:
            raise ValueError(
                f"data_folder: {data_folder} has folders of splits, and none "
                f"for {split.removeprefix('user_')}; add it, or give a folder "
                "without splits, whose files are divided at random"
            )
        if split not in there:
            raise ValueError(
                f"data_folder: none of the recordings of the split {split} is "
                f"usable; see {Path(folder) / 'skipped.csv'}, and add others"
            )
    return manifest


def _made_noises(folder: Path, sample_rate: int) -> list[Candidate]:
    """Offer the noises of the corpus `mini`."""
    manifest = mini.prepare(folder, sample_rate=sample_rate)
    return [
        Candidate(
            source_path=row.path,
            id=row.id,
            kind="noise",
            split=row.split,
            label=row.label,
            source=row.source,
            license=row.license,
        )
        for row in read_recordings(manifest, kind="noise")
    ]
