"""Model folders whose YAML, pickles, archives or headers were changed."""

import io
import json
import re
import shutil
import struct
import zipfile

import pytest
import torch

pytest.importorskip("hypothesis", reason="pip install '.[dev]'")

from generated import TEXTS, edited, edits, require_readable, try_all  # noqa: E402
from hostile import pickles  # noqa: E402
from hostile.bases import base  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from speechbrain_ext.hub import load_folder  # noqa: E402
from speechbrain_ext.inference.sisnr_estimator import SHIPPED  # noqa: E402

pytestmark = pytest.mark.exhaustive


def load(folder, outcomes):
    """Load a folder, or see it refused."""
    try:
        loaded = load_folder(folder)
    except (ValueError, OSError) as error:
        require_readable(error)
        outcomes["refused"] += 1
    else:
        for module in loaded.modules.values():
            assert isinstance(module, torch.nn.Module)
            for tensor in module.state_dict().values():
                assert tensor.device.type == "cpu"
        outcomes["loaded"] += 1


# hyperparams.yaml ----------------------------------------------------------

WORDS = (
    """
!new:torch.nn.Linear|!new:os.system|!name:torch.nn.ReLU|!apply:os.getcwd
!ref <encoder>|!ref <nothing>|!copy <encoder>|!ref <a[0]>|!include:a.yaml
!module:os|!!python/name:os.system|!!binary|&a|*a|<<|null|true|0|-1|8000
2000000000|1e30|.inf|.nan|999999999999999999999999999999|0x10|[1, 2]|{a: 1}
[null, 2, null]|''|"\\e[2J"|(1, 2)|relu|encoder|encoder_out|modules|pretrainer
loadables|paths|sample_rate|snrmin|channels|kernel_size|../x|/x.ckpt|README.md
---|...|%TAG|- 1
""".strip()
    .replace("\n", "|")
    .split("|")
)
TOKEN = re.compile(r"[^\s:]+")


@st.composite
def yaml_files(draw, text):
    """Draw the file with words exchanged, and lines moved or indented."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from("wwwwwdiimt"))
        word = draw(st.one_of(st.sampled_from(WORDS), TEXTS))
        if what == "w":
            found = [m.span() for m in TOKEN.finditer(lines[at])] or [(0, 0)]
            start, end = draw(st.sampled_from(found))
            lines[at] = lines[at][:start] + word + lines[at][end:]
        elif what == "d":
            lines.insert(at, draw(st.sampled_from(lines)))
        elif what == "i":
            lines[at] = (
                draw(st.sampled_from(["", " ", "    ", "\t"])) + lines[at]
            )
        elif what == "m" and len(lines) > 1:
            lines.pop(at)
        else:
            lines.insert(at, f"{word}: {draw(st.sampled_from(WORDS))}")
    return "\n".join(lines) + "\n"


def test_yaml(tmp_path, record_property):
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    path = folder / "hyperparams.yaml"
    text, outcomes = path.read_text(), {"loaded": 0, "refused": 0}

    def check(case):
        path.write_bytes(case.encode("utf-8", "surrogatepass"))
        load(folder, outcomes)

    record_property("cases", try_all(yaml_files(text), 1500, check))
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 10


# .ckpt ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    shutil.copytree(base("separator"), path)
    return path


SINGLE = b"()]}NRbabeusoQ.0 12\x81\x85\x86\x87\x88\x89\x92\x93"
CODES = st.sampled_from(
    [bytes([code]) for code in SINGLE]
    + [b"cposix\nsystem\n", b"ctorch\nFloatStorage\n", pickles.ORDERED]
    + [b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch.nn\nParameter\n"]
    + [b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\xff", b"\x8a\x08" + b"\xff" * 8]
    + [b"q\x01", b"h\x01", b"r\xff\xff\xff\x7f", b"\x94", b"\x80\x04"]
    + [pickles.text("0"), pickles.text("storage"), pickles.text("\x1b[2J")]
    + [pickles.tensor(), pickles.storage(), b"\x95" + b"\xff" * 8]
)


@st.composite
def pickled(draw):
    """Draw the pickle of a state_dict with other opcodes in it."""
    content = pickles.good_state()
    for code in draw(st.lists(CODES, max_size=3)):
        # between opcodes as often as not
        place = draw(st.sampled_from([2, 28, 29, 47, 83, len(content) - 1]))
        content = content[:place] + code + content[place:]
    return edited(content, draw(st.just([]) | edits(len(content))))


def test_pickles(folder, record_property):
    outcomes = {"loaded": 0, "refused": 0}

    def check(content):
        pickles.write_archive(folder / "encoder.ckpt", content)
        load(folder, outcomes)

    record_property("cases", try_all(pickled(), 1500, check))
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 1


def test_archives(folder, record_property):
    outcomes = {"loaded": 0, "refused": 0}
    good = pickles.archive_bytes()
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        places = [member.header_offset for member in archive.infolist()]
        places += [archive.start_dir, len(good) - 22]
    fields = st.tuples(
        st.sampled_from(places),
        st.integers(0, 45),
        st.sampled_from([b"\0", b"\1", b"\xff", b"\xff\xff\xff\xff", b"\x08"]),
    )

    def check(case):
        changes, others = case
        content = good
        for place, offset, new in changes:
            at = place + offset
            content = content[:at] + new + content[at + len(new) :]
        (folder / "encoder.ckpt").write_bytes(edited(content, others))
        load(folder, outcomes)

    drawn = st.tuples(
        st.lists(fields, max_size=3), st.just([]) | edits(len(good))
    )
    record_property("cases", try_all(drawn, 1000, check))
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 1


# .safetensors --------------------------------------------------------------

SIZES = st.one_of(
    st.sampled_from([0, 1, 8, 16, 128, 512, -1, 2**31, 2**63, 2**64, 1.5]),
    st.sampled_from([None, "8", True, [], {}]),
)
ENTRIES = st.one_of(
    st.just({"dtype": "F32", "shape": [8, 1, 16], "data_offsets": [0, 512]}),
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(
                [
                    "F32",
                    "F32",
                    "F16",
                    "BF16",
                    "I64",
                    "BOOL",
                    "F8_E5M2",
                    "C64",
                    1,
                ]
            ),
            "shape": st.lists(SIZES, max_size=4) | st.just([8, 1, 16]),
            "data_offsets": st.lists(SIZES, max_size=3) | st.just([0, 512]),
        }
    ),
    TEXTS,
)
NAMES = st.sampled_from(["conv1d.weight", "conv1d.weight", "__metadata__", "b"])


@st.composite
def safetensors(draw):
    """Draw a file with another header."""
    header = draw(st.dictionaries(NAMES | TEXTS, ENTRIES, max_size=3))
    content = json.dumps(header).encode()
    content = edited(content, draw(st.just([]) | edits(len(content))))
    size = draw(st.just(len(content)) | st.integers(0, 2**64 - 1))
    data = bytes(draw(st.sampled_from([512, 512, 0, 511, 1024])))
    return struct.pack("<Q", size) + content + data


def test_safetensors(folder, record_property):
    outcomes = {"loaded": 0, "refused": 0}

    def check(content):
        (folder / "encoder.safetensors").write_bytes(content)
        load(folder, outcomes)

    record_property("cases", try_all(safetensors(), 1500, check))
    record_property("outcomes", outcomes)
    assert min(outcomes.values()) > 1
