"""Small files that ask for a lot of memory or time."""

from pathlib import Path

import pytest
import torch
from hub_folders import CONV_TASNET, LAYOUTS, write_folder
from processes import Script
from safetensors.torch import save_file

from speechbrain_ext.hub import Limits, RefusedError, building, load_folder
from speechbrain_ext.hub.allowed import (
    CLASSES,
    KINDS,
    MOST_LAYERS,
    check_plan,
    parameters,
)
from speechbrain_ext.hub.document import Call, parse
from speechbrain_ext.hub.weights import read_weights

DUAL = "!new:speechbrain.lobes.models.dual_path."
BLOCK = DUAL + "SBTransformerBlock"
MASKNET = "!new:speechbrain.lobes.models.conv_tasnet.MaskNet"
OURS = "!new:speechbrain_ext.models."
LINEAR = "speechbrain.nnet.linear.Linear"
CONV = "speechbrain.nnet.CNN.Conv1d"
SEQUENTIAL = "!new:speechbrain.nnet.containers.Sequential"
MANY = 20_000


def chain(count):
    return "\n".join(
        ["d0: 1"] + [f"d{i}: [!ref <d{i - 1}>]" for i in range(1, count)][::-1]
    )


def doubling(tag, end=""):
    lines = [
        f"d{i}: [{tag}d{i - 1}{end}, {tag}d{i - 1}{end}]" for i in range(1, 60)
    ]
    return "\n".join(["d0: [a, b]", *lines])


