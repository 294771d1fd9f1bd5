import pytest
import torch

from speechbrain_ext.models import BandSeparator
from speechbrain_ext.models.band_separator import (
    GlobalLayer,
    LocalLayer,
    divide_into_bands,
    level_free,
)


@pytest.mark.parametrize(
    ("bins", "bands"), [(257, 1), (257, 8), (513, 16), (129, 60), (8, 4)]
)
def test_bands_widen_and_hold_all_bins(bins, bands):
    widths = divide_into_bands(bins, bands)
    assert len(widths) == bands and sum(widths) == bins
    assert min(widths) >= 2
    # by rounding, one may be narrower by a bin than the one below it
    assert all(b >= a - 1 for a, b in zip(widths, widths[1:], strict=False))


@pytest.mark.parametrize("bands", [0, 65])
def test_too_many_bands_are_told(bands):
    with pytest.raises(ValueError, match=f"bands={bands}"):
        divide_into_bands(129, bands)
    with pytest.raises(ValueError, match=f"bands={bands}"):
        BandSeparator(n_fft=256, hop=128, bands=bands)


def test_heads_divide_the_channels():
    with pytest.raises(ValueError, match="channels=10 .* heads=4"):
        BandSeparator(channels=10, heads=4)


@pytest.mark.parametrize("rate", [1, 2], ids=["8_kHz", "16_kHz"])
@pytest.mark.parametrize("mask", ["sigmoid", "complex"])
def test_sizes_are_those_of_the_docstring(mask, rate):
    told = {96: 1.3, 160: 3, 288: 9}
    for channels, millions in told.items():
        with torch.device("meta"):
            separator = BandSeparator(
                2, 512 * rate, 128 * rate, channels=channels, mask=mask
            )
        found = sum(p.numel() for p in separator.parameters()) / 1e6
        assert found == pytest.approx(millions, rel=0.25)


def test_masks_have_a_name():
    with pytest.raises(ValueError, match="mask='real' .*'complex', 'sigmoid'"):
        BandSeparator(mask="real")


@pytest.mark.parametrize(("mask", "most"), [("sigmoid", 1), ("relu", None)])
def test_real_masks_keep_the_phase_and_do_not_see_it(mask, most, monkeypatch):
    separator = BandSeparator(bands=4, channels=8, heads=2, mask=mask)
    made, make_masks = [], separator.make_masks

    def keep(scores):
        made.append(make_masks(scores))
        return made[-1]

    monkeypatch.setattr(separator, "make_masks", keep)
    mixture = torch.randn(2, 4000)
    separator(mixture)
    separator(-mixture)
    assert not made[0].is_complex() and made[0].min() >= 0
    assert most is None or made[0].max() <= most
    torch.testing.assert_close(made[0], made[1])


def test_features_are_compressed_and_keep_the_phase():
    spectrum = torch.randn(2, 30, 9, dtype=torch.complex64)
    features = level_free(spectrum)
    found = torch.view_as_complex(features[..., :2].contiguous())
    torch.testing.assert_close(found.angle(), spectrum.angle())
    # a bin with the mean power has the magnitude 1
    power = spectrum.abs().square()
    mean = power.mean(dim=(1, 2), keepdim=True)
    expected = (power / mean + 1e-6) ** 0.15
    torch.testing.assert_close(found.abs(), expected)
    torch.testing.assert_close(features[..., 2], 2 * expected.log())


def reach(layer, place, shape=(1, 20, 6, 8)):
    """The times and bands whose tokens change with the one at a place."""
    tokens = torch.randn(shape)
    changed = tokens.clone()
    time, band = place
    changed[0, time, band] += torch.randn(shape[-1])
    with torch.no_grad():
        moved = (layer(changed) - layer(tokens)).abs().sum(-1)[0] > 1e-6
    return {tuple(found) for found in moved.nonzero().tolist()}


@pytest.mark.parametrize("dilation", [1, 4])
def test_local_layers_reach_three_times_and_three_bands(dilation):
    found = reach(LocalLayer(8, dilation), (10, 3))
    times, bands = (10 - dilation, 10, 10 + dilation), (2, 3, 4)
    assert found == {(time, band) for time in times for band in bands}


def test_global_layers_reach_everything():
    found = reach(GlobalLayer(8, heads=2), (10, 3))
    # values stay in their band, queries and keys do not
    assert {time for time, _ in found} == set(range(20))
    assert {band for _, band in found} == set(range(6))


def test_the_networks_of_a_band_are_those_of_all():
    layer = LocalLayer(8, 1)
    tokens = torch.zeros(1, 9, 9, 8)
    tokens[0, 4, 4] = torch.randn(8)
    with torch.no_grad():
        here = layer(tokens) - layer(torch.zeros_like(tokens))
        moved = layer(tokens.roll((1, 2), (1, 2)))
        there = moved - layer(torch.zeros_like(tokens))
    torch.testing.assert_close(here.roll((1, 2), (1, 2)), there)
