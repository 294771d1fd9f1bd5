"""Files of weights, made byte by byte."""

import pickle
import struct
import zipfile

STOP = b"."
PROTOCOL = b"\x80\x02"


def text(value):
    """A text, as protocol 2 writes it."""
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def number(value):
    """A whole number of any size."""
    return pickle.dumps(value, 2)[2:-1]


def name(module, attribute):
    """An import."""
    return f"c{module}\n{attribute}\n".encode()


def shape(*sizes):
    """A tuple of numbers."""
    return b"(" + b"".join(map(number, sizes)) + b"t"


ORDERED = name("collections", "OrderedDict") + b")R"
REBUILD = name("torch._utils", "_rebuild_tensor_v2")


def storage(kind="FloatStorage", key="0", place="cpu", count=4, module="torch"):
    """The identity of a storage, and the instruction that reads it."""
    return (
        b"("
        + text("storage")
        + name(module, kind)
        + text(key)
        + text(place)
        + number(count)
        + b"tQ"
    )


def tensor(
    held=None,
    offset=0,
    size=(2, 2),
    stride=(2, 1),
    gradient=b"\x89",
    hooks=ORDERED,
    function=REBUILD,
    more=b"",
):
    """The call that makes a tensor."""
    return (
        function
        + b"("
        + (storage() if held is None else held)
        + number(offset)
        + shape(*size)
        + shape(*stride)
        + gradient
        + hooks
        + more
        + b"tR"
    )


def mapping(items=None, start=ORDERED, end=b""):
    """A dict of one tensor, or of what is given."""
    items = text("a") + tensor() if items is None else items
    return PROTOCOL + start + b"(" + items + b"u" + end + STOP


def write_archive(path, content=None, entries=None, **options):
    """Write a pickle and storages as torch.save does."""
    parts = {
        "archive/data.pkl": mapping() if content is None else content,
        "archive/byteorder": b"little",
        "archive/data/0": struct.pack("<4f", 1, 2, 3, 4),
        "archive/version": b"3\n",
        **(entries or {}),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in parts.items():
            if data is not None:
                archive.writestr(entry, data, **options)
    return path
