import itertools

import pytest
import torch

from speechbrain_ext.losses import padded_snr, thresholded_snr


def naive(estimates, references, mixture, snr_max=30.0, silent_snr_max=20.0):
    """All permutations, one example at a time, in float64."""
    outputs = len(estimates)
    silence = torch.zeros(outputs - len(references), references.shape[1])
    references = torch.cat((references, silence.to(references)))

    def value(estimate, reference):
        power, tau = reference.square().sum(), 10 ** (-snr_max / 10)
        if power <= 1e-6 * mixture.square().sum():
            power, tau = mixture.square().sum(), 10 ** (-silent_snr_max / 10)
        error = (reference - estimate).square().sum()
        return 10 * torch.log10(power / (error + tau * power))

    return max(
        torch.stack(
            [
                value(estimates[place], reference)
                for place, reference in zip(order, references, strict=True)
            ]
        ).mean()
        for order in itertools.permutations(range(outputs))
    )


@pytest.mark.parametrize("outputs, sources", [(2, 1), (3, 2), (4, 4), (5, 2)])
def test_against_all_permutations(outputs, sources):
    generator = torch.Generator().manual_seed(outputs)
    references = torch.randn(3, sources, 200, generator=generator).double()
    references[0, 0] = 0  # a silent one among those given
    noise = torch.randn(3, outputs, 200, generator=generator).double()
    estimates = 0.3 * noise
    estimates[:, -sources:] += references.flip(1)
    mixture = references.sum(1) + 0.01 * noise[:, 0]
    value, permutation = padded_snr(
        estimates=estimates, references=references, mixture=mixture
    )
    expected = [
        naive(*signals)
        for signals in zip(estimates, references, mixture, strict=True)
    ]
    torch.testing.assert_close(value, torch.stack(expected), atol=1e-4, rtol=0)
    for order in permutation.tolist():
        assert sorted(order) == list(range(outputs))


def test_without_silence_it_is_the_thresholded_snr():
    references = torch.randn(2, 2, 300)
    estimates = references + 0.2 * torch.randn(2, 2, 300)
    value, _ = padded_snr(
        estimates=estimates.flip(1),
        references=references,
        mixture=references.sum(1),
    )
    expected = thresholded_snr(estimate=estimates, target=references)
    torch.testing.assert_close(value, expected.mean(1))


def test_outputs_beyond_the_references_learn_to_be_silent():
    references = torch.randn(1, 1, 300)
    estimates = torch.cat((references, 0.1 * torch.randn(1, 1, 300)), 1)
    estimates.requires_grad_()
    value, _ = padded_snr(
        estimates=estimates, references=references, mixture=references[:, 0]
    )
    value.sum().backward()
    along = (estimates.grad[0, 1] * estimates[0, 1]).sum()
    assert along < -1  # louder is worse
    louder, _ = padded_snr(
        estimates=estimates * torch.tensor([[[1.0], [2.0]]]),
        references=references,
        mixture=references[:, 0],
    )
    assert louder < value


def test_nothing_but_silence_is_finite():
    estimates = torch.zeros(1, 3, 50, requires_grad=True)
    silence = torch.zeros(1, 50)
    value, _ = padded_snr(
        estimates=estimates, references=silence.unsqueeze(1), mixture=silence
    )
    value.sum().backward()
    assert value.isfinite().all() and estimates.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    references = torch.randn(1, 2, 300)
    estimates = (references + 0.1).bfloat16()
    value, _ = padded_snr(
        estimates=estimates, references=references, mixture=references.sum(1)
    )
    assert value.dtype == torch.float32


@pytest.mark.parametrize(
    "estimates, references, mixture",
    [
        ((1, 2, 9), (1, 3, 9), (1, 9)),
        ((1, 2, 9), (1, 2, 8), (1, 9)),
        ((1, 2, 9), (1, 2, 9), (2, 9)),
        ((2, 9), (1, 2, 9), (1, 9)),
    ],
)
def test_shapes_that_do_not_fit(estimates, references, mixture):
    with pytest.raises(ValueError, match="with S at most M"):
        padded_snr(
            estimates=torch.zeros(estimates),
            references=torch.zeros(references),
            mixture=torch.zeros(mixture),
        )
