"""Tests of finding audio files."""

import logging
import os

import pytest

from speechbrain_ext.corpora.finding import describe_absence, find_audio
from speechbrain_ext.outputs import MARK, mark_folder, written


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names_of(paths, root):
    return [str(path.relative_to(root)) for path in paths]


def write(path):
    with written(path, "separate") as partial:
        partial.write_bytes(b"x")


def test_audio_and_video_of_any_ending_are_found(tmp_path):
    audio = [
        *("a.wav", "b.WAVE", "c.Mp3", "d.oga", "e.caf", "f.aifc", "g.sph"),
        *("h.webm", "i.MP4", "j.m4a", "k.mkv", "l.amr", "m.opus", "n..wav"),
    ]
    others = ["notes.txt", "cover.jpg", "table.csv", "disc.cue", "wav", "mp3"]
    fill(tmp_path, *audio, *others, ".hidden.wav", ".folder/a.wav")
    assert names_of(find_audio(tmp_path), tmp_path) == sorted(audio)


def test_hidden_audio_is_counted_once(tmp_path, caplog):
    fill(tmp_path, "a.wav", ".wav", "x/.talk.FLAC", "x/._talk.flac")
    fill(tmp_path, ".0123abcd.tmp", ".DS_Store", "x/.notes.txt")
    fill(tmp_path, "x/.takes/b/c.wav", "x/.takes/notes.txt", "x/.takes/._c.wav")
    (tmp_path / ".all").symlink_to(tmp_path)
    assert names_of(find_audio(tmp_path), tmp_path) == ["a.wav"]
    (told,) = caplog.messages
    assert "3 hidden audio files" in told and ".wav" in told


def test_a_folder_without_hidden_audio_is_quiet(tmp_path, caplog):
    fill(tmp_path, "a.wav", "._a.wav", ".0123abcd.tmp")
    find_audio(tmp_path)
    assert caplog.messages == []


def test_names_that_are_no_files_are_found_too(tmp_path):
    """So that a list can tell why they are not used."""
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    fill(tmp_path, "folder.wav/a.wav")
    assert names_of(find_audio(tmp_path), tmp_path) == [
        "folder.wav/a.wav",
        "gone.wav",
        "pipe.wav",
    ]


def test_links_are_followed_once(tmp_path):
    fill(tmp_path, "in/a.wav", "elsewhere/b.wav")
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in")
    for name in ("one", "two"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "elsewhere")
    found = find_audio(tmp_path / "in")
    assert names_of(found, tmp_path / "in") == ["a.wav", "one/b.wav"]


@pytest.mark.parametrize("form", ["root", "parent", "system"])
def test_links_out_into_the_machine_are_not_followed(tmp_path, form, caplog):
    fill(tmp_path, "in/a.wav", "b.wav")
    target = {"root": "/", "parent": tmp_path, "system": "/proc/self"}[form]
    (tmp_path / "in/link").symlink_to(target)
    found = find_audio(tmp_path / "in")
    assert names_of(found, tmp_path / "in") == ["a.wav"]
    assert "is not followed" in caplog.text


@pytest.mark.parametrize("form", ["as_it_is", "through_a_link"])
def test_folders_that_are_left_out(tmp_path, form):
    fill(tmp_path, "in/a.wav", "in/out/b.wav")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    root = tmp_path / ("in" if form == "as_it_is" else "link")
    found = find_audio(root, exclude=[tmp_path / "in" / "out"])
    assert names_of(found, root) == ["a.wav"]


def test_links_that_lead_nowhere_are_told(tmp_path, caplog):
    fill(tmp_path, "a.wav")
    (tmp_path / "speaker").symlink_to(tmp_path / "moved")
    assert len(find_audio(tmp_path)) == 1
    assert "speaker" in caplog.text


@pytest.fixture
def unreadable(monkeypatch):
    """Let a folder be refused, as without permission; root may read all."""
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_a_folder_that_cannot_be_read_is_told(tmp_path, caplog, unreadable):
    fill(tmp_path, "a.wav", "closed/b.wav", "open/c.wav")
    found = find_audio(tmp_path)
    assert names_of(found, tmp_path) == ["a.wav", "open/c.wav"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "closed" in record.message and "Permission" in record.message
    with pytest.raises(PermissionError):
        find_audio(tmp_path / "closed")


def test_a_folder_that_we_wrote_is_read_only_if_it_is_named(tmp_path, caplog):
    root = tmp_path / "recordings"
    fill(root, "talk.wav")
    write(root / "separated" / "talk_source1.wav")
    write(root / "separated" / "day" / "talk_source1.wav")
    assert names_of(find_audio(root), root) == ["talk.wav"]
    (record,) = caplog.records
    assert "separated" in record.message and "separate wrote" in record.message
    ours = ["day/talk_source1.wav", "talk_source1.wav"]
    found = find_audio(root / "separated")
    assert names_of(found, root / "separated") == ours
    assert len(find_audio(root, outputs=True)) == 3


def test_in_a_shared_folder_only_what_we_wrote_is_passed_over(tmp_path, caplog):
    fill(tmp_path, "talk.wav", "day/talk.wav")
    for folder in (tmp_path, tmp_path / "day"):
        for number in (1, 2, 3):
            write(folder / f"talk_source{number}.wav")
    # changed since: it is the user's
    (tmp_path / "talk_source3.wav").write_bytes(b"other")
    mine = ["day/talk.wav", "talk.wav", "talk_source3.wav"]
    assert names_of(find_audio(tmp_path), tmp_path) == mine
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "2 files that separate wrote" in caplog.text
    assert "3 files that separate wrote" in caplog.text
    assert len(find_audio(tmp_path, outputs=True)) == 8


def test_a_mark_that_a_stranger_made_does_no_harm(tmp_path, caplog):
    fill(tmp_path, "a/x.wav", "b/y.wav", "c/z.wav")
    line = '{"maker": "\\u001b[2J' + "m" * 10_000 + '", "whole": true}'
    (tmp_path / "a" / MARK).write_text(line)
    (tmp_path / "b" / MARK).write_text("[" * 100_000)
    (tmp_path / "c" / MARK).write_text(
        '{"name": "z.wav", "size": 1e999, "mtime_ns": 1}\n7\nnull\n'
        '{"name": ["z.wav"], "size": 1, "mtime_ns": 1}\n'
    )
    fill(tmp_path, "d/z.wav")
    (tmp_path / "d" / MARK).touch()
    os.truncate(tmp_path / "d" / MARK, 2**40)
    assert names_of(find_audio(tmp_path), tmp_path) == [
        "b/y.wav",
        "c/z.wav",
        "d/z.wav",
    ]
    assert len(caplog.text) < 1000 and "\x1b" not in caplog.text


def test_what_is_there_instead_of_audio_is_said(tmp_path):
    root = tmp_path / "in"
    fill(root, "a.txt", "b/c.TXT", "d.pdf", "README")
    assert describe_absence(root).endswith(
        "the files there end in .txt (2), .pdf (1), no ending (1)"
    )
    mark_folder(root / "out", "enhance")
    write(root / "out" / "a.wav")
    assert find_audio(root) == []
    assert "1 that are there were written by this" in describe_absence(root)
