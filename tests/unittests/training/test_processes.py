import pytest
import torch
from speechbrain.utils import distributed

from speechbrain_ext.training import run_on_main


@pytest.fixture
def group(tmp_path):
    """A group of this process alone."""
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{tmp_path}/store",
        rank=0,
        world_size=1,
    )
    yield
    torch.distributed.destroy_process_group()


def fail(text, *, kind):
    raise kind(text)


@pytest.mark.parametrize("kind", [ValueError, OSError, KeyError])
def test_the_main_process_raises_what_happened(group, monkeypatch, kind):
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(kind, match="data_folder"):
        run_on_main(fail, ["data_folder"], {"kind": kind})
    assert run_on_main(max, [2, 3]) == 3


def test_the_others_raise_the_same_text(group, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    # what the main process sends
    sent = (None, "data_folder: there is no folder x")
    monkeypatch.setattr(distributed, "ddp_broadcast", lambda result: sent)
    with pytest.raises(RuntimeError, match="data_folder: there is no folder x"):
        run_on_main(fail, ["was run"], {"kind": AssertionError})


def test_without_others_it_is_a_call():
    with pytest.raises(ValueError, match="x"):
        run_on_main(fail, ["x"], {"kind": ValueError})
