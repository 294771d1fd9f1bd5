import dataclasses
import textwrap

import pytest
from upstream import branch
from upstream.checks import Checks
from upstream.destinations import Recipe
from upstream.plan import make_plan
from upstream_trees import (
    CHECKOUT,
    COLUMNS,
    PLACE,
    RECIPE,
    change,
    git,
    row,
    write_tree,
)

pytestmark = pytest.mark.slow

STACK = dataclasses.replace(RECIPE, on=("core", "layers"))


def build(project, speechbrain, recipe=RECIPE, up_to=""):
    made = make_plan(project, recipe, up_to)
    return branch.make_branches(made, branch.Checkout(speechbrain))


def test_branches_stand_on_one_another(project, speechbrain):
    commits = build(project, speechbrain, STACK)
    assert list(commits) == ["base", "core", "layers", "ring"]
    for name, path in {
        "core": "speechbrain/nnet/loss/energy.py",
        "layers": "speechbrain/lobes/models/layers.py",
        "ring": "speechbrain/lobes/models/network.py",
    }.items():
        assert git(speechbrain, "rev-parse", name) == commits[name]
        changed = git(
            speechbrain, "diff", "--name-only", f"{name}~", name
        ).splitlines()
        assert path in changed
        assert (len(changed) == 1) == (name != "ring")
    log = git(speechbrain, "log", "--format=%s").splitlines()
    assert log == ["Recipe Speech/ring", "Layers", "Losses", "theirs"]


def test_branch_has_the_core_and_then_the_recipe(project, speechbrain):
    commits = build(project, speechbrain)
    assert git(speechbrain, "branch", "--show-current") == "ring"
    assert git(speechbrain, "status", "--porcelain") == ""
    log = git(speechbrain, "log", "--format=%s").splitlines()
    assert log == ["Recipe Speech/ring", "Losses", "theirs"]
    names = git(
        speechbrain, "diff", "--name-only", commits["base"], commits["core"]
    )
    assert names == "speechbrain/nnet/loss/energy.py"
    old = textwrap.dedent(CHECKOUT["tests/recipes/Speech.csv"])
    table = (speechbrain / "tests/recipes/Speech.csv").read_text()
    assert table.startswith(old)
    (new,) = table.removeprefix(old).splitlines()
    assert new == (
        f"Separation,Speech,{PLACE}/train.py,{PLACE}/hparams/ring.yaml,"
        f"{PLACE}/speech_prepare.py,{PLACE}/README.md,,,"
        "--number_of_epochs=2,,"
    )
    # back there, what was made can be made again
    git(speechbrain, "switch", "-q", "develop")
    assert not (speechbrain / PLACE).exists()


@pytest.mark.parametrize("switched", [True, False], ids=["below", "on_top"])
def test_recipe_comes_on_top_of_a_branch_that_is_there(
    project, speechbrain, switched
):
    first = build(project, speechbrain, up_to="core")
    assert list(first) == ["base", "core"]
    assert git(speechbrain, "branch", "--show-current") == "core"
    if switched:
        git(speechbrain, "commit", "-q", "--amend", "-m", "Reworded")
        git(speechbrain, "switch", "-q", "develop")
    core = git(speechbrain, "rev-parse", "core")
    assert build(project, speechbrain)["core"] == core
    log = git(speechbrain, "log", "--format=%s").splitlines()
    words = "Reworded" if switched else "Losses"
    assert log == ["Recipe Speech/ring", words, "theirs"]


def test_a_branch_of_other_contents_is_not_touched(project, speechbrain):
    build(project, speechbrain, up_to="core")
    (speechbrain / "mine.py").write_text("")
    git(speechbrain, "add", ".")
    git(speechbrain, "commit", "-q", "-m", "mine")
    core = git(speechbrain, "rev-parse", "core")
    git(speechbrain, "switch", "-q", "develop")
    with pytest.raises(branch.Refused, match="git branch -D core"):
        build(project, speechbrain, STACK)
    assert git(speechbrain, "rev-parse", "core") == core
    assert git(speechbrain, "branch").split() == ["core", "*", "develop"]
    assert git(speechbrain, "status", "--porcelain") == ""


