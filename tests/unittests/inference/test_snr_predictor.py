"""The predictor of frame SNRs that comes with the package."""

import pytest
import soundfile
import torch

from speechbrain_ext.corpora.mini import SPEECH
from speechbrain_ext.dataio import add_noise
from speechbrain_ext.inference import load_predictor
from speechbrain_ext.losses import frame_snr_db

RATE, FRAMES = 16000, {"window": 1024, "hop": 256}


@pytest.mark.parametrize("user", ["af_heart", "bm_george"])
def test_the_shipped_predictor_tells_speech_from_noise(user):
    predictor = load_predictor("shipped", sample_rate=RATE, **FRAMES)
    path = sorted((SPEECH / user).glob("*"))[0]
    samples, rate = soundfile.read(path, dtype="float32")
    clean = torch.from_numpy(samples)[:: rate // RATE]
    clean = clean / clean.square().mean().sqrt()
    torch.manual_seed(0)
    found = []
    for snr_db in (-10.0, 0.0, 10.0):
        noisy, _ = add_noise(
            speech=clean,
            noise=torch.randn(len(clean)),
            snr_db=torch.tensor(snr_db),
        )
        levels = predictor(noisy[None])[0]
        true = frame_snr_db(target=clean, noisy=noisy, clamp_db=20.0, **FRAMES)
        pair = torch.stack((levels, true))
        assert torch.corrcoef(pair)[0, 1] > 0.6
        found.append(levels.mean().item())
        # the level of the recording says nothing
        again = predictor(0.01 * noisy[None])[0]
        torch.testing.assert_close(again, levels, atol=0.05, rtol=0)
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sample_rate": 8000}, "for 16000 Hz, and is to work at 8000"),
        ({"window": 512}, "window of 1024 samples, and the window here is 512"),
        ({"hop": 128}, "hop of 256 samples, and the hop here is 128"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        load_predictor("shipped", **{"sample_rate": RATE, **FRAMES, **options})
