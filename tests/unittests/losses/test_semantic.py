import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from speechbrain_ext.losses import semantic


def given(*, batch=3, sources=4, classes=5, level=2.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shape = batch, sources, classes
    logits = level * torch.randn(shape, generator=generator).to(dtype)
    labels = torch.rand(batch, 2, classes, generator=generator) > 0.5
    second = torch.rand(batch, sources, generator=generator) > 0.5
    if sources > 1:  # no mixture is without an output
        second[:, 0] = ~second[:, -1]
    assignment = torch.stack((~second, second), dim=1).to(dtype)
    return {
        "logits": logits,
        "labels": labels.to(dtype),
        "assignment": assignment,
    }


def test_noisy_or_of_the_outputs_of_each_mixture():
    signals = given(dtype=torch.float64)
    for b, value in enumerate(semantic(**signals)):
        total = 0.0
        for n, c in itertools.product(range(2), range(5)):
            absent = 1.0
            for m in range(4):
                if signals["assignment"][b, n, m]:
                    absent *= 1 - signals["logits"][b, m, c].sigmoid().item()
            label = signals["labels"][b, n, c]
            total -= math.log(1 - absent if label else absent)
        assert value.item() == pytest.approx(total / 10)


@pytest.mark.parametrize("level", [1.0, 30.0])
def test_one_output_has_the_ordinary_cross_entropy(level):
    signals = given(sources=2, classes=50, level=level)
    order = signals["assignment"].argmax(dim=-1)
    logits = signals["logits"].requires_grad_()
    matched = logits.gather(1, order.unsqueeze(-1).expand(-1, -1, 50))
    expected = F.binary_cross_entropy_with_logits(
        matched, signals["labels"], reduction="none"
    ).mean(dim=(1, 2))
    value = semantic(**signals)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    gradient, oracle = (
        torch.autograd.grad(x.sum(), logits)[0] for x in (value, expected)
    )
    torch.testing.assert_close(gradient, oracle, rtol=1e-4, atol=1e-6)


def test_labels_between_0_and_1_are_allowed():
    signals = given(sources=2)
    signals["labels"] = 0.3 * signals["labels"] + 0.2
    order = signals["assignment"].argmax(dim=-1, keepdim=True)
    matched = signals["logits"].gather(1, order.expand(-1, -1, 5))
    expected = F.binary_cross_entropy_with_logits(
        matched, signals["labels"], reduction="none"
    ).mean(dim=(1, 2))
    torch.testing.assert_close(semantic(**signals), expected)


@pytest.mark.parametrize("silent", [-30.0, -1e4, -math.inf])
def test_an_assigned_output_may_be_silent(silent):
    signals = given(sources=4)
    value = semantic(**signals)
    quiet = torch.full((3, 2, 5), silent)
    signals["logits"] = torch.cat((signals["logits"], quiet), dim=1)
    signals["logits"].requires_grad_()
    extra = torch.eye(2).expand(3, 2, 2)
    signals["assignment"] = torch.cat((signals["assignment"], extra), dim=-1)
    again = semantic(**signals)
    torch.testing.assert_close(again, value)
    again.sum().backward()
    gradient = signals["logits"].grad
    assert gradient.isfinite().all()
    torch.testing.assert_close(gradient[:, 4:], torch.zeros(3, 2, 5))


@pytest.mark.parametrize("logit", [-10.0, -16.9, -17.1, -50.0, -200.0, -6e4])
def test_a_missing_class_is_asked_for_however_unlikely(logit):
    logits = torch.full((1, 2, 1), logit, requires_grad=True)
    value = semantic(
        logits=logits,
        labels=torch.ones(1, 2, 1),
        assignment=torch.eye(2).unsqueeze(0),
    )
    assert value.item() == pytest.approx(-logit, rel=1e-5)
    value.sum().backward()
    # -1 each, over two mixtures
    expected = torch.full((1, 2, 1), -0.5)
    torch.testing.assert_close(logits.grad, expected, rtol=0, atol=1e-4)


def test_who_holds_a_class_most_is_asked_for_it():
    logits = torch.tensor([[[-4.0], [-8.0], [-30.0], [0.0]]])
    logits.requires_grad_()
    assignment = torch.tensor([[[1.0, 1, 1, 0], [0, 0, 0, 1]]])
    for label in (1.0, 0.0):
        labels = torch.tensor([[[label], [0.0]]])
        value = semantic(logits=logits, labels=labels, assignment=assignment)
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        share = logits.sigmoid()[0, :3, 0]
        if label:
            share = -share / share.sum()
            torch.testing.assert_close(
                2 * gradient[0, :3, 0], share, rtol=0.02, atol=1e-6
            )
        else:
            torch.testing.assert_close(2 * gradient[0, :3, 0], share)


def test_a_mixture_without_outputs_holds_nothing():
    signals = given(batch=1, sources=1)
    signals["logits"].requires_grad_()
    first = torch.tensor([[[1.0], [0.0]]])
    labels = torch.tensor([[[1.0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]])
    value = semantic(logits=signals["logits"], labels=labels, assignment=first)
    alone = F.binary_cross_entropy_with_logits(
        signals["logits"][:, 0], labels[:, 0], reduction="sum"
    )
    assert value.item() == pytest.approx((alone.item() + 2 * 10) / 10)
    value.backward()
    assert signals["logits"].grad.isfinite().all()
    assert signals["logits"].grad.any()


@pytest.mark.parametrize("level", [50.0, 1e4])
def test_extreme_logits_stay_finite(level):
    signals = given(level=level)
    signals["logits"].requires_grad_()
    value = semantic(**signals)
    value.sum().backward()
    assert value.isfinite().all() and (value >= 0).all()
    assert signals["logits"].grad.isfinite().all()


@pytest.mark.parametrize("level", [0.5, 3.0, 20.0])
def test_gradients_in_float64(level):
    signals = given(level=level, dtype=torch.float64)
    logits = signals.pop("logits").requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: semantic(logits=x, **signals), logits
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    signals = given(level=20.0)
    signals["logits"] = signals["logits"].to(dtype).requires_grad_()
    signals["labels"] = signals["labels"].long()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = semantic(**signals)
    exact = semantic(**{name: x.double() for name, x in signals.items()})
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-6)
    value.sum().backward()
    assert signals["logits"].grad.isfinite().all()


def test_inputs_are_left_alone_and_nothing_waits(operators):
    signals = given()
    before = {name: x.clone() for name, x in signals.items()}
    signals["logits"].requires_grad_()
    with operators() as log:
        semantic(**signals).sum().backward()
    assert all(torch.equal(signals[name], before[name]) for name in signals)
    assert log.names and not log.synchronizing


@pytest.mark.parametrize("wrong", ["logits", "labels", "assignment"])
def test_shapes_that_do_not_fit_are_named(wrong):
    signals = given()
    signals[wrong] = signals[wrong][:, :1, :2]
    named = r"logits \(3, \d, \d\), labels .* must be \(batch, sources, class"
    with pytest.raises(ValueError, match=named):
        semantic(**signals)
    signals[wrong] = signals[wrong][0]
    with pytest.raises(ValueError, match="must be"):
        semantic(**signals)
