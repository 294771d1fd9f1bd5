import pytest

from hparams import load_hparams
from speechbrain_ext.services.options import find_mistakes

FILE = """
seed: 1
data_folder: !PLACEHOLDER
output_folder: !ref <data_folder>/out
mixing: ring
rate: 0.5
layer: !new:torch.nn.Linear
    in_features: 2
    out_features: !ref <seed>
"""
RULES = {
    "seed": (int, 0, None),
    "mixing": ["ring", "pairs"],
    "rate": (float, 0, 1),
}


@pytest.fixture
def hparams_file(tmp_path):
    path = tmp_path / "hparams.yaml"
    path.write_text(FILE)
    return path


def test_a_right_file_is_built(hparams_file):
    hparams = load_hparams(hparams_file, "data_folder: here\nseed: 3", RULES)
    assert hparams["output_folder"] == "here/out"
    assert hparams["layer"].out_features == 3


def test_every_mistake_is_told_together(hparams_file):
    with pytest.raises(ValueError) as error:
        load_hparams(hparams_file, "sead: 2\nmixin: ring", RULES)
    text = str(error.value)
    assert str(hparams_file) in text
    assert "3 mistakes" in text
    assert "sead: no such key; did you mean seed?" in text
    assert "mixin: no such key; did you mean mixing?" in text
    assert "data_folder: required, give it as --data_folder=VALUE" in text


def test_values_are_held_against_the_rules(hparams_file):
    overrides = {
        "data_folder": "x",
        "seed": -1,
        "mixing": "square",
        "rate": "fast",
    }
    with pytest.raises(ValueError) as error:
        load_hparams(hparams_file, overrides, RULES)
    text = str(error.value)
    assert "seed: -1 is below 0" in text
    assert "mixing: 'square' is none of 'ring', 'pairs'" in text
    assert "rate: 'fast' is no float" in text


def test_nothing_is_built_before_the_check(hparams_file, monkeypatch):
    import torch

    def refuse(*arguments, **keywords):
        raise AssertionError("built before the check")

    monkeypatch.setattr(torch.nn, "Linear", refuse)
    with pytest.raises(ValueError, match="above 1"):
        load_hparams(hparams_file, {"data_folder": "x", "rate": 2}, RULES)


def test_missing_keys_bools_and_whole_numbers():
    seed, on = {"seed": (int, 0, None)}, {"on": (bool, None, None)}
    assert find_mistakes({}, seed) == ["seed: missing"]
    assert find_mistakes({"seed": True}, seed) == ["seed: True is no int"]
    assert find_mistakes({"on": 1}, on) == ["on: 1 is no bool"]
    assert find_mistakes({"rate": 1}, {"rate": (float, 0, 1)}) == []


def test_not_a_number_is_refused():
    mistakes = find_mistakes({"rate": float("nan")}, {"rate": (float, 0, 1)})
    assert mistakes == ["rate: nan is no finite number"]
