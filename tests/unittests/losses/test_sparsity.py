import functools
import math

import pytest
import torch

from speechbrain_ext.losses import covariance, sparsity

PENALTIES = [
    sparsity,
    functools.partial(sparsity, form="norm"),
    covariance,
]
each_penalty = pytest.mark.parametrize("penalty", PENALTIES)


def signals(*, batch=3, sources=4, samples=200, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shape = batch, sources, samples
    estimates = torch.randn(shape, generator=generator, dtype=torch.float64)
    estimates = estimates + estimates.roll(1, 1) + 0.2
    return {
        "estimates": estimates.to(dtype),
        "mixture": estimates.sum(dim=1).to(dtype),
    }


@pytest.mark.parametrize("form", ["mixture", "norm"])
@pytest.mark.parametrize("sources", [1, 2, 4, 8])
def test_equally_loud_outputs_count_by_their_number(orthogonal, sources, form):
    active = orthogonal(sources)
    estimates = torch.cat((active, torch.zeros(8 - sources, 400)))
    value = sparsity(
        estimates=estimates.unsqueeze(0),
        mixture=active.sum(dim=0, keepdim=True),
        form=form,
    )
    assert value.shape == (1,)
    assert value.item() == pytest.approx(math.sqrt(sources) / 8, abs=1e-6)


@pytest.mark.parametrize("form, value", [("mixture", 1 / 4), ("norm", 1 / 2)])
def test_only_the_norm_form_sees_copies(form, value):
    sound = torch.randn(1, 1, 400)
    copies = (sound / 4).expand(1, 4, 400)
    found = sparsity(estimates=copies, mixture=sound[0], form=form)
    assert found.item() == pytest.approx(value, abs=1e-6)


def test_the_forms_are_those_of_the_formulas():
    given = signals(dtype=torch.float64)
    rms = given["estimates"].square().mean(dim=-1).sqrt()
    of_mixture = given["mixture"].square().mean(dim=-1).sqrt()
    expected = rms.mean(dim=-1) / of_mixture
    torch.testing.assert_close(sparsity(**given), expected)
    expected = rms.sum(dim=-1) / (4 * rms.square().sum(dim=-1).sqrt())
    torch.testing.assert_close(sparsity(**given, form="norm"), expected)


def test_covariance_is_that_of_the_formula():
    given = signals(dtype=torch.float64)
    power = given["mixture"].square().mean(dim=-1)
    for b, value in enumerate(covariance(**given)):
        matrix = torch.cov(given["estimates"][b], correction=0)
        outside = (matrix - matrix.diag().diag()).abs().sum()
        assert value.item() == pytest.approx((outside / (12 * power[b])).item())


def test_covariance_of_known_outputs(orthogonal):
    u, v = orthogonal(2)
    estimates = torch.stack((u, v, u - 3 * v)).unsqueeze(0)
    mixture = (estimates.sum(dim=1)) + 0 * u
    # |C| is 0, 1 and 3 for the three pairs, the mixture has 2^2 + 2^2.
    value = covariance(estimates=estimates, mixture=mixture)
    assert value.item() == pytest.approx((0 + 1 + 3) / 3 / 8)
    shifted = estimates + torch.tensor([[[5.0], [-7.0], [2.0]]])
    again = covariance(estimates=shifted, mixture=mixture)
    torch.testing.assert_close(again, value)
    one = covariance(estimates=estimates[:, :1], mixture=mixture)
    assert one.tolist() == [0.0]


@each_penalty
@pytest.mark.parametrize("level", [1e-4, 1e4])
def test_the_level_of_everything_does_not_matter(penalty, level):
    given = signals()
    scaled = {name: level * x for name, x in given.items()}
    torch.testing.assert_close(penalty(**scaled), penalty(**given))


def test_only_the_norm_form_ignores_the_level_of_the_outputs():
    given = signals()
    quiet = {**given, "estimates": 0.5 * given["estimates"]}
    torch.testing.assert_close(sparsity(**quiet), sparsity(**given) / 2)
    norm = functools.partial(sparsity, form="norm")
    torch.testing.assert_close(norm(**quiet), norm(**given))


@each_penalty
@pytest.mark.parametrize("silent", [[0], [1, 2], [0, 1, 2, 3]])
def test_silent_outputs_are_finite_and_stay_silent(penalty, silent):
    given = signals()
    estimates = given["estimates"].clone()
    estimates[:, silent] = 0
    given["estimates"] = estimates.requires_grad_()
    value = penalty(**given)
    value.sum().backward()
    assert value.isfinite().all()
    assert estimates.grad.isfinite().all()
    if penalty is not covariance:
        assert not estimates.grad[:, silent].any()
    active = [m for m in range(4) if m not in silent]
    if len(active) > 1:
        assert estimates.grad[:, active].abs().sum(dim=-1).all()


@each_penalty
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_silent_mixture_is_finite(penalty, level):
    given = signals()
    given = {"estimates": level * given["estimates"]}
    given["mixture"] = torch.zeros(3, 200)
    given = {name: x.requires_grad_() for name, x in given.items()}
    value = penalty(**given)
    value.sum().backward()
    assert value.isfinite().all()
    assert all(x.grad.isfinite().all() for x in given.values())
    if level == 0 or penalty is not PENALTIES[1]:
        assert not given["estimates"].grad.any()
    if penalty is not PENALTIES[1]:
        assert not value.any()


@each_penalty
def test_gradients_in_float64(penalty):
    given = signals(samples=10, dtype=torch.float64)
    given = {name: x.requires_grad_() for name, x in given.items()}
    assert torch.autograd.gradcheck(
        lambda e, x: penalty(estimates=e, mixture=x), tuple(given.values())
    )


@each_penalty
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(penalty, dtype):
    # Energies of int16-like levels overflow float16.
    given = {n: (300 * x).to(dtype) for n, x in signals().items()}
    given["estimates"].requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = penalty(**given)
    exact = penalty(**{name: x.double() for name, x in given.items()})
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=0)
    value.sum().backward()
    assert given["estimates"].grad.isfinite().all()


@each_penalty
def test_inputs_are_left_alone_and_nothing_waits(penalty, operators):
    given = signals()
    before = {name: x.clone() for name, x in given.items()}
    given["estimates"].requires_grad_()
    with operators() as log:
        penalty(**given).sum().backward()
    assert all(torch.equal(given[name], before[name]) for name in given)
    assert log.names and not log.synchronizing


@each_penalty
@pytest.mark.parametrize(
    "shapes", [((2, 3, 9), (2, 8)), ((2, 3, 9), (3, 9)), ((3, 9), (9,))]
)
def test_shapes_that_do_not_fit_are_named(penalty, shapes):
    estimates, mixture = (torch.zeros(shape) for shape in shapes)
    named = r"estimates \(.*9\) and mixture \(.*\) must be \(batch, sources"
    with pytest.raises(ValueError, match=named):
        penalty(estimates=estimates, mixture=mixture)


def test_an_unknown_form_is_named():
    with pytest.raises(ValueError, match=r"form='l1' is not one of \('mixtur"):
        sparsity(**signals(), form="l1")
