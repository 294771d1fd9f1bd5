"""The files of this checkout, with and without git."""

import fnmatch
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# what tools keep, and what users make by the commands of README
NOT_OURS = (".git", "results", "*~", ".*.sw?")


def files_below(folder):
    """Every file, but those of caches, environments and training runs."""
    ignored = [*NOT_OURS, *(ROOT / ".gitignore").read_text().split()]

    def kept(name):
        return not any(
            fnmatch.fnmatch(name, pattern.rstrip("/")) for pattern in ignored
        )

    for place, folders, names in os.walk(folder):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        folders[:] = filter(kept, folders)
        yield from (Path(place) / name for name in filter(kept, names))


def tracked_files():
    """Every file that git tracks, or all of them where there is no git.

    Files that users keep in their checkout are no part of the project.
    """
    try:
        output = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        output = b""
    names = os.fsdecode(output).split("\0")[:-1]
    files = [ROOT / name for name in names] or list(files_below(ROOT))
    return sorted(filter(os.path.lexists, files))
