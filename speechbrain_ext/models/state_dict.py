"""Reading files of weights, of which nothing is ever run.

`torch.save` writes a zip archive of a pickle and of raw storages. A pickle
is a program; the reader here knows the few instructions that a dict of
tensors needs, and refuses a file with any other. It makes nothing that is
larger than the file.
"""

import math
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from pickletools import genops

import torch

from speechbrain_ext.console import printable
from speechbrain_ext.models.stored_archive import (
    check_end,
    check_members,
    require,
)

# a separator of 1,000 tensors has 40,000 instructions in 200 kB
MOST_INSTRUCTIONS = 100_000
LARGEST_PICKLE = 8 * 1024**2
# of a tensor; no tuple has more items
MOST_DIMENSIONS = 8
LARGEST_DIMENSION = 2**40
ENTRY = re.compile(
    r"(?P<root>[^/\\]+)/(?P<name>data\.pkl|version|byteorder|data/\d{1,9}|"
    r"\.format_version|\.storage_alignment|\.data/serialization_id)"
)
DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Int": torch.int32,
    "Long": torch.int64,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
REBUILD = object()
GLOBALS = {
    "collections OrderedDict": OrderedDict,
    "torch._utils _rebuild_tensor_v2": REBUILD,
    **{f"torch {name}Storage": dtype for name, dtype in DTYPES.items()},
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
CONSTANTS["EMPTY_TUPLE"] = ()
LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}


class Storage:
    """Raw numbers of one kind; no tensor, and nothing else is one."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of named tensors, and refuse anything else.

    Arguments
    ---------
    path : Path
        Written by `torch.save`.

    Returns
    -------
    weights : dict
        Dense real tensors by name, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or holds more than named, finite tensors.

    Example
    -------
    >>> path = getfixture("tmp_path") / "encoder.ckpt"
    >>> torch.save({"weight": torch.zeros(2)}, path)
    >>> read_state_dict(path)
    {'weight': tensor([0., 0.])}
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: a SpeechBrain separator is a folder with "
            "encoder.ckpt, masknet.ckpt and decoder.ckpt"
        )
    try:
        with open(path, "rb") as file:
            return Archive(file).state_dict()
    except (
        *(ValueError, TypeError, LookupError, OverflowError, EOFError),
        *(struct.error, zipfile.BadZipFile, NotImplementedError, RuntimeError),
    ) as error:
        raise ValueError(
            f"{path} is damaged or holds more than finite tensors: "
            f"{printable(error, 300)}"
        ) from error


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number that a size can be."""
    return type(value) is int and 0 <= value < LARGEST_DIMENSION


