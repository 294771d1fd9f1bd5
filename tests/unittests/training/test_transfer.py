"""Weights of another model, save for parts that are left out."""

import pytest
import torch
from torch import nn

from speechbrain_ext.training.transfer import load_weights, matching


def make(outputs, seed):
    torch.manual_seed(seed)
    return nn.ModuleDict(
        {"encoder": nn.Linear(4, 3), "decoder": nn.Linear(3, outputs)}
    )


@pytest.fixture
def path(tmp_path):
    torch.save(make(2, 0).state_dict(), tmp_path / "separator.ckpt")
    return tmp_path / "separator.ckpt"


def test_all_weights_are_taken(path):
    module = make(2, 1)
    load_weights(module, path)
    for name, value in make(2, 0).state_dict().items():
        assert torch.equal(module.state_dict()[name], value)


def test_what_is_left_out_keeps_its_own_values_and_shapes(path):
    module, before = make(5, 1), make(5, 1).state_dict()
    load_weights(module, path, without=["decoder.*"])
    after, theirs = module.state_dict(), make(2, 0).state_dict()
    for name in ("encoder.weight", "encoder.bias"):
        assert torch.equal(after[name], theirs[name])
    for name in ("decoder.weight", "decoder.bias"):
        assert torch.equal(after[name], before[name])


def test_a_part_of_the_other_model_alone_can_be_left_out(path):
    module = nn.ModuleDict({"encoder": nn.Linear(4, 3)})
    load_weights(module, path, without=["decoder.*"])
    theirs = make(2, 0)["encoder"].weight
    assert torch.equal(module["encoder"].weight, theirs)


def test_what_does_not_fit_is_refused(path):
    with pytest.raises(RuntimeError, match="decoder.bias"):
        load_weights(make(5, 1), path, without=["decoder.weight"])


def test_a_pattern_without_a_match_is_told_with_the_names():
    with pytest.raises(ValueError, match="'heads.*'.* begin with deco, enco"):
        matching(["enco.weight", "deco.weight", "deco.bias"], ["heads.*"])
