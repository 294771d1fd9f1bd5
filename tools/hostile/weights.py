"""Files of weights that hold something else, or lie about their size."""

import struct

from hostile.bases import copy_base
from hostile.case import Case
from hostile.pickles import (
    ORDERED,
    archive_bytes,
    good_state,
    number,
    numbers,
    state,
    storage,
    tensor,
    text,
)
from hostile.runners import load_model

MKDIR = b"cposix\nmkdir\n"
TOUCH = text("CANARY")
REBUILD = b"ctorch._utils\n"
EMPTY = b")"


def call(function: str, arguments: bytes) -> bytes:
    """Write REDUCE of a global."""
    module, _, name = function.rpartition(".")
    return f"c{module}\n{name}\n(".encode() + arguments + b"tR"


# name: opcodes that stand before good weights, whose value is dropped
BEFORE = {
    "GLOBAL os.system": b"cposix\nsystem\n(" + text("mkdir CANARY") + b"tR",
    "GLOBAL os.mkdir": MKDIR + b"(" + TOUCH + b"tR",
    "STACK_GLOBAL": text("posix") + text("mkdir") + b"\x93(" + TOUCH + b"tR",
    "INST": b"(" + TOUCH + b"iposix\nmkdir\n",
    "OBJ": b"(" + MKDIR + TOUCH + b"o",
    "NEWOBJ": b"cpathlib\nPath\n(" + TOUCH + b"t\x81",
    "NEWOBJ_EX": b"cpathlib\nPath\n(" + TOUCH + b"t}\x92",
    "global without a call": b"cposix\nsystem\n",
    "import of a module": b"ccanary_module\ncalled\n",
    "import of antigravity": b"cantigravity\nantigravity\n",
    "dotted global": b"ctorch.serialization\nos.system\n("
    + text("mkdir CANARY")
    + b"tR",
    "builtins eval": call("builtins.eval", text("__import__('os')")),
    "builtins getattr": call(
        "builtins.getattr", b"ctorch\nTensor\n" + text("data")
    ),
    "old builtins": call("__builtin__.eval", text("1")),
    "functools partial": call("functools.partial", MKDIR),
    "codecs encode": call("_codecs.encode", text("a" * 99) + text("rot13")),
    "codecs encode latin1": call("_codecs.encode", text("a") + text("latin1")),
    "codecs of a bomb": call("_codecs.decode", text("a") + text("zlib")),
    "bytearray of 4 GB": call("builtins.bytearray", number(2**32)),
    "set of a list": call("builtins.set", b"]"),
    "complex": call("builtins.complex", number(1) + number(2)),
    "getattr of torch": call("torch._utils._import_dotted_name", text("os")),
    "torch.load": call("torch.load", text("secret.ckpt")),
    "torch.zeros of 100 GB": call("torch.zeros", number(25_000_000_000)),
    "torch.Size": call("torch.Size", numbers((1, 2))),
    "torch.device": call("torch.device", text("cuda")),
    "nested tensor": call("torch._utils._rebuild_nested_tensor", EMPTY),
    "EXT1": b"\x82\x01",
    "EXT4": b"\x84\x01\x00\x00\x00",
    "PERSID": b"Pstorage\n",
    "BINPERSID of a text": text("storage") + b"Q",
    "BINPERSID of None": b"NQ",
    "BINPERSID of a short tuple": b"(" + text("storage") + b"tQ",
    "LONG4 beyond the file": b"\x8b" + struct.pack("<i", 2**31 - 1),
    "LONG4 negative": b"\x8b" + struct.pack("<i", -1),
    "LONG1 of 255 bytes": b"\x8a\xff" + b"\xff" * 255,
    "BINBYTES8 beyond memory": b"\x8e" + struct.pack("<Q", 2**62),
    "BINUNICODE8 beyond memory": b"\x8d" + struct.pack("<Q", 2**63 - 1),
    "BYTEARRAY8 of 8 GB": b"\x96" + struct.pack("<Q", 2**33),
    "BINUNICODE not UTF-8": b"X\x02\x00\x00\x00\xff\xfe",
    "INT of 100000 digits": b"I" + b"9" * 100_000 + b"\n",
    "LONG of 100000 digits": b"L" + b"9" * 100_000 + b"L\n",
    "FLOAT of words": b"Fnan(0x1)\n",
    "STRING with escapes": b"S'\\x41\\x'\n",
    "FRAME that lies": b"\x95" + struct.pack("<Q", 2**60),
    "NEXT_BUFFER": b"\x97",
    "READONLY_BUFFER": b"]\x98",
    "PUT with a huge number": b"]p999999999999999999999\n",
    "LONG_BINPUT of 4 billion": b"]r\xff\xff\xff\xff",
    "GET of nothing": b"h\x77",
    "BUILD on a dictionary": b"}}" + text("__class__") + b"Nsb",
    "BUILD on a list": b"]}b",
    "BUILD of a class": b"ccollections\nOrderedDict\n}b",
    "unknown opcode": b"\xff",
    "lists in lists": b"]" * 100_000 + b"a" * 99_999,
    "tuples in tuples": b")" + b"\x85" * 100_000,
    "a list in itself": b"]q\x01h\x01a",
    "memo that doubles": b"]"
    + b"".join(
        b"q" + bytes([n]) + b"0](h" + bytes([n]) * 1 + b"h" + bytes([n]) + b"e"
        for n in range(60)
    ),
    "DUP without end": b"N" + b"2" * 1_000_000 + b"0" * 1_000_000,
    "MARKs without end": b"(" * 500_000 + b"1" * 499_999 + b"t",
}

