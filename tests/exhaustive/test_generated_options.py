"""Options as people type them, whatever they are for."""

import math
import os

import pytest

pytest.importorskip("hypothesis", reason="pip install '.[dev]'")

from generated import TEXTS, require_readable, try_all  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from hparams import load_hparams  # noqa: E402
from speechbrain_ext.services.command_line import (  # noqa: E402
    check_command_line,
)

pytestmark = pytest.mark.exhaustive

HPARAMS = """\
output_folder: {out}
data_folder: !PLACEHOLDER
seed: 1
learning_rate: 0.001
gain_db: [-5.0, 5.0]
mixing: ring
resample: False
train_split: train
start_from: null
sizes: {{hidden: 3, layers: 2}}
number_of_epochs: 3
double: !ref <seed> * 2
"""
RULES = {
    "seed": (int, 0, None),
    "learning_rate": (float, 0, 1),
    "mixing": ["ring", "pairs"],
    "resample": [True, False],
    "number_of_epochs": (int, 1, 1000),
}
PATHS = ("data_folder", "start_from", "train_split")
KEYS = (*RULES, *PATHS, "gain_db", "sizes")
VALUES = st.one_of(
    TEXTS,
    st.sampled_from(["ring", "pairs", "2", "0.5", "True", "no", "[0, 1]"]),
    st.sampled_from(["{hidden: 4, layers: 1}", "data", "data/x", "1/0"]),
    st.floats().map(repr),
    st.integers().map(str),
)


@pytest.fixture
def hparams(tmp_path):
    path = tmp_path / "hparams.yaml"
    path.write_text(HPARAMS.format(out=tmp_path / "out"))
    return path


def check_values(found, key, text):
    """Compare with what the text of an option means."""
    value = found[key]
    assert isinstance(found["seed"], int) and found["seed"] >= 0
    assert 0 <= found["learning_rate"] <= 1
    assert isinstance(found["learning_rate"], int | float)
    assert found["mixing"] in ("ring", "pairs")
    assert isinstance(found["resample"], bool)
    assert found["double"] == 2 * found["seed"]
    if key in PATHS:
        home = os.path.expanduser(text) if key != "train_split" else text
        assert value == home or (key == "start_from" and value is None)
    if key in ("seed", "learning_rate", "number_of_epochs"):
        # a text of many digits may lose the last of them
        wanted = float(text)
        assert wanted == math.inf or math.isclose(value, wanted, rel_tol=1e-14)


def test_values_of_one_option(hparams, record_property):
    outcomes = {"taken": 0, "refused": 0}

    def check(case):
        key, text = case
        overrides = {"data_folder": "data", key: text}
        try:
            found = load_hparams(hparams, overrides, RULES)
        except ValueError as error:
            require_readable(error)
            assert key in str(error), (key, text, error)
            outcomes["refused"] += 1
        else:
            check_values(found, key, text)
            outcomes["taken"] += 1

    drawn = st.tuples(st.sampled_from(KEYS), VALUES)
    record_property("cases", try_all(drawn, 2000, check))
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 300


def test_command_lines(hparams, record_property, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    outcomes = {"taken": 0, "refused": 0}
    words = st.one_of(
        st.tuples(st.sampled_from(KEYS), VALUES).map("--{0[0]}={0[1]}".format),
        st.tuples(TEXTS, VALUES).map("--{0[0]}={0[1]}".format),
        st.sampled_from(["--debug", "--device=cpu", "--precision=bf16"]),
        st.sampled_from(["--debug=1", "--precision=x", "--device=moon"]),
        VALUES,
    )

    def check(case):
        arguments = [str(hparams), "--data_folder=data", *case]
        try:
            found = check_command_line(arguments, RULES)
        except ValueError as error:
            require_readable(error)
            outcomes["refused"] += 1
        else:
            assert found.checked.values["mixing"] in ("ring", "pairs")
            outcomes["taken"] += 1

    drawn = st.lists(words, max_size=2)
    record_property("cases", try_all(drawn, 500, check))
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 20
