import importlib.util

import pytest
from checkout import ROOT
from upstream_trees import PLACE, change, git, row


@pytest.fixture
def command(project, monkeypatch):
    """The main function of tools/upstream.py, on the small project."""
    path = ROOT / "tools/upstream.py"
    spec = importlib.util.spec_from_file_location("upstream_command", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", project)
    return module.main


@pytest.fixture
def tools():
    for name in ("ruff", "yamllint", "codespell_lib"):
        pytest.importorskip(name)


@pytest.mark.slow
@pytest.mark.usefixtures("tools")
def test_all_checks_pass(command, speechbrain, capsys):
    status = command([PLACE, str(speechbrain)])
    lines = capsys.readouterr().out.splitlines()
    assert status == 0, "\n".join(lines)
    passed = {line.split(" (")[0][7:] for line in lines if line[:4] == "pass"}
    assert passed >= {
        "ruff check",
        "ruff format",
        "yamllint",
        "codespell",
        "tests/consistency test_yaml_script_consistency",
        "tests/consistency test_docstrings",
        "doctests",
        "keys, by syntax trees",
        "README",
        "row ring.yaml",
        "size of core",
        "size of ring",
    }
    assert any("a result of full size" in line for line in lines)


@pytest.mark.slow
@pytest.mark.usefixtures("tools")
def test_each_fault_is_told_and_ends_with_status_1(
    command, project, speechbrain, rows, capsys
):
    rows[:] = [row(test_debug_flags="--bad=1", nonzero="scer penalty")]
    change(project, f"{PLACE}/hparams/ring.yaml", "weight: 1.5", "weight: no")
    change(project, f"{PLACE}/README.md", "Full model link", "Model")
    change(project, f"{PLACE}/README.md", "# Ring", "# Ring\n[a](gone.png) teh")
    change(project, f"{PLACE}/train.py", "import sys", "import sys\nx = y")
    change(
        project,
        f"{PLACE}/train.py",
        "return self.hparams.weight * scer",
        "return scer",
    )
    change(
        project,
        "speechbrain_ext/models/layers.py",
        '"""Layers."""',
        '# none\n"""Layers.\n\nExample\n-------\n>>> 1 + 1\n3\n"""',
    )
    assert command([PLACE, str(speechbrain)]) == 1
    failed, name = {}, None
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("FAIL"):
            name = line[7:]
        if name and line.startswith("   "):
            failed.setdefault(name, []).append(line.strip())
    assert set(failed) == {
        "texts",
        "ruff check",
        "yamllint",
        "codespell",
        "tests/consistency test_docstrings",
        "tests/consistency test_yaml_script_consistency",
        "doctests",
        "keys, by syntax trees",
        "README",
        "row ring.yaml",
    }
    assert len(failed["README"]) == 2
    assert "1 optimizer steps" in failed["row ring.yaml"][0]
    assert "penalty" in failed["row ring.yaml"][1]


def test_what_cannot_be_translated_makes_no_branch(
    command, project, speechbrain, capsys
):
    change(
        project,
        f"{PLACE}/train.py",
        "import sys",
        "import sys\nfrom speechbrain_ext.console import say",
    )
    assert command([PLACE, str(speechbrain)]) == 1
    assert "no destination" in capsys.readouterr().err
    assert git(speechbrain, "branch") == "* develop"