# name: how the tensor of the encoder is written
TENSORS = {
    "storage larger than its file": tensor(inner=storage(size=10**9)),
    "storage beyond memory": tensor(inner=storage(size=2**62)),
    "storage of negative size": tensor(inner=storage(size=-1)),
    "storage of true size": tensor(inner=storage(size=b"\x88")),
    "storage smaller than its tensor": tensor(inner=storage(size=1)),
    "storage missing": tensor(inner=storage(text("7"))),
    "storage named with ..": tensor(inner=storage(text("../data.pkl"))),
    "storage named absolutely": tensor(inner=storage(text("SECRET"))),
    "storage named by a number": tensor(inner=storage(number(0))),
    "storage named with a NUL": tensor(inner=storage(text("0\0"))),
    "storage named with codes": tensor(inner=storage(text("\x1b[2J"))),
    "storage named at length": tensor(inner=storage(text("a" * 10**6))),
    "storage of another word": tensor(inner=storage(word=text("module"))),
    "storage of code": tensor(inner=storage(kind=b"cposix\nsystem\n")),
    "storage of a text": tensor(inner=storage(kind=text("FloatStorage"))),
    "storage quantized": tensor(inner=storage(kind=b"ctorch\nQInt8Storage\n")),
    "storage on meta": tensor(inner=storage(device=text("meta"))),
    "storage on another device": tensor(inner=storage(device=text("cuda:99"))),
    "storage on a device of codes": tensor(
        inner=storage(device=text("\x1b[2J" * 1000))
    ),
    "storage that is a view": tensor(
        inner=storage(more=text("a") + number(0) + number(1) + b"t")
    ),
    "negative offset": tensor(offset=-4),
    "offset beyond the storage": tensor(offset=127),
    "offset beyond 64 bits": tensor(offset=2**70),
    "offset a text": tensor(offset=text("0")),
    "negative stride": tensor(stride=(-16, 16, 1)),
    "stride beyond the storage": tensor(stride=(2**40, 16, 1)),
    "strides that overflow": tensor(stride=(2**62, 2**62, 2**62)),
    "expanded by stride 0": tensor((50_000, 50_000), (0, 0)),
    "expanded to 2**60": tensor((2**20, 2**20, 2**20), (0, 0, 0)),
    "expanded within its shape": tensor(stride=(0, 0, 0)),
    "shape negative": tensor((-8, 1, 16)),
    "shape of 10000 dimensions": tensor((1,) * 10_000, (1,) * 10_000),
    "shape a list": tensor(shape=b"](J\x08\0\0\0e"),
    "shape a text": tensor(shape=text("8")),
    "shape longer than stride": tensor(stride=(16, 1)),
    "hooks": tensor(hooks=MKDIR),
    "metadata that is code": tensor(more=MKDIR),
    "metadata of a tensor": tensor(more=b"}" + text("conj") + b"\x88s"),
    "old rebuild": tensor(function=REBUILD + b"_rebuild_tensor\n"),
    "rebuild v3": tensor(function=REBUILD + b"_rebuild_tensor_v3\n"),
    "meta tensor": REBUILD
    + b"_rebuild_meta_tensor_no_storage\n("
    + b"ctorch\nfloat32\n"
    + numbers((8, 1, 16))
    + numbers((16, 16, 1))
    + b"\x89tR",
    "quantized tensor": tensor(
        function=REBUILD + b"_rebuild_qtensor\n", hooks=EMPTY
    ),
    "sparse tensor": REBUILD
    + b"_rebuild_sparse_tensor\n(ctorch\nsparse_coo\n("
    + tensor((3, 0), (1, 1))
    + tensor((0,), (1,))
    + numbers((8, 1, 16))
    + b"ttR",
    "device tensor": REBUILD
    + b"_rebuild_device_tensor_from_numpy\n(NNNN\x89tR",
    "wrapper subclass": REBUILD + b"_rebuild_wrapper_subclass\n(NNNNNN\x89tR",
    "type v2": b"ctorch._tensor\n_rebuild_from_type_v2\n("
    + REBUILD
    + b"_rebuild_tensor_v2\nccanary_module\nT\n)}tR",
    "parameter with state": REBUILD
    + b"_rebuild_parameter_with_state\n("
    + tensor()
    + b"\x88"
    + ORDERED
    + b"}"
    + text("data")
    + b"NstR",
    "complex storage": tensor(
        inner=storage(kind=b"ctorch\nComplexFloatStorage\n")
    ),
    "rebuild called as a class": tensor().replace(b"_v2\n(", b"_v2\n(", 1)[:-2]
    + b"t\x81",
    "a number": number(1),
    "None": b"N",
    "a dictionary": b"}",
    "a list of tensors": b"](" + tensor() + b"e",
    "a bare storage": storage(),
}

