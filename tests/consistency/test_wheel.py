"""The wheel holds what users need, and nothing of the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distributions, version

import numpy as np
import pytest
import soundfile
from checkout import ROOT, tracked_files

SETUPTOOLS = version("setuptools").split(".")
needs_setuptools = pytest.mark.skipif(
    int(SETUPTOOLS[0]) < 77,
    reason="an old setuptools: python -m pip install -e '.[dev]'",
)
# Run in the environment of the wheel: the shipped predictor hears noise, the
# shipped estimator scores files, every command has its help.
USE = r"""
import contextlib, io, json, pkgutil, re, runpy, sys
import torch
import speechbrain_ext
from speechbrain_ext.inference import load_predictor

files = sys.argv[1:]
told = {"package": speechbrain_ext.__file__, "help": {}}

def run(module, *arguments):
    sys.argv = [module, *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            assert not end.code, f"{sys.argv}: {end.code}"
    return said.getvalue()

predictor = load_predictor("shipped", sample_rate=16000)
told["levels"] = predictor(torch.randn(1, 16000)).flatten().tolist()
for found in pkgutil.walk_packages(
    speechbrain_ext.__path__, "speechbrain_ext."
):
    module, _, last = found.name.rpartition(".")
    if last == "__main__":
        told["help"][module] = run(module, "--help")
for command in re.findall(
    r"(?m)^    (\w+)", told["help"]["speechbrain_ext"]
):
    name = f"speechbrain_ext {command}"
    told["help"][name] = run("speechbrain_ext", command, "--help")
told["score"] = run("speechbrain_ext", "score", *files)
told["models"] = json.loads(run("speechbrain_ext", "models", "--json"))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the tracked files, built without downloads."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in tracked_files():
        target = folder / "source" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    pip("wheel", "--no-build-isolation", "-w", folder, folder / "source")
    (path,) = folder.glob("*.whl")
    return path


def pip(command, *arguments):
    """Run a command of pip that downloads nothing."""
    command = [sys.executable, "-m", "pip", command, "--no-deps", "--no-index"]
    result = subprocess.run(
        [*command, *arguments], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@needs_setuptools
def test_the_wheel_holds_the_package_and_no_tests(wheel):
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    (entries,) = (name for name in names if name.endswith("entry_points.txt"))
    program = b"speechbrain-ext = speechbrain_ext.commands.program:main"
    assert program in archive.read(entries)
    files = [
        p for p in tracked_files() if p.is_relative_to(ROOT / "speechbrain_ext")
    ]
    there = {path.relative_to(ROOT).as_posix() for path in files}
    assert {name for name in names if ".dist-info/" not in name} == there


@pytest.mark.slow
@needs_setuptools
def test_the_wheel_works_without_the_checkout(wheel, tmp_path):
    """Beside the libraries installed here, in an environment of its own."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env/bin/python"
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    pip("install", "--target", site, wheel)
    # no .pth file in these folders is followed: editable installs stay unseen
    libraries = {str(d.locate_file("")) for d in distributions()} - {str(ROOT)}
    (site / "libraries.pth").write_text("\n".join(libraries))
    generator = np.random.default_rng(0)
    sources = 0.1 * generator.standard_normal((2, 16000))
    paths = [tmp_path / f"{name}.wav" for name in ("mixture", "one", "two")]
    for path, signal in zip(paths, [sources.sum(0), *sources], strict=True):
        soundfile.write(path, signal, 8000)
    (tmp_path / "empty").mkdir()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON")
    }
    result = subprocess.run(
        [python, "-c", USE, *paths],
        cwd=tmp_path / "empty",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["package"].startswith(str(site))
    assert len(told["levels"]) == 63
    for command in (".hub", ".inference", " rank", " transcribe"):
        help_ = told["help"].pop(f"speechbrain_ext{command}")
        assert help_.startswith("usage: ")
    assert len(told["help"]) >= 10
    sizes = {model["name"]: model["size"] for model in told["models"]}
    assert sizes["sound_separator"] > 1e6
    assert re.search(r"(?m)^ *-?\d+\.\d dB  mean of 2$", told["score"])
    assert not list((tmp_path / "empty").iterdir())
