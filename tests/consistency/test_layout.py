"""The promises of CONTRIBUTING.md that can be read off the files."""

import ast
import csv
import dataclasses
import importlib.util
import os
import re
import shlex
import subprocess
import sys

import pytest
from checkout import ROOT, tracked_files
from speechbrain.utils.run_opts import RunOptions

from speechbrain_ext.services.launcher import find_script

PACKAGE = ROOT / "speechbrain_ext"
FILES = tracked_files()
RUN_OPTIONS = {field.name for field in dataclasses.fields(RunOptions)}
COLUMNS = [
    *("Task", "Dataset", "Script_file", "Hparam_file", "Data_prep_file"),
    *("Readme_file", "Result_url", "HF_repo", "test_debug_flags"),
    "test_debug_checks",
]
# modules that all of ours may import
BASE = {"files", "outputs", "console"}
# what a package may import of ours, besides itself and these: a module or a
# package
MAY_IMPORT = {
    "losses": set(),
    "models": set(),
    "corpora": {"dataio.manifest", "dataio.prepared", "dataio.recordings"},
    "dataio": {"losses", "models"},
    "training": {"losses", "models", "dataio"},
    "evaluation": {"losses", "models", "dataio"},
    "hub": {"models"},
    "commands": {
        *("hub", "inference", "services", "corpora.finding"),
        *("corpora.folder", "__version__"),
    },
    "services": {
        *("losses", "models", "dataio", "training", "evaluation", "hub"),
        *("inference", "corpora"),
    },
    "inference": {
        "losses",
        "models",
        "corpora.decoding",
        "corpora.finding",
        "evaluation.levels",
        "hub",
    },
}


def relative(path):
    return path.relative_to(ROOT).as_posix()


def files_of(pattern):
    """The tracked files that a pattern names."""
    there = set(ROOT.glob(pattern))
    return [path for path in FILES if path in there]


HPARAMS_FILES = files_of("recipes/*/*/hparams/*.yaml")
each_hparams_file = pytest.mark.parametrize(
    "path", HPARAMS_FILES, ids=lambda path: path.name
)


# The opening comment of a YAML file ---------------------------------------


