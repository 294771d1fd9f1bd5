"""Folders of recordings that do not end, or hold what is not data."""

import json
import os

from hostile.bases import base
from hostile.case import Case
from hostile.runners import prepare, separate, write_good
from hostile.sounds import wav


def link_loop(folder):
    """Make folders that link to each other and to what holds them."""
    for name, target in (("a", "b"), ("b", "a"), ("up", ".."), ("own", ".")):
        (folder / name).symlink_to(target)
    (folder / "given").symlink_to("..")


def doubling_links(folder):
    """Make folders that link twice to the next: 2**30 ways to the last."""
    for number in range(30):
        (folder / f"d{number}").mkdir()
        for name in "xy":
            link = folder / f"d{number}" / name
            link.symlink_to(f"../d{number + 1}")
    (folder / "d30").mkdir()


def link_to_the_root(folder):
    """Make a link to all files of this machine."""
    (folder / "proc").symlink_to("/proc/self")
    (folder / "cwd").symlink_to("/proc/self/cwd")


def many_folders(folder):
    """Make ten thousand empty folders."""
    for number in range(10_000):
        (folder / str(number)).mkdir()


def many_files(folder):
    """Make five thousand files that are no audio, and a few that should be."""
    for number in range(5_000):
        (folder / f"{number}.txt").touch()
    for number in range(300):
        (folder / f"{number}.wav").touch()


def deep(folder):
    """Make a file three hundred folders down, beyond what a path may hold."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(300):
            os.mkdir("deeper-and-deeper")
            os.chdir("deeper-and-deeper")
        with open("a.wav", "wb") as file:
            file.write(wav())
    finally:
        os.chdir(before)


def pipes(folder):
    """Make pipes and folders under names of audio, a table and a mark."""
    for name in ("a.wav", "b.flac", ".speechbrain_ext.jsonl", "README"):
        os.mkfifo(folder / name)
    (folder / "c.wav").mkdir()
    (folder / "c.wav" / "d.wav").mkdir()


def pipe_as_table(folder):
    """Make a pipe where a manifest.csv would be read."""
    os.mkfifo(folder.parent / "manifest.csv")


def pipe_as_mark(folder):
    """Make a pipe where the mark of the root would be read."""
    os.mkfifo(folder.parent / ".speechbrain_ext.jsonl")


def marked(content: bytes):
    """Make a maker of a folder whose mark says this."""

    def make(folder):
        (folder / ".speechbrain_ext.jsonl").write_bytes(content)
        (folder / "a.wav").write_bytes(wav())

    return make


def mark_as_link(folder):
    """Make a mark that is a link to what never ends."""
    (folder / ".speechbrain_ext.jsonl").symlink_to("/dev/zero")


def good_named_as_output(folder):
    """Make a mark that lists files which are not there."""
    line = {"name": "../good/0.wav", "size": 1, "mtime_ns": 1}
    text = json.dumps({"maker": "x", "whole": False})
    mark = folder / ".speechbrain_ext.jsonl"
    mark.write_text(f"{text}\n{json.dumps(line)}\n")


def odd_names(folder):
    """Make folders whose names are no text, or what a terminal obeys."""
    names = ["\x1b[2J", "a\nb", "\u202ex", "=1+1", "--help", "~", "$HOME"]
    names += ["%s", "train", "TEST", "con"]
    for name in [b"\xff\xfe", *map(os.fsencode, names)]:
        inner = os.path.join(os.fsencode(folder), name)
        os.mkdir(inner)
        with open(os.path.join(inner, b"a.wav"), "wb") as file:
            file.write(wav())


def without_rights(folder):
    """Make a folder that nobody may enter."""
    if os.geteuid() == 0:
        raise OSError("root may enter everything")
    (folder / "closed").mkdir(mode=0)


def sparse_recordings(folder):
    """Make holes of 1 TB under the endings of many formats."""
    for ending in ("wav", "flac", "ogg", "mp3", "aiff", "caf", "au", "w64"):
        path = folder / f"{ending}_hole.{ending}"
        path.touch()
        os.truncate(path, 2**40)


def hidden(folder):
    """Make files that begin with a dot, as other systems leave them."""
    for name in ("._0.wav", ".DS_Store", ".hidden.wav"):
        (folder / name).write_bytes(b"\0\5\x16\7" + bytes(100))


TREES = {
    "links in loops": link_loop,
    "links that double": doubling_links,
    "link into /proc": link_to_the_root,
    "10000 folders": many_folders,
    "5000 files": many_files,
    "300 levels": deep,
    "pipes": pipes,
    "pipe as table": pipe_as_table,
    "pipe as mark": pipe_as_mark,
    "mark of noise": marked(os.urandom(5000)),
    "mark of brackets": marked(b"[" * 100_000),
    "mark of 10 MB": marked(b'{"name": 1}\n' * 800_000),
    "mark of other kinds": marked(
        b'{"maker": [1], "whole": "no"}\n[]\n1\nnull\n"maker"\n'
        b'{"name": [], "size": 1, "mtime_ns": 2}\n'
        b'{"name": "a", "size": 1e999, "mtime_ns": "x"}\n'
        b'{"maker": "\\u001b[2J", "whole": false}\n'
        b'{"name": "a.wav", "size": ' + b"9" * 5000 + b', "mtime_ns": 1}\n'
    ),
    "mark a link": mark_as_link,
    "mark that lists others": good_named_as_output,
    "odd names": odd_names,
    "folder without rights": without_rights,
    "holes of 1 TB": sparse_recordings,
    "hidden files": hidden,
}


def with_tree(put):
    """Make a maker of good recordings and a hostile folder."""

    def make(place):
        write_good(place)
        (place.given / "hostile").mkdir()
        put(place.given / "hostile")
        (place.root / "model").symlink_to(base("ours"))

    return make


def cases() -> list[Case]:
    """List the cases: each tree is prepared and separated."""
    return [
        Case(f"{word}: {name}", "tree", with_tree(put), run, "either")
        for word, run in (("tree", prepare), ("tree separated", separate))
        for name, put in TREES.items()
    ]
