"""Files of weights: the good ones, pickles and archives that are attacks."""

import os
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict

import pytest
import torch
from archives import (
    ORDERED,
    PROTOCOL,
    REBUILD,
    STOP,
    mapping,
    name,
    number,
    shape,
    storage,
    tensor,
    text,
    write_archive,
)

from speechbrain_ext.models.state_dict import read_state_dict

DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool"


def saved(tmp_path, weights):
    torch.save(weights, tmp_path / "a.ckpt")
    return read_state_dict(tmp_path / "a.ckpt")


@pytest.mark.parametrize("dtype", DTYPES.split())
def test_every_kind_of_number(dtype, tmp_path):
    value = (10 * torch.rand(3, 4)).to(getattr(torch, dtype))
    (found,) = saved(tmp_path, {"a": value}).values()
    assert found.dtype == value.dtype and torch.equal(found, value)


def test_what_torch_saves_comes_back(tmp_path):
    base = torch.arange(24.0)
    weights = {
        "whole": base.view(2, 3, 4),
        "turned": base.view(4, 6).t(),
        "part": base[2:20:3],
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 3),
        "gradient": torch.ones(2, requires_grad=True),
        "": torch.ones(1),
    }
    found = saved(tmp_path, weights)
    assert found.keys() == weights.keys()
    for key, value in weights.items():
        assert torch.equal(found[key], value) and not found[key].requires_grad


def test_state_dicts_of_modules(tmp_path):
    module = torch.nn.Sequential(
        torch.nn.BatchNorm1d(3), torch.nn.LSTM(3, 3), torch.nn.Linear(3, 3)
    )
    module[2].bias = torch.nn.Parameter(module[1].bias_ih_l0[:3])
    state = module.state_dict()
    assert type(state) is OrderedDict and state._metadata
    found = saved(tmp_path, state)
    assert list(found) == list(state)
    module.load_state_dict(found)
    assert not hasattr(found, "_metadata")


def test_the_archive_of_these_tests_is_a_good_one(tmp_path):
    # else the attacks below might be refused for what they are not
    path = write_archive(tmp_path / "a.ckpt")
    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert torch.equal(read_state_dict(path)["a"], expected)
    assert torch.equal(torch.load(path)["a"], expected)


def test_it_can_be_a_name_that_is_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="b.ckpt is missing"):
        read_state_dict(tmp_path / "b.ckpt")


