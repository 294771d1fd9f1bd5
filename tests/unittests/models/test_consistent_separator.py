import pytest
import torch

from speechbrain_ext.models import (
    TDCN,
    ConsistentSeparator,
    SoundClassifier,
    SpectralTDCN,
)


def networks():
    yield SpectralTDCN(num_sources=3, n_fft=64, hop=32, channels=8, hidden=8)
    yield TDCN(3, channels=8, bottleneck=8, hidden=8, blocks=2, repeats=1)


@pytest.mark.parametrize("consistency", ["learned", "uniform", "none"])
def test_estimates_sum_to_the_mixture_if_they_are_to(consistency):
    mixture = torch.randn(2, 501)
    for network in networks():
        separator = ConsistentSeparator(network, consistency)
        estimates = separator(mixture)
        assert estimates.shape == (2, 3, 501)
        same = torch.allclose(estimates.sum(1), mixture, atol=1e-4)
        assert same == (consistency != "none")
        learnt = [n for n, _ in separator.named_parameters() if "scores" in n]
        assert len(learnt) == (consistency == "learned")


def test_shares_are_part_of_the_weights():
    network = next(networks())
    separator = ConsistentSeparator(network)
    separator.consistency.scores.data += torch.tensor([0.0, 1.0, 2.0])
    other = ConsistentSeparator(next(networks()))
    other.load_state_dict(separator.state_dict())
    mixture = torch.randn(1, 300)
    assert torch.equal(other.eval()(mixture), separator.eval()(mixture))


def test_an_unknown_consistency_is_refused():
    with pytest.raises(ValueError, match="learned, uniform, none"):
        ConsistentSeparator(next(networks()), "learnt")


def test_the_classifier_hears_levels_relative_to_the_mixture():
    classifier = SoundClassifier(3, n_fft=64, hop=32, channels=8)
    mixture = torch.randn(2, 900)
    estimates = torch.stack((mixture, 0.01 * mixture, 0 * mixture), 1)
    logits = classifier(estimates, mixture)
    assert logits.shape == (2, 3, 3)
    louder = classifier(7 * estimates, 7 * mixture)
    torch.testing.assert_close(logits, louder, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(logits[:, 0], logits[:, 1], atol=1e-3)
    # silence is the same whatever the mixture was
    torch.testing.assert_close(logits[0, 2], logits[1, 2])


def test_the_classifier_learns_to_tell_two_tones():
    time = torch.arange(800) / 8000
    tones = torch.stack(
        [torch.sin(2 * torch.pi * hertz * time) for hertz in (500, 2500)]
    )
    torch.manual_seed(0)
    classifier = SoundClassifier(2, n_fft=64, hop=32, channels=8)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=0.01)
    for _ in range(60):
        logits = classifier(tones.unsqueeze(0), tones.sum(0).unsqueeze(0))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits[0], torch.eye(2)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2
    assert (logits[0].sigmoid().round() == torch.eye(2)).all()
