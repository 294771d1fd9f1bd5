"""What every separator promises."""

import pytest
import torch

from speechbrain_ext.models import (
    TDCN,
    BandSeparator,
    ConvTasNet,
    SepFormer,
    SpectralBLSTM,
    SpectralConvTasNet,
    SpectralDPRNN,
    SpectralGRU,
    SpectralSepFormer,
    SpectralTDCN,
)

BUILDERS = {
    "BandSeparator": lambda num_sources: BandSeparator(
        num_sources, bands=4, channels=16, blocks=1
    ),
    "BandSeparator with real masks": lambda num_sources: BandSeparator(
        num_sources, bands=4, channels=16, blocks=1, mask="sigmoid"
    ),
    "SepFormer": lambda num_sources: SepFormer(
        num_sources,
        channels=16,
        blocks=2,
        intra_layers=1,
        inter_layers=1,
        heads=4,
        feedforward=32,
        chunk=20,
    ),
    "ConvTasNet": lambda num_sources: ConvTasNet(
        num_sources,
        channels=16,
        bottleneck=8,
        hidden=16,
        skip=8,
        blocks=3,
        repeats=1,
    ),
    "SpectralSepFormer": lambda num_sources: SpectralSepFormer(
        num_sources, channels=16, heads=2, feedforward=32, chunk=8
    ),
    "SpectralSepFormer with overlap": lambda num_sources: SpectralSepFormer(
        num_sources,
        channels=16,
        heads=2,
        feedforward=32,
        chunk=8,
        overlap=True,
        mask="relu",
    ),
    "SpectralDPRNN": lambda num_sources: SpectralDPRNN(
        num_sources, channels=8, hidden=8, chunk=8, overlap=True
    ),
    "SpectralGRU": lambda num_sources: SpectralGRU(
        num_sources, n_fft=256, hop=64, hidden=16
    ),
    "SpectralBLSTM": lambda num_sources: SpectralBLSTM(num_sources, hidden=16),
    "SpectralConvTasNet": lambda num_sources: SpectralConvTasNet(
        num_sources, channels=16, hidden=32
    ),
    "SpectralConvTasNet with skip paths": lambda num_sources: (
        SpectralConvTasNet(
            num_sources,
            n_fft=128,
            hop=32,
            mask="relu",
            channels=16,
            hidden=32,
            skip=8,
            activation="silu",
        )
    ),
    "TDCN": lambda num_sources: TDCN(
        num_sources,
        channels=16,
        bottleneck=16,
        hidden=32,
        blocks=3,
        repeats=2,
    ),
    "TDCN with long skips": lambda num_sources: TDCN(
        num_sources,
        channels=16,
        kernel_size=16,
        bottleneck=16,
        hidden=32,
        blocks=2,
        repeats=3,
        mask="relu",
        long_skips=True,
    ),
    "SpectralTDCN": lambda num_sources: SpectralTDCN(
        num_sources,
        n_fft=128,
        hop=64,
        channels=16,
        hidden=32,
        blocks=3,
        long_skips=True,
    ),
}


@pytest.fixture(params=BUILDERS, autouse=True)
def build(request):
    torch.manual_seed(0)
    return BUILDERS[request.param]


def speech_like(batch, time):
    swell = torch.sin(torch.arange(time) / 500.0).square()
    return 0.1 * swell * torch.randn(batch, time)


@pytest.mark.slow
@pytest.mark.parametrize("time", [1, 7, 127, 128, 129, 1000, 4001, 9999])
def test_any_length(build, time):
    separator = build(2)
    estimates = separator(speech_like(2, time))
    assert estimates.shape == (2, 2, time)
    assert estimates.dtype == torch.float32
    assert estimates.isfinite().all()


@pytest.mark.parametrize("num_sources", [1, 3, 4, 8, 16])
def test_any_number_of_sources(build, num_sources):
    estimates = build(num_sources)(speech_like(2, 1500))
    assert estimates.shape == (2, num_sources, 1500)


def test_an_untrained_separator_gives_every_output_its_own_share(build):
    estimates = build(8)(speech_like(2, 4000))
    unit = torch.nn.functional.normalize(estimates, dim=-1)
    alike = (unit @ unit.mT - torch.eye(8)).abs()
    assert alike.max() < 0.99999
    level = 10 * estimates.square().sum(-1).log10()
    assert level.amax() - level.amin() < 20


def test_estimates_scale_with_the_input(build):
    separator = build(2)
    mixture = speech_like(2, 4000)
    # learnt filters have a fixed floor below their features: keep above it
    loud = separator(300.0 * mixture) / 300.0
    louder = separator(3000.0 * mixture) / 3000.0
    torch.testing.assert_close(loud, louder, atol=2e-4, rtol=1e-2)


def test_an_item_alone_equals_the_item_in_a_batch(build):
    separator = build(2)
    mixtures = speech_like(4, 3001)
    mixtures[2] *= 100.0
    together = separator(mixtures)
    for mixture, estimates in zip(mixtures, together, strict=True):
        torch.testing.assert_close(
            separator(mixture[None])[0],
            estimates,
            atol=1e-5 * float(mixture.abs().max()),
            rtol=1e-4,
        )


def test_gradient_reaches_every_parameter(build):
    separator = build(2)
    target = speech_like(6, 4000).view(3, 2, 4000)
    error = separator(target.sum(1)) - target
    error.square().sum().backward()
    for name, parameter in separator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("silent_items", [1, 2])
def test_silence_gives_finite_estimates_and_gradients(build, silent_items):
    separator = build(2)
    mixture = speech_like(2, 2000)
    mixture[:silent_items] = 0.0
    mixture.requires_grad_()
    estimates = separator(mixture)
    assert (estimates[:silent_items] == 0).all()
    (estimates - 1.0).square().mean().backward()
    for parameter in [mixture, *separator.parameters()]:
        assert parameter.grad.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_comes_near_single_precision(build, dtype):
    separator = build(2)
    mixture = speech_like(2, 4000)
    with torch.autocast("cpu", dtype):
        estimates = separator(mixture)
        estimates.square().sum().backward()
    assert estimates.dtype == torch.float32
    for parameter in separator.parameters():
        assert parameter.grad.isfinite().all()
    exact = separator(mixture).detach()
    error = (estimates - exact).square().mean() / exact.square().mean()
    assert error < 1e-3


def test_training_leaves_no_running_statistics(build):
    separator = build(2)
    mixture = speech_like(2, 2000)
    before = separator.eval()(mixture)
    separator.train()(torch.full((2, 2000), float("inf")))
    assert torch.equal(separator.eval()(mixture), before)


def test_state_dict_brings_everything(build):
    first, second = build(2), build(2)
    mixture = speech_like(1, 2000)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(0.1)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(mixture), second(mixture))
