"""What weights and model folders come in: archives, headers, special files."""

import io
import json
import os
import pickle
import socket
import struct
import tarfile
import zipfile

import torch

from hostile.bases import copy_base
from hostile.case import Case, Place
from hostile.pickles import GOOD_DATA, archive_bytes, good_state
from hostile.runners import load_model
from hostile.weights import as_archive, as_file

DATA = GOOD_DATA["0"]
ENTRY = {"dtype": "F32", "shape": [8, 1, 16], "data_offsets": [0, 512]}


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def saved(place: Place, **options) -> bytes:
    """Give what `torch.save` makes of code."""
    buffer = io.BytesIO()
    torch.save({"conv1d.weight": Payload(place.canary)}, buffer, **options)
    return buffer.getvalue()


def in_tar(place: Place) -> bytes:
    """Give the format of PyTorch 0.1."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            content = pickle.dumps(Payload(place.canary))
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def patched(old: bytes, new: bytes, count: int = -1) -> bytes:
    """Make a good archive in which bytes are replaced."""
    content = archive_bytes()
    if old not in content:
        raise ValueError(f"{old!r} is not in the archive")
    return content.replace(old, new, count)


def field(offset: int, form: str, value: int, *, local: bool = False) -> bytes:
    """Make a good archive with another value in each header of its members."""
    content = bytearray(archive_bytes())
    sign = b"PK\x03\x04" if local else b"PK\x01\x02"
    at = content.find(sign)
    while at >= 0:
        struct.pack_into(form, content, at + offset, value)
        at = content.find(sign, at + 4)
    return bytes(content)


def ending(offset: int, form: str, value: int) -> bytes:
    """Make a good archive with another value in its last record."""
    content = bytearray(archive_bytes())
    at = content.rfind(b"PK\x05\x06")
    struct.pack_into(form, content, at + offset, value)
    return bytes(content)


def with_twice(place: Place) -> bytes:
    """Make two members of one name, of which one is code."""
    content = pickle.dumps(Payload(place.canary), protocol=2)
    return archive_bytes(more={"archive/data.pkl": content})


def hidden_by_a_comment() -> bytes:
    """Make a bomb in front, whose end is hidden in the comment of another."""
    bomb = archive_bytes(
        data={"0": DATA, "1": bytes(50_000_000)},
        compression=zipfile.ZIP_DEFLATED,
    )
    end = bytearray(archive_bytes()[-22:])
    struct.pack_into("<H", end, 20, 22)
    return bomb + bytes(end) + bomb[-22:]


def bomb(size: int) -> bytes:
    """Make an archive that is small and unpacks to many bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1
    ) as archive:
        archive.writestr("archive/data.pkl", good_state())
        with archive.open("archive/data/0", "w", force_zip64=True) as member:
            for _ in range(size // 10_000_000):
                member.write(bytes(10_000_000))
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()


ZIPS = {
    "text": b"PK\x03\x04 is not all that it takes",
    "empty": b"",
    "cut in half": archive_bytes()[: len(archive_bytes()) // 2],
    "end cut off": archive_bytes()[:-10],
    "beginning cut off": archive_bytes()[100:],
    "program in front": b"#!/bin/sh\nmkdir canary\n" * 100 + archive_bytes(),
    "comment that is an archive": lambda place: hidden_by_a_comment(),
    "bomb of 3 GB": lambda place: bomb(3_000_000_000),
    "compressed": archive_bytes(compression=zipfile.ZIP_DEFLATED),
    "bzip2": archive_bytes(compression=zipfile.ZIP_BZIP2),
    "lzma": archive_bytes(compression=zipfile.ZIP_LZMA),
    "data.pkl twice": with_twice,
    "a storage twice": archive_bytes(more={"archive/data/0": DATA}),
    "another pickle": archive_bytes(
        more={"archive/evil.pkl": b"cos\nsystem\n"}
    ),
    "names that lead up": archive_bytes(more={"../../evil": b"x"}),
    "absolute names": archive_bytes(more={"/etc/evil": b"x"}),
    "name with codes": archive_bytes(more={"archive/\x1b[2J": b"x"}),
    "name of 60000 characters": archive_bytes(more={"a" * 60_000: b"x"}),
    "two tops": archive_bytes(more={"other/data.pkl": good_state()}),
    "no version": patched(b"archive/version", b"archive/versiox"),
    "no pickle": patched(b"archive/data.pkl", b"archive/data.pkx"),
    "big endian": patched(b"little", b"bigger"),
    "code.py, as TorchScript": archive_bytes(
        more={"archive/constants.pkl": b"\x80\x02).", "archive/code/a.py": b""}
    ),
    "wrong checksum": patched(DATA[40:60], bytes(20)),
    "encrypted": field(8, "<H", 1),
    "encrypted inside": field(6, "<H", 1, local=True),
    "unknown compression": field(10, "<H", 77),
    "sizes that lie": field(24, "<I", 2**31),
    "packed sizes that lie": field(20, "<I", 2**31),
    "sizes of ZIP64 without it": field(24, "<I", 2**32 - 1),
    "members that overlap": field(42, "<I", 0),
    "members beyond the file": field(42, "<I", 2**31),
    "local names that are longer": field(26, "<H", 60_000, local=True),
    "local sizes that lie": field(22, "<I", 2**31, local=True),
    "long extra fields": field(28, "<H", 2**16 - 1, local=True),
    "directory beyond the file": ending(16, "<I", 2**31),
    "directory of 4 GB": ending(12, "<I", 2**32 - 1),
    "65535 members": ending(10, "<H", 2**16 - 1),
    "no members": ending(10, "<H", 0),
    "several disks": ending(4, "<H", 7),
    "pickled before archives": lambda place: saved(
        place, _use_new_zipfile_serialization=False
    ),
    "pickled in an archive": saved,
    "pickled plainly": lambda place: pickle.dumps(Payload(place.canary)),
    "a tar archive": in_tar,
    "many members": lambda place: archive_bytes(
        more={f"archive/data/x{n}": b"" for n in range(60_000)}
    ),
}


def header(content, data: bytes = DATA, size: int | None = None) -> bytes:
    """Make a safetensors file with this header."""
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    size = len(content) if size is None else size
    return struct.pack("<Q", size) + content + data


def entry(**changes) -> bytes:
    """Make a safetensors file whose entry differs from a good one."""
    return header({"conv1d.weight": ENTRY | changes})


TENSORS = {
    "empty": b"",
    "header of 2**63 bytes": header(b"{}", size=2**63),
    "header of 90 MB that is not there": header(b"{}", size=90_000_000),
    "header of 0 bytes": header(b""),
    "header no JSON": header(b"not JSON at all"),
    "header not UTF-8": header(b'{"\xff": 1}'),
    "header a list": header([ENTRY]),
    "header of 100000 brackets": header(b"[" * 100_000),
    "header of nested objects": header(b'{"a":' * 50_000),
    "header of NUL": header(bytes(10_000)),
    "name twice": header(
        b'{"conv1d.weight":' + json.dumps(ENTRY).encode()
        + b',"conv1d.weight":' + json.dumps(ENTRY).encode() + b"}"
    ),
    "name with codes": header({"\x1b[2J": ENTRY}),
    "name of a megabyte": header({"n" * 10**6: ENTRY}),
    "names that differ": header({"other": ENTRY}),
    "50000 names": header(
        {f"n{n}": ENTRY | {"data_offsets": [0, 0]} for n in range(50_000)}
    ),
    "metadata of a megabyte": header({"__metadata__": {"a": "b" * 10**6}}),
    "metadata a list": header({"__metadata__": [1], "conv1d.weight": ENTRY}),
    "dtype unknown": entry(dtype="F7"),
    "dtype with codes": entry(dtype="\x1b[2J" * 1000),
    "dtype of 8 bits": entry(dtype="F8_E4M3", shape=[8, 4, 16]),
    "dtype of whole numbers": entry(dtype="I32"),
    "dtype of truths": entry(dtype="BOOL", shape=[32, 1, 16]),
    "dtype complex": entry(dtype="C64", shape=[8, 1, 8]),
    "dtype a number": entry(dtype=1),
    "shape negative": entry(shape=[-8, -1, 16]),
    "shape that overflows": entry(shape=[2**32, 2**32, 2**32]),
    "shape of another size": entry(shape=[8, 1, 17]),
    "shape of zeros": entry(shape=[0, 2**40], data_offsets=[0, 0]),
    "shape of fractions": entry(shape=[8.5, 1, 16]),
    "shape of 100000 ones": entry(shape=[1] * 100_000 + [128]),
    "offsets that overlap": header(
        {"conv1d.weight": ENTRY, "b": ENTRY, "c": ENTRY}
    ),
    "offsets with a hole": entry(data_offsets=[100, 612]),
    "offsets beyond the file": entry(data_offsets=[10**9, 10**9 + 512]),
    "offsets backwards": entry(data_offsets=[512, 0]),
    "offsets negative": entry(data_offsets=[-512, 0]),
    "offsets beyond 64 bits": entry(data_offsets=[0, 2**70]),
    "data missing": header({"conv1d.weight": ENTRY}, b""),
    "data too long": header({"conv1d.weight": ENTRY}, DATA * 2),
    "a pickle": lambda place: saved(place),
    "values that are not numbers": header(
        {"conv1d.weight": ENTRY}, struct.pack("<f", float("nan")) * 128
    ),
}  # fmt: skip


def special(name: str, put):
    """Make a maker of a folder in which a file is something else."""

    def make(place):
        copy_base(place)
        path = place.given / name
        path.unlink(missing_ok=True)
        put(path, place)

    return make


def endless_pipe(path, place):
    """Make a FIFO into which nobody writes."""
    os.mkfifo(path)


def unix_socket(path, place):
    """Make a socket."""
    before = os.getcwd()
    os.chdir(path.parent)  # its path may have 107 characters only
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


PUT = {
    "a pipe": endless_pipe,
    "a socket": unix_socket,
    "a folder": lambda path, place: path.mkdir(),
    "a link to /dev/zero": lambda path, place: path.symlink_to("/dev/zero"),
    "a link to standard input": lambda p, place: p.symlink_to("/dev/stdin"),
    "a link to itself": lambda path, place: path.symlink_to(path.name),
    "a link to nothing": lambda path, place: path.symlink_to("nothing"),
    "a link out": lambda p, place: p.symlink_to(place.outside / "secret.ckpt"),
    "a link up and out": lambda path, place: path.symlink_to(
        "../outside/secret.ckpt"
    ),
    "a link into /proc": lambda p, place: p.symlink_to("/proc/self/mem"),
    "missing": lambda path, place: None,
    "a hole of 1 TB": lambda path, place: _hole(path, 2**40),
    "a hole of 3 GB": lambda path, place: _hole(path, 3 * 10**9),
}


def _hole(path, size):
    path.touch()
    os.truncate(path, size)


def cases() -> list[Case]:
    """List the cases."""
    makers = {f"archive: {n}": as_file(c) for n, c in ZIPS.items()}
    makers |= {
        f"safetensors: {name}": as_file(content, ".safetensors")
        for name, content in TENSORS.items()
    }
    makers |= {
        f"special file: {name} is {what}": special(name, put)
        for name in ("hyperparams.yaml", "encoder.ckpt", "encoder.safetensors")
        for what, put in PUT.items()
        if (name, what) != ("encoder.safetensors", "missing")
    }
    either = {
        # nothing of these is used, or they are harmless to read
        "archive: encrypted inside",
        "archive: local sizes that lie",
        "safetensors: name twice",
    }
    if either - makers.keys():
        raise ValueError(f"no such cases: {either - makers.keys()}")
    found = [
        Case(
            name, "weights", make, load_model,
            "either" if name in either else "refused",
        )
        for name, make in makers.items()
    ]  # fmt: skip
    good = header({"conv1d.weight": ENTRY})
    found += [
        Case(name, "weights", make, load_model, "loaded")
        for name, make in {
            "safetensors: harmless": as_file(good, ".safetensors"),
            "archive: harmless": as_archive(good_state()),
        }.items()
    ]
    return found
