"""Dividing a corpus into train, valid and test."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from speechbrain_ext.corpora.audio import Candidate
from speechbrain_ext.corpora.tree import with_unique_ids

logger = logging.getLogger(__name__)

# Names of splits, in any case, in trees and tables.
TREE_SPLITS = {
    "train": "train",
    "valid": "valid",
    "dev": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "eval": "test",
}
# Fewer speakers than this cannot be shared out between three splits.
FEWEST_SPEAKERS = 5


def divide(
    names: Iterable[str],
    *,
    validation_share: float,
    test_share: float,
    seed: int,
) -> dict[str, str]:
    """Divide names at random into train, valid and test.

    The order of the names does not matter. A share above 0 gives at least
    one name where there are enough; train is served first, then valid.

    Arguments
    ---------
    names : iterable of str
        What to divide: speakers or files.
    validation_share, test_share : float
        Shares of the names, at least 0, together less than 1.
    seed : int
        Another seed gives another division.

    Returns
    -------
    splits : dict
        The split of every name.

    Raises
    ------
    ValueError
        If the shares are out of range.

    Example
    -------
    >>> splits = divide(
    ...     "abcdefghij", validation_share=0.2, test_share=0.1, seed=0
    ... )
    >>> sorted(splits.values()).count("valid")
    2
    """
    if min(validation_share, test_share) < 0 or (
        validation_share + test_share >= 1
    ):
        raise ValueError(
            f"validation_share={validation_share} and test_share={test_share} "
            "must be at least 0 and together less than 1"
        )

    def digest(name: str) -> bytes:
        text = f"{seed}:{name}".encode(errors="surrogatepass")
        return hashlib.sha256(text).digest()

    order = sorted(set(names), key=digest)
    spare = max(0, len(order) - 1)
    valid = min(spare, _count(validation_share, len(order)))
    test = min(spare - valid, _count(test_share, len(order)))
    splits = ["valid"] * valid + ["test"] * test
    splits += ["train"] * (len(order) - len(splits))
    return dict(zip(order, splits, strict=True))


def find_splits(
    places: Sequence[Sequence[str]], *, place: str, has_speakers: bool = False
) -> dict[str, str]:
    """Find the top folders of a tree that are splits, not speakers or labels.

    Folders are splits if they are called so (see `TREE_SPLITS`) and the tree
    fits: there is ``train`` and another split, or nothing but two splits, or
    one split that holds folders of speakers or labels and is all there is.
    Where half of the files or more lie in other folders, splits must hold
    folders of their own, unlike those beside them. So a speaker may be
    called test, and a noise train. What was understood is logged.

    Arguments
    ---------
    places : sequence of sequence of str
        The parts of the path of each file below the tree.
    place : str
        Argument and tree, for the log.
    has_speakers : bool
        Whether files lie in folders of speakers, in splits or not.

    Returns
    -------
    splits : dict
        Top folder to split; empty if there are none.

    Example
    -------
    >>> find_splits([("Train", "a", "1.wav"), ("DEV", "b", "1.wav")], place="x")
    {'DEV': 'valid', 'Train': 'train'}
    >>> find_splits([("test", "1.wav"), ("ann", "1.wav")], place="x")
    {}
    """
    names = {
        parts[0]: TREE_SPLITS[parts[0].lower()]
        for parts in sorted(places)
        if len(parts) > 1 and parts[0].lower() in TREE_SPLITS
    }
    if not names:
        return {}
    found = set(names.values())
    below = [parts for parts in places if parts[0] in names]
    is_all = len(below) == len(places)
    inner = {parts[1] for parts in below if len(parts) > 2}
    beside = {
        parts[1] for parts in places if len(parts) > 2 and parts[0] not in names
    }
    deep = sum(len(parts) > 2 for parts in below)
    # speakers have sessions of the same names as the speakers beside them
    is_deep = 2 * deep > len(below) and not inner & beside
    if len(found) > 1:
        fits = "train" in found or is_all
        fits = fits and (is_deep or 2 * len(below) > len(places))
    elif "train" not in found:
        fits = is_all and is_deep and (len(inner) > 1 or not has_speakers)
    elif has_speakers:
        fits = is_deep and 2 * len(below) >= len(places)
    else:
        fits = is_all
    listed = " and ".join(f"{name}/" for name in names)
    if not fits:
        logger.warning(
            "%s: %s %s taken for a %s, not for a split",
            place,
            listed,
            "are each" if len(names) > 1 else "is",
            "speaker" if has_speakers else "class",
        )
        return {}
    logger.info("%s: understood as splits: %s", place, listed)
    absent = [name for name in ("train", "valid", "test") if name not in found]
    if absent:
        logger.warning(
            "%s: it has no split %s; a recipe that needs it takes another by, "
            "for example, --%s_split=%s",
            place,
            " or ".join(absent),
            absent[-1],
            "valid" if "valid" in found else sorted(found)[0],
        )
    return names


def fill_splits(
    candidates: Sequence[Candidate],
    *,
    validation_share: float,
    test_share: float,
    seed: int,
) -> list[Candidate]:
    """Give a split to every candidate that has none.

    Speech is divided by speaker, so that no speaker stands in two splits;
    with fewer than five speakers it is divided by file, and a warning says
    so. Everything else is divided by file. Candidates of the split ``user``
    are divided by file for each speaker, into user_train, user_valid and
    user_test.

    Arguments
    ---------
    candidates : sequence of Candidate
        An empty split is filled; equal ids are told apart first.
    validation_share, test_share, seed
        As in ``divide``.

    Returns
    -------
    candidates : list of Candidate
        In the same order, with unique ids, every split filled. Speakers that
        stand in more than one split are logged.

    Raises
    ------
    ValueError
        If the shares are out of range.

    Example
    -------
    >>> files = [Candidate(f"/{i}.wav", f"{i}", "noise", "") for i in "abc"]
    >>> filled = fill_splits(
    ...     files, validation_share=0.1, test_share=0.1, seed=0
    ... )
    >>> sorted(item.split for item in filled)
    ['test', 'train', 'valid']
    """
    candidates = with_unique_ids(candidates)
    groups = defaultdict(list)
    for candidate in candidates:
        if candidate.split in ("", "user"):
            groups[candidate.split, candidate.kind].append(candidate)
    splits = {}
    for (split, kind), members in groups.items():
        speakers = {item.speaker for item in members}
        by_speaker = not split and kind == "speech"
        if by_speaker and len(speakers) < FEWEST_SPEAKERS:
            by_speaker = False
            logger.warning(
                "%d speakers are too few to keep the splits apart by speaker "
                "(%d needed): divided by file, every speaker is in every "
                "split",
                len(speakers),
                FEWEST_SPEAKERS,
            )
        parts = [members]
        if not by_speaker and kind == "speech":
            parts = [
                [item for item in members if item.speaker == speaker]
                for speaker in sorted(speakers)
            ]
        for part in parts:
            names = [item.speaker if by_speaker else item.id for item in part]
            division = divide(
                names,
                validation_share=validation_share,
                test_share=test_share,
                seed=seed,
            )
            prefix = f"{split}_" if split else ""
            for item, name in zip(part, names, strict=True):
                splits[item.id] = prefix + division[name]
    filled = [
        replace(item, split=splits[item.id]) if item.id in splits else item
        for item in candidates
    ]
    warn_of_shared_speakers(filled)
    return filled


def warn_of_shared_speakers(candidates: Iterable[Candidate]) -> None:
    """Log the speakers that stand in two of train, valid and test.

    Arguments
    ---------
    candidates : iterable of Candidate
        With their splits.

    Example
    -------
    >>> warn_of_shared_speakers(
    ...     [Candidate("/a.wav", "a", "speech", "train", "s1")]
    ... )
    """
    splits = defaultdict(set)
    for item in candidates:
        if item.kind == "speech" and item.split in ("train", "valid", "test"):
            splits[item.speaker].add(item.split)
    shared = sorted(name for name, where in splits.items() if len(where) > 1)
    if shared:
        logger.warning(
            "%d speakers stand in more than one split: %s",
            len(shared),
            ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else ""),
        )


def _count(share: float, total: int) -> int:
    return max(1, round(share * total)) if share > 0 else 0
