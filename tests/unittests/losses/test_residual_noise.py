import math

import pytest
import torch

from speechbrain_ext.losses.residual_noise import residual_noise


def white(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def orthonormal(count, time, seed=0):
    """Signals of unit energy, orthogonal to one another: (count, time)."""
    q, _ = torch.linalg.qr(white(time, count, seed=seed))
    return q.T.contiguous()


@pytest.fixture
def scene():
    """Two batches of two sources and noises, all orthogonal, plus a rest."""
    q = orthonormal(10, 4000).reshape(2, 5, 4000)
    return {"speech": q[:, :2], "noise": 0.5 * q[:, 2:4], "rest": q[:, 4:]}


def test_planted_parts_are_recovered(scene):
    speech, noise, rest = scene["speech"], scene["noise"], scene["rest"]
    own = torch.tensor([[0.5, 0.1], [0.0, -0.3]], dtype=torch.float64)
    other = torch.tensor([[0.4, 0.2], [0.7, -0.2]], dtype=torch.float64)
    leak = torch.tensor([[0.1, 0.01], [0.3, 0.2]], dtype=torch.float64)
    scale = torch.tensor([[2.0, -0.1], [1e-3, 1e3]], dtype=torch.float64)
    estimates = scale[..., None] * (
        speech
        + leak[..., None] * speech.flip(1)
        + own[..., None] * noise
        + other[..., None] * noise.flip(1)
        + 0.05 * rest
    )
    parts = residual_noise(estimates=estimates, speech=speech, noise=noise)
    close = {"rtol": 1e-6, "atol": 1e-6}
    torch.testing.assert_close(parts["own"], own, **close)
    torch.testing.assert_close(parts["other"], other, **close)
    # |noise|^2 = 0.25 |speech|^2 and everything is orthogonal
    level = 10 * torch.log10(0.25 * (own**2 + other**2))
    torch.testing.assert_close(parts["level_db"], level, **close)
    torch.testing.assert_close(
        parts["interference_db"], 20 * torch.log10(leak), **close
    )
    torch.testing.assert_close(
        parts["artifact_db"],
        torch.full((2, 2), 20 * math.log10(0.05), dtype=torch.float64),
        **close,
    )


def test_correlated_signals_are_told_apart():
    speech = white(1, 2, 2000)
    shared = white(1, 1, 2000, seed=1)
    noise = shared + 0.3 * white(1, 2, 2000, seed=2) + 0.5 * speech
    estimates = speech + 0.6 * noise + 0.2 * noise.flip(1)
    parts = residual_noise(estimates=estimates, speech=speech, noise=noise)
    assert parts["own"].numpy() == pytest.approx(0.6, abs=1e-5)
    assert parts["other"].numpy() == pytest.approx(0.2, abs=1e-5)
    residue = 0.6 * noise + 0.2 * noise.flip(1)
    level = 10 * (residue.square().sum(-1) / speech.square().sum(-1)).log10()
    torch.testing.assert_close(parts["level_db"], level, rtol=0, atol=1e-4)
    assert (parts["artifact_db"] < -90).all()


@pytest.mark.parametrize("sources", [3, 5])
def test_any_number_of_sources(sources):
    q = orthonormal(2 * sources, 3000)[None]
    speech, noise = q[:, :sources], q[:, sources:]
    estimates = (
        speech + 0.3 * noise + 0.1 * (noise.sum(1, keepdim=True) - noise)
    )
    parts = residual_noise(estimates=estimates, speech=speech, noise=noise)
    assert parts["own"].numpy() == pytest.approx(0.3, abs=1e-6)
    # the RMS over the other noises, not their sum
    assert parts["other"].numpy() == pytest.approx(0.1, abs=1e-6)
    level = 10 * math.log10(0.09 + (sources - 1) * 0.01)
    assert parts["level_db"].numpy() == pytest.approx(level, abs=1e-5)


def test_one_source_has_no_others():
    q = orthonormal(2, 1000)
    parts = residual_noise(
        estimates=(q[0] + 0.25 * q[1])[None, None],
        speech=q[0][None, None],
        noise=q[1][None, None],
    )
    assert parts["own"].item() == pytest.approx(0.25, abs=1e-6)
    assert parts["other"].isnan().all()
    assert parts["interference_db"].isnan().all()
    assert parts["level_db"].item() == pytest.approx(-12.0412, abs=1e-3)


def test_filtered_parts_are_not_artifacts_with_taps():
    """A part delayed by +-2 samples needs 5 centered taps."""
    signals = torch.zeros(1, 4, 3000, dtype=torch.float64)
    signals[..., 10:-10] = white(1, 4, 2980)
    speech, noise = signals[:, :2], signals[:, 2:]
    filtered = 0.3 * noise.roll(2, -1) + 0.4 * noise.roll(-2, -1)
    estimates = 0.8 * speech.roll(1, -1) + filtered
    plain = residual_noise(estimates=estimates, speech=speech, noise=noise)
    assert (plain["artifact_db"] > 10).all()
    parts = residual_noise(
        estimates=estimates, speech=speech, noise=noise, taps=5
    )
    assert (parts["artifact_db"] < -80).all()
    level = 10 * torch.log10(
        filtered.square().sum(-1) / (0.8 * speech).square().sum(-1)
    )
    torch.testing.assert_close(parts["level_db"], level, rtol=0, atol=1e-5)
    # the gain of a filter with taps 0.3 and 0.4 on white noise is 0.5
    assert parts["own"].abs().numpy() == pytest.approx(0.5 / 0.8, rel=0.05)
    assert parts["other"].abs().max() < 1e-5


def test_taps_agree_with_explicit_delays():
    """The FFT correlations against a plain least-squares fit."""
    speech, noise = white(1, 2, 400, seed=1), white(1, 2, 400, seed=2)
    estimates = speech + 0.3 * noise.flip(1) + 0.2 * white(1, 2, 400, seed=3)
    padded = torch.nn.functional.pad(torch.cat((speech, noise), 1)[0], (4, 4))
    columns = torch.cat([padded.roll(delay, -1) for delay in (-1, 0, 1)])
    target = torch.nn.functional.pad(estimates[0], (4, 4))
    weights = torch.linalg.lstsq(columns.T, target.T).solution
    rest = (target.T - columns.T @ weights).square().sum(0)
    of_speech = torch.stack(
        [columns[k::4].T @ weights[k::4, k] for k in range(2)]
    )
    of_noise = torch.stack(
        [
            columns[2::4].T @ weights[2::4, k]
            + columns[3::4].T @ weights[3::4, k]
            for k in range(2)
        ]
    )
    power = of_speech.square().sum(-1)
    parts = residual_noise(
        estimates=estimates, speech=speech, noise=noise, taps=3
    )
    close = {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(
        parts["artifact_db"][0], 10 * (rest / power).log10(), **close
    )
    torch.testing.assert_close(
        parts["level_db"][0],
        10 * (of_noise.square().sum(-1) / power).log10(),
        **close,
    )


def test_half_of_indistinguishable_noise_is_three_db_below_the_source():
    """The closed form that the whole analysis stands on (a = 1/2)."""
    q = orthonormal(4, 2000)[None]
    speech, noise = q[:, :2], q[:, 2:]  # 0 dB per source
    estimates = speech + 0.5 * noise.sum(1, keepdim=True)
    parts = residual_noise(estimates=estimates, speech=speech, noise=noise)
    assert parts["level_db"].numpy() == pytest.approx(-3.0103, abs=1e-3)


def test_silent_noise_is_no_residual_noise(scene):
    silent = torch.zeros_like(scene["noise"])
    parts = residual_noise(
        estimates=scene["speech"], speech=scene["speech"], noise=silent
    )
    assert parts["own"].eq(0).all() and parts["other"].eq(0).all()
    assert parts["level_db"].eq(-100).all()
    assert parts["artifact_db"].eq(-100).all()


def test_identical_noises_do_not_break_the_solution():
    q = orthonormal(3, 2000)[None]
    speech, noise = q[:, :2], q[:, 2:].expand(1, 2, 2000)
    estimates = speech + 0.4 * noise
    parts = residual_noise(estimates=estimates, speech=speech, noise=noise)
    expected = 20 * math.log10(0.4)
    assert parts["level_db"].numpy() == pytest.approx(expected, abs=1e-4)


def test_unusable_signals_are_nan_and_spare_the_others(scene):
    speech, noise = scene["speech"].clone(), scene["noise"]
    estimates = speech + 0.5 * noise
    good = residual_noise(estimates=estimates, speech=speech, noise=noise)
    estimates[0, 1] = 0
    estimates[1, 0, 7] = torch.nan
    bad = residual_noise(estimates=estimates, speech=speech, noise=noise)
    for name, part in bad.items():
        assert part[0, 1].isnan() and part[1, 0].isnan(), name
        assert part[0, 0] == good[name][0, 0], name
        assert part[1, 1] == good[name][1, 1], name
    speech[0, 0] = 0
    bad = residual_noise(estimates=scene["speech"], speech=speech, noise=noise)
    assert bad["own"][0, 0].isnan() and bad["own"][0, 1].isfinite()
    noise = noise.clone()
    noise[1, 1, 0] = torch.inf
    bad = residual_noise(
        estimates=scene["speech"], speech=scene["speech"], noise=noise
    )
    assert bad["own"][1].isnan().all() and bad["own"][0].isfinite().all()


def test_half_precision_and_no_gradient_and_inputs_untouched(scene):
    estimates = (scene["speech"] + 0.5 * scene["noise"]).float()
    estimates = (50 * estimates).half().requires_grad_()
    before = estimates.clone()
    parts = residual_noise(
        estimates=estimates, speech=scene["speech"], noise=scene["noise"]
    )
    assert parts["own"].dtype == torch.float64
    assert not parts["own"].requires_grad
    assert parts["own"].numpy() == pytest.approx(0.5, abs=1e-2)
    assert torch.equal(before, estimates)


def test_wrong_shapes_and_taps_are_named(scene):
    speech, noise = scene["speech"], scene["noise"]
    with pytest.raises(ValueError, match=r"one common shape.*\(2, 1, 4000\)"):
        residual_noise(estimates=speech[:, :1], speech=speech, noise=noise)
    with pytest.raises(ValueError, match="one common shape"):
        residual_noise(estimates=speech[0], speech=speech[0], noise=noise[0])
    with pytest.raises(ValueError, match="taps must lie between 1 and.*got 0"):
        residual_noise(estimates=speech, speech=speech, noise=noise, taps=0)
