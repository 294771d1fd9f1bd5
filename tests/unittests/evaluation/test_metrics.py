import logging
import math
import sys

import pytest
import torch

from speechbrain_ext.evaluation import (
    COLUMNS,
    SeparationMetrics,
    available,
    metrics,
)


@pytest.fixture
def scene():
    """Two zero-mean speech signals and two noises, all orthogonal."""
    generator = torch.Generator().manual_seed(0)
    signals = torch.randn(8000, 5, generator=generator, dtype=torch.float64)
    signals[:, 0] = 1.0  # orthogonal to a constant: zero mean
    signals = torch.linalg.qr(signals)[0].T[1:]
    speech, noise = signals[:2], 0.5 * signals[2:]
    return {
        "targets": speech,
        "mixture": (speech + noise).sum(0),
        "estimates": speech + 0.4 * noise + 0.2 * noise.flip(0),
    }


def test_columns_of_the_residual_noise(scene):
    # orthogonal as they are: noises 0.5 times as strong as the speech
    speech = scene["targets"]
    other = scene["mixture"] - speech.sum(0)
    noise = torch.stack((0.3 * other, 0.7 * other))
    columns = metrics.residual_noise_columns(
        estimates=(speech + 0.4 * noise)[None],
        speech=speech[None],
        noise=noise[None],
    )
    assert set(columns) <= set(COLUMNS)
    # its own noise and the other's are the same signal: only the sum is known
    expected = 20 * torch.tensor([0.4 * 0.3, 0.4 * 0.7]).log10()
    expected += 10 * torch.tensor(0.5).log10()
    torch.testing.assert_close(
        columns["residual_noise_db"][0].float(), expected, atol=1e-2, rtol=0
    )


def test_golden_values_of_an_orthogonal_scene(scene):
    measure = SeparationMetrics(sample_rate=8000, metrics=["si_sdr"])
    rows = measure(**scene)
    # rest after: 0.25 (0.4^2 + 0.2^2); before: 1 + 2 * 0.25
    after = -10 * math.log10(0.25 * 0.2)
    before = -10 * math.log10(1.5)
    assert len(rows) == 2
    for row in rows:
        assert row == pytest.approx(
            {
                "si_sdr": after,
                "si_sdri": after - before,
            },
            abs=1e-4,
        )
    assert not measure.failures


def test_sources_are_not_swapped(scene):
    scene["estimates"][1] = 0.0
    scene["estimates"][1] += scene["mixture"] - scene["targets"][0]
    rows = SeparationMetrics(sample_rate=8000, metrics=["si_sdr"])(**scene)
    assert rows[1]["si_sdr"] == pytest.approx(3.0103, abs=1e-4)
    after = -10 * math.log10(0.25 * 0.2)
    assert rows[0]["si_sdr"] == pytest.approx(after, abs=1e-4)


def test_every_column_is_described(scene, monkeypatch):
    monkeypatch.setattr(
        metrics,
        "dnsmos",
        lambda **_: {"ovrl": 1.0, "sig": 2.0, "bak": 3.0, "p808": 4.0},
    )
    monkeypatch.setattr(metrics, "missing", lambda name: [])
    for name in ("pesq", "stoi", "estoi"):
        monkeypatch.setattr(metrics, name, lambda **_: 1.5)
    monkeypatch.setattr(metrics, "sdr", metrics.si_sdr)
    columns = set()
    for rate in (8000, 16000):
        measure = SeparationMetrics(
            sample_rate=rate,
            metrics=["si_sdr", "sdr", "pesq", "stoi", "estoi", "dnsmos"],
        )
        row = measure(**scene)[0]
        assert row["dnsmos_p808"] == 4.0 and row["estoi"] == 1.5
        columns |= set(row)
    # the others are of recipes
    assert columns < set(COLUMNS)


def test_silent_target_is_nan_counted_and_logged(scene, caplog):
    scene["targets"][0] = 0
    measure = SeparationMetrics(sample_rate=8000, metrics=["si_sdr"])
    with caplog.at_level(logging.WARNING):
        rows = measure(**scene, utterance="mix_7")
    assert math.isnan(rows[0]["si_sdr"]) and math.isnan(rows[0]["si_sdri"])
    assert math.isfinite(rows[1]["si_sdr"])
    assert measure.failures == {"si_sdr": 1}
    assert "'mix_7', source 0: si_sdr failed" in caplog.text
    assert "the target is silent" in caplog.text


def test_silent_estimate_is_the_worst_score_not_a_missing_one(scene):
    scene["estimates"][0] = 0
    measure = SeparationMetrics(sample_rate=8000, metrics=["si_sdr"])
    rows = measure(**scene)
    assert rows[0]["si_sdr"] == -80.0
    assert not measure.failures


def test_non_finite_samples_are_nan(scene):
    scene["estimates"][1, 3] = torch.inf
    measure = SeparationMetrics(sample_rate=8000, metrics=["si_sdr"])
    rows = measure(**scene)
    assert math.isnan(rows[1]["si_sdr"]) and math.isfinite(rows[0]["si_sdr"])
    scene["mixture"][3] = torch.nan
    assert math.isnan(measure(**scene)[0]["si_sdri"])


@pytest.mark.parametrize("result", [RuntimeError("no speech"), math.nan])
def test_a_measure_that_fails_is_not_fatal(scene, monkeypatch, caplog, result):
    def broken(**_):
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(metrics, "missing", lambda name: [])
    monkeypatch.setattr(metrics, "pesq", broken)
    measure = SeparationMetrics(sample_rate=8000, metrics=["pesq", "si_sdr"])
    with caplog.at_level(logging.WARNING):
        rows = measure(**scene)
    assert all(math.isnan(row["pesq_nb"]) for row in rows)
    assert all(math.isfinite(row["si_sdr"]) for row in rows)
    assert measure.failures == {"pesq": 2}
    assert "pesq failed and is recorded as NaN" in caplog.text


def test_too_short_for_pesq_and_estoi(scene):
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    short = {name: signal[..., :400] for name, signal in scene.items()}
    measure = SeparationMetrics(sample_rate=8000, metrics=["pesq", "estoi"])
    for row in measure(**short):
        assert math.isnan(row["pesq_nb"]) and math.isnan(row["estoi"])
    assert measure.failures == {"pesq": 2, "estoi": 2}


def test_absent_packages_are_logged_or_named(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with caplog.at_level(logging.WARNING):
        measure = SeparationMetrics(sample_rate=8000)
    assert "pesq" not in measure.metrics
    expected = [name for name, there in available().items() if there]
    assert list(measure.metrics) == expected
    assert "not measured: pesq needs pesq: pip install '.[metrics]'" in (
        caplog.text
    )
    with pytest.raises(ImportError, match=r"pip install '\.\[metrics\]'"):
        SeparationMetrics(sample_rate=8000, metrics=["si_sdr", "pesq"])


def test_wrong_use_is_named(scene):
    with pytest.raises(ValueError, match="unknown metric 'csig'.*estoi"):
        SeparationMetrics(sample_rate=8000, metrics=["csig"])
    with pytest.raises(ValueError, match="sample_rate must be positive.*0"):
        SeparationMetrics(sample_rate=0)
    measure = SeparationMetrics(sample_rate=8000, metrics=["si_sdr"])
    scene["mixture"] = scene["mixture"][:-1]
    with pytest.raises(ValueError, match=r"'u3'.*mixture \(7999,\)"):
        measure(**scene, utterance="u3")
