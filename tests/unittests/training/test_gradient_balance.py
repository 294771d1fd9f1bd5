"""Weights from gradient norms."""

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.training import GradientBalance


def measure(balance, leading=10.0, first=2.0, second=0.5):
    at = torch.tensor([3.0, 4.0], requires_grad=True)
    balance.measure(
        at=at,
        leading=leading * at[0],
        terms={"first": first * at[1], "second": second * at[0]},
    )


def test_terms_get_their_share_of_the_leading_gradient():
    balance = GradientBalance({"first": 0.2, "second": 0.1, "off": 0.0})
    measure(balance)
    weights = balance.weights()
    assert weights == pytest.approx({"first": 1.0, "second": 2.0})
    measure(balance, leading=20.0)  # the mean over the steps
    assert balance.weights()["first"] == pytest.approx(0.2 * 15 / 2)


def test_after_its_steps_it_stays():
    balance = GradientBalance({"first": 0.2}, steps=2)
    measure(balance), measure(balance)
    assert balance.finished
    weights = balance.weights()
    measure(balance, first=99.0)
    assert balance.weights() == weights


def test_it_leaves_gradients_alone():
    balance = GradientBalance({"first": 0.2})
    at = torch.tensor([1.0], requires_grad=True)
    term = at.square().sum()
    balance.measure(at=at, leading=at.sum(), terms={"first": term})
    assert at.grad is None
    term.backward()  # the graph is still there
    assert at.grad.item() == 2.0


def test_a_term_without_gradient_has_no_weight():
    balance = GradientBalance({"first": 0.2})
    at = torch.tensor([1.0], requires_grad=True)
    balance.measure(at=at, leading=at.sum(), terms={"first": torch.tensor(1.0)})
    assert balance.weights() == {"first": 0.0}


def test_what_is_not_finite_does_not_count():
    balance = GradientBalance({"first": 0.2})
    measure(balance, leading=float("inf"))
    assert balance.measured == 0
    measure(balance)
    assert balance.weights()["first"] == pytest.approx(1.0)


def test_a_checkpoint_keeps_it(tmp_path):
    balance, again = (GradientBalance({"first": 0.3}) for _ in range(2))
    measure(balance)
    Checkpointer(tmp_path, {"balance": balance}).save_checkpoint()
    Checkpointer(tmp_path, {"balance": again}).recover_if_possible()
    assert again.weights() == balance.weights()
    assert again.measured == 1


def test_wrong_arguments():
    with pytest.raises(ValueError, match="steps is 0"):
        GradientBalance({}, steps=0)
    with pytest.raises(ValueError, match="not below 0"):
        GradientBalance({"first": -0.1})
