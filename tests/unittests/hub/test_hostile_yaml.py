"""hyperparams.yaml files that want more than a model needs.

They are those of tools/try_hostile.py. Each one is refused before anything is
built, with its line in the message. Those of `RUNS` are shown to be harmful:
`trust=True` does run them.
"""

import os
import re
import sys

import pytest
from hostile import yaml_cases
from hostile.case import Place
from hub_folders import CONV_TASNET, write_folder

from speechbrain_ext.hub import Limits, RefusedError, load_folder, loading

# these need more than the file to be told: its sizes, or what it is used for
LATER = ("yaml: together: ", "yaml: sample rate missing")
CASES = {
    case.name.removeprefix("yaml: "): case
    for case in yaml_cases.cases()
    if case.expect == "refused" and not case.name.startswith(LATER)
}
RUNS = """
    apply, apply hidden, apply deep inside, apply as argument, applyref,
    new of a stranger's class, name of a function, module,
    python object apply, python in parentheses, escaped tag, include,
    layer that is called, condition that is called, hook
"""
RUNS = [" ".join(name.split()) for name in RUNS.split(",")]


def hostile_folder(tmp_path, name):
    place = Place(tmp_path / "case")
    for folder in (place.given, place.outside):
        folder.mkdir(parents=True)
    CASES[name].make(place)
    called = "a: !apply:canary_module.called [1]\n"
    (place.given / "other.yaml").write_text(called)
    return place.given


def state_of(folder):
    """All files below, with what is in them."""
    return {
        str(path.relative_to(folder)): path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
        if "code" not in path.parts[:-1]
    }


@pytest.mark.parametrize("name", CASES)
def test_refused_before_anything_is_built(name, tmp_path, canary, monkeypatch):
    folder = hostile_folder(tmp_path, name)
    before, modules = state_of(tmp_path), speechbrain_modules()
    for function in ("build_sizes", "read_weights"):
        monkeypatch.setattr(loading, function, lambda *a: pytest.fail("done"))
    # a file without the keys of a model is no model, and is not dangerous
    with pytest.raises(ValueError) as error:
        load_folder(folder)
    assert state_of(tmp_path) == before
    assert os.listdir(canary) == []
    assert "canary_module" not in sys.modules
    assert speechbrain_modules() == modules
    check_message(str(error.value), folder / "hyperparams.yaml")


def speechbrain_modules():
    return {name for name in sys.modules if name.startswith("speechbrain")}


def check_message(message, path):
    """The line is the one that is quoted, and there is a way out."""
    assert "hyperparams.yaml" in message and message.isprintable()
    assert len(message) < 2000 + 2 * len(str(path))
    line = re.search(r"hyperparams\.yaml, line (\d+): ", message)
    if line:
        text = path.read_bytes().decode("utf-8-sig")
        quoted = [*text.splitlines(), ""][int(line[1]) - 1].strip()[:60]
        assert repr(quoted)[1:-1] in message
        assert "trust=True" in message


@pytest.mark.parametrize("name", RUNS)
def test_trusted_files_run_what_is_refused_otherwise(name, tmp_path, canary):
    # else the test above could not fail
    folder = hostile_folder(tmp_path, name)
    try:
        load_folder(folder, trust=True)
    except Exception as error:
        print("plain HyperPyYAML ended with", error)
    assert os.listdir(canary)


def test_there_are_enough_cases():
    assert len(CASES) > 200


def test_sizes_can_be_allowed(tmp_path):
    text = CONV_TASNET + f"\ngood: [{'1,' * 50}]\n# {'x' * 3000}\n"
    write_folder(tmp_path, text)
    for limits, message in (
        (Limits(yaml_values=100), "more than 100 values"),
        (Limits(yaml_bytes=2000), "bytes, more than 2000; Limits.yaml_bytes"),
        (Limits(yaml_depth=1), "more than 1 levels"),
        (Limits(weight_bytes=2000), "files of weights have .* bytes"),
    ):
        with pytest.raises(RefusedError, match=message):
            load_folder(tmp_path, limits=limits)
    assert load_folder(tmp_path).hparams["good"] == [1] * 50


def test_file_that_is_no_text_or_too_large(tmp_path):
    write_folder(tmp_path)
    path = tmp_path / "hyperparams.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(RefusedError, match="no UTF-8 text"):
        load_folder(tmp_path)
    with open(path, "wb") as file:
        file.truncate(10**11)  # a sparse file: takes no room
    with pytest.raises(RefusedError, match="bytes, more than 65536;"):
        load_folder(tmp_path)
