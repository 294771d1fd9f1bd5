"""hyperparams.yaml files that want more than a model needs.

Each one is refused before anything is built, with its line in the message.
Those of `RUNS` are shown to be harmful: `trust=True` does run them.
"""

import os
import re
import sys

import pytest
from hub_folders import CONV_TASNET, write_folder

from speechbrain_ext.hub import Limits, RefusedError, load_folder, loading

THING = "canary_module.Thing"
DOUBLING = "\n".join(
    ["d0: [a, b, c, d]"]
    + [f"d{i}: [!ref <d{i - 1}>, !ref <d{i - 1}>]" for i in range(1, 30)]
)
COPIES = "\n".join(
    ["d0: [a, b, c, d]"]
    + [
        f"d{i}: {{a: !copy <d{i - 1}>, b: !copy <d{i - 1}>}}"
        for i in range(1, 30)
    ]
)
ALIASES = "\n".join(
    ["d0: &d0 [a, b, c, d]"]
    + [f"d{i}: &d{i} [*d{i - 1}, *d{i - 1}]" for i in range(1, 30)]
)
TEXTS = "\n".join(
    ["d0: abcdefgh"]
    + [f"d{i}: !ref <d{i - 1}>-<d{i - 1}>" for i in range(1, 30)]
)
CHAIN = "\n".join(
    ["d0: 1"] + [f"d{i}: [!ref <d{i - 1}>]" for i in range(1, 300)][::-1]
)
GRU = "!new:speechbrain_ext.models.SpectralGRU"
LINEAR = "speechbrain.nnet.linear.Linear"
SEQUENTIAL = "bad: !new:speechbrain.nnet.containers.Sequential"

