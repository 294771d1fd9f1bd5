"""Utterances with texts: what is kept, and what is told."""

import pytest

from speechbrain_ext.dataio import Recording
from speechbrain_ext.dataio.transcripts import (
    read_utterances,
    repeat,
    words_of,
)

ALPHABET = " abcdefghijklmnopqrstuvwxyz'"


def write(tmp_path, texts, column="text"):
    """A table of utterances of 1, 2, 3 ... seconds; the last one is noise."""
    lines = [f"ID,wav,samples,sample_rate,kind,split,{column}"]
    for number, text in enumerate(texts, start=1):
        split = "train" if number % 2 else "user_train"
        lines.append(
            f'u{number},u.wav,{8000 * number},8000,speech,{split},"{text}"'
        )
    lines.append("n,n.wav,8000,8000,noise,train,")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def ids(rows):
    return [row.id for row in rows]


@pytest.mark.parametrize("column", ["text", "wrd"])
def test_speech_is_read_with_its_texts(tmp_path, column):
    path = write(tmp_path, ["It's a TEST.", "One, two"], column)
    rows = read_utterances(path, alphabet=ALPHABET)
    assert [row.text for row in rows] == ["It's a TEST.", "One, two"]
    assert words_of(rows) == {"it's", "a", "test", "one", "two"}


@pytest.mark.parametrize(
    "split, found",
    [
        (None, ["u1", "u2", "u3"]),
        ("train", ["u1", "u3"]),
        (["user_train", "train"], ["u2", "u1", "u3"]),
    ],
    ids=("all", "one", "several"),
)
def test_splits_come_in_their_turn(tmp_path, split, found):
    path = write(tmp_path, ["a", "b", "c"])
    rows = read_utterances(path, alphabet=ALPHABET, split=split)
    assert ids(rows) == found


def test_long_utterances_and_unknown_words_are_left_out(tmp_path):
    path = write(tmp_path, ["one two", "two", "one three", "two one two"])
    options = {"alphabet": ALPHABET, "words": {"one", "two"}}
    assert ids(read_utterances(path, **options)) == ["u1", "u2", "u4"]
    options["longest_seconds"] = 2.0
    assert ids(read_utterances(path, **options)) == ["u1", "u2"]
    options["words"] = {"four"}
    with pytest.raises(ValueError, match="none of the 4 utterances is left"):
        read_utterances(path, **options)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "1 of 3 utterances have no text, such as u2"),
        ("...", "1 of 3 utterances have no text"),
        ("Caf\u00e9 24", "1 texts hold the characters .'2', '4', '\u00e9'."),
    ],
    ids=("empty", "dots", "numerals"),
)
def test_texts_that_cannot_be_written_are_told(tmp_path, text, message):
    path = write(tmp_path, ["one", text, "two"])
    with pytest.raises(ValueError, match=message):
        read_utterances(path, alphabet=ALPHABET)


def test_repeated_recordings_have_ids_of_their_own():
    rows = [Recording(name, "/a.wav", 1, 8000) for name in "ab"]
    assert ids(repeat(rows, 3)) == ["a", "b", "a#2", "b#2", "a#3", "b#3"]
    assert repeat(rows, 1) == rows
