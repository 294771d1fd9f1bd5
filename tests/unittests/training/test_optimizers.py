import pytest
import torch
from torch import nn

from speechbrain_ext.training import MuonWithAdam, optimizers
from speechbrain_ext.training.optimizers import MuonInFloat32


def make_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(24, 8), nn.Linear(8, 8)
    )


def take_steps(network, optimizer, number):
    for step in range(number):
        generator = torch.Generator().manual_seed(step)
        batch = torch.randn(64, 2, 8, generator=generator)
        network(batch).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_matrices_get_an_orthogonal_update_others_that_of_adam():
    ours, adams = make_network(), make_network()
    take_steps(ours, MuonWithAdam(ours.parameters(), lr=0.01), 1)
    take_steps(adams, torch.optim.Adam(adams.parameters(), lr=0.01), 1)
    start = dict(make_network().named_parameters())
    theirs = dict(adams.named_parameters())
    for name, parameter in ours.named_parameters():
        if parameter.ndim != 2:
            assert torch.equal(parameter, theirs[name]), name
            continue
        update = (parameter - start[name]) / 0.01
        singular = torch.linalg.svdvals(update)
        scale = 0.2 * max(parameter.shape) ** 0.5
        # Newton-Schulz brings most singular values near 1, none far above
        assert (singular > 0.3 * scale).float().mean() > 0.8, name
        assert (singular < 1.5 * scale).all(), name


def test_the_learning_rate_of_a_group_is_obeyed():
    network = make_network()
    optimizer = MuonWithAdam(network.parameters(), lr=0.01)
    before = [p.detach().clone() for p in network.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    take_steps(network, optimizer, 3)
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.equal(old, new)


def test_it_goes_on_from_a_checkpoint_as_if_never_stopped(tmp_path):
    straight = make_network()
    take_steps(straight, MuonWithAdam(straight.parameters(), lr=0.01), 3)
    first = make_network()
    optimizer = MuonWithAdam(first.parameters(), lr=0.01)
    take_steps(first, optimizer, 2)
    state = {"network": first.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, tmp_path / "state.pt")

    state = torch.load(tmp_path / "state.pt", weights_only=True)
    second = make_network(seed=1)
    second.load_state_dict(state["network"])
    optimizer = MuonWithAdam(second.parameters(), lr=0.5)
    optimizer.load_state_dict(state["optimizer"])
    batch = torch.randn(64, 2, 8, generator=torch.Generator().manual_seed(2))
    second(batch).square().sum().backward()
    optimizer.step()
    for old, new in zip(
        straight.parameters(), second.parameters(), strict=True
    ):
        assert torch.equal(old, new)


def test_a_network_of_one_kind_of_parameters_is_served():
    for network in (nn.Linear(3, 2, bias=False), nn.Conv1d(2, 2, 3)):
        optimizer = MuonWithAdam(network.parameters())
        before = network.weight.detach().clone()
        network(torch.ones(1, 2, 3)).sum().backward()
        optimizer.step()
        assert not torch.equal(before, network.weight)


def test_no_parameters_are_refused():
    with pytest.raises(ValueError, match="empty parameter list"):
        MuonWithAdam([])


@pytest.mark.parametrize(
    "shape", [(8, 24), (24, 8), (8, 8)], ids=["wide", "tall", "square"]
)
def test_float32_does_what_pytorchs_muon_does_in_bfloat16(shape):
    torch.manual_seed(0)
    gradients = torch.randn(3, *shape)
    options = {"lr": 0.01, "weight_decay": 0.1, "momentum": 0.9}
    options["adjust_lr_fn"] = "match_rms_adamw"
    start = torch.randn(shape)
    found = []
    for kind in (MuonInFloat32, torch.optim.Muon):
        weight = nn.Parameter(start.clone())
        optimizer = kind([weight], **options)
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimizer.step()
        found.append((weight.detach() - start, optimizer.state_dict()))
    (ours, state), (theirs, their_state) = found
    # the smallest singular values feel the rounding to 8 bits most
    assert torch.linalg.norm(ours - theirs) < 0.1 * torch.linalg.norm(theirs)
    buffers = [s["state"][0]["momentum_buffer"] for s in (state, their_state)]
    assert torch.equal(*buffers)
    assert state["param_groups"] == their_state["param_groups"]


@pytest.mark.parametrize("fast", [True, False], ids=["bfloat16", "float32"])
def test_no_bfloat16_where_it_is_slow(monkeypatch, fast):
    monkeypatch.setattr(optimizers, "is_bfloat16_fast", lambda device: fast)
    network = make_network()
    take_steps(network, MuonWithAdam(network.parameters(), lr=0.01), 1)
    kinds = {type(part) for part in MuonWithAdam(network.parameters())._parts}
    assert kinds == {
        torch.optim.Muon if fast else MuonInFloat32,
        torch.optim.Adam,
    }
