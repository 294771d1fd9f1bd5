import re

import pytest
import torch
from hub_folders import (
    CONV_TASNET,
    LAYOUTS,
    PIECES,
    SEPFORMER,
    sepformer,
    write_folder,
)
from hyperpyyaml import load_hyperpyyaml
from safetensors.torch import save_file
from speechbrain.inference.separation import SepformerSeparation

from speechbrain_ext.hub import Limits, RefusedError, building, load_folder
from speechbrain_ext.hub.allowed import ALLOWED, ANY_NAME, ANY_NUMBER
from speechbrain_ext.hub.document import parse
from speechbrain_ext.hub.plan import make_plan
from speechbrain_ext.hub.publishing import run_modules
from speechbrain_ext.models import SISNREstimator, WaveformEncoder

each_layout = pytest.mark.parametrize("layout", LAYOUTS)
MIXTURE = torch.randn(2, 1000, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def outputs(separator):
    return separator(MIXTURE)


@each_layout
@pytest.mark.parametrize("trust", [False, True])
def test_published_layouts_give_the_saved_outputs(layout, trust, tmp_path):
    text, build = LAYOUTS[layout]
    separator = write_folder(tmp_path, text, build)
    loaded = load_folder(tmp_path, trust=trust)
    assert loaded.modules.keys() == set(PIECES)
    assert loaded.hparams["MaskNet"] is loaded.modules["masknet"]
    assert loaded.hparams["sample_rate"] == 8000
    assert not any(module.training for module in loaded.modules.values())
    with torch.no_grad():
        found = run_modules(loaded, MIXTURE)
    assert torch.equal(found, outputs(separator))


@each_layout
def test_speechbrain_takes_what_was_loaded(layout, tmp_path):
    text, build = LAYOUTS[layout]
    write_folder(tmp_path, text, build)
    loaded = load_folder(tmp_path)
    ours = SepformerSeparation(modules=loaded.modules, hparams=loaded.hparams)
    theirs = SepformerSeparation.from_hparams(
        source=str(tmp_path), savedir=str(tmp_path / "saved")
    )
    assert torch.equal(
        ours.separate_batch(MIXTURE), theirs.separate_batch(MIXTURE)
    )


def test_safetensors_are_preferred(tmp_path):
    separator = write_folder(tmp_path, SEPFORMER, sepformer)
    for name in PIECES:
        weights = getattr(separator, name).state_dict()
        save_file(weights, tmp_path / f"{name}.safetensors")
        (tmp_path / f"{name}.ckpt").write_bytes(b"not read")
    with torch.no_grad():
        found = run_modules(load_folder(tmp_path), MIXTURE)
    assert torch.equal(found, outputs(separator))


ESTIMATOR = """
latent_dim: 8
n_inp: 16
snrmin: 0
snrmax: 10
use_snr_compression: True
separation_norm_type: stnorm
encoder: !new:speechbrain.nnet.containers.Sequential
    input_shape: [null, 2, null]
    cnn1: !new:speechbrain.nnet.CNN.Conv1d
        in_channels: 2
        kernel_size: 4
        out_channels: !ref <latent_dim>
        stride: 1
        skip_transpose: True
        padding: 'valid'
    relu1: !new:torch.nn.ReLU
    cnn2: !new:speechbrain.nnet.CNN.Conv1d
        in_channels: !ref <latent_dim>
        kernel_size: 4
        out_channels: !ref <latent_dim>
        stride: 2
        skip_transpose: True
        padding: 'valid'
stat_pooling: !new:speechbrain.nnet.pooling.StatisticsPooling
encoder_out: !new:speechbrain.nnet.containers.Sequential
    input_shape: [null, !ref <n_inp>]
    layer1: !new:speechbrain.nnet.linear.Linear
        input_size: !ref <n_inp>
        n_neurons: !ref <latent_dim> * 2
    relu: !new:torch.nn.ReLU
    layer2: !name:speechbrain.nnet.linear.Linear
        n_neurons: 1
    sigm: !new:torch.nn.Sigmoid
modules:
    encoder: !ref <encoder>
    encoder_out: !ref <encoder_out>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        encoder: !ref <encoder>
        encoder_out: !ref <encoder_out>
"""


def test_layout_of_the_estimator(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(ESTIMATOR)
    made = load_hyperpyyaml(ESTIMATOR)
    for name in ("encoder", "encoder_out"):
        torch.save(made[name].state_dict(), tmp_path / f"{name}.ckpt")
    loaded = load_folder(tmp_path)
    # a layer given as a class was built by the container
    assert loaded.modules["encoder_out"].layer2.w.out_features == 1
    torch.manual_seed(0)
    levels = run_modules(loaded, torch.randn(1, 2, 500))
    torch.manual_seed(0)
    features = made["encoder"](torch.randn(1, 2, 500)).permute(0, 2, 1)
    expected = made["encoder_out"](made["stat_pooling"](features))
    assert torch.equal(levels, expected)


def test_one_module_of_ours(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(
        "model: !new:speechbrain_ext.models.SISNREstimator\n"
        "  snr_min: -10\n"
        "  encoder: !new:speechbrain_ext.models.WaveformEncoder [8]\n"
        "modules: {estimator: !ref <model>}\n"
        "pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer\n"
        "  loadables: {model: !ref <model>}\n"
        "  paths: {model: weights/best.ckpt}\n"
    )
    saved = SISNREstimator(snr_min=-10, encoder=WaveformEncoder(8))
    (tmp_path / "weights").mkdir()
    torch.save(saved.state_dict(), tmp_path / "weights" / "best.ckpt")
    loaded = load_folder(tmp_path).modules["estimator"]
    assert loaded.snr_min == -10
    for name, value in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_paths_may_begin_with_the_repository(tmp_path):
    line = "  paths: {encoder: speechbrain/sepformer/encoder.ckpt}\n"
    write_folder(tmp_path, CONV_TASNET + line)
    assert load_folder(tmp_path).modules.keys() == set(PIECES)


def test_conditions_are_followed(tmp_path):
    write_folder(tmp_path, CONV_TASNET + "  conditions: {encoder: false}\n")
    (tmp_path / "encoder.ckpt").unlink()
    # a module whose weights are in no file would be noise
    with pytest.raises(ValueError, match="'encoder' are in no file of weights"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("modules:", "models:", "has no key modules"),
        ("pretrainer:", "trainer:", "elsewhere than at the key pretrainer"),
        ("  out_channels: 8", "  out_channels: 9", "does not fit this"),
        ("    decoder: !ref <Decoder>\n", "", "'decoder' are in no file"),
        (
            "    encoder: !ref <Encoder>",
            "    filters: !ref <Encoder>",
            r"neither filters.safetensors nor filters.ckpt.*line \d+",
        ),
        (
            "  kernel_size: 16\n  out_ch",
            "  kernel_size: sixteen\n  out_ch",
            "'kernel_size' of .* is not a number",
        ),
        ("  N: 8\n", "", "line 17: .*MaskNet cannot be built .*'N'"),
    ],
)
def test_mistakes_are_named(tmp_path, before, after, message):
    assert before in CONV_TASNET
    write_folder(tmp_path, CONV_TASNET.replace(before, after))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    "source",
    ["nothing", "http://127.0.0.1/me/model", "../me/model", "a/b/c", "-a/b"],
)
def test_sources_that_are_none(source):
    with pytest.raises(FileNotFoundError, match="neither a folder nor a hub"):
        load_folder(source)


VALUES = """
number: 3
real: 1e-3
negative: -4
text: abc
empty:
truth: true
word: yes
date: 2020-01-01
list: [1, two, 3.0]
mapping: {a: 1, b: {c: x}}
tuple: (1, two, 3.5)
half: !ref <number> / 2
power: !ref 2 ** <number>
nested: !ref <number> * (<negative> + 1)
path: !ref results/<text>/<number>
inside: !ref <mapping[b][c]>
chosen: !ref <list>
minus: !ref -<number>
pair: !ref (<number>, <text>)
linear: !new:torch.nn.Linear [!ref <number>, 2]
same: !ref <linear>
other: !copy <linear>
__hidden: 1
activation: !name:torch.nn.LeakyReLU {negative_slope: 0.5}
"""


@pytest.mark.parametrize("repeat", [1, 2])
def test_values_are_those_of_hyperpyyaml(tmp_path, repeat):
    # twice: HyperPyYAML changes the parser of the process as it goes
    plan = make_plan(parse(VALUES, tmp_path / "hyperparams.yaml"))
    ours, _ = building.build(plan)
    theirs = load_hyperpyyaml(VALUES)
    assert ours.keys() == theirs.keys()
    special = {"linear", "same", "other", "activation", "pair"}
    for key in ours.keys() - special:
        assert ours[key] == theirs[key], key
        assert type(ours[key]) is type(theirs[key]), key
    assert ours["pair"] == (3, "abc")
    assert ours["same"] is ours["linear"] is not ours["other"]
    assert ours["linear"].in_features == 3
    assert ours["activation"]().negative_slope == 0.5
    assert ours["chosen"] is ours["list"]


def test_layers_of_a_terabyte_are_not_built(tmp_path):
    text = CONV_TASNET + "\nbad: !new:torch.nn.Linear [1000000000, 1000]\n"
    write_folder(tmp_path, text)
    message = "hyperparams.yaml, line .*: the modules need more than"
    with pytest.raises(RefusedError, match=message):
        load_folder(tmp_path, limits=Limits(weight_bytes=10**8))


@pytest.mark.parametrize(
    "bad",
    [
        "!new:speechbrain.lobes.models.dual_path.SBTransformerBlock "
        "{num_layers: 1, d_model: 100000000, nhead: 1}",
        "!new:torch.nn.Conv1d [100000, 100000, 1000]",
        "!new:speechbrain.lobes.models.conv_tasnet.MaskNet "
        "[8, 8, 8, 3, 1000000000, 1, 2]",
    ],
)
def test_modules_beyond_bounds_are_not_built(bad, monkeypatch, tmp_path):
    monkeypatch.setattr(building, "MOST_OPERATIONS", 500)
    plan = make_plan(parse(f"bad: {bad}", tmp_path / "hyperparams.yaml"))
    with pytest.raises(RefusedError, match="need more than|takes more than"):
        building.build(plan)


def test_names_of_the_list_exist_with_those_parameters():
    import importlib
    import inspect

    for name, kinds in ALLOWED.items():
        module, _, attribute = name.rpartition(".")
        entity = getattr(importlib.import_module(module), attribute)
        assert inspect.isclass(entity), name
        found = inspect.signature(entity).parameters
        if any(p.kind is p.VAR_KEYWORD for p in found.values()):
            continue
        special = {ANY_NAME, ANY_NUMBER}
        assert kinds.keys() - special <= found.keys(), name
        forbidden = {"device", "dtype", "source", "path", "save_path"}
        assert not forbidden & kinds.keys(), name
        for parameter, kind in kinds.items():
            if parameter in special or isinstance(kind, str):
                continue
            default = found[parameter].default
            texts = isinstance(default, str)
            assert not texts or default in kind, (name, parameter)


def test_builder_has_a_list_of_its_own(tmp_path):
    # a plan that was never checked is not built either
    plan = make_plan(parse("a: !new:os.popen [x]", tmp_path / "x.yaml"))
    with pytest.raises(RefusedError, match="os.popen is not on the list"):
        building.build(plan)


def test_message_reads_well(tmp_path):
    write_folder(tmp_path, CONV_TASNET + "\nbad: !apply:os.system [ls]\n")
    with pytest.raises(RefusedError) as error:
        load_folder(tmp_path)
    line = len(CONV_TASNET.splitlines()) + 2
    assert str(error.value) == (
        f"{tmp_path}/hyperparams.yaml, line {line}: !apply runs a function "
        "while the file is read: 'bad: !apply:os.system [ls]'. Nothing was "
        "imported or run. If you trust the author, trust=True loads the "
        "folder all the same."
    )
    assert re.search("line [0-9]+", str(error.value))
