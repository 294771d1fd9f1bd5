import pytest
import torch
from tolerances import tolerance

from speechbrain_ext.models import (
    SpectralConvTasNet,
    SpectralSeparator,
    SpectralSepFormer,
)

# of the samples of a frame
ROUNDING = tolerance(terms=256)


class ConstantScores(torch.nn.Module):
    """Gives each source one score, whatever it sees."""

    def __init__(self, *scores):
        super().__init__()
        self.scores = scores

    def forward(self, features):
        return torch.cat(
            [torch.full_like(features, score) for score in self.scores], dim=-1
        )


@pytest.mark.parametrize("time", [1, 100, 4000, 4001])
def test_masks_that_add_up_to_one_give_back_the_mixture(time):
    separator = SpectralSeparator(ConstantScores(0.25, 0.75), mask="relu")
    mixture = torch.randn(2, time)
    estimates = separator(mixture)
    torch.testing.assert_close(
        estimates[:, 0], 0.25 * mixture, atol=ROUNDING, rtol=0
    )
    torch.testing.assert_close(estimates.sum(1), mixture, atol=ROUNDING, rtol=0)


def test_sigmoid_masks_stay_between_zero_and_one():
    separator = SpectralSeparator(ConstantScores(-100.0, 100.0))
    mixture = torch.randn(2, 1000)
    estimates = separator(mixture)
    assert estimates[:, 0].abs().max() < 1e-6
    torch.testing.assert_close(estimates[:, 1], mixture, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("build", [SpectralConvTasNet, SpectralSepFormer])
@pytest.mark.parametrize("gain", [1e-4, 1e3])
def test_gain_changes_nothing_but_the_level(build, gain):
    separator = build(channels=16)
    mixture = 0.1 * torch.randn(2, 3000)
    torch.testing.assert_close(
        separator(gain * mixture) / gain, separator(mixture)
    )


def test_recommended_sizes():
    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    assert 0.8e6 < count(SpectralConvTasNet()) < 0.95e6
    assert 1.0e6 < count(SpectralSepFormer()) < 1.25e6


@pytest.mark.slow
def test_no_operation_waits_for_the_device():
    separator = SpectralConvTasNet(channels=16, hidden=32)
    mixture = torch.randn(2, 2000)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True
    ) as profile:
        separator(mixture).square().sum().backward()
    names = {event.key for event in profile.key_averages()}
    assert "aten::fft_rfft" in names or "aten::_fft_r2c" in names
    assert not names & {
        "aten::item",
        "aten::_local_scalar_dense",
        "aten::nonzero",
    }


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="mask='tanh' is not one of"):
        SpectralConvTasNet(mask="tanh")
    with pytest.raises(ValueError, match="hop=100"):
        SpectralConvTasNet(n_fft=256, hop=100)
