import errno
import os
import signal

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.console import describe_error
from speechbrain_ext.training import AtomicCheckpointer


class Killed(BaseException):
    pass


def make(folder, value):
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, value)
    return layer, AtomicCheckpointer(folder, {"layer": layer})


def test_a_save_that_was_cut_off_is_no_checkpoint(tmp_path):
    _, checkpointer = make(tmp_path, 1.0)
    checkpointer.save_checkpoint()
    layer, checkpointer = make(tmp_path, 2.0)

    def cut_off(obj, path):
        path.write_bytes(b"half")
        raise Killed

    checkpointer.custom_save_hooks["layer"] = cut_off
    with pytest.raises(Killed):
        checkpointer.save_checkpoint()
    assert len(list(tmp_path.iterdir())) == 2

    layer, checkpointer = make(tmp_path, 3.0)
    checkpointer.recover_if_possible()
    assert layer.weight.item() == 1.0
    # the rest of it is cleared away by the next save
    checkpointer.save_checkpoint()
    assert len(list(tmp_path.iterdir())) == 2
    assert len(checkpointer.list_checkpoints()) == 2


def test_meta_and_selection_are_those_of_speechbrain(tmp_path):
    _, checkpointer = make(tmp_path, 0.0)
    for objective in (3.0, 1.0, 2.0):
        checkpointer.save_and_keep_only(
            meta={"objective": objective}, min_keys=["objective"]
        )
    kept = {c.meta["objective"] for c in checkpointer.list_checkpoints()}
    assert kept == {1.0, 2.0}
    best = checkpointer.find_checkpoint(min_key="objective")
    assert best.meta["objective"] == 1.0


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("PytorchStreamWriter failed writing file data/0"),
    ],
    ids=["system", "torch"],
)
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, error):
    _, checkpointer = make(tmp_path, 1.0)
    checkpointer.save_checkpoint()
    before = list(tmp_path.iterdir())
    _, checkpointer = make(tmp_path, 2.0)

    def fail(obj, path):
        path.write_bytes(b"half")
        raise error

    checkpointer.custom_save_hooks["layer"] = fail
    with pytest.raises(OSError) as raised:
        checkpointer.save_checkpoint()
    assert list(tmp_path.iterdir()) == before
    told = describe_error(raised.value)
    assert str(tmp_path) in told and "Free some space" in told


def test_a_limit_of_the_system_is_told(tmp_path):
    resource = pytest.importorskip("resource")
    layer = torch.nn.Linear(200, 200)
    checkpointer = AtomicCheckpointer(tmp_path, {"layer": layer})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match="a checkpoint could not be written"):
            checkpointer.save_checkpoint()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(tmp_path.iterdir())


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def change_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = [
    ("layer.ckpt", cut),
    ("layer.ckpt", change_a_bit),
    ("layer.ckpt", os.remove),
    ("layer.ckpt", lambda path: path.write_bytes(b"")),
    ("CKPT.yaml", lambda path: path.write_bytes(b"")),
    ("CKPT.yaml", lambda path: path.write_text("unixtime: [")),
    ("checksums.txt", lambda path: path.write_bytes(b"\xff\xfe")),
    ("checksums.txt", cut),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
@pytest.mark.parametrize("keys", [{}, {"min_key": "objective"}])
def test_a_damaged_checkpoint_gives_way(tmp_path, caplog, name, damage, keys):
    saved = []
    for value in (1.0, 2.0):
        _, checkpointer = make(tmp_path, value)
        saved.append(
            checkpointer.save_checkpoint(meta={"objective": -value}).path
        )
    damage(saved[1] / name)
    layer, checkpointer = make(tmp_path, 3.0)
    assert checkpointer.recover_if_possible(**keys).path == saved[0]
    assert layer.weight.item() == 1.0
    assert f"{saved[1]}: " in caplog.text and "is damaged" in caplog.text
    # it is kept, and no longer in the way
    assert saved[1].with_name(f"damaged_{saved[1].name}").is_dir()
    caplog.clear()
    checkpointer.recover_if_possible(**keys)
    assert "is damaged" not in caplog.text

    damage(saved[0] / name)
    # and again: the same command does not begin anew
    for _ in range(2):
        with pytest.raises(ValueError, match="whole; .*damaged") as raised:
            checkpointer.recover_if_possible(**keys)
        assert f"damaged_{saved[0].name}" in str(raised.value)


def test_a_checkpoint_of_speechbrain_is_taken(tmp_path):
    layer, _ = make(tmp_path, 1.0)
    saved = Checkpointer(tmp_path, {"layer": layer}).save_checkpoint()
    layer, checkpointer = make(tmp_path, 2.0)
    assert checkpointer.recover_if_possible().path == saved.path
    assert layer.weight.item() == 1.0
