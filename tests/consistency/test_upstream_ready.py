"""What SpeechBrain would refuse is found here, without a checkout of it.

Recipes are held against the checks that read texts; `python
tools/upstream.py` runs SpeechBrain's own.
"""

import dataclasses

import pytest
from checkout import ROOT
from speechbrain.utils.run_opts import RunOptions
from upstream.destinations import CORE, MODULES, RECIPES
from upstream.library import Library
from upstream.plan import make_plan, read_rows
from upstream.sizes import (
    LONGEST_CORE,
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
    core = {
        ours: place for part in CORE.values() for ours, place in part.items()
    }
    assert not core.keys() & MODULES.keys()
    both = core | MODULES
    assert len(set(both.values())) == len(both), "two modules for one place"
    library = Library(ROOT)
    missing = [
        ours
        for ours in both
        if not ours.endswith(".py") and library.file(ours) is None
    ]
    assert missing == []


def test_the_core_can_be_sent():
    plan = make_plan(ROOT, RECIPES[0], core_alone=True)
    assert plan.mistakes == []
    files = {p: text for part in plan.core.values() for p, text in part.items()}
    assert len(files) > 5
    assert find_faults(files) == []
    assert lines_of(files) <= LONGEST_CORE


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
