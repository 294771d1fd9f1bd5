"""Pools of separators."""

import pytest
import torch

from speechbrain_ext.models import SpectralConvTasNet
from speechbrain_ext.models.separator_pool import SeparatorPool


def make_separator(sources=2):
    return SpectralConvTasNet(sources, channels=4, hidden=4, blocks=1)


def test_every_mixture_is_separated_by_its_own_separator():
    torch.manual_seed(0)
    pool = SeparatorPool({name: make_separator() for name in "abc"})
    mixture = torch.randn(4, 2000)
    estimates = pool.separate(mixture, [2, 0, 2, 1])
    for item, number in enumerate((2, 0, 2, 1)):
        expected = pool.modules[number](mixture[item : item + 1])[0]
        torch.testing.assert_close(estimates[item], expected)
    assert not torch.allclose(estimates[0], pool.separate(mixture, [0] * 4)[0])


def test_separators_are_frozen():
    separator = make_separator().train()
    SeparatorPool({"a": separator})
    assert not separator.training
    assert not any(p.requires_grad for p in separator.parameters())


def test_another_number_of_sources_is_told():
    pool = SeparatorPool({"a": make_separator(), "b": make_separator(3)})
    with pytest.raises(ValueError, match="separator b gives 3 sources"):
        pool.separate(torch.randn(2, 800), [0, 1])
    pool = SeparatorPool({"b": make_separator(3)}, num_sources=3)
    assert pool.separate(torch.randn(2, 800), [0, 0]).shape == (2, 3, 800)
