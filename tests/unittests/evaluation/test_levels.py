import pytest
import torch

from speechbrain_ext.evaluation import match_mixture_level
from speechbrain_ext.evaluation.levels import MixtureLevels


def test_scale_and_polarity_of_orthogonal_sources_come_back():
    signals = torch.randn(500, 3, dtype=torch.float64)
    signals = signals - signals.mean(0)
    sources = torch.linalg.qr(signals)[0].T
    sources = sources * torch.tensor([[1.0], [0.1], [5.0]])
    gains = torch.tensor([[-2.0], [1e3], [1e-3]])
    scaled = match_mixture_level(
        estimates=(sources * gains)[None], mixture=sources.sum(0)[None]
    )
    torch.testing.assert_close(scaled[0], sources)


@pytest.mark.parametrize("offset", [0.0, 0.5, -1000.0])
def test_silence_stays_silent(offset):
    """A constant is silence, and so is what rounding leaves of it."""
    constant = torch.full((50_000,), offset / 3)
    mixture = torch.sin(torch.arange(50_000) / 7.0) + offset
    scaled = match_mixture_level(estimates=constant[None], mixture=mixture)
    assert torch.equal(scaled, torch.zeros(1, 50_000))


@pytest.mark.parametrize("offset", [0.0, 0.3, -2.0])
def test_an_offset_is_no_level(offset):
    """The level is that of what moves, in blocks as in one piece."""
    time = torch.arange(32_000) / 8000
    low, high = (torch.sin(2 * torch.pi * f * time) for f in (100.0, 700.0))
    estimates = torch.stack((0.25 * low + 0.1, -7 * high + offset))
    mixture = low + high + offset
    levels = MixtureLevels()
    for start in range(0, 32_000, 900):
        stop = start + 900
        levels.add(
            estimates=estimates[:, start:stop], mixture=mixture[start:stop]
        )
    expected = torch.tensor([4.0, -1 / 7], dtype=torch.float64)
    # float32 samples, 32,000 of them
    tolerance = 32_000**0.5 * torch.finfo(torch.float32).eps
    torch.testing.assert_close(levels.gains(), expected, rtol=tolerance, atol=0)
    scaled = match_mixture_level(estimates=estimates, mixture=mixture)
    torch.testing.assert_close(
        scaled, estimates * expected.float()[:, None], rtol=tolerance, atol=0
    )


def test_shapes_that_do_not_belong_together():
    with pytest.raises(ValueError, match=r"\(2, 5\).*mixture \(6,\)"):
        match_mixture_level(estimates=torch.zeros(2, 5), mixture=torch.zeros(6))