META = text("_metadata") + ORDERED
A = text("a") + tensor()
PICKLES = {
    "system": PROTOCOL + name("os", "system") + text("id") + b"\x85R.",
    "posix": PROTOCOL + name("posix", "system") + text("id") + b"\x85R.",
    "eval": PROTOCOL + name("builtins", "eval") + text("1") + b"\x85R.",
    "getattr": PROTOCOL + name("builtins", "getattr") + b")R.",
    "codec": PROTOCOL + name("_codecs", "encode") + text("a") + text("zip")
    + b"\x86R.",
    "bytearray": mapping(text("a") + name("builtins", "bytearray")
                         + number(10**10) + b"\x85R"),
    "counter": mapping(start=name("collections", "Counter") + b")R"),
    "load": PROTOCOL + name("torch", "load") + text("x") + b"\x85R.",
    "submodule": mapping(start=name("torch.os", "OrderedDict") + b")R"),
    "dotted": mapping(start=name("collections", "OrderedDict.clear") + b")R"),
    "stack_global": PROTOCOL + text("os") + text("system") + b"\x93.",
    "extension": PROTOCOL + b"\x82\x01" + STOP,
    "instance": PROTOCOL + b"(ios\nsystem\n" + STOP,
    "object": PROTOCOL + b"(" + name("os", "system") + b"o" + STOP,
    "new_object": PROTOCOL + name("collections", "OrderedDict") + b")\x81.",
    "persistent_name": PROTOCOL + b"Pos.system\n" + STOP,
    "list": PROTOCOL + b"].",
    "set": PROTOCOL + b"\x8f.",
    "duplicate": mapping(end=b"2"),
    "popped": mapping(end=b"N0"),
    "bytes": mapping(A + text("b") + b"B\4\0\0\0abcd"),
    "buffer": PROTOCOL + b"\x97.",
    "real_number": mapping(A + text("b") + b"G" + b"\0" * 8),
    "decimal_bomb": mapping(A + text("b") + b"I" + b"9" * 5000 + b"\n"),
    "escaped_text": PROTOCOL + b"S'a'\n.",
    "long_number": mapping(A + text("b") + b"\x8b\xff\xff\xff\x7f"),
    "text_beyond_the_end": PROTOCOL + b"X\xff\xff\xff\xffabc.",
    "no_end": PROTOCOL + ORDERED,
    "nothing": b"",
    "more_behind": mapping() + b"cos\nsystem\n)R.",
    "two_values": PROTOCOL + ORDERED + mapping()[2:],
    "open_mark": PROTOCOL + b"(" + mapping()[2:],
    "no_mark": PROTOCOL + ORDERED + b"u.",
    "empty_stack": PROTOCOL + b"R.",
    "memo_of_nothing": PROTOCOL + b"h\x05.",
    "odd_items": mapping(A + text("b")),
    "number_as_key": mapping(number(1) + tensor()),
    "tensor_as_key": mapping(tensor() + tensor()),
    "tuple_as_value": mapping(text("a") + shape(1, 2)),
    "dict_in_a_dict": mapping(text("a") + ORDERED),
    "class_as_value": mapping(text("a") + name("collections", "OrderedDict")),
    "function_as_value": mapping(text("a") + REBUILD),
    "storage_as_value": mapping(text("a") + storage()),
    "a_single_tensor": PROTOCOL + tensor() + STOP,
    "items_of_a_tuple": PROTOCOL + b")(" + A + b"u.",
    "items_of_a_class": mapping(start=name("collections", "OrderedDict")),
    "arguments_of_a_dict": mapping(
        start=name("collections", "OrderedDict") + b")\x85R"
    ),
    "call_of_a_text": mapping(start=text("os.system") + b")R"),
    "call_of_a_kind": mapping(start=name("torch", "FloatStorage") + b")R"),
    "call_of_a_tensor": mapping(A, start=tensor() + b")R"),
    "arguments_that_are_a_dict": mapping(
        start=name("collections", "OrderedDict") + b"}R"
    ),
    "values_shadowed": mapping(end=b"}" + text("values") + REBUILD + b"sb"),
    "more_than_metadata": mapping(
        end=b"}(" + META + text("values") + ORDERED + b"ub"
    ),
    "no_state": mapping(end=b"}b"),
    "slots": mapping(end=b"}}" + META + b"s\x86b"),
    "state_of_a_dict": mapping(start=b"}", end=b"}" + META + b"sb"),
    "state_of_a_tensor": mapping(text("a") + tensor() + b"}" + META + b"sb"),
    "state_of_a_class": mapping(
        text("a") + name("collections", "OrderedDict") + b"}" + META + b"sb"
    ),
}  # fmt: skip
TENSORS = {
    "sparse": {"function": name("torch._utils", "_rebuild_sparse_tensor")},
    "meta": {
        "function": name("torch._utils", "_rebuild_meta_tensor_no_storage")
    },
    "quantized": {"function": name("torch._utils", "_rebuild_qtensor")},
    "parameter": {"function": name("torch._utils", "_rebuild_parameter")},
    "third_version": {"function": name("torch._utils", "_rebuild_tensor_v3")},
    "complex": {"held": storage("ComplexFloatStorage", count=2)},
    "quantized_storage": {"held": storage("QInt8Storage")},
    "untyped": {"held": storage("UntypedStorage", module="torch.storage")},
    "other_module": {"held": storage(module="torch.cuda")},
    "text_as_storage": {"held": text("0")},
    "tensor_as_storage": {"held": tensor()},
    "larger_than_its_entry": {"held": storage(count=10**9)},
    "smaller_than_its_entry": {"held": storage(count=1)},
    "other_kind_than_its_entry": {"held": storage("DoubleStorage")},
    "negative_count": {"held": storage(count=-4)},
    "entry_of_another_name": {"held": storage(key="../data.pkl")},
    "entry_that_is_none": {"held": storage(key="7")},
    "identity_of_four": {"held": b"(" + text("storage") + b"NNNtQ"},
    "identity_that_is_text": {"held": text("storage") + b"Q"},
    "beyond_the_end": {"offset": 1},
    "before_the_start": {"offset": -1},
    "steps_beyond_the_end": {"stride": (3, 1)},
    "steps_back": {"stride": (-2, 1), "offset": 2},
    "a_byte_a_million_times": {"size": (10**6, 10**6), "stride": (0, 0)},
    "more_than_there_is": {"size": (2, 2, 2), "stride": (0, 2, 1)},
    "overflow": {"size": (2**62, 4), "stride": (2**62, 1)},
    "huge_and_empty": {"size": (0, 2**63), "stride": (1, 1)},
    "negative_size": {"size": (-2, -2)},
    "fewer_steps_than_sizes": {"stride": (1,)},
    "many_dimensions": {"size": (1,) * 2000, "stride": (1,) * 2000},
    "truth_as_size": {"more": b"", "gradient": b"K\1"},
    "hooks": {"hooks": ORDERED + text("a") + REBUILD + b"s"},
    "hooks_that_are_none": {"hooks": b"N"},
    "hooks_that_are_a_dict": {"hooks": b"}"},
    "one_argument_more": {"more": ORDERED},
}
PICKLES |= {
    f"tensor_{key}": mapping(text("a") + tensor(**changes))
    for key, changes in TENSORS.items()
}


