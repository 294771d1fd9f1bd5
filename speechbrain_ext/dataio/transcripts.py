"""Utterances with their texts, for the training of a recognizer."""

import dataclasses
import os
import re
import unicodedata
from collections.abc import Collection, Sequence

from speechbrain.utils.logger import get_logger

from speechbrain_ext.dataio.recordings import Recording, read_recordings

# What one writes and another spells out.
SPELLED = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
logger = get_logger(__name__)


def normalize_text(text: str) -> str:
    """Bring a text to the words that are compared.

    Arguments
    ---------
    text : str
        In any case, with punctuation.

    Returns
    -------
    words : str
        In lower case, with a space between words: letters and digits, and
        apostrophes inside a word; "mr", "mrs" and "dr" are spelled out.

    Example
    -------
    >>> normalize_text("Mr. Smith's well-known dog -- HERE!")
    "mister smith's well known dog here"
    """
    text = unicodedata.normalize("NFKC", text).lower()
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text)
    return " ".join(SPELLED.get(word, word) for word in words)


def read_utterances(
    path: str | os.PathLike,
    *,
    alphabet: str,
    split: str | Sequence[str] | None = None,
    longest_seconds: float = float("inf"),
    words: Collection[str] | None = None,
    root: str | os.PathLike | None = None,
) -> list[Recording]:
    """Read utterances from a table, after their texts were checked.

    Arguments
    ---------
    path : str or PathLike
        A table of recordings, see `read_recordings`.
    alphabet : str
        Characters that a text may have, after `normalize_text`.
    split, root
        See `read_recordings`.
    longest_seconds : float
        Longer utterances are left out.
    words : collection of str, optional
        Utterances with any other word are left out.

    Returns
    -------
    utterances : list of Recording

    Raises
    ------
    ValueError
        If a text is missing or has another character, or none is left.
    """
    splits = [split] if split is None or isinstance(split, str) else split
    found = {}
    for one in splits:
        for row in read_recordings(path, kind="speech", split=one, root=root):
            found.setdefault(row.id, row)
    rows = list(found.values())
    check_texts(rows, alphabet, str(path))
    kept = [
        row
        for row in rows
        if row.seconds <= longest_seconds
        and (words is None or words_of([row]).issubset(words))
    ]
    if len(kept) < len(rows):
        logger.info("%s: %d of %d are used", path, len(kept), len(rows))
    if not kept:
        raise ValueError(
            f"{path}, split {split}: none of the {len(rows)} utterances is "
            "left; see longest_seconds, and set closed_vocabulary to False"
        )
    return kept


def words_of(rows: Sequence[Recording]) -> set[str]:
    """Collect the words of utterances.

    Arguments
    ---------
    rows : sequence of Recording
        With texts.

    Returns
    -------
    words : set of str

    Example
    -------
    >>> sorted(words_of([Recording("a", "/a.wav", 1, 8000, text="Oh, no!")]))
    ['no', 'oh']
    """
    return {word for row in rows for word in normalize_text(row.text).split()}


def check_texts(rows: Sequence[Recording], alphabet: str, where: str) -> None:
    """Raise unless every utterance has a text that can be written.

    Arguments
    ---------
    rows : sequence of Recording
        Of speech.
    alphabet : str
        Characters that a text may have.
    where : str
        For the message.

    Raises
    ------
    ValueError
        The message counts and names them, and tells the fix.
    """
    texts = {row.id: normalize_text(row.text) for row in rows}
    empty = [name for name, text in texts.items() if not text]
    if empty:
        raise ValueError(
            f"{where}: {len(empty)} of {len(texts)} utterances have no text, "
            f"such as {', '.join(empty[:3])}; recognition needs what is said: "
            "fill the column text, or leave these recordings out"
        )
    unknown = {
        name: found
        for name, text in texts.items()
        if (found := set(text).difference(alphabet))
    }
    if unknown:
        every = sorted(set().union(*unknown.values()))
        raise ValueError(
            f"{where}: {len(unknown)} texts hold the characters {every}, such "
            f"as {next(iter(unknown))}; add them to the alphabet (and raise "
            "num_tokens), or write them out"
        )


def repeat(rows: Sequence[Recording], times: int) -> list[Recording]:
    """List recordings several times, so that each gets several noises.

    Arguments
    ---------
    rows : sequence of Recording
        Of speech.
    times : int
        How often; the second has #2 behind its id, and so on.

    Returns
    -------
    rows : list of Recording

    Example
    -------
    >>> [row.id for row in repeat([Recording("a", "/a.wav", 1, 8000)], 2)]
    ['a', 'a#2']
    """
    again = [
        dataclasses.replace(row, id=f"{row.id}#{number}")
        for number in range(2, times + 1)
        for row in rows
    ]
    return [*rows, *again]