BOMBS = {
    "layers": f"a: {BLOCK} {{num_layers: 2000000000, d_model: 8, nhead: 1}}",
    "layers_of_text": f"a: {BLOCK} {{num_layers: '9', d_model: 8, nhead: 1}}",
    "layers_of_arithmetic": "n: 99999\n"
    f"a: {BLOCK} {{num_layers: !ref <n> * <n>, d_model: 8, nhead: 1}}",
    "heads": f"a: {BLOCK} {{num_layers: 1, d_model: 8, nhead: 2000000000}}",
    "width": f"a: {BLOCK} {{num_layers: 1, d_model: 100000000, nhead: 1}}",
    "repeats": f"a: {MASKNET} [8, 8, 8, 3, 8, 1000000000, 2]",
    "doublings": f"a: {MASKNET} [8, 8, 8, 3, 60, 1, 2]",
    "blocks": f"a: {OURS}ConvTasNet {{blocks: 2000000000}}",
    "transform": f"a: {OURS}SpectralGRU {{n_fft: 4000000000, hop: 2}}",
    "overlap": f"a: {OURS}SpectralGRU {{n_fft: 4096, hop: 1}}",
    "default_overlap": f"a: {OURS}SpectralTDCN {{hop: 8}}",
    "overlap_of_windows": f"a: {OURS}ConformerCTC {{num_tokens: 3, hop_ms: 1}}",
    "chunk": f"a: {OURS}SpectralSepFormer {{chunk: 60000}}",
    "small_chunk": f"a: {DUAL}Dual_Path_Model {{K: 1}}",
    "long_chunk": f"a: {DUAL}Dual_Path_Model {{K: 60000}}",
    "window": f"a: {OURS}ConformerCTC {{num_tokens: 3, window_ms: 1.0e+9}}",
    "rate": f"a: {OURS}ConformerCTC {{num_tokens: 3, sample_rate: 320000000}}",
    "tokens": f"a: {OURS}ConformerCTC {{num_tokens: 1000000000000}}",
    "positions": f"b: {BLOCK} {{num_layers: 1, d_model: 8, nhead: 1}}\n"
    f"a: {DUAL}Dual_Path_Model {{in_channels: 8, out_channels: 8, "
    "intra_model: !ref <b>, inter_model: !ref <b>, use_global_pos_enc: true, "
    "max_length: 1000000000}",
    "products": f"b: {BLOCK} {{num_layers: 16, d_model: 8, nhead: 1}}\n"
    f"a: {DUAL}Dual_Path_Model {{in_channels: 8, out_channels: 8, "
    "intra_model: !ref <b>, inter_model: !ref <b>, num_layers: 16}",
    "sums": f"a: {OURS}SepFormer {{blocks: 16, intra_layers: 16, "
    "inter_layers: 16}",
    "many_modules": "\n".join(
        f"a{i}: {BLOCK} {{num_layers: 16, d_model: 8, nhead: 1}}"
        for i in range(200)
    ),
    "many_trials": f"a: {SEQUENTIAL}\n  input_shape: [null, 8]\n"
    + "".join(f"  l{i}: !new:{LINEAR} {{n_neurons: 8}}\n" for i in range(900)),
    "wide_trial": f"a: {SEQUENTIAL} {{input_shape: [99999, 99999, 8]}}",
    "long_shape": f"a: {SEQUENTIAL} {{input_shape: [{'9, ' * 100}]}}",
    "deep_sum": f"a: !ref {'1+' * 5000}1",
    "nested_sum": f"a: !ref {'(' * 5000}1{')' * 5000}",
    "brackets": f"a: !ref {'<' * 20_000}",
    "many_references": f"b: x\na: !ref {'<b>' * 5000}",
    "long_text": f"a: {'x' * 5000}",
    "long_number": f"a: 0x{'f' * 5000}",
    "long_tuple": f"a: ({'1, ' * 5000})",
    "long_list": f"a: [{'1, ' * MANY}]",
    "long_chain": chain(500),
    "references_that_double": doubling("!ref <", ">"),
    "anchors_that_double": "\n".join(
        ["d0: &d0 [a, b]"]
        + [f"d{i}: &d{i} [*d{i - 1}, *d{i - 1}]" for i in range(1, 60)]
    ),
    "arguments_that_double": "\n".join(
        [f"d0: &d0 {OURS}SpectralGRU"]
        + [
            f"d{i}: &d{i} {OURS}JointRecognizer [*d{i - 1}, *d{i - 1}]"
            for i in range(1, 60)
        ]
    ),
    "deep_lists": f"a: {'[' * 20_000}",
    "deep_mappings": f"a: {'{a: ' * 10_000}",
    "large_file": "# " + "x" * 100_000,
}
# for a parser or builder that has no bounds
SLOWEST = ("long_list", "deep_lists", "brackets", "anchors_that_double")
SLOWEST += ("arguments_that_double", "many_trials", "layers", "many_modules")
# each within its bounds, too much together
LARGE = {
    "width": f"a: {BLOCK} {{num_layers: 2, d_model: 8192, nhead: 1}}",
    "network": f"a: {MASKNET} [8192, 8192, 8192, 3, 8, 2, 2]",
    "recurrent": f"a: {OURS}SpectralBLSTM {{hidden: 8192, layers: 4}}",
    "kernel": f"a: {SEQUENTIAL}\n  input_shape: [null, 8192, null]\n"
    f"  l: !new:{CONV} {{in_channels: 8192, out_channels: 8192, "
    "kernel_size: 1023, skip_transpose: true}",
    "trials": f"a: {SEQUENTIAL}\n  input_shape: [8192, 8192, 8192]\n"
    + "".join(
        f"  l{i}: !new:{LINEAR} {{input_size: 8192, n_neurons: 8192}}\n"
        for i in range(9)
    ),
    "buffers": f"b: {BLOCK} {{num_layers: 1, d_model: 8, nhead: 1}}\n"
    f"a: {DUAL}Dual_Path_Model {{in_channels: 8, out_channels: 8, "
    "intra_model: !ref <b>, inter_model: !ref <b>, use_global_pos_enc: true, "
    "max_length: 65536}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_refused_before_anything_is_built(name, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "build", lambda *a: pytest.fail("was built"))
    write_folder(tmp_path, f"{CONV_TASNET}\n{BOMBS[name]}\n")
    with pytest.raises(RefusedError) as error:
        load_folder(tmp_path)
    assert len(str(error.value)) < 2000 + 2 * len(str(tmp_path))
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", LARGE)
def test_refused_before_it_takes_memory(name, tmp_path):
    write_folder(tmp_path, f"{CONV_TASNET}\n{LARGE[name]}\n")
    with pytest.raises(RefusedError, match="need .* bytes, more than"):
        load_folder(tmp_path)


def test_there_are_enough_bombs():
    assert len(BOMBS) >= 30


def test_all_of_them_under_limits(tmp_path):
    """In one process that may have 1 GB more than PyTorch, and 30 s of CPU.

    (A few seconds are enough; the bound is for busy machines.)
    """
    texts = {name: BOMBS[name] for name in SLOWEST}
    texts |= {f"large_{name}": text for name, text in LARGE.items()}
    for name, text in texts.items():
        write_folder(tmp_path / name, f"{CONV_TASNET}\n{text}\n")
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from speechbrain_ext.hub import RefusedError, load_folder\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "taken = pages * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + 2**30,) * 2)\n"
        "used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (used + 30,) * 2)\n"
        "for folder in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        load_folder(folder)\n"
        "    except RefusedError:\n"
        "        print(folder.name)\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is measured on Linux")
    script = Script(code, tmp_path)
    said, warned = script.communicate()
    assert script.returncode == 0, warned[-2000:]
    assert sorted(said.split()) == sorted(texts)