def header_fields(path):
    """Field name to text, from the comment that opens the file."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    parts = re.split(r"(?m)^(\w+): ", "\n".join(lines).strip("# \n"))
    return {
        name: " ".join(text.replace("\\\n", " ").split())
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@each_hparams_file
def test_header_says_what_is_needed(path):
    fields = header_fields(path)
    assert list(fields) == ["Reproduces", "Data", "Command", "Takes"]
    assert all(fields.values())


@each_hparams_file
def test_header_command_can_be_typed(path):
    program, script, *arguments = shlex.split(header_fields(path)["Command"])
    if program == "speechbrain-ext":
        # an ablation starts the file many times
        assert script == "ablation"
        script, *arguments = arguments
    else:
        assert program == "python"
    assert (ROOT / script).is_file()
    options = {
        argument.removeprefix("--").partition("=")[0]
        for argument in arguments
        if argument.startswith("--")
    }
    keys = top_level_keys(path)
    known = keys.keys() | RUN_OPTIONS
    if script == "train.py":
        assert (ROOT / arguments[0]).resolve() == path
    else:
        assert (ROOT / script).parent == path.parents[1]
    assert options <= known
    required = {k for k, v in keys.items() if v.startswith("!PLACEHOLDER")}
    assert required <= options


# Keys ----------------------------------------------------------------------


def top_level_keys(path):
    """Key to what stands behind it, on the same line."""
    lines = re.findall(r"(?m)^(\w+):[ \t]*(.*)$", path.read_text())
    assert len(dict(lines)) == len(lines), "a key stands twice"
    return dict(lines)


# The table of the recipes --------------------------------------------------


def rows_of_table():
    with open(ROOT / "tests/recipes.csv", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == COLUMNS
    return rows


def test_every_hparams_file_has_its_rows():
    named = dict.fromkeys(row["Hparam_file"] for row in rows_of_table())
    assert list(named) == [relative(path) for path in HPARAMS_FILES]


def test_rows_name_files_of_the_recipe():
    for row in rows_of_table():
        recipe = (ROOT / row["Hparam_file"]).parents[1]
        assert row["Dataset"] == recipe.parent.name
        assert row["Task"]
        hparams_file = ROOT / row["Hparam_file"]
        assert row["Script_file"] == relative(find_script(hparams_file))
        assert row["Readme_file"] == relative(recipe / "README.md")
        for column in ("Script_file", "Readme_file", "Data_prep_file"):
            assert (ROOT / row[column]).is_file(), row[column]
        # the function, or one of several corpora's
        modules = re.findall(r"!name:([\w.]+)\.\w+\n", hparams_file.read_text())
        prepared = row["Data_prep_file"].removesuffix(".py")
        own = relative(recipe).replace("/", ".")
        names = [*modules, *(f"{own}.{module}" for module in modules)]
        assert prepared.replace("/", ".") in names


def test_links_are_relative_and_lead_into_recipes():
    links = files_of("hparams/*")
    assert links
    for link in links:
        assert link.is_symlink(), link
        assert not os.path.isabs(os.readlink(link)), link
        assert link.resolve() in HPARAMS_FILES, link
        assert link.name == link.resolve().name


# Sizes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern, most",
    [
        ("train.py", 100),
        ("recipes/*/*/*.py", 500),
        ("speechbrain_ext/**/*.py", 420),
    ],
)
def test_a_file_can_be_read_at_one_sitting(pattern, most):
    lengths = {
        relative(path): len(path.read_text().splitlines())
        for path in files_of(pattern)
    }
    assert lengths
    assert {n: length for n, length in lengths.items() if length > most} == {}


def test_the_embedded_corpus_is_small():
    folder = PACKAGE / "corpora/mini_speech"
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert 2**20 < size <= 15 * 2**20


# What stands in the files --------------------------------------------------


def test_no_file_names_a_place_on_one_machine():
    place = re.compile(r"(?<![\w.>})-])/(?:work|home|root|Users|mnt)\b")
    found, read = [], 0
    for path in FILES:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # audio
        read += 1
        found += [
            f"{relative(path)}: {line.strip()}"
            for line in text.splitlines()
            if place.search(line)
        ]
    assert read > 100
    assert found == []


def imports_of(path):
    """Modules of ours that a file imports, without the package's name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folder = relative(path.parent).replace("/", ".")
            written = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(written, folder)
            names = [module]
            if (ROOT / module.replace(".", "/")).is_dir():
                names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == PACKAGE.name:
                yield name.partition(".")[2]


@pytest.mark.slow
def test_imports_follow_the_flow_of_the_data():
    wrong, seen = [], 0
    for path in files_of("speechbrain_ext/**/*.py"):
        parts = path.relative_to(PACKAGE).parts
        if parts[-1] == "__main__.py":
            continue  # names of the program
        if len(parts) == 1:
            assert set(imports_of(path)) <= BASE, "the package imports a part"
            continue
        assert parts[0] in MAY_IMPORT, f"{parts[0]}: say above what it imports"
        allowed = MAY_IMPORT[parts[0]] | {parts[0]} | BASE
        for name in imports_of(path):
            seen += 1
            if not any(f"{name}.".startswith(f"{a}.") for a in allowed):
                wrong.append(f"{relative(path)} imports {name}")
    assert seen > 50
    assert wrong == []


@pytest.mark.parametrize("arguments", (["check"], ["format", "--check"]))
def test_ruff_is_content(arguments):
    if not importlib.util.find_spec("ruff"):
        pytest.skip("ruff is not installed: pip install '.[dev]'")
    files = [path for path in FILES if path.suffix == ".py"]
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
