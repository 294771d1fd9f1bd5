"""The predictor of frame SNRs, and the sizes of the paper."""

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.losses import frame_snr_db
from speechbrain_ext.models import SNRPredictor, SpectralGRU
from speechbrain_ext.models.snr_predictor import load_trained


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    "hidden, parameters",
    [(64, 169473), (128, 412161), (256, 1118721), (512, 3416577)],
)
def test_enhancers_have_the_parameters_of_the_paper(hidden, parameters):
    with torch.device("meta"):
        assert count(SpectralGRU(hidden=hidden)) == parameters


def test_the_predictor_has_the_parameters_of_the_paper():
    with torch.device("meta"):
        assert count(SNRPredictor()) == 17324033


@pytest.mark.parametrize("time", [1, 16, 17, 1000, 1007])
def test_its_frames_are_those_of_the_levels(time):
    predictor = SNRPredictor(n_fft=64, hop=16, hidden=4, layers=2)
    noisy = torch.randn(2, time)
    levels = frame_snr_db(target=noisy, noisy=noisy, window=64, hop=16)
    assert predictor(noisy).shape == levels.shape


def test_it_hears_neither_levels_nor_other_signals():
    predictor = SNRPredictor(n_fft=64, hop=16, hidden=4, layers=2)
    noisy = torch.randn(3, 1000)
    found = predictor(noisy)
    torch.testing.assert_close(predictor(100 * noisy), found, atol=1e-3, rtol=0)
    torch.testing.assert_close(predictor(noisy[:1]), found[:1])
    assert predictor(torch.zeros(1, 1000)).isfinite().all()


@pytest.mark.slow
def test_it_learns_which_frames_are_clean():
    torch.manual_seed(0)
    predictor = SNRPredictor(n_fft=64, hop=16, hidden=16, layers=1)
    optimizer = torch.optim.Adam(predictor.parameters(), 0.01)

    def draw(batch):
        tone = torch.sin(torch.arange(1000) * 0.4).expand(batch, -1)
        swell = torch.sin(
            torch.arange(1000) * 0.01 + 6.28 * torch.rand(batch, 1)
        )
        speech = tone * swell.clamp_min(0)
        return speech, speech + 0.2 * torch.randn(batch, 1000)

    for _ in range(60):
        speech, noisy = draw(16)
        wanted = frame_snr_db(target=speech, noisy=noisy, window=64, hop=16)
        loss = (predictor(noisy) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    speech, noisy = draw(64)
    wanted = frame_snr_db(target=speech, noisy=noisy, window=64, hop=16)
    pair = torch.stack((predictor(noisy).detach().flatten(), wanted.flatten()))
    assert torch.corrcoef(pair)[0, 1] > 0.9


def test_a_trained_predictor_comes_from_a_run_or_a_folder(tmp_path):
    small = {"n_fft": 64, "hop": 16, "hidden": 4, "layers": 1}
    trained = SNRPredictor(**small)
    checkpointer = Checkpointer(tmp_path / "run/save", {"predictor": trained})
    checkpointer.save_checkpoint(meta={"objective": 1.0})
    wanted = {k: v.clone() for k, v in trained.state_dict().items()}
    torch.nn.init.zeros_(trained.network.output.bias)
    checkpointer.save_checkpoint(meta={"objective": 2.0})
    (tmp_path / "release").mkdir()
    torch.save(wanted, tmp_path / "release/predictor.ckpt")
    for name in ("run", "release"):
        found = load_trained(SNRPredictor(**small), tmp_path / name)
        for key, value in found.state_dict().items():
            assert torch.equal(value, wanted[key]), name
        assert not found.training
        assert not any(p.requires_grad for p in found.parameters())
    with pytest.raises(FileNotFoundError, match="predictor: there are no"):
        load_trained(SNRPredictor(**small), tmp_path)
