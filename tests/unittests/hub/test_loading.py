import inspect
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
from speechbrain_ext.hub.allowed import (
    CLASSES,
    DECODER,
    KINDS,
    check_plan,
    find_class,
    mismatch,
    parameters,
)
from speechbrain_ext.hub.document import Call, parse
from speechbrain_ext.hub.layouts import check_keys, check_modules
from speechbrain_ext.hub.refusal import Place
from speechbrain_ext.models import SNRPredictor, SpectralGRU

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
        found = loaded.separator()(MIXTURE)
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
        found = load_folder(tmp_path).separator()(MIXTURE)
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
    layer2: !new:speechbrain.nnet.linear.Linear
        input_size: !ref <n_inp>
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
    assert loaded.hparams["stat_pooling"](torch.ones(1, 2, 8)).shape[-1] == 16
    mixtures = torch.randn(1, 2, 500)
    features = made["encoder"](mixtures)
    assert torch.equal(loaded.modules["encoder"](mixtures), features)
    pooled = torch.cat([features.mean(-1), features.std(-1)], dim=-1)
    levels = loaded.modules["encoder_out"](pooled)
    assert torch.equal(levels, made["encoder_out"](pooled))


PREDICTOR = """
sample_rate: 8000
predictor: !new:speechbrain_ext.models.SNRPredictor [64, 32, 8, 1]
modules: {predictor: !ref <predictor>}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables: {predictor: !ref <predictor>}
  paths: {predictor: weights/best.ckpt}
"""


def write_predictor(folder, text=PREDICTOR, dtype=torch.float32):
    (folder / "weights").mkdir(parents=True)
    (folder / "hyperparams.yaml").write_text(text)
    saved = SNRPredictor(64, 32, 8, 1)
    weights = {k: v.to(dtype) for k, v in saved.state_dict().items()}
    torch.save(weights, folder / "weights" / "best.ckpt")
    return saved.eval()


def test_one_module_of_ours_by_positions(tmp_path):
    saved = write_predictor(tmp_path)
    loaded = load_folder(tmp_path).modules["predictor"]
    assert (loaded.n_fft, loaded.hop) == (64, 32)
    for name, value in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    # the window is in no file
    assert torch.equal(loaded(MIXTURE), saved(MIXTURE))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_another_precision_become_float32(dtype, tmp_path):
    dtype = getattr(torch, dtype)
    saved = write_predictor(tmp_path, dtype=dtype)
    loaded = load_folder(tmp_path).modules["predictor"]
    for name, value in saved.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == torch.float32
        assert torch.equal(found, value.to(dtype).float())
    assert loaded(MIXTURE).isfinite().all()


def test_whole_numbers_are_no_weights(tmp_path):
    write_predictor(tmp_path, dtype=torch.int64)
    with pytest.raises(ValueError, match="int64 instead of torch.float32"):
        load_folder(tmp_path)


def test_anchors_as_the_hub_has_them(tmp_path):
    # speechbrain/sepformer-libri3mix is written so
    text = re.sub(
        r"(Encoder|Decoder|MaskNet): !new", r"\1: &\1 !new", SEPFORMER
    )
    before, modules, after = text.partition("modules:")
    after = re.sub(r"!ref <(\w+)>", r"*\1", after, count=3)
    separator = write_folder(tmp_path, before + modules + after, sepformer)
    assert "encoder: *Encoder" in after and "encoder: !ref" in after
    with torch.no_grad():
        found = load_folder(tmp_path).separator()(MIXTURE)
    assert torch.equal(found, outputs(separator))


RESEPFORMER = SEPFORMER.replace(
    "dual_path.SBTransformerBlock",
    "resepformer.SBTransformerBlock_wnormandskip",
).replace("norm_before: true\n", "norm_before: true\n  use_norm: true\n")
RESEPFORMER = re.sub(
    r"MaskNet: !new(.|\n)*?skip_around_intra: true",
    """MaskNet: !new:speechbrain.lobes.models.resepformer.\
ResourceEfficientSeparator
  input_dim: 8
  num_spk: 2
  causal: false
  unit: 16
  segment_size: 20
  layer: 1
  mem_type: av
  seg_model: !ref <SBtfintra>
  mem_model: !ref <SBtfinter>""",
    RESEPFORMER,
)


