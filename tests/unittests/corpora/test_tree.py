"""Tests of finding and naming audio files."""

import pytest

from speechbrain_ext.corpora.audio import Candidate
from speechbrain_ext.corpora.tree import list_audio, with_unique_ids


def test_what_is_found(tmp_path):
    for name in (
        "b/deep/x.WAV",
        "a.flac",
        "c.m4a",
        "notes.txt",
        "._c.wav",
        ".hidden/y.wav",
        "closed/z.wav",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "e.ogg").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in")
    found = list_audio(
        tmp_path / "in", argument="x", exclude=[tmp_path / "in" / "closed"]
    )
    assert [str(path.relative_to(tmp_path / "in")) for path in found] == [
        "a.flac",
        "b/deep/x.WAV",
        "c.m4a",
        "link/e.ogg",
    ]


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="noise_folder: .*gone"):
        list_audio(tmp_path / "gone", argument="noise_folder")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="noise_folder: .*no audio files"):
        list_audio(tmp_path, argument="noise_folder")


def test_only_ids_that_stand_twice_change():
    items = [
        Candidate(path, identity, "noise", "train")
        for path, identity in (("/a.wav", "a"), ("/b.wav", "b"), ("/c", "a"))
    ]
    ids = [item.id for item in with_unique_ids(items)]
    assert ids[1] == "b"
    assert ids[0].startswith("a-") and ids[2].startswith("a-")
    assert ids[0] != ids[2]
