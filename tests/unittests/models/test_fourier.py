import pytest
import torch
from tolerances import tolerance

from speechbrain_ext.models.fourier import ShortTimeFourier

# of the samples of a frame
ROUNDING = tolerance(terms=64)


@pytest.mark.parametrize("time", [1, 31, 32, 33, 1000, 1001])
@pytest.mark.parametrize("hop", [8, 16, 32])
def test_inverse_is_exact_up_to_the_first_and_last_sample(hop, time):
    fourier = ShortTimeFourier(64, hop)
    signals = torch.randn(3, time)
    torch.testing.assert_close(
        fourier.inverse(fourier(signals), time), signals, atol=ROUNDING, rtol=0
    )


def test_equals_torch_at_half_overlap():
    fourier = ShortTimeFourier(256, 128)
    signals = torch.randn(3, 4000)
    expected = torch.stft(
        signals,
        n_fft=256,
        hop_length=128,
        window=torch.hann_window(256),
        center=True,
        pad_mode="constant",
        return_complex=True,
    ).transpose(1, 2)
    spectrum = fourier(signals)[:, : expected.shape[1]]
    torch.testing.assert_close(spectrum, expected, atol=1e-4, rtol=1e-4)


def test_inverse_is_the_least_squares_signal():
    # of a spectrum that no signal has
    fourier = ShortTimeFourier(64, 16)
    time = 640
    spectrum = torch.randn_like(fourier(torch.randn(1, time)))
    frames = torch.fft.irfft(spectrum, 64)[0] * torch.hann_window(64)
    numerator = torch.zeros(16 * (len(frames) - 1) + 64)
    denominator = torch.zeros_like(numerator)
    for index, frame in enumerate(frames):
        numerator[16 * index : 16 * index + 64] += frame
        denominator[16 * index : 16 * index + 64] += torch.hann_window(
            64
        ).square()
    expected = (numerator / denominator)[48 : 48 + time]
    torch.testing.assert_close(fourier.inverse(spectrum, time)[0], expected)


@pytest.mark.parametrize("n_fft, hop", [(64, 0), (64, 24), (64, 64)])
def test_hops_that_do_not_fit_are_errors(n_fft, hop):
    with pytest.raises(ValueError, match=f"n_fft=64 .*hop={hop}"):
        ShortTimeFourier(n_fft, hop)
