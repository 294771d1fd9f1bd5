import pytest
import torch
from tolerances import tolerance

from speechbrain_ext.models import MixtureConsistency, mixture_consistency

# of five signals, samples of which are as large as 4
ROUNDING = 4 * tolerance(terms=5)


def signals(*, batch=3, sources=4, samples=100, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    estimates = torch.randn(batch, sources, samples, generator=generator)
    mixture = torch.randn(batch, samples, generator=generator)
    return {"estimates": estimates.to(dtype), "mixture": mixture.to(dtype)}


def test_uniform_shares_are_the_nearest_estimates():
    given = signals(dtype=torch.float64)
    estimates = mixture_consistency(**given)
    # The projection on a sum of x: e + 1^+ (x - 1 e), by the pseudo-inverse.
    ones = torch.ones(1, 4, dtype=torch.float64)
    missing = given["mixture"].unsqueeze(1) - ones @ given["estimates"]
    expected = given["estimates"] + ones.pinverse() @ missing
    torch.testing.assert_close(estimates, expected)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shape", [None, (4,), "each"])
def test_estimates_sum_to_the_mixture(shape, batch):
    given = signals(batch=batch)
    weights = None
    if shape is not None:
        shape = (batch, 4) if shape == "each" else shape
        weights = torch.rand(shape).softmax(dim=-1)
    estimates = mixture_consistency(**given, weights=weights)
    torch.testing.assert_close(
        estimates.sum(dim=1), given["mixture"], rtol=0, atol=ROUNDING
    )
    if weights is not None:
        missing = given["mixture"] - given["estimates"].sum(dim=1)
        expected = weights.expand(batch, 4)[:, 2, None] * missing
        change = estimates[:, 2] - given["estimates"][:, 2]
        torch.testing.assert_close(change, expected, rtol=0, atol=ROUNDING)


def test_consistent_estimates_stay_as_they_are():
    given = signals(dtype=torch.float64)
    given["mixture"] = given["estimates"].sum(dim=1)
    weights = torch.tensor([0.7, 0.1, 0.1, 0.1], dtype=torch.float64)
    estimates = mixture_consistency(**given, weights=weights)
    torch.testing.assert_close(estimates, given["estimates"])


def test_one_source_is_the_mixture():
    given = signals(sources=1)
    estimates = mixture_consistency(**given)
    torch.testing.assert_close(estimates[:, 0], given["mixture"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    given = signals(sources=3, dtype=dtype)
    module = MixtureConsistency(3).to(dtype)
    torch.nn.init.normal_(module.scores)
    before = {name: x.clone() for name, x in given.items()}
    for learnt in (None, module):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if learnt is None:
                estimates = mixture_consistency(**given)
            else:
                estimates = learnt(given["estimates"], given["mixture"])
        assert estimates.dtype == torch.float32
        torch.testing.assert_close(
            estimates.sum(dim=1),
            given["mixture"].float(),
            rtol=0,
            atol=ROUNDING,
        )
    assert all(torch.equal(given[name], before[name]) for name in given)


def test_the_module_starts_with_equal_shares_and_learns_them():
    given = signals()
    module = MixtureConsistency(4)
    torch.testing.assert_close(module(**given), mixture_consistency(**given))
    # What is missing is wanted from the second output alone.
    target = given["estimates"].clone()
    missing = given["mixture"] - target.sum(dim=1)
    target[:, 1] += missing
    optimizer = torch.optim.Adam(module.parameters(), lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        (module(**given) - target).square().mean().backward()
        optimizer.step()
    assert module.scores.softmax(dim=-1)[1] > 0.95
    torch.testing.assert_close(
        module(**given).sum(dim=1), given["mixture"], rtol=0, atol=ROUNDING
    )


def test_there_may_be_nothing_to_learn():
    given = signals()
    module = MixtureConsistency(4, learned=False)
    assert not module.state_dict() and not list(module.parameters())
    assert torch.equal(module(**given), mixture_consistency(**given))


def test_gradients_in_float64():
    given = signals(batch=2, sources=3, samples=5, dtype=torch.float64)
    weights = torch.rand(2, 3, dtype=torch.float64)
    inputs = [x.requires_grad_() for x in (*given.values(), weights)]
    assert torch.autograd.gradcheck(
        lambda e, x, w: mixture_consistency(estimates=e, mixture=x, weights=w),
        inputs,
    )


@pytest.mark.parametrize(
    "shapes", [((2, 3, 9), (2, 8)), ((2, 3, 9), (3, 9)), ((3, 9), (9,))]
)
def test_shapes_that_do_not_fit_are_named(shapes):
    estimates, mixture = (torch.zeros(shape) for shape in shapes)
    named = r"estimates \(.*9\) and mixture \(.*\) must be \(batch, sources"
    with pytest.raises(ValueError, match=named):
        mixture_consistency(estimates=estimates, mixture=mixture)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (3, 4, 1), ()])
def test_weights_that_do_not_fit_are_named(shape):
    named = r"weights \(.*\) must be \(4,\) \(one for .* or \(3, 4\)"
    with pytest.raises(ValueError, match=named):
        mixture_consistency(**signals(), weights=torch.ones(shape))
    with pytest.raises(ValueError, match=r"weights \(5,\) must be \(4,\)"):
        MixtureConsistency(5)(**signals())
