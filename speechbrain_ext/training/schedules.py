"""Schedules as pure functions of the optimizer step.

A function of the step has no state: a resumed run needs nothing but the step,
which SpeechBrain's Brain keeps in every checkpoint.
"""

import math


def linear_ramp(step, *, start, end, value):
    """Zero until `start`, then a straight line to `value` at `end`.

    The weight of the SCER term follows this: the term only helps once the
    outputs have begun to separate.

    Arguments
    ---------
    step : int
        The optimizer step, from 0.
    start, end : float
        In steps; where both are equal the value is switched on at once.
    value : float
        What is reached at `end` and kept.

    Returns
    -------
    weight : float

    Raises
    ------
    ValueError
        If `end` lies before `start`.

    Example
    -------
    >>> [linear_ramp(s, start=10, end=20, value=2.0) for s in (0, 15, 99)]
    [0.0, 1.0, 2.0]
    """
    if end < start:
        raise ValueError(f"end ({end}) lies before start ({start})")
    if step >= end:
        return float(value)
    if step <= start:
        return 0.0
    return float(value) * (step - start) / (end - start)


def warmup_cosine(step, *, peak, total, warmup=0.2, first=0.04, last=1e-3):
    """Give a learning rate that rises, then falls, along a cosine.

    Arguments
    ---------
    step : int
        The optimizer step, from 0; past `total` the last value is kept.
    peak : float
        The largest learning rate.
    total : int
        Length of the schedule in steps, at least 1.
    warmup : float
        Share of the steps that rise, in [0, 1).
    first, last : float
        Where the schedule begins and ends, relative to `peak`.

    Returns
    -------
    rate : float

    Raises
    ------
    ValueError
        If `total` or `warmup` is out of range.

    Example
    -------
    >>> warmup_cosine(20, peak=1e-3, total=100)
    0.001
    >>> round(warmup_cosine(100, peak=1e-3, total=100), 9)
    1e-06
    """
    if total < 1 or not 0 <= warmup < 1:
        raise ValueError(
            f"total is {total} and warmup {warmup}: total must be at least 1 "
            "and warmup in [0, 1)"
        )
    rising = warmup * total
    if step < rising:
        low, high, position = first, 1.0, 1 - step / rising
    else:
        low, high = last, 1.0
        position = min(1.0, (step - rising) / (total - rising))
    return peak * (
        low + (high - low) * 0.5 * (1 + math.cos(math.pi * position))
    )
