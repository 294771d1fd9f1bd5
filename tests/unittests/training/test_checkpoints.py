import pytest
import torch

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