def test_a_new_data_set_gets_a_table(project, speechbrain, rows):
    (project / PLACE).rename(project / "recipes/Speech/other")
    (project / "recipes/Speech").rename(project / "recipes/New")
    rows[:] = [row(Hparam_file="New/other/hparams/ring.yaml")]
    build(project, speechbrain, recipe=Recipe("New/other", on=("core",)))
    lines = (speechbrain / "tests/recipes/New.csv").read_text().splitlines()
    assert lines[0] == COLUMNS
    assert len(lines) == 2


def test_a_recipe_that_is_there_is_improved(project, speechbrain):
    names = ["train.py", "old.py", "hparams/ring.yaml", "hparams/old.yaml"]
    write_tree(
        speechbrain / "recipes/Speech/theirs", dict.fromkeys(names, "a\n")
    )
    with open(speechbrain / "tests/recipes/Speech.csv", "a") as file:
        for name in ("ring", "old"):
            hparams = f"recipes/Speech/theirs/hparams/{name}.yaml"
            file.write(f"T,Speech,a,{hparams},,,,,,,\n")
    git(speechbrain, "add", ".")
    git(speechbrain, "commit", "-q", "-m", "old recipe")
    recipe = Recipe(
        "Speech/ring",
        on=("core",),
        theirs="Speech/theirs",
        improves=True,
        removes=("old.py", "hparams/old.yaml", "never_there.py"),
    )
    commits = build(project, speechbrain, recipe=recipe)
    place = speechbrain / "recipes/Speech/theirs"
    assert "Ring" in (place / "train.py").read_text()
    command = (place / "hparams/ring.yaml").read_text().splitlines()[0]
    assert "recipes/Speech/theirs/hparams/ring.yaml" in command
    assert [p.name for p in place.glob("hparams/*")] == ["ring.yaml"]
    assert not (place / "old.py").exists()
    rows = (speechbrain / "tests/recipes/Speech.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in rows[1:]] == ["Other", "Separation"]
    made = make_plan(project, recipe)
    checks = Checks(made, branch.Checkout(speechbrain), commits)
    remarks = {outcome.name: outcome.remark for outcome in checks.sizes()}
    # what is removed is told, but not counted
    counted = len({*made.files, "tests/recipes/Speech.csv"})
    assert remarks["size of ring"].startswith(f"{counted} files, ")
    assert remarks["size of ring"].endswith("; 2 files removed")


@pytest.mark.parametrize(
    "place",
    ["speechbrain/lobes/models/dual_path.py", "recipes/Speech/other/train.py"],
    ids=["module", "recipe"],
)
def test_files_of_speechbrain_are_not_replaced(
    project, speechbrain, tables, place
):
    recipe = RECIPE
    if place.startswith("speechbrain/"):
        tables["MODULES"]["models.network"] = place
    else:
        recipe = dataclasses.replace(RECIPE, theirs="Speech/other")
    with pytest.raises(branch.Refused, match=place):
        build(project, speechbrain, recipe=recipe)
    assert git(speechbrain, "branch") == "* develop"
    assert git(speechbrain, "status", "--porcelain") == ""


def test_changes_of_the_user_are_not_touched(project, speechbrain):
    (speechbrain / "mine.txt").write_text("mine")
    with pytest.raises(branch.Refused, match=r"mine\.txt"):
        build(project, speechbrain)
    with pytest.raises(branch.Refused, match="no checkout of SpeechBrain"):
        branch.Checkout(project)


def test_columns_that_speechbrain_does_not_have(project, speechbrain):
    table = speechbrain / "tests/recipes/Speech.csv"
    change(speechbrain, "tests/recipes/Speech.csv", ",performance", ",speed")
    git(speechbrain, "commit", "-q", "-a", "-m", "other columns")
    assert table.is_file()
    with pytest.raises(branch.Refused, match="no columns performance"):
        build(project, speechbrain)


def test_a_commit_that_fails_leaves_nothing(project, speechbrain, monkeypatch):
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"):
        monkeypatch.setenv(name, "")
    with pytest.raises(branch.Refused, match="git commit"):
        build(project, speechbrain)
    assert git(speechbrain, "branch") == "* develop"
    assert git(speechbrain, "status", "--porcelain") == ""
