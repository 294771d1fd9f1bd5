"""The lean dual-path network against SpeechBrain's, with the same weights."""

import copy

import pytest
import torch
from speechbrain.inference.separation import SepformerSeparation
from speechbrain.lobes.models.dual_path import (
    Dual_Path_Model,
    SBRNNBlock,
    SBTransformerBlock,
)

from speechbrain_ext.models import SepFormer
from speechbrain_ext.models.lean_dual_path import LeanDualPath, find_obstacle


def transformer(**options):
    arguments = {
        "num_layers": 2,
        "d_model": 16,
        "nhead": 4,
        "d_ffn": 32,
        "dropout": 0.0,
        "use_positional_encoding": True,
        "norm_before": True,
        **options,
    }
    return SBTransformerBlock(**arguments)


def speechbrains(intra=None, inter=None, **options):
    """Give SpeechBrain's network, every parameter off its initial value."""
    arguments = {
        "num_layers": 2,
        "K": 20,
        "linear_layer_after_inter_intra": False,
        **options,
    }
    masknet = Dual_Path_Model(
        16, 16, intra or transformer(), inter or transformer(), **arguments
    )
    with torch.no_grad():
        for parameter in masknet.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return masknet


def assert_same(masknet, features):
    """Compare outputs and gradients of both ways, in double precision."""
    masknet, features = masknet.double(), features.double()
    lean = LeanDualPath.adopt(masknet)
    assert type(lean) is LeanDualPath
    results = []
    for network in (masknet, lean):
        leaf = features.clone().requires_grad_()
        masknet.zero_grad()
        masks = network(leaf)
        slope = torch.linspace(-1, 1, masks.numel()).view(masks.shape)
        (masks * slope).sum().backward()
        gradients = [parameter.grad for parameter in masknet.parameters()]
        results.append([masks, leaf.grad, *map(torch.clone, gradients)])
    for theirs, ours in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs)


# SpeechBrain adds zeros by the remainder of the chunk of 20: 10 is the case
# with a whole chunk of them
@pytest.mark.parametrize("frames", [1, 9, 10, 11, 20, 21, 130])
def test_any_number_of_frames(frames):
    assert_same(speechbrains(), torch.randn(3, 16, frames))


@pytest.mark.parametrize(
    "options",
    [
        {"num_spks": 1},
        {"num_spks": 3},
        {"skip_around_intra": False},
        {"K": 2},
        {"intra": transformer(activation="gelu")},
        {"inter": transformer(use_positional_encoding=False)},
    ],
    ids=["one_source", "three", "no_skip", "chunk_of_2", "gelu", "no_code"],
)
def test_other_arguments(options):
    assert_same(speechbrains(**options), torch.randn(2, 16, 57))


def test_checkpointing_changes_no_gradient():
    lean = LeanDualPath.adopt(speechbrains())
    features = torch.randn(2, 16, 57)
    gradients = []
    for lean.checkpointing in (False, True):
        lean.zero_grad()
        lean(features).square().sum().backward()
        gradients.append([p.grad.clone() for p in lean.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)


def test_checkpointing_keeps_less_for_the_gradient():
    features, kept = torch.randn(2, 16, 200), {}

    def count(tensor):
        total[0] += tensor.numel()
        return tensor

    lean = LeanDualPath.adopt(speechbrains())
    for lean.checkpointing in (False, True):
        total = [0]
        with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
            lean(features)
        kept[lean.checkpointing] = total[0]
    assert kept[True] < 0.5 * kept[False]


@pytest.mark.slow
def test_half_precision_is_no_farther_from_float32():
    masknet = speechbrains()
    features = torch.randn(4, 16, 300)
    exact = masknet(features).detach()
    errors = []
    for network in (masknet, LeanDualPath.adopt(masknet)):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            errors.append((network(features) - exact).square().mean().sqrt())
    # one draw of rounding errors differs from another by a few percent
    assert errors[1] < 1.1 * errors[0]


def test_half_precision_trains():
    lean = LeanDualPath.adopt(speechbrains())
    with torch.autocast("cpu", torch.bfloat16):
        loss = lean(torch.randn(2, 16, 57)).square().mean()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in lean.parameters())


def test_dropout_drops_in_training_alone():
    masknet = speechbrains(intra=transformer(dropout=0.3))
    lean, features = LeanDualPath.adopt(masknet), torch.randn(2, 16, 57)
    assert not torch.equal(lean(features), lean(features))
    lean.eval()
    assert torch.equal(lean(features), lean(features))
    torch.testing.assert_close(lean(features), masknet(features))


def test_the_input_stays_as_it_was():
    features = torch.randn(2, 16, 57)
    before = features.clone()
    with torch.no_grad():
        LeanDualPath.adopt(speechbrains())(features)
    assert torch.equal(features, before)


@pytest.mark.slow  # torch imports its compiler
def test_compiles_without_a_break():
    lean = LeanDualPath.adopt(speechbrains()).eval()
    features = torch.randn(1, 16, 57)
    with torch.no_grad():
        compiled = torch.compile(lean, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(features), lean(features))


def test_parameters_are_shared_with_the_adopted():
    masknet = speechbrains()
    lean = LeanDualPath.adopt(masknet)
    assert lean.state_dict().keys() == masknet.state_dict().keys()
    with torch.no_grad():
        masknet.conv1d.weight.zero_()
    assert not lean.conv1d.weight.any()


def rnn():
    return SBRNNBlock(16, 8, 1, bidirectional=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"intra": rnn(), "linear_layer_after_inter_intra": True},
        {"norm": "gln"},
        {"use_global_pos_enc": True},
        {"linear_layer_after_inter_intra": True},
        {"inter": transformer(norm_before=False)},
        {"inter": transformer(attention_type="RelPosMHAXL")},
    ],
    ids="rnn gln global_code linear norm_after relative".split(),
)
def test_what_it_cannot_compute_is_left_alone(options):
    masknet = speechbrains(**options)
    assert find_obstacle(masknet)
    assert LeanDualPath.adopt(masknet) is masknet


def test_a_wrong_part_is_an_error():
    with pytest.raises(ValueError, match="intra_model=SBRNNBlock"):
        LeanDualPath(16, 16, rnn(), transformer())


def test_a_whole_sepformer_equals_speechbrains_interface():
    separator = SepFormer(
        channels=16, blocks=2, intra_layers=1, inter_layers=1, heads=4,
        feedforward=32, chunk=20,
    ).eval()  # fmt: skip
    masknet = copy.deepcopy(separator.masknet)
    masknet.__class__ = Dual_Path_Model
    modules = {
        "encoder": separator.encoder,
        "masknet": masknet,
        "decoder": separator.decoder,
    }
    mixture = torch.randn(2, 16 + 8 * 60)
    interface = SepformerSeparation(modules=modules, hparams={"num_spks": 2})
    expected = interface.separate_batch(mixture).transpose(1, 2)
    with torch.no_grad():
        estimates = separator(mixture)
    torch.testing.assert_close(estimates, expected, atol=1e-5, rtol=0.0)
