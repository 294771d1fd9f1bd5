import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def launcher():
    spec = importlib.util.spec_from_file_location("launcher", ROOT / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_lead_into_recipes(launcher):
    names = launcher.headline_files()
    assert "hparams/ring_sepformer.yaml" in names
    for name in names:
        assert (ROOT / name).is_symlink(), name
        script, hparams_file = launcher.find_recipe(ROOT / name)
        assert script.name == "train.py"
        assert hparams_file.is_relative_to(ROOT / "recipes")


def test_a_missing_file_lists_those_that_exist(launcher):
    with pytest.raises(SystemExit, match="hparams/ring_sepformer.yaml"):
        launcher.find_recipe("hparams/rings.yaml")


def test_a_file_elsewhere_does_not_start_the_launcher_again(
    launcher, tmp_path, monkeypatch
):
    (tmp_path / "hparams").mkdir()
    (tmp_path / "train.py").write_text("raise AssertionError('was run')")
    own = tmp_path / "hparams" / "own.yaml"
    own.write_text("seed: 1")
    with pytest.raises(SystemExit, match="is not a file of a recipe"):
        launcher.find_recipe(own)
    monkeypatch.setattr(launcher, "ROOT", tmp_path)  # a file of the checkout
    with pytest.raises(SystemExit, match="is not a file of a recipe"):
        launcher.find_recipe(own)


def test_help_lists_the_files():
    output = subprocess.run(
        [sys.executable, ROOT / "train.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "hparams/ring_sepformer.yaml" in output
    assert "recipes/WHAMandWHAMR/ring_separation/hparams" in output


@pytest.mark.slow
def test_mistakes_end_with_one_paragraph(tmp_path):
    hparams_file = ROOT / "hparams/ring_folder.yaml"
    result = subprocess.run(
        [
            *(sys.executable, ROOT / "train.py", hparams_file),
            *("--data_folder=", "--sead=1", "x"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    told = result.stderr[result.stderr.index(f"{hparams_file.name}: 3 mist") :]
    assert [line.split(":")[0] for line in told.splitlines()[1:]] == [
        *("  x", "  data_folder", "  sead"),
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_fault_of_the_data_is_told_before_the_run(
    launcher, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    shutil.copytree(ROOT / "tests/support", tmp_path / "a: <b>")
    options = ["--data_folder=a: <b>", "--output_folder=1/0", "--user=me"]
    with pytest.raises(SystemExit) as end:
        launcher.main([str(ROOT / "hparams/pse_folder.yaml"), *options])
    assert end.value.code == 1
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "data_folder: there are no audio files in" in told
    out = tmp_path / "1/0"
    # no run has begun: another may use the folder
    assert not (out / "run.json").exists()