GOOD = ("conv1d.weight", tensor())
METADATA = b"}" + text("_metadata")
# name: whole pickles
PICKLES = {
    "values shadowed": state(
        GOOD, after=b"}" + text("values") + b"ccollections\nOrderedDict\nsb"
    ),
    "items shadowed": state(GOOD, after=b"}" + text("items") + MKDIR + b"sb"),
    "class shadowed": state(
        GOOD, after=b"}" + text("__class__") + b"cbuiltins\ndict\nsb"
    ),
    "metadata and values": state(
        GOOD, after=METADATA + b"}s" + text("values") + MKDIR + b"sb"
    ),
    "metadata that is code": state(GOOD, after=METADATA + MKDIR + b"sb"),
    "two parts of a state": state(GOOD, after=b"N}" + text("a") + b"Ns\x86b"),
    "BUILD of a list": state(GOOD, after=b"]b"),
    "BUILD of a number": state(GOOD, after=b"K\x01b"),
    "key a number": b"\x80\x02" + ORDERED + b"(K\x01" + tensor() + b"u.",
    "key a tensor": b"\x80\x02" + ORDERED + b"(" + tensor() * 2 + b"u.",
    "key of codes": state(GOOD, ("\x1b[2J", tensor())),
    "key of a megabyte": state(GOOD, ("k" * 10**6, tensor())),
    "key with a NUL": state(GOOD, ("conv\0", tensor())),
    "key a lone surrogate": state(GOOD).replace(
        text("conv1d.weight"), text(b"\xed\xa0\x80")
    ),
    "50000 keys": lambda: state(
        GOOD, *((f"k{n}", tensor()) for n in range(50_000))
    ),
    "an entry more": state(GOOD, ("other", tensor())),
    "another shape": state(("conv1d.weight", tensor((8, 16), (16, 1)))),
    "no entries": state(),
    "a list": b"\x80\x02].",
    "a tensor": b"\x80\x02" + tensor() + b".",
    "a number": b"\x80\x02K\x01.",
    "nothing": b"",
    "STOP only": b".",
    "no STOP": good_state()[:-1],
    "protocol 255": b"\x80\xff" + good_state()[2:],
    "two pickles": good_state() + b"\x80\x02" + MKDIR + b"(" + TOUCH + b"tR.",
    "rest after STOP": good_state() + b"\x00" * 1000,
    "a megabyte of NUL": bytes(10**6),
    "20 MB of None": lambda: (
        b"\x80\x02" + b"N0" * 10_000_000 + good_state()[2:]
    ),
    "empty stack": b"\x80\x02R.",
    "SETITEMS on nothing": b"\x80\x02(u.",
    "SETITEM on a list": b"\x80\x02]NNs.",
}
HARMLESS = {
    "written by hand": good_state(),
    "metadata": state(GOOD, after=METADATA + ORDERED + b"sb"),
}


# what a reader may as well take: the values are real numbers all the same
EITHER = {
    "tensor: expanded within its shape",
    "tensor: storage on meta",
    "tensor: storage on another device",
    "tensor: storage on a device of codes",
    "pickle: protocol 255",
}


def as_archive(content, **options):
    """Make a maker of a folder whose encoder.ckpt has this pickle."""

    def make(place):
        copy_base(place)
        said = content() if callable(content) else content
        said = filled(said, place)
        path = place.given / "encoder.ckpt"
        path.write_bytes(archive_bytes(said, **options))

    return make


def filled(content: bytes, place) -> bytes:
    """Put the places of a case into opcodes."""
    for word, path in (
        ("CANARY", place.canary),
        ("mkdir CANARY", f"mkdir {place.canary}"),
        ("SECRET", place.outside / "secret.ckpt"),
    ):
        content = content.replace(text(word), text(str(path)))
    return content


def as_file(content, suffix: str = ".ckpt"):
    """Make a maker of a folder whose encoder.ckpt has these bytes."""

    def make(place):
        copy_base(place)
        path = (place.given / "encoder").with_suffix(suffix)
        said = content(place) if callable(content) else content
        path.write_bytes(said)

    return make


def cases() -> list[Case]:
    """List the cases."""
    from hostile import containers

    makers = {f"pickle: {n}": as_archive(good_state(before=b))
              for n, b in BEFORE.items()}  # fmt: skip
    makers |= {
        f"tensor: {n}": as_archive(state(("conv1d.weight", t)))
        for n, t in TENSORS.items()
    }
    makers |= {f"pickle: {n}": as_archive(c) for n, c in PICKLES.items()}
    found = [
        Case(
            name, "weights", make, load_model,
            "either" if name in EITHER else "refused",
        )
        for name, make in makers.items()
    ]  # fmt: skip
    found += [
        Case(f"pickle: harmless, {n}", "weights", as_archive(c), load_model,
             "loaded")
        for n, c in HARMLESS.items()
    ]  # fmt: skip
    return found + containers.cases()
