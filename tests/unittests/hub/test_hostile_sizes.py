"""Small files that ask for a lot of memory or time."""

from pathlib import Path

import pytest
import torch
from hostile import sizes, yaml_cases
from hostile.case import Place
from hostile.sizes import BLOCK
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

# for a parser or builder that has no bounds
SLOW = ("size: ", "together: ", "double", "deep", "billion", "0000 ")
YAML = [
    case
    for case in yaml_cases.cases()
    if case.expect == "refused" and any(word in case.name for word in SLOW)
]


@pytest.mark.slow
@pytest.mark.parametrize("name", sizes.LARGE)
def test_refused_before_it_takes_memory(name, tmp_path):
    write_folder(tmp_path, f"{CONV_TASNET}\n{sizes.LARGE[name]}\n")
    with pytest.raises(RefusedError, match="need .* bytes, more than"):
        load_folder(tmp_path)


@pytest.mark.slow
def test_all_of_them_under_limits(tmp_path):
    """In one process that may have 1 GB more than PyTorch, and 30 s of CPU.

    (A few seconds are enough; the bound is for busy machines.)
    """
    for number, case in enumerate(YAML):
        place = Place(tmp_path / str(number))
        place.outside.mkdir(parents=True)
        case.make(place)
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from speechbrain_ext.hub import load_folder\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "taken = pages * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + 2**30,) * 2)\n"
        "used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (used + 30,) * 2)\n"
        "for folder in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        load_folder(folder / 'given')\n"
        "    except ValueError:\n"
        "        print(folder.name)\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is measured on Linux")
    script = Script(code, tmp_path)
    said, warned = script.communicate()
    assert script.returncode == 0, warned[-2000:]
    refused = set(map(int, said.split()))
    assert not [c.name for n, c in enumerate(YAML) if n not in refused]


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


@pytest.mark.slow
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