# name: lines put at the end of a harmless file, what the message says
APPENDED = {
    "apply": ("bad: !apply:canary_module.called [1]", "tag !apply:"),
    "apply in a hidden key": (
        "__bad: !apply:canary_module.called [1]",
        "tag !apply:",
    ),
    "apply deep inside": (
        "good:\n  list:\n    - [1, {a: !apply:canary_module.called [1]}]",
        "tag !apply:",
    ),
    "apply as an argument": (
        "bad: !new:torch.nn.ReLU [!apply:canary_module.called [1], 1]",
        "tag !apply:",
    ),
    "applyref": ("bad: !applyref:canary_module.called [1]", "tag !applyref:"),
    "new of any class": (f"bad: !new:{THING}", "not on the list"),
    "new with arguments": (f"bad: !new:{THING} {{a: 1}}", "not on the list"),
    "name imports": ("bad: !name:canary_module.called", "tag !name:"),
    "name with arguments": (
        "bad: !name:canary_module.called {a: 1}",
        "tag !name:",
    ),
    "name of a method": (f"bad: !name:{THING}.x", "tag !name:"),
    "module": ("bad: !module:canary_module", "tag !module:"),
    "python apply": (
        "bad: !!python/object/apply:canary_module.called [1]",
        "python/.* not taken",
    ),
    "python new": (
        f"bad: !!python/object/new:{THING} {{}}",
        "python/.* not taken",
    ),
    "python object": (
        f"bad: !!python/object:{THING} {{}}",
        "python/.* not taken",
    ),
    "python name": (
        "bad: !!python/name:canary_module.called",
        "python/.* not taken",
    ),
    "python module": (
        "bad: !!python/module:canary_module",
        "python/.* not taken",
    ),
    "python in a tuple": (
        "bad: (!!python/object/apply:canary_module.called [1])",
        "a tuple holds",
    ),
    "python in a quoted tuple": (
        'bad: "(!!python/object/apply:canary_module.called [1])"',
        "a tuple holds",
    ),
    "python in a tuple put together": (
        'a: "!!python/object/apply:canary_module.called [1]"\nbad: !ref (<a>)',
        "a tuple holds",
    ),
    "list in a tuple": ("bad: ([1, 2], 3)", "a tuple holds"),
    "mapping in a tuple": ("bad: '({a: 1}, 3)'", "a tuple holds"),
    "escaped tag": (
        "bad: !n%65w:canary_module.Thing",
        "canary_module.Thing is not on the list",
    ),
    "verbatim tag": ("bad: !<!new:canary_module.Thing>", "not on the list"),
    "tag as key": (f"? !new:{THING}\n: 1", "a key is not plain text"),
    "key that is a list": ("? [1, 2]\n: 1", "a key is not plain text"),
    "include": ("bad: !include:other.yaml", "tag !include:"),
    "include elsewhere": ("bad: !include:../other.yaml", "tag !include:"),
    "placeholder": ("bad: !PLACEHOLDER", "!PLACEHOLDER"),
    "attribute": (
        "bad: !ref <Encoder.register_forward_hook>",
        "reads an attribute",
    ),
    "class of an object": ("bad: !ref <Encoder.__class__>", "an attribute"),
    "attribute in a copy": (
        "bad: !copy <Encoder.__dict__>",
        "tag !copy is not taken",
    ),
    "reference to nothing": ("bad: !ref <nothing>", "is not in the file"),
    "reference to itself": ("bad: !ref <bad>", "leads back to itself"),
    "references in a ring": (
        "a: [!ref <b>]\nbad: {x: !ref <a>}\nb: !ref <bad>",
        "leads back to itself",
    ),
    "reference into itself": ("bad: !ref <bad[x]>", "leads back to itself"),
    "references into each other": (
        "a: !ref <b[x]>\nb: !ref <a[x]>\nbad: !ref <a[x][x]>",
        "leads back to itself",
    ),
    "references round and round": (
        "a: !ref <b>\nb: !ref <a>\nbad: !ref <a[x]>",
        "leads back to itself",
    ),
    "class that makes folders": (
        "bad: !new:speechbrain.utils.checkpoints.Checkpointer\n"
        "  checkpoints_dir: made",
        "not on the list",
    ),
    "class that downloads": (
        "bad: !new:speechbrain.lobes.models.huggingface_transformers."
        "wav2vec2.Wav2Vec2 {source: a/b, save_path: made}",
        "not on the list",
    ),
    "torch.load": ("bad: !new:torch.load {f: x}", "not on the list"),
    "what an allowed module imports": (
        "bad: !new:speechbrain.lobes.models.dual_path.copy.deepcopy",
        "not on the list",
    ),
    "attribute of an allowed class": (
        "bad: !new:torch.nn.Linear.__init__.__globals__",
        "not on the list",
    ),
    "no dotted name": ("bad: !new:print", "not on the list"),
    "class looked up by name": (
        "bad: !new:speechbrain.lobes.models.dual_path.SBRNNBlock\n"
        "  input_size: 8\n  hidden_channels: 8\n  num_layers: 1\n"
        "  rnn_type: get_logger",
        r"'rnn_type' .* is not one of \['GRU'",
    ),
    "layer that is called": (
        f"{SEQUENTIAL}\n  input_shape: [1, 2]\n"
        "  layer: !name:canary_module.called",
        "tag !name:",
    ),
    "layer with a layer of ours": (
        f"{SEQUENTIAL}\n  input_shape: [1, 2]\n"
        f"  layer: !new:{LINEAR} {{n_neurons: !new:{THING} }}",
        "'n_neurons' of .*Linear is not a whole number",
    ),
    "text where a module is": (f"{SEQUENTIAL}\n  layer: os", "is not built"),
    "function argument": (
        "bad: !new:torch.nn.ReLU {inplace: !new:torch.nn.ReLU }",
        "not given the argument 'inplace'",
    ),
    "class where text is": (
        "bad: !new:speechbrain.lobes.models.dual_path.DPTNetBlock\n"
        "  d_model: 8\n  nhead: 1\n  activation: !new:torch.nn.ReLU",
        "is not one of",
    ),
    "device": (
        f"bad: !new:{LINEAR}\n  n_neurons: 1\n  device: cuda",
        "not given the argument 'device'",
    ),
    "too many arguments": (
        f"bad: !new:{LINEAR} [1, null, 1, true, null, true, cpu]",
        "too many arguments",
    ),
    "argument that is no name": (
        f"bad: !new:{LINEAR} {{'in features': 1}}",
        "not given the argument 'in features'",
    ),
    "huge number": (
        f"bad: {GRU} [99999999999]",
        "is not a whole number from 1 to 16",
    ),
    "number of many digits": (
        f"bad: {'9' * 9000}",
        "more than 1000 characters",
    ),
    "power of powers": (
        f"bad: {GRU} {{hidden: !ref 9**9**9**9 }}",
        "is not a whole number",
    ),
    "long multiplication": (
        f"a: 99999999999\nbad: {GRU} {{hidden: !ref <a> * <a> }}",
        "is not a whole number",
    ),
    "division by zero": ("bad: !ref 1 / 0", "cannot be calculated"),
    "forced truth": ("bad: !!bool maybe", "no value of its kind"),
    "forced number": ("bad: !!int ''", "no value of its kind"),
    "forced date": ("bad: !!timestamp x", "no value of its kind|not YAML"),
    "forced key": ("!!bool maybe: 1", "a key is not plain text"),
    "aliases": (ALIASES, "more than 4000 values"),
    "an alias to itself": ("a: &a [*a]", "leads back to itself|not YAML"),
    "merge": ("a: {b: 1}\nc:\n  <<: !ref <a>", "a key is not plain text"),
    "references that double": (DOUBLING, "more than 4000 values"),
    "copies that double": (COPIES, "tag !copy is not taken"),
    "texts that double": (TEXTS, "more than 1000 characters"),
    "references in a long chain": (CHAIN, "more than 40 levels"),
    "many values": (f"bad: [{'1,' * 4001}]", "more than 4000 values"),
    "many levels": (f"bad: {'[' * 50}{']' * 50}", "more than 40 levels"),
    "thousands of levels": (f"bad: {'[' * 3000}", "more than 40 levels"),
    "tuple of thousands of levels": (
        f"bad: ({'[' * 400}{']' * 400})",
        "more than 40 levels",
    ),
    "unknown tag": ("bad: !evil 1", "the tag !evil is not taken"),
    "binary": ("bad: !!binary aGVsbG8=", "is not taken"),
    "set": ("bad: !!set {a, b}", "is not taken"),
    "tag of another kind": ("bad: !!int [1]", "is not taken"),
    "reference that is a list": ("bad: !ref [1]", "!ref is not taken"),
    "key twice": ("num_spks: 3", "the key 'num_spks' stands twice"),
    "two documents": ("---\na: 1", "another document"),
    "not YAML": ("bad: [1", "not YAML"),
    "control character": ("bad: a\x07b", "not YAML"),
    "loadable of no module": (
        "",
        "the loadable 'decoder' is not built in this file",
    ),
    "pretrainer elsewhere": (
        "other: !new:speechbrain.utils.parameter_transfer.Pretrainer {}",
        "Pretrainer is not on the list",
    ),
    "pretrainer inside": (
        "o: [!new:speechbrain.utils.parameter_transfer.Pretrainer {}]",
        "not on the list",
    ),
}

