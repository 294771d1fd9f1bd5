"""LibriSpeech for personalisation: users, other speakers, and noises.

Source: Sivaraman, Kim and Kim, "Personalized Speech Enhancement through
Self-Supervised Data Augmentation and Purification", Interspeech 2021, arXiv
2104.02018, section 3.1, and the authors' public code for the list of users.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import soundfile

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.fsd50k import find_clips
from speechbrain_ext.corpora.librispeech import find_subset, read_sexes
from speechbrain_ext.corpora.musan import find_noises
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.splits import divide
from speechbrain_ext.corpora.tree import require_folder

SUBSET = "train-clean-100"
USERS = (
    *("19", "26", "39", "40", "78", "83", "87", "89", "118", "125"),
    *("163", "196", "198", "200", "201", "250", "254", "307", "405", "446"),
)


@prepares
def prepare(
    librispeech_folder: str | os.PathLike,
    fsd50k_folder: str | os.PathLike,
    musan_folder: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    sample_rate: int = 16000,
    users: Sequence[str] = USERS,
    validation_speakers: int = 20,
    user_seconds: float = 60.0,
    minimum_seconds: float = 3.0,
    seed: int = 0,
) -> Path:
    """Make the manifest of the paper's experiment.

    Of each user's utterances, in an order drawn once, the first minute is
    user_test, the second user_valid and the rest (about 20 minutes)
    user_train. Which of the other speakers validate is not published: they
    are drawn.

    Arguments
    ---------
    librispeech_folder : str or PathLike
        As in ``speechbrain_ext.corpora.librispeech.prepare``; its subset
        train-clean-100 is read.
    fsd50k_folder : str or PathLike
        As in ``speechbrain_ext.corpora.fsd50k.prepare``.
    musan_folder : str or PathLike
        As in ``speechbrain_ext.corpora.musan.prepare``.
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Rate of all recordings of the manifest, in Hz.
    users : sequence of str
        Speakers to personalise for; the paper's 20.
    validation_speakers : int
        How many of the others are the split valid.
    user_seconds : float
        Least length of user_test and of user_valid, for each user.
    minimum_seconds : float
        Shorter files are skipped.
    seed : int
        Of the divisions.

    Returns
    -------
    path : Path
        The manifest; noises tell by their source what they are from.

    Raises
    ------
    FileNotFoundError
        If a folder or table is not there; the argument is named.
    ValueError
        If a user is no speaker of the subset or has too little speech, there
        are too few other speakers, or nothing is usable.

    Example
    -------
    >>> prepare("/nowhere", "/nowhere", "/nowhere", "/nowhere/out")
    Traceback (most recent call last):
    FileNotFoundError: librispeech_folder: there is no folder /nowhere
    """
    root = require_folder(librispeech_folder, argument="librispeech_folder")
    if (root / "LibriSpeech").is_dir():
        root = root / "LibriSpeech"
    by_speaker = defaultdict(list)
    sexes = read_sexes(root / "SPEAKERS.TXT")
    for item in find_subset(root / SUBSET, "train", sexes):
        by_speaker[item.speaker].append(item)
    users = [str(user) for user in users]
    strangers = [user for user in users if user not in by_speaker]
    if strangers:
        raise ValueError(
            f"users: {', '.join(strangers)} are no speakers of {root / SUBSET}"
        )
    others = sorted(by_speaker.keys() - set(users))
    if validation_speakers >= len(others):
        raise ValueError(
            f"validation_speakers is {validation_speakers}; besides the "
            f"{len(users)} users there are {len(others)} speakers, and one at "
            "least must be left to train on"
        )
    splits = divide(
        others,
        validation_share=validation_speakers / len(others),
        test_share=0.0,
        seed=seed,
    )
    candidates = [
        replace(item, split=splits[speaker])
        for speaker in others
        for item in by_speaker[speaker]
    ]
    for user in users:
        candidates += _divide_user(
            by_speaker[user], user_seconds, minimum_seconds, seed
        )
    candidates += find_clips(fsd50k_folder) + find_noises(musan_folder)
    return convert_all(
        candidates,
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
    )


def _divide_user(
    utterances: Sequence[Candidate],
    seconds: float,
    minimum_seconds: float,
    seed: int,
) -> list[Candidate]:
    """Share out one user's utterances by their length."""
    order = divide(
        [item.id for item in utterances],
        validation_share=0.0,
        test_share=0.0,
        seed=seed,
    )
    by_id = {item.id: item for item in utterances}
    lengths = dict.fromkeys(("user_test", "user_valid", "user_train"), 0.0)
    divided = []
    for name in order:
        try:
            duration = soundfile.info(by_id[name].source_path).duration
        except (OSError, RuntimeError):
            duration = minimum_seconds  # the conversion lists it as unusable
        if duration < minimum_seconds:
            continue
        split = "user_train"
        for short in ("user_valid", "user_test"):
            if lengths[short] < seconds:
                split = short
        lengths[split] += duration
        divided.append(replace(by_id[name], split=split))
    if not lengths["user_train"]:
        raise ValueError(
            f"users: speaker {utterances[0].speaker} has "
            f"{sum(lengths.values()):.0f} s of utterances over "
            f"{minimum_seconds:g} s; {seconds:g} s for the test and as many "
            "for validation leave none to train on. Make user_seconds smaller"
        )
    return divided
