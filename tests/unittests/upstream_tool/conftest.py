"""A project and a checkout of SpeechBrain, both small."""

import subprocess

import pytest
from upstream import plan
from upstream_trees import CHECKOUT, PROJECT, RECIPE, row, write_tree


@pytest.fixture
def rows(monkeypatch):
    rows = [row()]
    monkeypatch.setattr(plan, "read_rows", lambda: rows)
    return rows


@pytest.fixture
def tables(monkeypatch):
    tables = {
        "LIBRARY": {
            "core": {
                "Losses": {"losses.si_sdr": "speechbrain/nnet/loss/energy.py"},
            },
            "layers": {
                "Layers": {
                    "models.layers": "speechbrain/lobes/models/layers.py"
                },
            },
        },
        "MODULES": {
            "losses.scer": "speechbrain/nnet/loss/scer.py",
            "models.network": "speechbrain/lobes/models/network.py",
        },
        "CUTS": {"models.network": ["Network.load"]},
        "RECIPES": (RECIPE,),
    }
    for name, value in tables.items():
        monkeypatch.setattr(plan, name, value)
    return tables


@pytest.fixture
def project(tmp_path, tables, rows):
    return write_tree(tmp_path / "project", PROJECT)


@pytest.fixture
def speechbrain(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A. Tester")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "tester@example.org")
    folder = write_tree(tmp_path / "speechbrain", CHECKOUT)
    for words in ("init -q -b develop", "add .", "commit -q -m theirs"):
        subprocess.run(["git", *words.split()], cwd=folder, check=True)
    return folder
