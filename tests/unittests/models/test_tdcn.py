import pytest
import torch

from speechbrain_ext.models import TDCN, SpectralTDCN
from speechbrain_ext.models.norms import GlobalLayerNorm, InstanceNorm


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def linear(inputs, outputs):
    return inputs * outputs + outputs


def block(channels, hidden, slopes):
    """Two linear maps, a depthwise convolution of 3 taps, slopes, a scale."""
    maps = linear(channels, hidden) + linear(hidden, channels)
    return maps + 3 * hidden + hidden + slopes + 1


@pytest.mark.parametrize(
    "num_sources, total", [(4, 8_828_256), (8, 9_091_424), (16, 9_617_760)]
)
def test_full_size_is_the_official_configuration(num_sources, total):
    separator = TDCN(num_sources)
    assert total == (
        2 * 40 * 256  # filters in and out, without bias
        + linear(256, 256)
        + 32 * block(256, 512, slopes=2)
        + linear(256, num_sources * 256)
    )
    assert count(separator) == total
    network = separator.masknet.network
    dilations = [b.widen[3].dilation for b in network.blocks]
    assert dilations == 4 * [1, 2, 4, 8, 16, 32, 64, 128]
    assert network.blocks[31].scale.item() == pytest.approx(0.9**31)
    assert separator.encoder.conv1d.stride == (20,)


def test_long_skips_are_those_of_the_baseline_of_fuss():
    separator = TDCN(8, long_skips=True)
    assert count(separator) == 9_091_424 + 6 * linear(256, 256)


def test_size_of_the_spectral_one():
    assert count(SpectralTDCN()) == (
        linear(257, 128) + 12 * block(128, 256, slopes=0) + linear(128, 8 * 257)
    )


def test_full_size_separates():
    separator = TDCN(4).eval()
    with torch.no_grad():
        estimates = separator(torch.randn(1, 3333))
    assert estimates.shape == (1, 4, 3333)
    assert estimates.isfinite().all() and estimates.std() > 0


def test_state_dict_has_the_names_of_conv_tasnet_and_the_options():
    separator = TDCN(
        2, channels=8, bottleneck=4, hidden=4, repeats=2, long_skips=True
    )
    names = separator.state_dict().keys()
    network = "masknet.network."
    assert {
        "encoder.conv1d.weight",
        "decoder.weight",
        network + "bottleneck.weight",
        network + "blocks.0.widen.0.weight",
        network + "blocks.15.scale",
        network + "long_skips.1.0.weight",
        network + "output.1.weight",
    } <= names


def test_instance_norm_stands_in_the_blocks_and_nowhere_else():
    separator = SpectralTDCN(channels=8, hidden=8)
    kinds = {InstanceNorm: [], GlobalLayerNorm: []}
    for name, module in separator.named_modules():
        if type(module) in kinds:
            kinds[type(module)].append(name)
    assert len(kinds[InstanceNorm]) == 24
    assert all(".blocks." in name for name in kinds[InstanceNorm])
    assert kinds[GlobalLayerNorm] == ["network.norm"]


def test_masks_start_near_one_half_and_differ():
    separator = TDCN(4, channels=32, bottleneck=32, hidden=32, repeats=1)
    features = torch.rand(2, 32, 100)
    masks = separator.masknet(features)
    assert masks.shape == (4, 2, 32, 100)
    assert (masks.mean(dim=(1, 2, 3)) - 0.5).abs().max() < 0.1
    pairs = (masks[:, None] - masks[None]).abs().mean(dim=(2, 3, 4))
    assert pairs[~torch.eye(4, dtype=torch.bool)].min() > 0.01


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="kernel_size=41 must be even"):
        TDCN(kernel_size=41)
    with pytest.raises(ValueError, match="mask='tanh' is not one of"):
        SpectralTDCN(mask="tanh")
