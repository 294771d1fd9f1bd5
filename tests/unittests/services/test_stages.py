"""Stages of a run: what identifies each, and taking those of another."""

import json

import pytest

from speechbrain_ext.services.stages import (
    FINISHED,
    find_stages,
    identify_stages,
)

IDENTITY = {"seed": 1, "first_epochs": 2, "second_epochs": 3, "net": {"a": 1}}
UNREAD = {"first": {"second_epochs"}, "second": {"first_epochs"}}


def finish(folder, names=UNREAD, identity=IDENTITY):
    """A run whose stages are finished, with a checkpoint each."""
    identify_stages(folder, identity, UNREAD)
    for name in names:
        place = folder / "stages" / name
        checkpoint = place / "save/CKPT+1"
        checkpoint.mkdir(parents=True)
        (checkpoint / "CKPT.yaml").write_text("")
        (place / FINISHED).write_text(json.dumps({"of": str(folder)}))


def origin(folder, name):
    """The run that a stage of a run comes from; None if it is not there."""
    path = folder / "stages" / name / FINISHED
    return json.loads(path.read_text())["of"] if path.is_file() else None


@pytest.mark.parametrize(
    "changed, taken",
    [
        ({}, {"first", "second"}),
        ({"second_epochs": 9}, {"first"}),
        ({"first_epochs": 9}, {"second"}),
        ({"net": {"a": 2}}, set()),
        ({"new": True}, set()),
    ],
    ids=("nothing", "later", "earlier", "network", "added"),
)
def test_stages_are_taken_where_what_they_read_is_the_same(
    tmp_path, changed, taken
):
    other, own = tmp_path / "other", tmp_path / "own"
    finish(other)
    identify_stages(own, IDENTITY | changed, UNREAD, start_from=other)
    for name in UNREAD:
        found = origin(own, name)
        assert found == (str(other) if name in taken else None), name
        run = json.loads((own / "stages" / name / "run.json").read_text())
        assert run["seed"] == 1 and not run.keys() & UNREAD[name]
    # the other run is as it was
    assert {origin(other, name) for name in UNREAD} == {str(other)}


def test_unfinished_stages_are_not_taken_and_finished_ones_stay(tmp_path):
    other, own = tmp_path / "other", tmp_path / "own"
    finish(other, ["first"])
    finish(own, ["first"])
    identify_stages(own, IDENTITY, UNREAD, start_from=other)
    assert origin(own, "first") == str(own)
    assert origin(own, "second") is None


def test_stages_that_a_run_does_without_are_left(tmp_path):
    other, own = tmp_path / "other", tmp_path / "own"
    finish(other)
    only = {"second": UNREAD["second"]}
    identify_stages(own, IDENTITY, only, start_from=other)
    assert [path.name for path in (own / "stages").iterdir()] == ["second"]


@pytest.mark.parametrize("key", ["seed", "second_epochs", "net"])
def test_a_stage_of_other_settings_is_refused(tmp_path, key):
    finish(tmp_path, ["second"])
    changed = IDENTITY | {key: 7}
    with pytest.raises(ValueError, match=f"stages/second .*another {key}"):
        identify_stages(tmp_path, changed, UNREAD)


def test_settings_that_no_begun_stage_reads_may_change(tmp_path):
    finish(tmp_path, ["first"])
    identify_stages(tmp_path, IDENTITY | {"second_epochs": 7}, UNREAD)
    run = json.loads((tmp_path / "stages/second/run.json").read_text())
    assert run["second_epochs"] == 7


def test_a_run_without_a_finished_stage_is_told(tmp_path):
    identify_stages(tmp_path, IDENTITY, UNREAD)
    with pytest.raises(FileNotFoundError, match="no finished stage"):
        find_stages(tmp_path)
    finish(tmp_path, ["first"])
    assert find_stages(tmp_path) == tmp_path
