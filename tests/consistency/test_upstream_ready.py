"""What SpeechBrain would refuse is found here, without a checkout of it.

Recipes are held against the checks that read texts; `python
tools/upstream.py` runs SpeechBrain's own.
"""

import dataclasses

import pytest
from checkout import ROOT
from speechbrain.utils.run_opts import RunOptions
from upstream.destinations import LIBRARY, MODULES, RECIPES
from upstream.library import Library
from upstream.plan import destinations, make_plan, read_rows
from upstream.sizes import (
    LONGEST_LIBRARY,
    LONGEST_RECIPE,
    LONGEST_STAGED_TRAIN,
    LONGEST_TRAIN,
    MOST_FILES,
)
from upstream.textual import find_faults, unused_keys, wrong_booleans

RUN_OPTIONS = {field.name for field in dataclasses.fields(RunOptions)}
each_recipe = pytest.mark.parametrize(
    "recipe", RECIPES, ids=lambda recipe: recipe.folder.rpartition("/")[2]
)


def folder_of(recipe):
    return ROOT / "recipes" / recipe.folder


def lines_of(files):
    return sum(len(text.splitlines()) for text in files.values())


def test_destinations_are_those_of_modules_that_are_there():
    parts = [part for branch in LIBRARY.values() for part in branch.values()]
    table = destinations()
    assert len(table) == len(MODULES) + sum(map(len, parts)), "a module twice"
    assert len(set(table.values())) == len(table), "two modules for one place"
    library = Library(ROOT)
    missing = [
        ours
        for ours in table
        if not ours.endswith(".py") and library.file(ours) is None
    ]
    assert missing == []


def test_recipes_stand_on_the_library_branches():
    used = {branch for recipe in RECIPES for branch in recipe.on}
    assert used == LIBRARY.keys()
    # so that what is made for a recipe serves the next
    below = {(b, r.on[:n]) for r in RECIPES for n, b in enumerate(r.on)}
    assert len(below) == len(used)


@pytest.mark.slow
@each_recipe
def test_library_branches_can_be_sent(recipe):
    plan = make_plan(ROOT, recipe, up_to=recipe.on[-1])
    assert plan.mistakes == []
    for branch, parts in plan.library.items():
        files = {p: text for part in parts.values() for p, text in part.items()}
        assert find_faults(files) == []
        assert lines_of(files) <= LONGEST_LIBRARY, branch


def test_recipes_are_those_of_the_folders():
    folders = {
        path.parent.relative_to(ROOT / "recipes").as_posix()
        for path in ROOT.glob("recipes/*/*/train.py")
    }
    assert {recipe.folder for recipe in RECIPES} == folders


def test_rows_are_of_files_that_are_there():
    for row in read_rows():
        hparams = ROOT / "recipes" / row["Hparam_file"]
        assert hparams.is_file()
        assert (hparams.parents[1] / row["Script_file"]).is_file()
        assert row["Task"]
        assert row["test_debug_flags"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [recipe for recipe in RECIPES if recipe.ready],
    ids=lambda recipe: recipe.folder.rpartition("/")[2],
)
def test_recipe_can_be_sent(recipe):
    plan = make_plan(ROOT, recipe)
    assert plan.mistakes == []
    assert find_faults(plan.files) == []
    assert len(plan.files) < MOST_FILES  # the table of the data set is one
    assert lines_of(plan.files) <= LONGEST_RECIPE


@each_recipe
def test_train_can_be_read_at_one_sitting(recipe):
    lines = (folder_of(recipe) / "train.py").read_text().splitlines()
    most = LONGEST_STAGED_TRAIN if recipe.staged else LONGEST_TRAIN
    assert len(lines) <= most


@pytest.mark.slow
@each_recipe
def test_every_key_is_used_by_the_script_or_a_reference(recipe):
    scripts = [p.read_text() for p in folder_of(recipe).glob("*.py")]
    for path in folder_of(recipe).glob("hparams/*.yaml"):
        unused = [
            unused_keys(path.read_text(), script, RUN_OPTIONS)
            for script in scripts
        ]
        # it belongs to the script that uses the most of it
        assert min(unused, key=len) == [], path.name


@each_recipe
def test_truth_values_are_those_of_python(recipe):
    for path in folder_of(recipe).glob("**/*.yaml"):
        assert wrong_booleans(path.read_text()) == [], path.name