def test_layers_are_counted_as_they_are_built(tmp_path):
    """The count is at least that of the modules with parameters, in blocks."""
    for text, _ in LAYOUTS.values():
        plan = parse(text, tmp_path / "hyperparams.yaml")
        check_plan(plan)
    block = f"a: {BLOCK} {{num_layers: 4, d_model: 8, nhead: 1}}"
    parse_and_check(tmp_path, block * 1)
    lines = "\n".join(f"a{i}: {block[3:]}" for i in range(MOST_LAYERS // 4))
    parse_and_check(tmp_path, lines)
    with pytest.raises(RefusedError, match=f"more than {MOST_LAYERS} layers"):
        parse_and_check(tmp_path, f"{lines}\nb: {block[3:]}")


def parse_and_check(tmp_path, text):
    check_plan(parse(text, tmp_path / "hyperparams.yaml"))


@pytest.mark.parametrize(
    "name",
    sorted(name for name in CLASSES if "models" in name),
    ids=lambda name: name.rpartition(".")[2],
)
def test_the_largest_numbers_are_told_apart_in_time(name):
    """Whatever is given its largest numbers is refused or has its sizes."""
    place = parse("a: !new:a.b", Path("x.yaml"))["a"].place
    call = Call(name, place)
    for parameter in parameters(call):
        kind = KINDS.get(parameter)
        if isinstance(kind, range):
            call.keywords[parameter] = kind.stop - 1
    try:
        check_plan({"a": call})
        building.build_sizes([call], Limits())
    except (RefusedError, ValueError) as error:
        assert "line 1" in str(error) or "need" in str(error)


# Files of weights -------------------------------------------------------------


def test_weights_must_fit_before_modules_take_memory(tmp_path, monkeypatch):
    """A file of some bytes does not let a module of some megabytes be made."""
    write_folder(tmp_path)
    torch.save({"conv1d.weight": torch.zeros(1)}, tmp_path / "encoder.ckpt")
    from speechbrain_ext.hub import loading

    make = loading.materialize

    def make_others(call, sizes):
        assert not call.name.endswith("Encoder")
        return make(call, sizes)

    monkeypatch.setattr(loading, "materialize", make_others)
    with pytest.raises(ValueError, match="does not fit this separator"):
        load_folder(tmp_path)


def write_header(path, header, data=b""):
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


HEADERS = {
    "nothing": b"",
    "no_json": b"{",
    "list": b"[]",
    "deep": b"[" * 100_000,
    "no_dtype": b'{"a":{"shape":[1],"data_offsets":[0,4]}}',
    "number_as_entry": b'{"a":1}',
    "complex": b'{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}',
    "eight_bits": b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}',
    "null_as_dtype": b'{"a":{"dtype":null,"shape":[1],"data_offsets":[0,4]}}',
    "null_and_text": b'{"a":{"dtype":null,"shape":[1],"data_offsets":[0,4]},'
    b'"b":{"dtype":"C64","shape":[1],"data_offsets":[4,12]}}',
    "list_as_dtype": b'{"a":{"dtype":[],"shape":[1],"data_offsets":[0,4]}}',
    "huge_shape": b'{"a":{"dtype":"F32","shape":[9999999999999],'
    b'"data_offsets":[0,4]}}',
    "overflow": b'{"a":{"dtype":"F32","shape":[4611686018427387904,4,4],'
    b'"data_offsets":[0,4]}}',
    "beyond_the_file": b'{"a":{"dtype":"F32","shape":[100],'
    b'"data_offsets":[0,400]}}',
    "overlapping": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
    b'"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    "backwards": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
    "control_codes": b'{"\\u001b[2J":{"dtype":"\\u001b[2J","shape":[1],'
    b'"data_offsets":[0,4]}}',
    "megabytes": b'{"' + b"a" * 2_000_000 + b'":{}}',
    "no_text": b'{"\xff":{}}',
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_safetensors(name, tmp_path):
    path = write_header(tmp_path / "a.safetensors", HEADERS[name], b"\0" * 4)
    with pytest.raises(RefusedError, match="a.safetensors is refused") as error:
        read_weights(path)
    message = str(error.value)
    assert len(message) < 1000 and message.isprintable()


def test_names_in_files_are_printed_safely(tmp_path):
    write_folder(tmp_path)
    weights = {"\x1b[2J" + "x" * 10**5: torch.zeros(1)}
    save_file(weights, tmp_path / "encoder.safetensors")
    with pytest.raises(ValueError, match="1 unexpected") as error:
        load_folder(tmp_path)
    message = str(error.value)
    assert len(message) < 1000 and message.isprintable()


@pytest.mark.parametrize(
    "key",
    ["\\e[2J", "\\u202e", "\\u200b" * 300],
    ids=["escape", "reversed", "invisible"],
)
def test_keys_and_names_are_printed_safely(key, tmp_path):
    for text in (f'"{key}": !new:a.b', f'a: !new:torch.nn.ReLU {{"{key}": 1}}'):
        write_folder(tmp_path, f"{CONV_TASNET}\n{text}\n")
        with pytest.raises(RefusedError) as error:
            load_folder(tmp_path)
        message = str(error.value)
        assert len(message) < 1000 and message.isprintable()


def test_long_lists_of_files_are_shortened():
    sizes = {f"{number}{'x' * 500}.ckpt": 1 for number in range(200)}
    with pytest.raises(RefusedError, match="have 200 bytes") as error:
        Limits(weight_bytes=100).check_weights(sizes)
    assert len(str(error.value)) < 1000