def test_layout_of_the_resource_efficient_separator(tmp_path):
    made = load_hyperpyyaml(RESEPFORMER)
    (tmp_path / "hyperparams.yaml").write_text(RESEPFORMER)
    for name, module in made["modules"].items():
        torch.save(module.state_dict(), tmp_path / f"{name}.ckpt")
        module.eval()
    loaded = load_folder(tmp_path)
    theirs = SepformerSeparation(modules=made["modules"], hparams=made)
    ours = SepformerSeparation(modules=loaded.modules, hparams=loaded.hparams)
    assert torch.equal(
        ours.separate_batch(MIXTURE), theirs.separate_batch(MIXTURE)
    )


def test_paths_may_begin_with_the_repository(tmp_path):
    line = "  paths: {encoder: speechbrain/sepformer/encoder.ckpt}\n"
    write_folder(tmp_path, CONV_TASNET + line)
    assert load_folder(tmp_path).modules.keys() == set(PIECES)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("modules:", "models:", "has no key modules"),
        ("pretrainer:", "trainer:", "Pretrainer is not on the list"),
        ("  B: 8", "  B: 9", "does not fit this"),
        ("  out_channels: 8", "  out_channels: 9", "N is 8, .* asks for 9"),
        (
            "kernel_size: 16\n  out",
            "kernel_size: 8\n  out",
            "16, .* asks for 8",
        ),
        (
            "kernel_size: 16\n  str",
            "kernel_size: 8\n  str",
            "8, .* asks for 16",
        ),
        ("  stride: 8", "  stride: 16", "stride is 16, .* asks for 8"),
        ("  stride: 8", "  stride: null", "stride is None, .* asks for 8"),
        ("  stride: 8\n", "", "stride is 1, .* asks for 8"),
        ("  stride: 8", "  stride: 8\n  padding: same", "padding is same"),
        ("  stride: 8", "  stride: 8\n  dilation: 2", "dilation is 2"),
        ("  out_channels: 1\n", "  out_channels: 2\n", "out_channels is 2"),
        ("  in_channels: 8", "  in_channels: 4", "in_channels is 4"),
        (
            "kernel_size: 16\n  out",
            "in_channels: 2\n  kernel_size: 16\n  out",
            "in_channels is 2, .* asks for 1",
        ),
        (
            "kernel_size: 16\n  out",
            "kernel_size: null\n  out",
            "Encoder cannot be built",
        ),
        (
            "kernel_size: 16\n  out",
            "kernel_size: 1\n  out",
            "not a whole number from 2",
        ),
        # a module whose weights are in no file would be noise
        ("    decoder: !ref <Decoder>\n", "", "'decoder' are in no file"),
        (
            "    encoder: !ref <Encoder>",
            "    filters: !ref <Encoder>",
            r"neither filters.safetensors nor filters.ckpt.*line \d+",
        ),
        (
            "  kernel_size: 16\n  out_ch",
            "  kernel_size: sixteen\n  out_ch",
            "'kernel_size' of .* is not a whole number from 2 to 1024",
        ),
        ("  N: 8\n", "", "line 17: .*MaskNet cannot be built .*'N'"),
    ],
)
def test_mistakes_are_named(tmp_path, before, after, message):
    assert before in CONV_TASNET
    write_folder(tmp_path, CONV_TASNET.replace(before, after))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_folder(tmp_path)


def test_lengths_of_other_mask_networks_fit_their_filters(tmp_path):
    for text, name in ((SEPFORMER, "in_channels"), (RESEPFORMER, "input_dim")):
        changed = re.sub(rf"(MaskNet:(.|\n)*?{name}): 8", r"\1: 4", text)
        write_folder(tmp_path, changed)
        with pytest.raises(RefusedError, match=f"{name} is 4, .* asks for 8"):
            load_folder(tmp_path)


def test_the_rate_of_a_recognizer_is_that_of_its_file(tmp_path):
    text = """
sample_rate: 16000
alphabet: abc
recognizer: !new:speechbrain_ext.models.ConformerCTC
  num_tokens: 4
modules: {recognizer: !ref <recognizer>}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables: {recognizer: !ref <recognizer>}
"""
    path = tmp_path / "hyperparams.yaml"
    for rate in ("", "  sample_rate: 8000\n", "  sample_rate: null\n"):
        path.write_text(text.replace("  num_tokens", f"{rate}  num_tokens"))
        with pytest.raises(RefusedError, match="sample_rate is .* for 16000"):
            load_folder(tmp_path)
    rate = "  sample_rate: 16000\n"
    path.write_text(text.replace("  num_tokens", f"{rate}  num_tokens"))
    with pytest.raises(FileNotFoundError, match="recognizer.safetensors"):
        load_folder(tmp_path)


