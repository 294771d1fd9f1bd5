"""Make branches of a SpeechBrain checkout out of a plan."""

import csv
import io
import subprocess
import sys
from pathlib import Path

from upstream.plan import Plan

ROWS = "tests/recipes"


class Refused(Exception):
    """The branch cannot be made; the text says why, and what to do."""


class Checkout:
    """A git checkout of SpeechBrain.

    Arguments
    ---------
    folder : str or Path
        Its root.
    python : str
        The interpreter whose ruff formats the files.

    Raises
    ------
    Refused
        If it is no checkout of SpeechBrain, or its work tree is not clean.
    """

    def __init__(self, folder: str | Path, python: str = sys.executable):
        self.folder = Path(folder).resolve()
        self.python = python
        is_ours = (self.folder / "speechbrain/__init__.py").is_file()
        if not is_ours or not (self.folder / ROWS).is_dir():
            raise Refused(f"{folder} is no checkout of SpeechBrain")
        status = self.git("status", "--porcelain")
        if status:
            raise Refused(
                f"{folder}: the work tree is not clean; commit or stash:\n"
                + status
            )

    def git(self, *words: str) -> str:
        """Run git there, and give what it prints."""
        result = subprocess.run(
            ["git", *words], cwd=self.folder, capture_output=True, text=True
        )
        if result.returncode:
            raise Refused(f"git {words[0]}: {result.stderr.strip()}")
        return result.stdout.strip()

    def branches(self) -> set[str]:
        """List its branches."""
        names = self.git(
            "for-each-ref", "--format=%(refname:short)", "refs/heads"
        )
        return set(names.splitlines())

    def read(self, path: str) -> str | None:
        """Read a file of the work tree; None if there is none."""
        file = self.folder / path
        if not file.is_file():
            return None
        return file.read_bytes().decode("utf-8")

    def tidy(self, path: str, text: str) -> str:
        """Format a Python file as SpeechBrain's pre-commit hooks do."""
        if not path.endswith(".py"):
            return text
        for words in (["check", "--fix", "--exit-zero", "-q"], ["format"]):
            result = subprocess.run(
                [self.python, "-m", "ruff", *words]
                + ["--stdin-filename", path, "-"],
                cwd=self.folder,
                input=text,
                capture_output=True,
                text=True,
            )
            if result.returncode == 0:
                text = result.stdout
        return text


def make_branches(plan: Plan, checkout: Checkout) -> dict[str, str]:
    """Commit a plan, a branch on top of another; the last is checked out.

    A branch that is there is used if it holds the same.

    Arguments
    ---------
    plan : Plan
        What the branches hold.
    checkout : Checkout
        Where they are made, from its HEAD.

    Returns
    -------
    commits : dict
        Branch -> commit, from below; the first is "base".

    Raises
    ------
    Refused
        If a branch or a file of that name is there, with other contents.
        Nothing is changed then.
    """
    stack = {
        branch: {message: tidy(checkout, files) for message, files in p.items()}
        for branch, p in plan.library.items()
    }
    removed = []
    if plan.files:
        place = plan.recipe.place
        paths = (f"{place}/{name}" for name in plan.recipe.removes)
        removed = [path for path in paths if checkout.read(path) is not None]
        table = f"{ROWS}/{plan.recipe.dataset}.csv"
        files = tidy(checkout, plan.files)
        files[table] = add_rows(checkout, table, plan.rows, removed)
        message = f"Recipe {place.removeprefix('recipes/')}"
        stack[plan.recipe.branch] = {message: files}
    for parts in stack.values():
        refuse_collisions(plan, checkout, parts)
    commits = {"base": checkout.git("rev-parse", "HEAD")}
    start = checkout.git("branch", "--show-current") or commits["base"]
    before = checkout.branches()
    checkout.git("switch", "--quiet", "--detach")
    try:
        for branch, parts in stack.items():
            if branch == plan.recipe.branch and removed:
                checkout.git("rm", "--quiet", *removed)
            commit_parts(checkout, parts)
            keep_as(checkout, branch, before)
            commits[branch] = checkout.git("rev-parse", "HEAD")
        checkout.git("switch", "--quiet", branch)
    except (OSError, Refused):
        checkout.git("add", "--all")
        checkout.git("reset", "--quiet", "--hard", commits["base"])
        checkout.git("checkout", "--quiet", start)
        for name in checkout.branches() - before:
            checkout.git("branch", "--quiet", "-D", name)
        raise
    return commits


def tidy(checkout: Checkout, files: dict[str, str]) -> dict[str, str]:
    """Format the Python files among texts by their paths."""
    return {path: checkout.tidy(path, text) for path, text in files.items()}


def commit_parts(checkout: Checkout, parts: dict) -> None:
    """Commit each part that is not there yet."""
    for message, files in parts.items():
        for path, text in files.items():
            file = checkout.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        checkout.git("add", "--force", *files)
        if checkout.git("status", "--porcelain"):
            checkout.git("commit", "--quiet", "--no-verify", "-m", message)


def keep_as(checkout: Checkout, branch: str, before: set[str]) -> None:
    """Give HEAD the name of a branch, or use the one that holds the same."""
    if branch not in before:
        checkout.git("branch", branch)
    elif checkout.git("diff", "--name-only", branch, "HEAD"):
        raise Refused(
            f"{checkout.folder} has a branch {branch} with other contents: "
            f"remove it (git branch -D {branch}), or begin at the commit that "
            "it was made from"
        )
    else:
        checkout.git("switch", "--quiet", "--detach", branch)


def refuse_collisions(plan: Plan, checkout: Checkout, parts: dict) -> None:
    """Refuse to replace a file of SpeechBrain's that is not meant."""
    place, found = plan.recipe.place, []
    for files in parts.values():
        for path, text in files.items():
            there = checkout.read(path)
            may = path == f"{ROWS}/{plan.recipe.dataset}.csv"
            may |= plan.recipe.improves and path.startswith(f"{place}/")
            if there is not None and there != text and not may:
                found.append(path)
    if found:
        raise Refused(
            "SpeechBrain has these files already, with other contents; give "
            "ours other destinations in tools/upstream/destinations.py:\n  "
            + "\n  ".join(found)
        )


def add_rows(
    checkout: Checkout, table: str, rows: list[dict], removed: list[str]
) -> str:
    """Give the table of a data set with our rows.

    Rows of the same hyperparameter files give way, and rows of removed files.
    All others stay as they are, to the letter.

    Raises
    ------
    Refused
        If the table has columns that we do not know, or lacks one.
    """
    text = checkout.read(table)
    if text is None:
        others = sorted((checkout.folder / ROWS).glob("*.csv"))
        header = others[0].read_text(encoding="utf-8").splitlines()[0] + "\n"
        text = header
    lines = text.splitlines(keepends=True)
    columns = next(csv.reader([lines[0]]))
    extra = {"nonzero"}
    unknown = {key for row in rows for key in row} - extra - set(columns)
    if unknown:
        raise Refused(
            f"{table} has no columns {', '.join(sorted(unknown))}; it has "
            + ", ".join(columns)
        )
    gone = {row["Hparam_file"] for row in rows} | set(removed)
    kept = [
        line
        for line in lines[1:]
        if not gone & set(next(csv.reader([line]), []))
    ]
    ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += ending
    new = io.StringIO(newline="")
    writer = csv.DictWriter(
        new, columns, extrasaction="ignore", lineterminator=ending
    )
    writer.writerows(rows)
    return "".join([lines[0], *kept]) + new.getvalue()
