"""Run SpeechBrain's own checks on branches, in processes of their own."""

import csv
import math
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

import yaml

from upstream.branch import ROWS, Checkout
from upstream.plan import Plan
from upstream.sizes import (
    LARGEST_FILE,
    LONGEST_LIBRARY,
    LONGEST_RECIPE,
    MOST_FILES,
)
from upstream.textual import find_faults, unused_keys

MINUTES = 30
STEPS = 2


@dataclass
class Outcome:
    """The outcome of a check.

    Arguments
    ---------
    name : str
        Of the check.
    faults : list of str
        Empty if it passed.
    remark : str
        For the line of a check that passed.
    """

    name: str
    faults: list
    remark: str = ""


class Checks:
    """SpeechBrain's checks, restricted to what the branches change.

    Arguments
    ---------
    plan : Plan
        What the branches hold.
    checkout : Checkout
        With the last branch checked out.
    commits : dict
        As `make_branches` gives them.
    """

    def __init__(self, plan: Plan, checkout: Checkout, commits: dict) -> None:
        self.plan = plan
        self.checkout = checkout
        self.commits = commits
        changed = checkout.git(
            "diff", "--name-only", "--diff-filter=d", commits["base"], "HEAD"
        )
        self.files = changed.splitlines()
        # nothing of the caller's: ours is not importable there
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(checkout.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, skip_row: bool = False) -> Iterator[Outcome]:
        """Run all checks, one after the other."""
        yield self.mistakes()
        yield self.textual()
        python = self.below("", ".py")
        yield self.tool("ruff", "check", *python)
        yield self.tool("ruff", "format", "--check", *python)
        tables = self.below("", ".yaml", ".yml")
        if tables:
            yield self.tool("yamllint", "--no-warnings", *tables)
        words = [f for f in self.files if not f.endswith(".csv")]
        ignored = "--ignore-words=.dict-speechbrain.txt"
        yield self.tool("codespell", ignored, *words)
        yield from self.consistency()
        modules = self.below("speechbrain/", ".py")
        if modules:
            yield self.pytest("doctests", ["--doctest-modules", *modules])
        tests = self.below("tests/unittests/", ".py")
        tests = [f for f in tests if Path(f).name.startswith("test_")]
        if tests:
            yield self.pytest("unit tests", tests)
        if self.plan.files:
            yield self.keys()
            yield self.readme()
            if not skip_row:
                yield from map(self.row, self.plan.rows)
        yield from self.sizes()

    def below(self, folder: str, *endings: str) -> list[str]:
        """List the changed files of a folder and kind."""
        return [
            path
            for path in self.files
            if path.startswith(folder) and path.endswith(endings)
        ]

    def mistakes(self) -> Outcome:
        """List what could not be translated."""
        return Outcome("translation", list(self.plan.mistakes))

    def textual(self) -> Outcome:
        """Run the checks of our own tests on what is in the branch."""
        texts = {
            path: self.checkout.read(path)
            for path in self.files
            if path.endswith((".py", ".yaml", ".md", ".txt"))
        }
        return Outcome("texts", find_faults(texts))

    def command(self, words: list[str], **options) -> tuple[int, list[str]]:
        """Run a command in the checkout; give its status and lines."""
        try:
            result = subprocess.run(
                words,
                cwd=self.checkout.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=60 * MINUTES,
                **options,
            )
        except subprocess.TimeoutExpired:
            return 1, [f"not done after {MINUTES} minutes"]
        lines = [line for line in result.stdout.splitlines() if line.strip()]
        return result.returncode, lines

    def tool(self, tool: str, *words: str) -> Outcome:
        """Run a tool that is a module of Python."""
        module = {"codespell": "codespell_lib"}.get(tool, tool)
        command = [self.checkout.python, "-m", module]
        name = f"{tool} {words[0]}" if tool == "ruff" else tool
        wanted = self.wanted(tool)
        status, version = self.command([*command, "--version"])
        if status:
            return Outcome(name, [f"not installed: pip install '{wanted}'"])
        number = re.search(r"\d[\d.]*", version[-1])[0]
        remark = f"version {number}, SpeechBrain asks for {wanted}"
        status, lines = self.command([*command, *words])
        return Outcome(name, lines or ["it failed"] if status else [], remark)

    def wanted(self, module: str) -> str:
        """Give the requirement of SpeechBrain for a tool."""
        lines = (self.checkout.read("lint-requirements.txt") or "").split()
        found = [line for line in lines if line.startswith(module)]
        return found[0] if found else module

    def pytest(self, name: str, words: list[str]) -> Outcome:
        """Run pytest there."""
        plain = [
            "-q",
            "--tb=short",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
        ]
        python = self.checkout.python
        status, lines = self.command(
            [python, "-m", "pytest", *plain, "--color=no", *words]
        )
        summary = lines[-1].strip("= ") if lines else ""
        status = 0 if status == 5 else status  # there are none
        failed = [
            line for line in lines if line.startswith(("FAILED", "ERROR"))
        ]
        failed += [line for line in lines if line.startswith(("E  ", "0"))]
        return Outcome(name, (failed or lines[-5:]) if status else [], summary)

    def consistency(self) -> Iterator[Outcome]:
        """Run the functions of tests/consistency on the branch's part."""
        modules = self.below("speechbrain/", ".py")
        driver = package_files("upstream") / "consistency_driver.py"
        with tempfile.TemporaryDirectory() as folder:
            names = ["test_docstrings"]
            if self.plan.files:
                table = f"{self.plan.recipe.dataset}.csv"
                text = self.checkout.read(f"{ROWS}/{table}")
                (Path(folder) / table).write_text(text, encoding="utf-8")
                names += [
                    "test_yaml_script_consistency",
                    "test_recipe_list",
                    "test_recipe_files",
                    "test_mandatory_files",
                    "test_README_links",
                ]
            for name in names:
                status, lines = self.command(
                    [self.checkout.python, str(driver), name, folder, *modules]
                )
                errors = [line for line in lines if "ERROR" in line]
                faults = (errors or lines[-5:] or ["failed"]) if status else []
                faults = [line.strip() for line in faults]
                yield Outcome(f"tests/consistency {name}", faults)

    def keys(self) -> Outcome:
        """Look for keys that nothing reads; a comment is no use of one."""
        source = self.checkout.read("speechbrain/utils/run_opts.py") or ""
        run_options = re.findall(r"(?m)^    (\w+):", source)
        faults = []
        for row in self.plan.rows:
            hparams, script = row["Hparam_file"], row["Script_file"]
            texts = self.checkout.read(hparams), self.checkout.read(script)
            faults += [
                f"{hparams}: {script} does not read {key}"
                for key in unused_keys(*texts, run_options)
            ]
        return Outcome("keys, by syntax trees", faults)

    def readme(self) -> Outcome:
        """Look for what all READMEs of SpeechBrain have, and for dead links."""
        path = f"{self.plan.recipe.place}/README.md"
        text = self.checkout.read(path) or ""
        faults = []
        heads = [line.lower() for line in text.splitlines() if "|" in line]
        wanted = ("huggingface link", "full model link")
        if not any(all(word in line for word in wanted) for line in heads):
            faults.append(
                "no table of results with the columns `HuggingFace link` and "
                "`Full model link`"
            )
        for title in ("About SpeechBrain", "Citing SpeechBrain"):
            if title not in text:
                faults.append(f"no section {title}")
        folder = (self.checkout.folder / path).parent
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if not re.match(r"\w+:", link) and not (folder / link).exists():
                faults.append(f"it links to {link}, which is not in the branch")
        return Outcome("README", faults)

    def row(self, row: dict) -> Outcome:
        """Run a row of tests/recipes on the CPU, and look at what it left."""
        name = f"row {Path(row['Hparam_file']).name}"
        with open(
            self.checkout.folder / ROWS / f"{self.plan.recipe.dataset}.csv",
            newline="",
            encoding="utf-8",
        ) as file:
            numbers = [
                number
                for number, other in enumerate(csv.DictReader(file), start=2)
                if other["Hparam_file"] == row["Hparam_file"]
            ]
        place = f"{self.plan.recipe.dataset}_row_{numbers[0]:02d}"
        output = self.checkout.folder / "tests/tmp" / place
        code = (
            "import shutil, sys; from tests.utils.recipe_tests import "
            f"run_recipe_tests; shutil.rmtree('tests/tmp/{place}', True); "
            "sys.exit(not run_recipe_tests(filters_fields=['Hparam_file'], "
            f"filters=[[{row['Hparam_file']!r}]], run_opts='--device=cpu'))"
        )
        with tempfile.TemporaryDirectory() as folder:
            # recipe_tests calls `python`, and sets its own PYTHONPATH
            python = Path(folder) / "python"
            place = shlex.quote(str(self.checkout.folder))
            python.write_text(
                f'#!/bin/sh\nPYTHONPATH={place}:"$PYTHONPATH" exec '
                f'{shlex.quote(self.checkout.python)} "$@"\n'
            )
            python.chmod(0o755)
            path = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
            self.environment["PATH"] = path
            status, lines = self.command([str(python), "-c", code])
        if status:
            errors = output / "stderr.txt"
            if errors.is_file():
                lines += errors.read_text(errors="replace").splitlines()
            return Outcome(name, lines[-5:])
        return self.trained(name, row, output)

    def trained(self, name: str, row: dict, output: Path) -> Outcome:
        """See that a row made steps, with every term of its loss."""
        steps, faults = 0, []
        for path in output.rglob("brain.ckpt"):
            state = yaml.safe_load(path.read_text(encoding="utf-8"))
            steps = max(steps, state.get("optimizer_step", 0))
        if steps < STEPS:
            faults.append(f"it made {steps} optimizer steps, {STEPS} are asked")
        logs = [p.read_text(encoding="utf-8") for p in output.rglob("*log.txt")]
        for term in (row.get("nonzero") or "").split():
            found = re.findall(
                rf"\b{re.escape(term)}: ([-+]?[\d.]+(?:e[-+]?\d+)?)",
                "\n".join(logs),
            )
            if not any(float(x) and math.isfinite(float(x)) for x in found):
                faults.append(f"{term} is zero or not in the logs of {output}")
        return Outcome(name, faults, f"{steps} optimizer steps")

    def sizes(self) -> Iterator[Outcome]:
        """Count files and lines, and look for what is too large."""
        below, binary = self.commits["base"], []
        for branch, commit in list(self.commits.items())[1:]:
            lines, files, others = self.count(below, commit)
            options = "--name-only", "--diff-filter=D"
            gone = self.checkout.git("diff", *options, below, commit)
            below, binary = commit, binary + others
            limits = (LONGEST_LIBRARY,)
            if branch == self.plan.recipe.branch:
                limits = LONGEST_RECIPE, MOST_FILES
            outcome = self.bounded(f"size of {branch}", lines, files, *limits)
            if gone:
                number = len(gone.splitlines())
                outcome.remark += f"; {number} files removed"
            yield outcome
        large = [
            f"{path} has {size} bytes"
            for path in self.files
            if (size := (self.checkout.folder / path).stat().st_size)
            > LARGEST_FILE
        ]
        faults = [f"{path} is binary" for path in binary] + large
        yield Outcome("no binary, no file over 1 MB", faults)

    def count(self, first: str, last: str) -> tuple[int, int, list[str]]:
        """Count added lines and files that are left; list the binary ones."""
        options = "--numstat", "--diff-filter=d"
        text = self.checkout.git("diff", *options, first, last)
        rows = [line.split("\t") for line in text.splitlines()]
        binary = [row[2] for row in rows if row[0] == "-"]
        added = sum(int(row[0]) for row in rows if row[0] != "-")
        return added, len(rows), binary

    def bounded(self, name, lines, files, most_lines, most_files=None):
        """Hold numbers of lines and files against the aims."""
        faults = []
        if lines > most_lines:
            faults.append(f"{lines} lines, at most {most_lines} are wanted")
        if most_files and files > most_files:
            faults.append(f"{files} files, at most {most_files} are wanted")
        return Outcome(name, faults, f"{files} files, {lines} lines added")
