"""Write pickles and archives of weights by hand, so that they may lie."""

import io
import struct
import warnings
import zipfile
from pathlib import Path

import torch

ORDERED = b"ccollections\nOrderedDict\n)R"
MEMORY_TYPES = {
    torch.float32: b"FloatStorage",
    torch.float64: b"DoubleStorage",
    torch.int64: b"LongStorage",
}


def text(value: str | bytes) -> bytes:
    """Write BINUNICODE."""
    content = value if isinstance(value, bytes) else value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    """Write BININT, or LONG1 where it is larger."""
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def numbers(values) -> bytes:
    """Make a tuple of whole numbers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(
    key: bytes | None = None,
    size: int | bytes = 128,
    *,
    kind: bytes = b"ctorch\nFloatStorage\n",
    word: bytes | None = None,
    device: bytes | None = None,
    more: bytes = b"",
) -> bytes:
    """Write BINPERSID of a storage."""
    return (
        b"("
        + (text("storage") if word is None else word)
        + kind
        + (text("0") if key is None else key)
        + (text("cpu") if device is None else device)
        + (size if isinstance(size, bytes) else number(size))
        + more
        + b"tQ"
    )


def tensor(
    shape=(8, 1, 16),
    stride=(16, 16, 1),
    *,
    offset: int | bytes = 0,
    inner: bytes | None = None,
    function: bytes = b"ctorch._utils\n_rebuild_tensor_v2\n",
    hooks: bytes = ORDERED,
    more: bytes = b"",
) -> bytes:
    """Write _rebuild_tensor_v2 of a storage."""
    return (
        function
        + b"("
        + (storage() if inner is None else inner)
        + (offset if isinstance(offset, bytes) else number(offset))
        + (shape if isinstance(shape, bytes) else numbers(shape))
        + (stride if isinstance(stride, bytes) else numbers(stride))
        + b"\x89"
        + hooks
        + more
        + b"tR"
    )


def state(*items: tuple[str, bytes], after: bytes = b"") -> bytes:
    """Make a pickle of an OrderedDict with these entries."""
    inner = b"".join(text(name) + value for name, value in items)
    return b"\x80\x02" + ORDERED + b"(" + inner + b"u" + after + b"."


def good_state(*more: tuple[str, bytes], before: bytes = b"") -> bytes:
    """Give the weights of the encoder, after something, with more entries.

    What stands before is taken off the stack again.
    """
    content = state(("conv1d.weight", tensor()), *more)
    return content[:2] + (before + b"0" if before else b"") + content[2:]


GOOD_DATA = {"0": struct.pack("<128f", *(n / 128 for n in range(128)))}


def write_archive(
    path: Path,
    pickle: bytes,
    data: dict[str, bytes] | None = None,
    *,
    compression: int = zipfile.ZIP_STORED,
    more: dict[str, bytes] | None = None,
    top: str = "archive",
) -> None:
    """Write what `torch.save` writes, with a pickle of one's own."""
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(path, "w", compression) as file,
    ):
        warnings.simplefilter("ignore")  # a name that stands twice
        file.writestr(f"{top}/data.pkl", pickle)
        file.writestr(f"{top}/byteorder", b"little")
        for key, content in (GOOD_DATA if data is None else data).items():
            file.writestr(f"{top}/data/{key}", content)
        file.writestr(f"{top}/version", b"3\n")
        for name, content in (more or {}).items():
            file.writestr(name, content)


def archive_bytes(pickle: bytes | None = None, **options) -> bytes:
    """Give the same as bytes."""
    buffer = io.BytesIO()
    write_archive(buffer, good_state() if pickle is None else pickle, **options)
    return buffer.getvalue()
