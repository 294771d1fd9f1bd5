"""How far rounding may move what tests compare, on any machine."""

import math

import torch


def tolerance(dtype=torch.float32, terms=1):
    """The relative error of a sum of so many terms.

    Rounding errors add up like a random walk: a sum of n terms is off by
    about eps times the root of n (Higham and Mary, "A new approach to
    probabilistic rounding error analysis", 2019). Four times that has room
    for every order of summation and every CPU.
    """
    return 4 * torch.finfo(dtype).eps * math.sqrt(terms)
