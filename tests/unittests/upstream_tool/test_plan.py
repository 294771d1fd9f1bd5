import dataclasses
import subprocess
import sys

import pytest
from checkout import ROOT
from upstream.library import Library, Unresolved
from upstream.plan import find_recipe, make_plan
from upstream.textual import find_faults
from upstream_trees import PLACE, RECIPE, change, row, write_tree


def test_plan_holds_the_recipe_and_the_modules_that_it_needs(project):
    made = make_plan(project, RECIPE)
    assert made.mistakes == []
    assert set(made.library["core"]["Losses"]) == {
        "speechbrain/nnet/loss/energy.py"
    }
    assert set(made.files) == {
        f"{PLACE}/README.md",
        f"{PLACE}/hparams/ring.yaml",
        f"{PLACE}/speech_prepare.py",
        f"{PLACE}/train.py",
        "speechbrain/lobes/models/layers.py",
        "speechbrain/lobes/models/network.py",
        "speechbrain/nnet/loss/scer.py",
    }
    assert sorted(made.left_out) == [
        "ablation.yaml",
        "hparams/ring_mini.yaml",
        "notes.txt",
        "reference/ring.json",
    ]
    assert find_faults(made.files | made.library["core"]["Losses"]) == []


def test_translated_modules_work_where_they_go(project, tmp_path):
    made = make_plan(project, RECIPE)
    packages = ["nnet", "nnet/loss", "lobes", "lobes/models", ""]
    target = tmp_path / "target"
    write_tree(target, {f"speechbrain/{p}/__init__.py": "" for p in packages})
    write_tree(target, made.library["core"]["Losses"] | made.files)
    code = (
        "from speechbrain.nnet.loss.scer import scer\n"
        "from speechbrain.lobes.models.network import Network\n"
        "print(scer([2.0, 2.0]), Network.width, hasattr(Network, 'load'))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=target, capture_output=True, text=True
    )
    assert result.stdout.split() == ["4.0", "2", "False"], result.stderr


def test_train_is_without_what_speechbrain_lacks(project):
    made = make_plan(project, RECIPE)
    train = made.files[f"{PLACE}/train.py"]
    assert "class Ring(sb.Brain):" in train
    assert "SkipNonFinite" not in train
    assert "from speechbrain.nnet.loss.scer import scer\n" in train
    hparams = made.files[f"{PLACE}/hparams/ring.yaml"]
    assert "!new:speechbrain.lobes.models.network.Network\n" in hparams
    assert "!name:torch.optim.Adam\n" in hparams
    assert "!new:speechbrain.utils.checkpoints.Checkpointer\n" in hparams
    # the argument that Adam lacks goes; the network's of this name stays
    assert hparams.count("momentum:") == 2
    assert "    momentum: !ref <momentum>\n" in hparams
    printed = {theirs for _, _, theirs in made.substitutions}
    assert {"torch.optim.Adam", "base class left out"} <= printed


@pytest.mark.parametrize(
    "line, reason",
    [
        ("from speechbrain_ext.console import say", "console"),
        ("import speechbrain_ext.losses", "import speechbrain_ext.losses"),
        ("from speechbrain_ext import losses", "losses is a package"),
        ("from speechbrain_ext.losses import nothing", "nothing is not"),
        ("from speechbrain_ext.nowhere import x", "nowhere is no module"),
    ],
    ids=["no_destination", "import", "package", "no_name", "no_module"],
)
def test_imports_that_cannot_go_are_mistakes(project, line, reason):
    change(
        project, f"{PLACE}/train.py", "import sys\n", f"import sys\n{line}\n"
    )
    (mistake,) = make_plan(project, RECIPE).mistakes
    assert mistake.startswith("Speech/ring/train.py, line 5: ")
    assert reason in mistake


def test_mistakes_of_hyperparameter_files(project, rows):
    rows.clear()
    change(project, f"{PLACE}/hparams/ring.yaml", "models.Small", "models.Big")
    mistakes = "\n".join(make_plan(project, RECIPE).mistakes)
    assert "ring.yaml, line 8: speechbrain_ext.models.BigNetwork" in mistakes
    assert "ring.yaml has no row in tools/upstream/rows.csv" in mistakes


def test_a_recipe_of_our_corpora_alone_is_a_mistake(project):
    (project / PLACE / "hparams/ring.yaml").unlink()
    (mistake,) = make_plan(project, RECIPE).mistakes
    assert "no hyperparameter file to send" in mistake


def test_a_library_branch_needs_nothing_outside_of_the_stack(project, tables):
    change(
        project,
        "speechbrain_ext/losses/si_sdr.py",
        "import functools\n",
        "import functools\nfrom speechbrain_ext.models.layers import WIDTH\n",
    )
    stacks = {
        on: dataclasses.replace(RECIPE, on=on)
        for on in [("core",), ("core", "layers"), ("layers", "core")]
    }
    found = {on: make_plan(project, r).mistakes for on, r in stacks.items()}
    assert found.pop(("layers", "core")) == []
    for (mistake,) in found.values():
        assert "of the branch core" in mistake
        assert "models.layers" in mistake


def test_stack_ends_with_a_branch_that_the_recipe_stands_on(project):
    assert make_plan(project, RECIPE, up_to="core").files == {}
    with pytest.raises(LookupError, match="not stand on layers, but on core"):
        make_plan(project, RECIPE, up_to="layers")


def test_what_is_to_be_cut_must_be_there(project, tables):
    tables["CUTS"]["models.network"] = ["Network.gone"]
    mistakes = make_plan(project, RECIPE).mistakes
    assert "no Network.gone to cut" in mistakes[0]


def test_readme_gets_the_last_sections_once(project):
    first = make_plan(project, RECIPE).files[f"{PLACE}/README.md"]
    assert "speechbrain_ext" not in first
    for title in ("About SpeechBrain", "Citing SpeechBrain"):
        assert first.count(f"# **{title}**") == 1
    (project / PLACE / "README.md").write_text(first)
    assert make_plan(project, RECIPE).files[f"{PLACE}/README.md"] == first


def test_row_names_the_files_of_the_recipe(project):
    (made,) = make_plan(project, RECIPE).rows
    assert made == row(
        Dataset="Speech",
        Script_file=f"{PLACE}/train.py",
        Hparam_file=f"{PLACE}/hparams/ring.yaml",
        Data_prep_file=f"{PLACE}/speech_prepare.py",
        Readme_file=f"{PLACE}/README.md",
    )


def test_recipes_are_found_by_their_folders():
    recipe = find_recipe(ROOT / "recipes/REAL-M/sisnr_estimation")
    assert recipe.place == "recipes/REAL-M/sisnr-estimation"
    with pytest.raises(LookupError, match="recipes/FUSS/mixit_separation"):
        find_recipe("recipes/FUSS/other")


def test_names_are_those_that_python_imports(project):
    library = Library(project)
    # the function hides the module of its name, but not from HyPerPyYAML
    assert str(library.resolve("losses", "scer")) == "losses.scer.scer"
    assert str(library.resolve("losses", "si_sdr")) == "losses.si_sdr"
    assert str(library.locate("losses.scer.scer")) == "losses.scer.scer"
    assert (
        str(library.locate("models.SmallNetwork")) == "models.network.Network"
    )
    with pytest.raises(Unresolved, match="not defined"):
        library.locate("models.network.Other")
