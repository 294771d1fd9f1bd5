import math

import pytest

from speechbrain_ext.training import linear_ramp, warmup_cosine


def test_ramp_has_three_parts():
    values = [linear_ramp(s, start=10, end=30, value=2.0) for s in range(50)]
    assert values[:11] == [0.0] * 11
    assert values[20] == 1.0
    assert values[30:] == [2.0] * 20
    assert values == sorted(values)


def test_ramp_of_no_length_is_a_switch():
    assert linear_ramp(0, start=0, end=0, value=1.0) == 1.0
    assert linear_ramp(4, start=5, end=5, value=1.0) == 0.0
    assert linear_ramp(5, start=5, end=5, value=1.0) == 1.0


def test_ramp_refuses_an_end_before_the_start():
    with pytest.raises(ValueError, match=r"end \(1\) lies before start \(2\)"):
        linear_ramp(0, start=2, end=1, value=1.0)


def test_rate_rises_to_the_peak_then_falls():
    rates = [
        warmup_cosine(s, peak=1.0, total=100, warmup=0.2) for s in range(101)
    ]
    assert rates[0] == pytest.approx(0.04)
    assert rates[20] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(1e-3)
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    # half way down the cosine
    assert rates[60] == pytest.approx((1 + 1e-3) / 2)


def test_rate_without_warmup_and_past_the_end():
    assert warmup_cosine(0, peak=2.0, total=10, warmup=0) == 2.0
    late = warmup_cosine(1000, peak=2.0, total=10, warmup=0)
    assert math.isclose(late, 2e-3)


@pytest.mark.parametrize("wrong", [{"total": 0}, {"total": 5, "warmup": 1.0}])
def test_rate_refuses_impossible_lengths(wrong):
    with pytest.raises(ValueError, match="total must be at least 1"):
        warmup_cosine(0, peak=1.0, **wrong)