class Archive:
    """A file of `torch.save`, and the stack machine that reads its pickle.

    Arguments
    ---------
    file : file
        Open for reading bytes.

    Raises
    ------
    ValueError
        If it is anything but one plain archive of storages and a pickle.
    """

    def __init__(self, file) -> None:
        entries = check_end(file)
        self.archive = zipfile.ZipFile(file)
        members = self.archive.infolist()
        require(len(members) == entries, "entries of the archive are hidden")
        check_members(file, self.archive)
        matches = [ENTRY.fullmatch(member.filename) for member in members]
        require(all(matches), "the archive has entries that torch.save has not")
        self.members = {
            m["name"]: x for m, x in zip(matches, members, strict=True)
        }
        require(
            len(self.members) == len(members)
            and len({match["root"] for match in matches}) == 1,
            "entries of the archive have the same name or several folders",
        )
        self.storages: dict[str, Storage] = {}
        self.stack: list = []
        self.marks: list[list] = []
        self.memo: dict[int, object] = {}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Read the dict of tensors."""
        order = self.members.get("byteorder")
        require(
            order is None or self.archive.read(order) == b"little",
            "its numbers have another byte order",
        )
        member = self.members["data.pkl"]
        require(member.file_size <= LARGEST_PICKLE, "its pickle is too large")
        pickle = self.archive.read(member)
        for count, (code, argument, position) in enumerate(genops(pickle)):
            require(count < MOST_INSTRUCTIONS, "its pickle is too long")
            if code.name != "STOP":
                self.step(code.name, argument)
            else:
                last = position == len(pickle) - 1
                require(last, "something follows its pickle")
        (weights,) = self.stack
        require(not self.marks, "its pickle is not complete")
        require(
            type(weights) in (dict, OrderedDict)
            and all(type(value) is torch.Tensor for value in weights.values()),
            "it is not a plain dict of tensors",
        )
        check_finite(weights)
        return dict(weights)

    def step(self, name: str, argument: object) -> None:
        """Do one instruction of the pickle."""
        name = name.removeprefix("LONG_")
        if name in LITERALS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        else:
            require(name in STEPS, f"it has the instruction {name}")
            STEPS[name](self, argument)

    def put(self, argument: int) -> None:
        """Remember the top of the stack."""
        self.memo[argument] = self.stack[-1]

    def mark(self) -> None:
        """Begin a stack of its own."""
        self.marks.append(self.stack)
        self.stack = []

    def items(self, count: int | None = None) -> list:
        """Take so many items from the stack, or all since the last mark."""
        if count is None:
            items, self.stack = self.stack, self.marks.pop()
            return items
        return [self.stack.pop() for _ in range(count)][::-1]

    def add_tuple(self, items: list) -> None:
        """Make a tuple, maybe of tuples."""
        inner = [x for item in items if type(item) is tuple for x in item]
        require(
            len(items) <= MOST_DIMENSIONS
            and not any(type(item) is tuple for item in inner),
            "it has tuples that are no part of a tensor",
        )
        self.stack.append(tuple(items))

    def find(self, argument: str) -> None:
        """Give what a name of the list stands for."""
        require(argument in GLOBALS, f"it asks for {argument!r}")
        self.stack.append(GLOBALS[argument])

    def call(self) -> None:
        """Make a tensor or a dict."""
        function, arguments = self.items(2)
        require(
            type(arguments) is tuple
            and (function is OrderedDict or function is REBUILD),
            "it calls what is no function of tensors",
        )
        if function is OrderedDict:
            require(not arguments, "a dict has arguments")
            self.stack.append(OrderedDict())
        else:
            self.stack.append(make_tensor(*arguments))

    def build(self) -> None:
        """Pass over what torch.nn.Module.state_dict notes."""
        target, state = self.items(2)
        require(
            type(target) is OrderedDict
            and type(state) is dict
            and list(state) == ["_metadata"],
            "it gives attributes to what has none",
        )
        self.stack.append(target)

    def set_items(self, items: list) -> None:
        """Put keys and values into the dict at the top of the stack."""
        target, keys, values = self.stack[-1], items[::2], items[1::2]
        require(
            type(target) in (dict, OrderedDict)
            and len(keys) == len(values)
            and all(type(key) is str for key in keys),
            "it puts items into what is no dict of names",
        )
        target.update(zip(keys, values, strict=True))

    def storage(self, identity: object) -> Storage:
        """Read the storage that the pickle names."""
        require(
            type(identity) is tuple and len(identity) == 5,
            "a storage is not named as torch.save names it",
        )
        kind, dtype, key, place, count = identity
        require(
            type(kind) is type(key) is type(place) is str
            and kind == "storage"
            and type(dtype) is torch.dtype
            and is_count(count),
            "a storage is not named as torch.save names it",
        )
        if key not in self.storages:
            member = self.members[f"data/{key}"]
            content = bytearray(self.archive.read(member))
            # numbers that are neither 0 nor 1 are no truth values
            held = torch.uint8 if dtype == torch.bool else dtype
            values = torch.empty(0, dtype=held)
            if content:
                values = torch.frombuffer(content, dtype=held)
            self.storages[key] = Storage(values.to(dtype))
        values = self.storages[key].values
        require(
            values.dtype == dtype and len(values) == count,
            f"the storage {key} has another size or kind than it says",
        )
        return self.storages[key]


# what the instructions do that put nothing known on the stack
STEPS: dict[str, Callable[[Archive, object], None]] = {
    "PROTO": lambda archive, _: None,
    "EMPTY_DICT": lambda archive, _: archive.stack.append({}),
    "BINPUT": Archive.put,
    "BINGET": lambda archive, x: archive.stack.append(archive.memo[x]),
    "MARK": lambda archive, _: archive.mark(),
    "TUPLE": lambda archive, _: archive.add_tuple(archive.items()),
    "TUPLE1": lambda archive, _: archive.add_tuple(archive.items(1)),
    "TUPLE2": lambda archive, _: archive.add_tuple(archive.items(2)),
    "TUPLE3": lambda archive, _: archive.add_tuple(archive.items(3)),
    "SETITEM": lambda archive, _: archive.set_items(archive.items(2)),
    "SETITEMS": lambda archive, _: archive.set_items(archive.items()),
    "GLOBAL": Archive.find,
    "BINPERSID": lambda archive, _: archive.stack.append(
        archive.storage(archive.stack.pop())
    ),
    "REDUCE": lambda archive, _: archive.call(),
    "BUILD": lambda archive, _: archive.build(),
}


def make_tensor(storage, offset, size, stride, gradient, hooks) -> torch.Tensor:
    """Make a tensor that lies within its storage."""
    require(
        type(storage) is Storage
        and type(size) is type(stride) is tuple
        and len(size) == len(stride) <= MOST_DIMENSIONS
        and all(map(is_count, (offset, *size, *stride)))
        and type(gradient) is bool
        and type(hooks) is OrderedDict
        and not hooks,
        "a tensor is not described as torch.save describes it",
    )
    count, values = math.prod(size), storage.values
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    require(
        count <= len(values) and (count == 0 or last < len(values)),
        "a tensor reaches beyond its storage",
    )
    if count == 0:
        return torch.empty(size, dtype=values.dtype)
    return values.as_strided(size, stride, offset)


def check_finite(weights: dict[str, torch.Tensor]) -> None:
    """Refuse weights that a model cannot compute with.

    Arguments
    ---------
    weights : dict
        Tensors by name.

    Raises
    ------
    ValueError
        If one holds NaN or infinite numbers; it names the tensor.

    Example
    -------
    >>> check_finite({"bias": torch.tensor([0.0, float("inf")])})
    Traceback (most recent call last):
    ValueError: the tensor bias holds numbers that are NaN or infinite
    """
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(
                f"the tensor {printable(name, 100)} holds numbers that are "
                "NaN or infinite"
            )


def check_state_dict(
    path: Path,
    *,
    expected: dict[str, torch.Tensor],
    found: dict[str, torch.Tensor],
) -> None:
    """Check that weights fit a module.

    Numbers of another precision fit: `load_state_dict` converts them to the
    module's own, so weights in half precision work on the CPU in float32.

    Arguments
    ---------
    path : Path
        Where the weights come from, for the message.
    expected : dict
        The module's own state dict.
    found : dict
        The weights.

    Raises
    ------
    ValueError
        If keys, shapes or kinds of numbers differ; it names the first few of
        each.

    Example
    -------
    >>> weights = {"weight": torch.zeros(2)}
    >>> check_state_dict(Path("a.ckpt"), expected=weights, found=weights)
    """
    both = [key for key in expected if key in found]
    shapes = [
        f"{key} {tuple(found[key].shape)} instead of "
        f"{tuple(expected[key].shape)}"
        for key in both
        if found[key].shape != expected[key].shape
    ]
    kinds = [
        f"{key} {found[key].dtype} instead of {expected[key].dtype}"
        for key in both
        if found[key].is_complex() != expected[key].is_complex()
        or found[key].is_floating_point() != expected[key].is_floating_point()
    ]
    complaints = [
        f"{len(keys)} {what} ({', '.join(printable(x, 80) for x in keys[:3])}"
        "...)"
        for what, keys in (
            ("missing", sorted(expected.keys() - found.keys())),
            ("unexpected", sorted(found.keys() - expected.keys())),
            ("of another shape", shapes),
            ("of another kind", kinds),
        )
        if keys
    ]
    if complaints:
        raise ValueError(
            f"{path} does not fit this separator; build it with the sizes "
            f"of the file's own hyperparams.yaml. Keys: {'; '.join(complaints)}"
        )
