"""CBPC, InfoNCE and the tokens' cross-entropy against what they are."""

import math

import pytest
import torch

from speechbrain_ext.losses import cbpc, info_nce, token_cross_entropy


def draw(anchors=12, candidates=20, clusters=4, size=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "anchors": torch.randn(anchors, size, generator=generator),
        "candidates": torch.randn(candidates, size, generator=generator),
        "anchor_labels": torch.randint(
            clusters, (anchors,), generator=generator
        ),
        "candidate_labels": torch.randint(
            clusters, (candidates,), generator=generator
        ),
    }


def naive(anchors, candidates, anchor_labels, candidate_labels, own, tau=0.1):
    """The equation, one pair after the other, in float64."""
    values = []
    for i, label in enumerate(anchor_labels.tolist()):
        z = anchors[i].double() / anchors[i].double().norm()
        exponents, positives = [], []
        for c, other in enumerate(candidate_labels.tolist()):
            if own is not None and own[i] == c:
                continue
            y = candidates[c].double() / candidates[c].double().norm()
            exponents.append(math.exp(float(z @ y) / tau))
            if other == label:
                positives.append(exponents[-1])
        if positives:
            total = sum(exponents)
            logs = [-math.log(p / total) for p in positives]
            values.append(sum(logs) / len(logs))
    return sum(values) / max(1, len(values)), len(values)


@pytest.mark.parametrize("with_own", (False, True))
@pytest.mark.parametrize("clusters", (1, 4, 30))
def test_it_is_the_equation(with_own, clusters):
    values = draw(clusters=clusters)
    own = None
    if with_own:
        own = torch.arange(12)
        own[3] = -1
        values["candidates"][:12] = values["anchors"]
        values["candidate_labels"][:12] = values["anchor_labels"]
    expected, number = naive(**values, own=own)
    loss, used = cbpc(**values, own=own)
    assert used == number
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_with_unique_labels_and_twins_it_is_info_nce():
    values = draw(anchors=10, candidates=10)
    labels = torch.randperm(10)
    loss, used = cbpc(
        anchors=values["anchors"],
        candidates=values["candidates"],
        anchor_labels=labels,
        candidate_labels=labels,
    )
    expected = info_nce(
        anchors=values["anchors"], positives=values["candidates"]
    )
    assert used == 10
    torch.testing.assert_close(loss, expected)


def test_equal_embeddings_give_the_logarithm_of_the_candidates():
    values = draw()
    values["anchors"][:] = values["candidates"][:] = torch.randn(6)
    values["candidate_labels"][:12] = values["anchor_labels"]
    loss, _ = cbpc(**values)
    assert loss.item() == pytest.approx(math.log(20), rel=1e-5)
    loss, _ = cbpc(**values, own=torch.arange(12))
    assert loss.item() == pytest.approx(math.log(19), rel=1e-5)


def test_labels_have_no_meaning():
    values = draw()
    names = torch.tensor([17, -4, 900, 3])
    renamed = {
        key: names[value] if "labels" in key else value
        for key, value in values.items()
    }
    assert cbpc(**values)[0] == cbpc(**renamed)[0]


def test_padding_changes_nothing():
    values = draw()
    expected, number = cbpc(**values, own=torch.arange(12))
    padded = {
        key: torch.cat((value, value[:5])) for key, value in values.items()
    }
    loss, used = cbpc(
        **padded,
        own=torch.cat((torch.arange(12), torch.arange(20, 25))),
        anchor_mask=torch.arange(17) < 12,
        candidate_mask=torch.arange(25) < 20,
    )
    assert used == number
    torch.testing.assert_close(loss, expected)
    anchors, positives = values["anchors"], values["candidates"][:12]
    torch.testing.assert_close(
        info_nce(
            anchors=torch.cat((anchors, anchors)),
            positives=torch.cat((positives, positives.flip(0))),
            mask=torch.arange(24) < 12,
        ),
        info_nce(anchors=anchors, positives=positives),
    )


def test_anchors_without_positives_are_left_out():
    values = draw()
    expected, number = cbpc(**values)
    values["anchors"] = torch.cat((values["anchors"], torch.randn(3, 6)))
    alone = torch.full((3,), 99)
    values["anchor_labels"] = torch.cat((values["anchor_labels"], alone))
    loss, used = cbpc(**values)
    assert used == number
    torch.testing.assert_close(loss, expected)
    values["anchor_labels"][:] = 99
    anchors = values["anchors"].requires_grad_()
    loss, used = cbpc(**values)
    loss.backward()
    assert (loss.item(), used.item()) == (0.0, 0)
    assert not anchors.grad.any()


def test_a_batch_is_its_items():
    items = [draw(seed=seed) for seed in range(3)]
    batch = {key: torch.stack([i[key] for i in items]) for key in items[0]}
    loss, used = cbpc(**batch)
    for place, item in enumerate(items):
        one, number = cbpc(**item)
        torch.testing.assert_close(loss[place], one)
        assert used[place] == number


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_half_precision_is_computed_in_float32(dtype):
    values = draw()
    for key in ("anchors", "candidates"):
        values[key] = (100 * values[key]).to(dtype)
    exact = {
        key: value.double() if value.is_floating_point() else value
        for key, value in values.items()
    }
    values["anchors"].requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = cbpc(**values, temperature=0.01)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        cbpc(**exact, temperature=0.01)[0].item(), rel=1e-4
    )
    assert values["anchors"].grad.isfinite().all()


def test_no_gradient_reaches_what_is_detached():
    values = draw()
    anchors = values["anchors"].requires_grad_()
    twins = values["candidates"].requires_grad_()
    cbpc(**{**values, "candidates": twins.detach()})[0].backward()
    assert anchors.grad.abs().sum() > 0
    assert twins.grad is None


def test_nearer_positives_cost_less():
    values = draw(anchors=8, candidates=8)
    values["candidate_labels"] = values["anchor_labels"]
    far = cbpc(**values)[0]
    directions = torch.eye(6)[values["anchor_labels"]]
    near = cbpc(**{**values, "anchors": directions, "candidates": directions})
    assert near[0] < far


@pytest.mark.parametrize(
    "change, message",
    [
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"anchor_labels": torch.zeros(3)}, "must be"),
        ({"candidates": torch.zeros(20, 7)}, "of one size"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        cbpc(**{**draw(), **change})
    with pytest.raises(ValueError, match="they are pairs"):
        info_nce(anchors=torch.zeros(3, 2), positives=torch.zeros(4, 2))


def test_cross_entropy_is_torchs_mean_over_frames_that_are_there():
    logits, labels = torch.randn(2, 5, 7), torch.randint(7, (2, 5))
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    expected = torch.nn.functional.cross_entropy(logits[mask], labels[mask])
    loss = token_cross_entropy(logits=logits, labels=labels, mask=mask)
    torch.testing.assert_close(loss, expected)
    none = token_cross_entropy(
        logits=logits.half(), labels=labels, mask=torch.zeros_like(mask)
    )
    assert none.item() == 0 and none.dtype == torch.float32
