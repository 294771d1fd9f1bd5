"""A stranger's report.yaml runs nothing of its own."""

import jinja2
import pytest

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
