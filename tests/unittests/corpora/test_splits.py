"""Tests of the division into splits."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from speechbrain_ext.corpora.audio import Candidate
from speechbrain_ext.corpora.splits import (
    divide,
    fill_splits,
    find_splits,
    warn_of_shared_speakers,
)

SHARES = {"validation_share": 0.1, "test_share": 0.1}


def speech(speaker, number, split=""):
    identity = f"{speaker}/{number}"
    return Candidate(f"/{identity}.wav", identity, "speech", split, speaker)


@pytest.mark.parametrize(
    "total, expected",
    [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (20, (16, 2, 2))],
)
def test_counts(total, expected):
    splits = divide(map(str, range(total)), **SHARES, seed=0)
    counts = Counter(splits.values())
    assert tuple(counts[s] for s in ("train", "valid", "test")) == expected


def test_order_does_not_matter_but_the_seed_does():
    names = [str(number) for number in range(40)]
    first = divide(names, **SHARES, seed=1)
    random.Random(0).shuffle(names)
    assert divide(names, **SHARES, seed=1) == first
    assert divide(names, **SHARES, seed=2) != first


def test_a_share_of_zero_gives_none():
    splits = divide("abcdef", validation_share=0.5, test_share=0, seed=0)
    assert Counter(splits.values()) == {"train": 3, "valid": 3}


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (0.2, 0.9)])
def test_shares_out_of_range(shares):
    with pytest.raises(ValueError, match="together less than 1"):
        divide("abc", validation_share=shares[0], test_share=shares[1], seed=0)


def test_speakers_are_kept_apart():
    items = [speech(str(i % 7), i) for i in range(70)]
    filled = fill_splits(items, **SHARES, seed=3)
    where = {}
    for item in filled:
        where.setdefault(item.speaker, set()).add(item.split)
    assert all(len(splits) == 1 for splits in where.values())
    assert set.union(*where.values()) == {"train", "valid", "test"}
    assert [replace(item, split="") for item in filled] == items


def test_few_speakers_are_all_in_every_split(caplog):
    items = [speech(str(i % 4), i) for i in range(40)]
    filled = fill_splits(items, **SHARES, seed=0)
    assert "4 speakers are too few" in caplog.text
    counts = Counter((item.speaker, item.split) for item in filled)
    for speaker in "0123":
        assert counts[speaker, "train"] == 8
        assert counts[speaker, "valid"] == counts[speaker, "test"] == 1


def test_users_are_divided_by_file():
    items = [speech(str(i % 2), i, "user") for i in range(20)]
    items += [speech("9", i, "train") for i in range(3)]
    filled = fill_splits(items, **SHARES, seed=0)
    counts = Counter((item.speaker, item.split) for item in filled)
    assert counts == {
        ("9", "train"): 3,
        **{
            (speaker, f"user_{split}"): number
            for speaker in "01"
            for split, number in (("train", 8), ("valid", 1), ("test", 1))
        },
    }


def test_shared_speakers_are_named(caplog):
    items = [speech("a", 1, "train"), speech("a", 2, "user_test")]
    warn_of_shared_speakers(items)
    assert caplog.text == ""
    warn_of_shared_speakers([*items, speech("a", 3, "valid")])
    assert "1 speakers stand in more than one split: a" in caplog.text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train/1", "valid/b/2", "TEST/3"], ["TEST", "train", "valid"]),
        (["Train/rain/1", "dev/2"], ["Train", "dev"]),
        (["train/1", "train/2"], ["train"]),
        (["valid/rain/1"], ["valid"]),
        (["test/1"], []),
        (["train/1", "rain/1", "wind/1"], []),
        (["eval/rain/1", "rain/1"], []),
        (["train.wav"], []),
        (["validation/1", "eval/2"], ["eval", "validation"]),
    ],
    ids="all two train deep flat railway label file pair".split(),
)
def test_splits_of_trees_of_sounds(names, expected, caplog):
    caplog.set_level("INFO")
    places = [tuple(name.split("/")) for name in names]
    splits = find_splits(places, place="noise_folder: /noise")
    assert list(splits) == expected
    if expected:
        assert "noise_folder: /noise: understood as splits: " in caplog.text
    elif names != ["train.wav"]:
        assert "taken for a class, not for a split" in caplog.text


PEOPLE = ("ann", "bob", "cat", "dan")
TREES_OF_SPEAKERS = {
    "issue": ([*PEOPLE, "train", "test"], ["0", "1"], []),
    "three": ([*PEOPLE, "train", "dev", "test"], ["0"], []),
    "half": (["ann", "bob", "train", "test"], ["0", "1"], []),
    "sessions": ([*PEOPLE, "train", "test"], ["am/0", "pm/0"], []),
    "two": (["ann", "train"], ["am/0", "pm/0"], []),
    "flat": (["train", "valid"], ["a", "b"], ["train", "valid"]),
    "strays": (
        ["ann", "train", "valid", "test"],
        ["a", "b"],
        ["test", "train", "valid"],
    ),
}


@pytest.mark.parametrize(
    ("tops", "files", "expected"),
    TREES_OF_SPEAKERS.values(),
    ids=TREES_OF_SPEAKERS,
)
def test_speakers_may_be_called_like_splits(tops, files, expected, caplog):
    caplog.set_level("INFO")
    places = [
        (top, *f"{name}.wav".split("/")) for top in tops for name in files
    ]
    splits = find_splits(places, place="data_folder: /d", has_speakers=True)
    assert list(splits) == expected
    told = "understood as splits" if expected else "taken for a speaker"
    assert sum(told in line for line in caplog.messages) == 1


def test_splits_of_speakers_beside_a_larger_folder():
    places = [("train", "ann", "0"), ("test", "bob", "0")]
    places += [("music", f"{number}") for number in range(9)]
    splits = find_splits(places, place="data_folder: /d", has_speakers=True)
    assert splits == {"test": "test", "train": "train"}
