import pytest
import torch
from speechbrain.nnet.pooling import StatisticsPooling

from speechbrain_ext.models import (
    SISNREstimator,
    SpectralEncoder,
    WaveformEncoder,
)
from speechbrain_ext.models.sisnr_estimator import SHORTEST


def make_encoder(kind):
    torch.manual_seed(0)
    if kind == "waveform":
        return WaveformEncoder(8)
    return SpectralEncoder(64, 32, channels=8, hidden=16)


@pytest.fixture(params=["waveform", "spectral"])
def estimator(request):
    encoder = make_encoder(request.param)
    return SISNREstimator(snr_min=-10, snr_max=20, encoder=encoder).eval()


def signals(batch, sources, time=4000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mixture = torch.randn(batch, time, generator=generator)
    estimates = torch.randn(batch, sources, time, generator=generator)
    return mixture, estimates


def test_parameters_are_those_of_the_published_estimator():
    shapes = {
        name: tuple(parameter.shape)
        for name, parameter in SISNREstimator().named_parameters()
    }
    convolutions = {
        f"encoder.cnn{index}.conv.weight": (128, 2 if index == 1 else 128, 4)
        for index in range(1, 6)
    }
    assert convolutions.items() <= shapes.items()
    assert shapes["encoder_out.layer1.w.weight"] == (256, 256)
    assert shapes["encoder_out.layer2.w.weight"] == (1, 256)
    first, others = 2 * 128 * 4 + 128, 4 * (128 * 128 * 4 + 128)
    linear = 256 * 256 + 256 + 256 + 1
    total = sum(p.numel() for p in SISNREstimator().parameters())
    assert total == first + others + linear


def test_it_computes_what_speechbrain_does_with_the_same_weights(estimator):
    """Up to the noise of SpeechBrain's pooling, for a batch of one."""
    mixture, estimates = signals(1, 2)
    pairs = torch.stack((estimates[0], mixture.expand(2, -1)), 1)
    pairs = pairs - pairs.mean(2, keepdim=True)
    pairs = pairs / pairs.std(2, keepdim=True)
    with torch.no_grad():
        frames = estimator.encoder(pairs).permute(0, 2, 1)
        pooled = StatisticsPooling()(frames)
        expected = estimator.encoder_out(pooled).flatten() * 30 - 10
        ours = estimator(mixture, estimates)[0]
    assert torch.allclose(ours, expected, atol=0.01)


def test_a_batch_pairs_every_estimate_with_its_own_mixture(estimator):
    """SpeechBrain's `estimate_batch` pairs them wrongly above a batch of 1."""
    mixture, estimates = signals(3, 4)
    with torch.no_grad():
        together = estimator(mixture, estimates)
        for item in range(3):
            for source in range(4):
                alone = estimator(
                    mixture[item : item + 1],
                    estimates[item : item + 1, source : source + 1],
                )
                assert torch.allclose(
                    together[item, source], alone[0, 0], atol=1e-4
                )
    assert together.flatten().unique().numel() == 12


def test_the_same_input_gives_the_same_output(estimator):
    mixture, estimates = signals(2, 2)
    with torch.no_grad():
        first = estimator(mixture, estimates)
        assert torch.equal(first, estimator(mixture, estimates))


def test_the_level_of_the_signals_does_not_matter(estimator):
    mixture, estimates = signals(2, 2)
    with torch.no_grad():
        first = estimator(mixture, estimates)
        other = estimator(0.01 * mixture + 0.3, 50 * estimates)
    assert torch.allclose(first, other, atol=1e-3)


@pytest.mark.parametrize("kind", ["waveform", "spectral"])
def test_silence_is_the_lowest_value_and_poisons_no_gradient(kind):
    estimator = SISNREstimator(-10, 20, make_encoder(kind), uncertainty=True)
    mixture, estimates = signals(2, 2)
    estimates[0, 1] = 0.25
    mixture[1] = 0
    snr, error = estimator(mixture, estimates)
    assert snr[0, 0] > -10
    assert (snr[0, 1], snr[1, 0], snr[1, 1]) == (-10, -10, -10)
    assert error[0, 1] == 30
    estimator.predict(mixture, estimates).sum().backward()
    for parameter in estimator.parameters():
        assert parameter.grad.isfinite().all()


def test_the_range_is_never_left(estimator):
    with torch.no_grad():
        for parameter in estimator.parameters():
            parameter.mul_(100)
        snr = estimator(*signals(4, 2))
    assert (snr >= -10).all() and (snr <= 20).all()


@pytest.mark.parametrize(
    ("mixture", "estimates", "message"),
    [
        ((2, 500), (2, 500), r"they must be \(batch, time\)"),
        ((2, 500), (3, 2, 500), "2 mixtures, but estimates of 3"),
        ((2, 500), (2, 2, 499), "must be equally long"),
        ((2, 64), (2, 2, 64), "64 samples are too short"),
    ],
)
def test_what_does_not_go_together_is_refused(
    estimator, mixture, estimates, message
):
    with pytest.raises(ValueError, match=message):
        estimator(torch.randn(mixture), torch.randn(estimates))


def test_the_shortest_signal_is_judged(estimator):
    assert estimator(*signals(1, 1, SHORTEST)).isfinite().all()


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="must be below"):
        SISNREstimator(snr_min=10, snr_max=10)
