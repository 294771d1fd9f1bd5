import math
from pathlib import Path

import pytest
import yaml
from hyperpyyaml import load_hyperpyyaml

from hparams import load_hparams
from speechbrain_ext.services.configuration import check_hparams
from speechbrain_ext.services.options import (
    INTERVAL,
    ListOf,
    find_mistakes,
    find_split_fault,
    read_option,
)

FILE = """
seed: 1
data_folder: !PLACEHOLDER
noise_folder: null
start_from: null
user: me
rate: 0.5
hidden: 64
known: false
include: null
snr_db: [-5.0, 5.0]
train_split: [train]
output_folder: !ref results/<user>/<seed>
save_folder: !ref <output_folder>/save
metrics: null
modules:
    layer: !ref <layer>
history: !new:builtins.dict
__set_seed: !apply:builtins.print [!ref <seed>]
layer: !new:torch.nn.Linear
    in_features: 2
    out_features: !ref <hidden>
prepare: !name:builtins.print
    data_folder: !ref <data_folder>
    folder: !ref <output_folder>/data
"""
RULES = {"seed": (int, 0, None), "rate": (float, 0, 1)}
# texts that YAML, HyperPyYAML or Python would take for something else
ODD_TEXTS = {
    "date": "20240101",
    "day": "2024-01-01",
    "mapping": "a: b",
    "colon": "a:",
    "float": "1e-4",
    "whole": "1e3",
    "octal": "012",
    "sexagesimal": "1:30",
    "boolean": "true",
    "yes": "yes",
    "null": "null",
    "list": "[x]",
    "tuple": "(x)",
    "comment": "#x",
    "inner_comment": "a #x",
    "apostrophe": "it's",
    "quotes": '"x"',
    "backslash": "a\\tb",
    "newline": "a\nb",
    "spaces": " a  b ",
    "long": "a" * 100 + " " + "b" * 100,
    "unicode": "日本 é 😀",
    "bytes": "a\udcff",
    "escape": "\x1b[2J",
    "tag": "!ref <user>",
    "reference": "<user>",
    "no_reference": "a<b>c",
    "anchor": "&a",
    "alias": "*a",
    "directive": "%x",
    "division": "1/0",
    "power": "2**3**4**5",
    "dashes": "--- a",
    "list_item": "- a",
    "tilde_inside": "a/~",
}


@pytest.fixture
def hparams_file(tmp_path):
    path = tmp_path / "hparams.yaml"
    path.write_text(FILE)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_texts_stay_what_they_are(hparams_file, text):
    given = {"data_folder": text, "output_folder": text, "user": text}
    hparams = load_hparams(hparams_file, given, RULES)
    assert {key: hparams[key] for key in given} == given
    assert hparams["save_folder"] == f"{text}/save"
    keywords = hparams["prepare"].keywords
    assert keywords == {"data_folder": text, "folder": f"{text}/data"}
    # what is saved says the same, to HyperPyYAML and to a plain reader
    saved = check_hparams(hparams_file, given, RULES).text
    saved = saved.encode().decode()
    again = load_hyperpyyaml(saved)
    assert again["prepare"].keywords == keywords
    assert again["save_folder"] == f"{text}/save"
    yaml.compose(saved)


def test_home_is_found_in_paths_alone(hparams_file, monkeypatch):
    monkeypatch.setenv("HOME", "/of/someone")
    given = {"data_folder": "~", "output_folder": "~/x", "user": "~"}
    hparams = load_hparams(hparams_file, given)
    assert hparams["data_folder"] == "/of/someone"
    assert hparams["save_folder"] == "/of/someone/x/save"
    assert hparams["user"] == "~"


@pytest.mark.parametrize("text", ["null", "none", "None"])
def test_what_may_be_left_out_can_be_left_out(hparams_file, text):
    given = {"data_folder": "x", "start_from": text, "noise_folder": text}
    hparams = load_hparams(hparams_file, given)
    assert hparams["start_from"] is hparams["noise_folder"] is None


NUMBERS = {
    "1e-4": ("rate", 1e-4),
    "1E-4": ("rate", 1e-4),
    ".5": ("rate", 0.5),
    "1": ("rate", 1.0),
    "1e3": ("seed", 1000),
    " 7 ": ("seed", 7),
    "128": ("hidden", 128),
    "[0, 1e1]": ("snr_db", [0, 10.0]),
    "[-1e-1, +2]": ("snr_db", [-0.1, 2]),
    "yes": ("known", True),
    "False": ("known", False),
    "[a*, 2024-01-01]": ("include", ["a*", "2024-01-01"]),
    "[train, valid]": ("train_split", ["train", "valid"]),
}


@pytest.mark.parametrize(
    "text, key, value",
    [(text, *rest) for text, rest in NUMBERS.items()],
    ids=[f"{key}-{n}" for n, (key, _) in enumerate(NUMBERS.values())],
)
def test_other_values_are_read(hparams_file, text, key, value):
    found = load_hparams(hparams_file, {"data_folder": "x", key: text}, RULES)
    assert found[key] == value and type(found[key]) is type(value)


