import re
import warnings

import pytest
import torch
from estimator_folders import ESTIMATOR, make_module, write_estimator

from speechbrain_ext import models
from speechbrain_ext.hub import RefusedError
from speechbrain_ext.inference import SISNREstimator
from speechbrain_ext.models.sisnr_estimator import is_silent

RATE = 8000


def separated(batch=2, sources=2, time=RATE, seed=0):
    """Mixtures of noises, and estimates that hold some of the others."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(batch, sources, time, generator=generator)
    mixture = clean.sum(1)
    return mixture, clean + 0.3 * mixture[:, None]


@pytest.fixture
def estimator():
    return SISNREstimator(make_module(), sample_rate=RATE)


def test_it_gives_what_the_network_gives(estimator):
    mixture, estimates = separated(3, 4)
    scores = estimator.score(
        mixture=mixture, estimates=estimates, sample_rate=RATE
    )
    with torch.no_grad():
        expected = estimator.module(mixture, estimates)
    assert torch.equal(scores, expected)
    assert scores.shape == (3, 4)
    again = estimator.score(
        mixture=mixture, estimates=estimates, sample_rate=RATE
    )
    assert torch.equal(scores, again)


def test_another_rate_is_converted(estimator):
    time = torch.arange(4 * RATE) / (2 * RATE)
    low = torch.sin(2 * torch.pi * 300 * time)
    high = torch.sin(2 * torch.pi * 900 * time)
    estimates = torch.stack((low, high))[None]
    fast = estimator.score(
        mixture=estimates.sum(1), estimates=estimates, sample_rate=2 * RATE
    )
    slow = estimates[..., ::2]
    expected = estimator.score(
        mixture=slow.sum(1), estimates=slow, sample_rate=RATE
    )
    torch.testing.assert_close(fast, expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("what", ["estimate", "mixture"])
def test_silence_gets_the_lowest_value_and_a_warning(estimator, what):
    mixture, estimates = separated()
    if what == "estimate":
        estimates[1, 0] = 0.0
    else:
        mixture[1] = 0.0
    with pytest.warns(UserWarning, match=r"of 4 estimates are silent"):
        scores = estimator.score(
            mixture=mixture, estimates=estimates, sample_rate=RATE
        )
    assert scores[1, 0] == -10
    assert (scores[1, 1] == -10) == (what == "mixture")
    assert (scores[0] > -10).all()


@pytest.mark.parametrize("offset", [0.0, 0.7, -1000.0])
def test_a_constant_is_silent_and_sound_on_an_offset_is_not(offset):
    constant = torch.full((100_001,), offset / 3)
    sound = torch.sin(torch.arange(100_001) / 3.0) * 1e-3 * (1 + abs(offset))
    found = is_silent(torch.stack((constant, sound + offset)))
    assert found.tolist() == [True, False]


def test_sound_gives_no_warning(estimator):
    mixture, estimates = separated()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.score(mixture=mixture, estimates=estimates, sample_rate=RATE)


def test_what_does_not_go_together_is_refused(estimator):
    mixture, estimates = separated()

    def score(mixture, estimates):
        estimator.score(mixture=mixture, estimates=estimates, sample_rate=RATE)

    with pytest.raises(ValueError, match="equally long"):
        score(mixture[:, :-1], estimates)
    with pytest.raises(ValueError, match="2 mixtures, but estimates of 1"):
        score(mixture, estimates[:1])
    with pytest.raises(ValueError, match="must be .batch, time."):
        score(mixture[0], estimates)
    with pytest.raises(ValueError, match="too short"):
        score(mixture[:, :64], estimates[..., :64])
    with pytest.raises(ValueError, match="at least one mixture, and one est"):
        score(mixture, estimates[:, :0])
    # a sample more or less is told at any rate
    for rate in (2 * RATE, 44100):
        with pytest.raises(ValueError, match="has 7999 samples, the .* 8000"):
            estimator.score(
                mixture=mixture[:, :-1], estimates=estimates, sample_rate=rate
            )
    for broken in ("mixture", "estimates"):
        signals = {"mixture": mixture.clone(), "estimates": estimates.clone()}
        signals[broken][0, 0, ...] = float("nan")
        with pytest.raises(ValueError, match=f"{broken}: some samples are NaN"):
            score(**signals)


def test_estimates_of_another_mixture_are_refused(estimator):
    """Two seconds of noise share 0.0001 of their energy by chance."""
    mixture, estimates = separated(time=2 * RATE)
    with pytest.raises(ValueError, match=r"item 0 account for 0\.00\d+ of"):
        estimator.score(
            mixture=mixture.flip(0), estimates=estimates, sample_rate=RATE
        )
    estimator.score(
        mixture=mixture.flip(0),
        estimates=estimates,
        sample_rate=RATE,
        check=False,
    )
    # one that is shifted by a tenth of a second
    with pytest.raises(ValueError, match="shifted in time"):
        estimator.score(
            mixture=mixture, estimates=estimates.roll(800, -1), sample_rate=RATE
        )


def test_one_weak_source_of_its_mixture_is_not_refused(estimator):
    """Its energy is 20 dB below that of the mixture."""
    mixture, estimates = separated(time=2 * RATE)
    weak = torch.randn(2, 1, 2 * RATE)
    estimator.score(
        mixture=10 * mixture / mixture.std() + weak[:, 0],
        estimates=weak,
        sample_rate=RATE,
    )


def test_equal_estimates_are_not_refused(estimator):
    mixture, estimates = separated()
    estimates = estimates[:, :1].expand(-1, 3, -1)
    scores = estimator.score(
        mixture=mixture, estimates=estimates, sample_rate=RATE
    )
    assert (scores == scores[:, :1]).all()


def test_uncertainty_is_told_where_there_is_one(estimator):
    mixture, estimates = separated()
    signals = {"mixture": mixture, "estimates": estimates}
    with pytest.raises(ValueError, match="without uncertainty"):
        estimator.score_with_error(**signals, sample_rate=RATE)
    certain = SISNREstimator(make_module(uncertainty=True), sample_rate=RATE)
    snr, error = certain.score_with_error(**signals, sample_rate=RATE)
    assert snr.shape == error.shape == (2, 2)
    assert torch.equal(snr, certain.score(**signals, sample_rate=RATE))
    assert ((error > 0) & (error < 30)).all()


# Folders ---------------------------------------------------------------------


@pytest.mark.parametrize("uncertainty", [False, True])
def test_a_folder_in_the_published_layout_loads(tmp_path, uncertainty):
    module = write_estimator(tmp_path, uncertainty=uncertainty)
    estimator = SISNREstimator.from_hparams(tmp_path)
    mixture, estimates = separated()
    assert estimator.sample_rate == RATE
    assert (estimator.module.snr_min, estimator.module.snr_max) == (-10, 20)
    scores = estimator.score(
        mixture=mixture, estimates=estimates, sample_rate=RATE
    )
    with torch.no_grad():
        assert torch.equal(scores, module.snr(mixture, estimates))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("snrmin: -10", "snrmin: low", "snrmin is 'low'; it must be a number"),
        ("snrmax: 20", "snrmax: -10", "snrmax is -10; it must be above snrmin"),
        (
            "use_snr_compression: true",
            "use_snr_compression: false",
            "use_snr_compression is False; only",
        ),
        ("type: stnorm", "type: max", "separation_norm_type is 'max'; only"),
        ("stride: 2", "stride: 1", r"strides \(1, 1, 1, 1, 1\);"),
        ("n_neurons: 1\n", "n_neurons: 3\n", "3 outputs"),
    ],
)
def test_a_folder_of_another_kind_is_refused(tmp_path, old, new, message):
    text = ESTIMATOR.replace(old, new)
    assert text != ESTIMATOR
    outputs = 3 if "neurons: 3" in new else 1
    write_estimator(tmp_path, text=text, outputs=outputs)
    with pytest.raises(ValueError, match=re.compile(message)):
        SISNREstimator.from_hparams(tmp_path)


def test_a_folder_may_not_run_anything(tmp_path):
    write_estimator(tmp_path, text=ESTIMATOR + "a: !apply:os.getcwd []\n")
    with pytest.raises(RefusedError, match=r"os\.getcwd"):
        SISNREstimator.from_hparams(tmp_path)


def test_the_estimator_that_ships():
    estimator = SISNREstimator.from_hparams()
    module = estimator.module
    assert isinstance(module, models.SISNREstimator)
    assert isinstance(module.encoder, models.SpectralEncoder)
    assert sum(p.numel() for p in module.parameters()) < 450_000
    generator = torch.Generator().manual_seed(0)
    speech = torch.randn(1, 2, 4 * RATE, generator=generator)
    swell = torch.arange(4 * RATE) / RATE
    speech = speech * torch.stack((swell.sin(), swell.cos())).square()
    mixture = speech.sum(1)
    scores = [
        estimator.score(
            mixture=mixture,
            estimates=speech + amount * mixture[:, None],
            sample_rate=RATE,
        ).mean()
        for amount in (0.0, 0.5, 2.0)
    ]
    assert scores[0] > scores[1] > scores[2]