def test_a_revision_of_a_local_folder_is_told(tmp_path, caplog):
    write_folder(tmp_path)
    load_folder(tmp_path, revision="v1.0")
    assert "revision=v1.0 is not looked at" in caplog.text


@pytest.mark.parametrize(
    "source",
    ["a" * 5000, "a/" + "b" * 5000, "~" + "a" * 5000, "./" + "x" * 300, "a\0"],
    ids="name repository user path nul".split(),
)
def test_names_of_no_folder(source):
    with pytest.raises(FileNotFoundError, match="there is no folder") as error:
        load_folder(source)
    assert len(str(error.value)) < 1000


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
nested: !ref <number> * (<negative> + 1)
path: !ref results/<text>/<number>
inside: !ref <mapping[b][c]>
chosen: !ref <list>
minus: !ref -<number>
pair: !ref (<number>, <text>)
linear: !new:torch.nn.ReLU
same: !ref <linear>
__hidden: 1
"""


@pytest.mark.parametrize("repeat", [1, 2])
def test_values_are_those_of_hyperpyyaml(tmp_path, repeat):
    # twice: HyperPyYAML changes the parser of the process as it goes
    ours = parse(VALUES, tmp_path / "hyperparams.yaml")
    assert ours.pop("__hidden") == 1
    theirs = load_hyperpyyaml(VALUES)
    assert ours.keys() == theirs.keys()
    for key in ours.keys() - {"linear", "same", "pair"}:
        assert ours[key] == theirs[key], key
        assert type(ours[key]) is type(theirs[key]), key
    assert ours["pair"] == (3, "abc")
    assert ours["same"] is ours["linear"]
    assert ours["chosen"] is ours["list"]


@pytest.mark.parametrize(
    "text, value",
    [
        ("!ref <number> // 2", 1),
        ("!ref <number> * 2 - 1", 5),
        ("!ref (<number> + 1) * 2", 8),
        ("!ref <number> + <text>", "3 + abc"),
        ("(1, 2)", (1, 2)),
        ("!tuple (1, 2)", (1, 2)),
        ("()", ()),
    ],
    ids=["half", "sum", "product", "text", "tuple", "tagged_tuple", "nothing"],
)
def test_arithmetic_and_tuples(text, value, tmp_path):
    given = f"number: 3\ntext: abc\nfound: {text}"
    assert parse(given, tmp_path / "x.yaml")["found"] == value


# What is built, and how much -------------------------------------------------


def test_parameters_of_the_list_are_numbers_or_choices():
    used = set()
    for name in CLASSES:
        call = Call(name, Place("hyperparams.yaml", 1, ""))
        signature = inspect.signature(find_class(call)).parameters
        given = [x for x in parameters(call) if x in KINDS]
        assert not {"device", "dtype", "source", "path"} & set(given)
        used |= set(given)
        for parameter in given:
            default = getattr(signature.get(parameter), "default", None)
            kind = KINDS[parameter]
            if isinstance(default, str) and isinstance(kind, frozenset):
                assert not mismatch(default, kind), (name, parameter)
    assert used == KINDS.keys()


def test_the_decoder_hands_all_on():
    call = Call(DECODER, Place("hyperparams.yaml", 1, ""))
    assert list(parameters(call))[:4] == [
        *("in_channels", "out_channels", "kernel_size", "stride")
    ]


@pytest.mark.parametrize(
    "value",
    [-1, 2**31, 10**30, 1.5e300, float("nan"), "os.system", [10**9], {"a": 1}],
    ids="negative large huge real none text list mapping".split(),
)
def test_every_parameter_has_bounds(value):
    assert not [
        name for name, kind in KINDS.items() if not mismatch(value, kind)
    ]


def test_everything_has_its_size_before_it_takes_memory():
    place = Place("hyperparams.yaml", 1, "")
    gru = Call("speechbrain_ext.models.SpectralGRU", place)
    gru.keywords = {"hidden": 8, "layers": 1}
    built = building.build_sizes([gru], Limits())[gru]
    assert all(x.is_meta for x in built.parameters())
    module = building.materialize(gru, built)
    usual = SpectralGRU(hidden=8, layers=1)
    assert torch.equal(module.fourier.window, usual.fourier.window)
    found = module.state_dict()
    for name, value in usual.state_dict().items():
        assert found[name].shape == value.shape
    size = sum(4 * x.numel() for x in (*usual.parameters(), *usual.buffers()))
    building.build_sizes([gru], Limits(weight_bytes=size))
    with pytest.raises(RefusedError, match=f"need {size} bytes"):
        building.build_sizes([gru], Limits(weight_bytes=size - 1))


@pytest.mark.parametrize("layout", [*LAYOUTS, "estimator"])
def test_trials_of_speechbrain_take_no_memory(layout, tmp_path, monkeypatch):
    """Containers that try their layers out do so on sizes."""
    from speechbrain.nnet.containers import Sequential

    usual = Sequential.get_output_shape
    text = ESTIMATOR if layout == "estimator" else LAYOUTS[layout][0]
    plan = parse(text, tmp_path / "hyperparams.yaml")
    check_plan(plan)
    check_modules(plan)
    real = []
    monkeypatch.setattr(
        torch.nn.functional,
        "linear",
        lambda x, *others: real.append(x) or x.new_empty((*x.shape[:-1], 1)),
    )
    calls = list(plan["modules"].values())
    built = building.build_sizes(calls, Limits())
    assert all(x.is_meta for x in real)
    assert all(built[x].training for x in calls)
    assert Sequential.get_output_shape is usual


def test_builder_has_a_list_of_its_own(tmp_path):
    # a plan that was never checked is not built either
    plan = parse("a: !new:os.popen [x]", tmp_path / "x.yaml")
    with pytest.raises(RefusedError, match="os.popen is not on the list"):
        building.build(plan["a"])


# Keys and modules ------------------------------------------------------------


@pytest.mark.parametrize(
    "key, value",
    [
        ("num_spks", True),
        ("match_level", "no"),
        ("match_level", 1),
        ("snrmin", float("-inf")),
        ("snrmax", float("nan")),
        ("snrmax", "20"),
        ("alphabet", ""),
        ("alphabet", "aa"),
        ("alphabet", "a\x1b"),
        ("alphabet", ["a", "b"]),
        ("alphabet", "".join(map(chr, range(1000, 9000)))),
    ],
    ids=lambda value: (
        value
        if isinstance(value, str) and value.isascii() and value.isidentifier()
        else type(value).__name__
    ),
)
def test_keys_that_users_rely_on(key, value):
    with pytest.raises(RefusedError, match=f"hyperparams.yaml: {key} is") as e:
        check_keys({key: value})
    assert len(str(e.value)) < 400 and "\x1b" not in str(e.value)


def test_levels_are_in_order():
    check_keys({"snrmin": -10, "snrmax": 20.5})
    with pytest.raises(RefusedError, match="snrmax is 5; it must be above"):
        check_keys({"snrmin": 10, "snrmax": 5})


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("  masknet: !ref <MaskNet>\n\n", "\n", "none of the layouts"),
        ("  masknet:", "  mask:", "none of the layouts"),
        (
            "  masknet: !ref <MaskNet>",
            "  masknet: !ref <Decoder>",
            r"modules\['masknet'\] is not built in this file, as one of",
        ),
        ("  encoder: !ref <Encoder>", "  encoder: 1", "not built in this file"),
        ("num_spks: 2", "num_spks: 3", None),
        ("  C: !ref <num_spks>", "  C: 3", "asks for 2"),
    ],
    ids=["missing", "renamed", "exchanged", "number", "three", "others"],
)
def test_modules_have_a_layout(before, after, message, tmp_path):
    assert before in CONV_TASNET
    text = CONV_TASNET.replace(before, after, 1)
    plan = parse(text, tmp_path / "hyperparams.yaml")
    check_plan(plan)
    if message is None:
        return check_modules(plan)
    with pytest.raises(RefusedError, match=message):
        check_modules(plan)


@pytest.mark.parametrize(
    "trust",
    ["no", "yes", 1, 0, None, [True]],
    ids=lambda x: f"as_{type(x).__name__}",
)
def test_trust_is_true_itself(trust, published):
    with pytest.raises(TypeError, match="must be True itself"):
        load_folder(published, trust=trust)


def test_message_reads_well(tmp_path):
    write_folder(tmp_path, CONV_TASNET + "\nbad: !apply:os.system [ls]\n")
    with pytest.raises(RefusedError) as error:
        load_folder(tmp_path)
    line = len(CONV_TASNET.splitlines()) + 2
    assert str(error.value) == (
        f"{tmp_path}/hyperparams.yaml, line {line}: the tag !apply:os.system "
        "is not taken: others than !new and !ref may run code or read files: "
        "'bad: !apply:os.system [ls]'. Nothing was imported or run. "
        "If you trust the author, trust=True loads the folder all the same."
    )
    assert re.search("line [0-9]+", str(error.value))