# name: what is added to the pretrainer, what the message says
PRETRAINER = {
    "path above": ("paths: {encoder: ../outside.ckpt}", "out of the folder"),
    "path above in the middle": (
        "paths: {encoder: a/../../outside.ckpt}",
        "leads out of the folder",
    ),
    "absolute path": ("paths: {encoder: /outside.ckpt}", "leads out"),
    "hidden file": ("paths: {encoder: .git/x.ckpt}", "leads out"),
    "other letters": ("paths: {encoder: \u0435ncoder.ckpt}", "leads out"),
    "home": ("paths: {encoder: ~/outside.ckpt}", "leads out"),
    "web address": ("paths: {encoder: http://a.b/x.ckpt}", "leads out"),
    "file address": ("paths: {encoder: file:///x.ckpt}", "leads out"),
    "backslashes": (r"paths: {encoder: ..\outside.ckpt}", "leads out"),
    "pattern": ("paths: {encoder: '*.ckpt'}", "leads out"),
    "no text": ("paths: {encoder: [1]}", "leads out"),
    "path to no weights": (
        "paths: {encoder: README.md}",
        "does not end in .ckpt",
    ),
    "hook": (
        "custom_hooks: {encoder: !ref <Decoder>}",
        "given custom_hooks",
    ),
    "hook of a name": (
        "custom_hooks: {encoder: !name:canary_module.called }",
        "tag !name:",
    ),
    "collecting elsewhere": ("collect_in: ../made", "given collect_in"),
    "collecting inside": ("collect_in: made", "given collect_in"),
    "condition that is called": (
        "conditions: {encoder: !name:canary_module.called }",
        "tag !name:",
    ),
    "paths that are no mapping": ("paths: [a]", "are not mappings"),
}

