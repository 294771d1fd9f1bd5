"""A stranger's report.yaml runs nothing of its own."""

import jinja2
import pytest
from checkout import ROOT
from ruamel.yaml import YAML

from speechbrain_ext.services.described import (
    TEMPLATES,
    find_function,
    inner_name,
)


@pytest.mark.parametrize(
    "place",
    [
        "shutil.rmtree",
        "os.system",
        "rmtree",
        "speechbrain_ext.evaluation_x.f",
        "speechbrain_ext.files.replaced",
        # what a module of the evaluation has imported
        "speechbrain_ext.evaluation.report.shutil",
        "speechbrain_ext.evaluation.report.mark_folder",
        "speechbrain_ext.evaluation.report.missing",
    ],
)
def test_only_functions_of_the_evaluation_are_found(place):
    with pytest.raises(ValueError, match="no function of"):
        find_function(place)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/b.png", "..", ""])
def test_files_lie_in_the_folder(name):
    with pytest.raises(ValueError, match="no name of a file"):
        inner_name(name)
    assert inner_name("wer.png") == "wer.png"


def test_templates_reach_no_python():
    text = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(jinja2.exceptions.SecurityError):
        TEMPLATES.from_string(text).render()
    with pytest.raises(jinja2.exceptions.SecurityError):
        TEMPLATES.from_string("{{ values.clear() }}").render(values={"a": 1})


@pytest.mark.parametrize(
    "path",
    sorted(ROOT.glob("recipes/*/*/report*.yaml")),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_what_the_recipes_name_is_found(path):
    told = YAML(typ="safe", pure=True).load(path.read_text())
    for plot in told.get("plots", ()):
        assert callable(find_function(plot["draw"]))
        inner_name(plot["file"])
    if "summary" in told:
        assert callable(find_function(told["summary"]))
    for name in told.get("releases", ()):
        inner_name(name)
    for text in (*told.get("notes", ()), *told["card"].values()):
        if isinstance(text, str):
            TEMPLATES.from_string(text)