@pytest.mark.parametrize("case", PICKLES)
def test_pickles_that_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(torch, "load", None)
    path = write_archive(tmp_path / "a.ckpt", PICKLES[case])
    with pytest.raises(ValueError, match="damaged or holds more") as error:
        read_state_dict(path)
    assert len(str(error.value)) < 500 + len(str(path))
    assert str(error.value).isprintable()


def test_there_are_enough_kinds():
    assert len(PICKLES) > 90


def test_message_without_control_codes(tmp_path):
    bad = PROTOCOL + name("os", "\x1b[2J" + "x" * 10**6) + STOP
    path = write_archive(tmp_path / "a.ckpt", bad)
    with pytest.raises(ValueError, match="asks for") as error:
        read_state_dict(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500 + len(str(path))


def test_metadata_is_dropped(tmp_path):
    good = mapping(end=b"}" + META + b"sb")
    path = write_archive(tmp_path / "a.ckpt", good)
    assert hasattr(torch.load(path), "_metadata")
    assert type(read_state_dict(path)) is dict


def test_instructions_are_counted(tmp_path):
    many = mapping(A + (text("b") + tensor()) * 5_000)
    assert sum(1 for _ in pickletools.genops(many)) > 100_000
    path = write_archive(tmp_path / "a.ckpt", many)
    with pytest.raises(ValueError, match="pickle is too l"):
        read_state_dict(path)


def test_nested_tuples_are_not_unfolded(tmp_path):
    # 2**100 values, if anything looked at them
    folded = b"N" + b"q\0h\0\x86" * 100 + b"0"
    path = write_archive(tmp_path / "a.ckpt", mapping(A + text("b") + folded))
    with pytest.raises(ValueError, match="damaged or holds more"):
        read_state_dict(path)


@pytest.mark.parametrize("levels", [3, 9, 20_000])
def test_tuples_are_not_deep(levels, tmp_path):
    deep = ORDERED + b")" + b"\x85" * levels + b"Q"
    path = write_archive(tmp_path / "a.ckpt", PROTOCOL + deep + STOP)
    with pytest.raises(ValueError, match="no part of a tensor"):
        read_state_dict(path)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("dtype", "float32 float64 float16 bfloat16".split())
def test_numbers_that_are_not_finite(value, dtype, tmp_path):
    bad = torch.zeros(3, 4, dtype=getattr(torch, dtype))
    bad[1, 2] = float(value)
    with pytest.raises(
        ValueError, match=r"a\.ckpt.* tensor b holds .*infinite"
    ):
        saved(tmp_path, {"a": torch.zeros(2), "b": bad})


# Archives --------------------------------------------------------------------


def rewritten(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


def with_entries(options=None, **entries):
    def write(path):
        names = {f"archive/{k}": v for k, v in entries.items()}
        write_archive(path, entries=names, **(options or {}))

    return write


def entry(full_name, content=b"x"):
    return lambda path: write_archive(path, entries={full_name: content})


def twice(full_name):
    def write(path):
        with zipfile.ZipFile(path, "a") as archive:
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(full_name, b"x")

    return write


def patched(signature, offset, value):
    """Change bytes of the last record with a signature."""

    def change(content):
        at = content.rindex(signature) + offset
        return content[:at] + value + content[at + len(value) :]

    return rewritten(change)


def commented(comment):
    def write(path):
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = comment

    return write


def hidden_in_a_comment(path):
    inner = path.with_name("inner")
    write_archive(inner)
    commented(inner.read_bytes())(path)


CENTRAL, END = b"PK\1\2", b"PK\5\6"
ARCHIVES = {
    "comment": commented(b"hello"),
    "archive_in_a_comment": hidden_in_a_comment,
    "bytes_before": rewritten(lambda x: b"x" * 100 + x),
    "one_byte_before": rewritten(lambda x: b"x" + x),
    "bytes_behind": rewritten(lambda x: x + b"x"),
    "archive_behind": rewritten(lambda x: x + x),
    "bytes_in_the_middle": rewritten(
        lambda x: x[: x.index(CENTRAL)] + b"x" * 50 + x[x.index(CENTRAL) :]
    ),
    "cut": rewritten(lambda x: x[:-1]),
    "only_its_end": rewritten(lambda x: x[-22:]),
    "nothing": rewritten(lambda x: b""),
    "packed": with_entries({"compress_type": zipfile.ZIP_DEFLATED}),
    "packed_by_bzip": with_entries({"compress_type": zipfile.ZIP_BZIP2}),
    "packed_by_lzma": with_entries({"compress_type": zipfile.ZIP_LZMA}),
    "encrypted": patched(CENTRAL, 8, b"\1\0"),
    "strongly_encrypted": patched(CENTRAL, 8, b"\x41\0"),
    "unknown_packing": patched(CENTRAL, 10, b"\x63\0"),
    "larger_than_stored": patched(CENTRAL, 24, b"\xff\xff\xff\x7f"),
    "larger_than_the_file": patched(CENTRAL, 20, b"\xff\xff\xff\x7f" * 2),
    "overlapping": patched(CENTRAL, 42, b"\0\0\0\0"),
    "beyond_the_file": patched(CENTRAL, 42, b"\xff\xff\xff\x7f"),
    "fewer_than_there_are": patched(END, 8, b"\1\0\1\0"),
    "more_than_there_are": patched(END, 8, b"\xf0\xff\xf0\xff"),
    "directory_of_no_bytes": patched(END, 12, b"\0\0\0\0"),
    "directory_elsewhere": patched(END, 16, b"\1\0\0\0"),
    "several_disks": patched(END, 4, b"\1\0"),
    "twice": twice("archive/data/0"),
    "pickle_twice": twice("archive/data.pkl"),
    "another_root": entry("other/data/1"),
    "two_pickles": entry("other/data.pkl"),
    "absolute": entry("/archive/data/1"),
    "above": entry("archive/../data/1"),
    "backslash": entry("archive\\data\\1"),
    "code": entry("archive/code/__torch__.py"),
    "constants": entry("archive/constants.pkl"),
    "no_storage": entry("archive/data/0", None),
    "no_pickle": entry("archive/data.pkl", None),
    "storage_of_a_name": entry("archive/data/x"),
    "other_byte_order": with_entries(byteorder=b"big"),
    "short_storage": entry("archive/data/0", b"123"),
    "long_storage": entry("archive/data/0", b"1" * 20),
    "huge_pickle": entry("archive/data.pkl", b"\0" * (8 * 1024**2 + 1)),
    "wrong_checksum": rewritten(
        lambda x: x.replace(struct.pack("<f", 4), struct.pack("<f", 5))
    ),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_that_are_refused(case, tmp_path):
    path = write_archive(tmp_path / "a.ckpt")
    ARCHIVES[case](path)
    with pytest.raises(ValueError, match="damaged or holds more"):
        read_state_dict(path)


def test_two_ends_that_differ(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.ckpt")
    assert read_state_dict(tmp_path / "a.ckpt")
    content = (tmp_path / "a.ckpt").read_bytes()
    at = content.rindex(b"PK\6\6")
    # another number of entries, size and place of the directory
    for offset in (24, 32, 40, 48):
        changed = bytearray(content)
        changed[at + offset] ^= 1
        (tmp_path / "a.ckpt").write_bytes(changed)
        with pytest.raises(ValueError, match="two ends that differ"):
            read_state_dict(tmp_path / "a.ckpt")


def test_huge_directories_are_not_read(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "a.ckpt")
    content = path.read_bytes()
    start = content.index(CENTRAL)
    many = content[start : content.rindex(END)] * 30_000
    end = struct.pack("<4s4H2LH", END, 0, 0, 9, 9, len(many), start, 0)
    path.write_bytes(content[:start] + many + end)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(ValueError, match="huge directory"):
        read_state_dict(path)


def test_files_before_archives_say_what_helps(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"a": torch.ones(1)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match="save it again, or as safetensors"):
        read_state_dict(path)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.ckpt")
    with pytest.raises(FileNotFoundError):
        read_state_dict(tmp_path / "a.ckpt")
