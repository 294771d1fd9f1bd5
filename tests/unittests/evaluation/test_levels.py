import pytest
import torch

from speechbrain_ext.evaluation import match_mixture_level


def test_scale_and_polarity_of_orthogonal_sources_come_back():
    sources = torch.linalg.qr(torch.randn(500, 3, dtype=torch.float64))[0].T
    sources = sources * torch.tensor([[1.0], [0.1], [5.0]])
    gains = torch.tensor([[-2.0], [1e3], [1e-3]])
    scaled = match_mixture_level(
        estimates=(sources * gains)[None], mixture=sources.sum(0)[None]
    )
    torch.testing.assert_close(scaled[0], sources)


def test_silence_stays_silent():
    estimates = torch.stack((torch.zeros(50), torch.ones(50)))
    scaled = match_mixture_level(estimates=estimates, mixture=torch.ones(50))
    assert torch.equal(scaled, estimates)


def test_shapes_that_do_not_belong_together():
    with pytest.raises(ValueError, match=r"\(2, 5\).*mixture \(6,\)"):
        match_mixture_level(estimates=torch.zeros(2, 5), mixture=torch.zeros(6))