# name: the whole file, what the message says
WHOLE = {
    "list": ("- 1\n- 2", "not a mapping"),
    "text": ("hello", "not a mapping"),
    "empty": ("", "not a mapping"),
    "tagged": (f"!new:{THING}\na: 1", "not a mapping"),
    "tag directive": (
        "%TAG !e! !new:\n---\na: !e!canary_module.Thing\n",
        "not on the list",
    ),
    "loadable that leaves the folder": (
        CONV_TASNET.replace("    encoder: !ref", "    ../encoder: !ref"),
        "leads out of the folder",
    ),
    "module that is text": (
        re.sub(r"(modules:\n  encoder: ).*", r"\1os.system", CONV_TASNET),
        "is not built in this file",
    ),
}  # fmt: skip

RUNS = {
    "apply",
    "apply in a hidden key",
    "apply deep inside",
    "apply as an argument",
    "applyref",
    "new of any class",
    "new with arguments",
    "name imports",
    "name with arguments",
    "module",
    "python apply",
    "python in a tuple",
    "escaped tag",
    "include",
    "include elsewhere",
    "layer that is called",
    "condition that is called",
    "hook of a name",
}


def content():
    cases = {}
    for name, (lines, message) in APPENDED.items():
        text = f"{CONV_TASNET}\n{lines}\n"
        if name == "loadable of no module":
            text = re.sub(r"decoder: !ref <Decoder>\s*$", "decoder: 1", text)
        cases[name] = (text, message)
    for name, (line, message) in PRETRAINER.items():
        cases[name] = (f"{CONV_TASNET}  {line}\n", message)
    return cases | WHOLE


CASES = content()


def state_of(folder):
    """All files below, with what is in them."""
    return {
        str(path.relative_to(folder)): path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
        if "code" not in path.parts[:-1]
    }


def hostile_folder(tmp_path, name):
    folder = tmp_path / "hostile"
    write_folder(folder, CASES[name][0])
    for place in (folder, tmp_path):
        place.joinpath("other.yaml").write_text(
            "a: !apply:canary_module.called [1]\n"
        )
        place.joinpath("outside.ckpt").write_bytes(b"")
    return folder


@pytest.mark.parametrize("name", CASES)
def test_refused_before_anything_is_built(name, tmp_path, canary, monkeypatch):
    folder = hostile_folder(tmp_path, name)
    before, modules = state_of(tmp_path), speechbrain_modules()
    monkeypatch.setattr(
        loading, "build_sizes", lambda *a: pytest.fail("was built")
    )
    monkeypatch.setattr(
        loading, "read_weights", lambda *a: pytest.fail("weights were read")
    )
    with pytest.raises(RefusedError, match=CASES[name][1]) as error:
        load_folder(folder)
    assert state_of(tmp_path) == before
    assert os.listdir(canary) == []
    assert "canary_module" not in sys.modules
    assert speechbrain_modules() == modules
    check_message(str(error.value), CASES[name][0], name)


def speechbrain_modules():
    return {name for name in sys.modules if name.startswith("speechbrain")}


def check_message(message, text, name):
    """The line is the one that is quoted, and there is a way out."""
    assert "hyperparams.yaml" in message
    line = re.search(r"hyperparams\.yaml, line (\d+): ", message)
    if line:
        lines = [*text.splitlines(), ""]
        quoted = lines[int(line[1]) - 1].strip()[:60]
        assert repr(quoted)[1:-1] in message
        assert "trust=True" in message
    else:
        assert name.startswith("module that is")


@pytest.mark.parametrize("name", sorted(RUNS))
def test_trusted_files_run_what_is_refused_otherwise(name, tmp_path, canary):
    # else the test above could not fail
    folder = hostile_folder(tmp_path, name)
    try:
        load_folder(folder, trust=True)
    except Exception as error:
        print("plain HyperPyYAML ended with", error)
    assert os.listdir(canary)


def test_there_are_enough_cases():
    assert len(CASES) > 80 and RUNS <= CASES.keys()


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