MISTAKES = {
    "empty": ("data_folder", "", "it is empty"),
    "blank": ("output_folder", "  ", "it is empty"),
    "no_number": ("rate", "1e-4x", "'1e-4x' is no float"),
    "infinite": ("rate", "inf", "is no finite number"),
    "fraction": ("seed", "1.5", "'1.5' is no int"),
    "word": ("hidden", "many", "'many' is no number"),
    "flag": ("hidden", "true", "True is no number"),
    "boolean": ("known", "2", "'2' is none of True, False"),
    "open_list": ("snr_db", "[1", "'[1' cannot be read as YAML"),
    "built": ("snr_db", "!new:os.getcwd", "cannot be read as YAML"),
    "nested": ("snr_db", "[" * 600, "cannot be read as YAML"),
    "mapping": ("metrics", "{a: 1}", "{'a': 1} is a mapping"),
    "mapping_of_pair": ("snr_db", "a: b", "{'a': 'b'} is a mapping"),
    "mapping_of_word": ("hidden", "{a: 1}", "{'a': 1} is no number"),
    "modules": ("modules", "{}", "it builds objects; change it in the file"),
    "module": ("modules", "{layer: 3}", "its layer is <layer>"),
    "no_modules": ("modules", "null", "it builds objects; change it in"),
    "reference": (
        "layer",
        "{out_features: -1}",
        "its out_features is <hidden>",
    ),
    "object_of_none": ("layer", "{}", "it builds objects; change it in"),
    "scalar_object": ("history", "3", "it builds objects; change it in"),
    "hidden_key": ("__set_seed", "3", "the file alone sets it"),
    "huge": ("hidden", str(2**63), "does not fit into 64 bits"),
    "huge_by_rule": ("seed", "1" * 30, "does not fit into 64 bits"),
    "huge_in_a_list": ("snr_db", f"[-{2**70}, 5]", "does not fit into 64 bits"),
    "object": ("layer", "3", "3 is no mapping"),
    "mistyped": (
        "layer",
        "{in_featurs: 3}",
        "Linear has no in_featurs; did you mean in_features?",
    ),
    "other_argument": (
        "layer",
        "{size: 3}",
        "Linear has no size; it has in_features, out_features, bias",
    ),
    "no_split": ("train_split", "[]", "names no split"),
}


LISTS = {
    "interval": (INTERVAL, [0, 1e1], ""),
    "one_number": (INTERVAL, [5], "[5] is no list of two numbers"),
    "turned": (INTERVAL, [1, 0], "the lower one first"),
    "flags": (INTERVAL, [False, True], "is no list of two numbers"),
    "none": (INTERVAL, None, "None is no list of two numbers"),
    "optional": (ListOf(float, optional=True), None, ""),
    "infinite": (ListOf(float), [math.inf], "is no list of numbers"),
    "words": (ListOf(float, optional=True), ["a"], "numbers, nor null"),
    "few": (ListOf(str, least=1), [], "[] is no list of names, at least 1"),
    "nothing": (ListOf(str), [], ""),
    "number": (ListOf(str), [1], "[1] is no list of names"),
    "text": (ListOf(str), "a", "'a' is no list of names"),
    "choice": (ListOf(str, ["a", "b"]), ["b"], ""),
    "other": (ListOf(str, ["a", "b"]), ["c"], "is no list of some of a, b"),
}


@pytest.mark.parametrize("rule, value, told", LISTS.values(), ids=LISTS)
def test_lists_hold_what_their_rule_says(rule, value, told):
    (mistake,) = find_mistakes({"key": value}, {"key": rule}) or [""]
    assert told in mistake and bool(told) is mistake.startswith("key: ")


@pytest.mark.parametrize(
    "value, good",
    [
        *[("train", True), (None, True), (["train", "mine"], True)],
        *[({"mini": "train", "own": ["a"]}, True), ([], False), ("", False)],
        *[(3, False), ([None], False), ("[a, b]", False)],
        *[({"mini": []}, False), ({"mini": 3}, False)],
    ],
)
def test_splits_are_names(value, good):
    assert bool(find_split_fault(value)) is not good


@pytest.mark.slow
@pytest.mark.parametrize("key, text, told", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_name_the_option(hparams_file, key, text, told):
    with pytest.raises(ValueError) as error:
        load_hparams(hparams_file, {"data_folder": "x", key: text}, RULES)
    assert f"\n  {key}: " in str(error.value) and told in str(error.value)
    assert len(str(error.value)) < 1000


def test_values_inside_an_object_can_be_given(hparams_file):
    given = {"data_folder": "x", "layer": "{in_features: 3, bias: false}"}
    layer = load_hparams(hparams_file, {**given, "seed": str(2**62)})["layer"]
    assert (layer.in_features, layer.out_features) == (3, 64)
    assert layer.bias is None


@pytest.mark.parametrize(
    "text",
    ["a: [1", "- a", "a: !ref <b>", "\t"],
    ids="cut list ref tab".split(),
)
def test_a_broken_file_is_named(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.yaml"):
        load_hparams(path)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(ValueError, match=r"mine\.yaml"):
        load_hparams(path)


def test_a_path_object_is_a_text(hparams_file):
    hparams = load_hparams(hparams_file, {"data_folder": Path("1e3")})
    assert hparams["data_folder"] == "1e3"


def test_a_model_may_be_a_name_or_an_object():
    assert read_option("estimator", "1234") == "1234"
    with pytest.raises(ValueError, match="empty"):
        read_option("predictor", "", default="shipped")
    assert read_option("predictor", "null", default="shipped") is None


def test_a_path_in_a_file_must_be_a_text(hparams_file):
    text = hparams_file.read_text().replace("start_from: null", "start_from: 3")
    hparams_file.write_text(text)
    with pytest.raises(ValueError, match="start_from: 3 is no text"):
        load_hparams(hparams_file, {"data_folder": "x"})
