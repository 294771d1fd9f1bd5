"""Purified ring mixing: off it changes nothing, on it weights frames."""

from types import SimpleNamespace

import pytest
import speechbrain as sb
import torch
from commands import HPARAMS, import_from

from speechbrain_ext.dataio import form_batch
from speechbrain_ext.inference.purified import PurifiedSISDR
from speechbrain_ext.losses import pit, purified_si_sdr, si_sdr
from speechbrain_ext.services.launcher import check_recipe

recipe = import_from(HPARAMS.parent, "train")


class Levels(torch.nn.Module):
    """Finds the second half of every signal clean, or all of it."""

    n_fft, hop = 64, 16

    def __init__(self, first):
        super().__init__()
        self.first = first
        self.heard = []

    def forward(self, noisy):
        self.heard.append(noisy)
        levels = torch.full((len(noisy), 1 + noisy.shape[1] // 16), 30.0)
        levels[:, : levels.shape[1] // 2] = self.first
        return levels


@pytest.fixture
def ring():
    torch.manual_seed(0)
    batch = {
        "speech": torch.randn(4, 640),
        "noise": torch.randn(4, 640),
        "snr_db": torch.full((4,), 5.0),
        "gain_db": torch.zeros(4),
    }
    mixtures = form_batch(batch, mixing="ring")
    estimates = mixtures.noisy + 0.1 * torch.randn(4, 2, 640)
    return estimates.flip(1), mixtures


def objective_of(ring, predictor):
    """What the recipe's Brain makes of estimates and mixtures."""
    logged, purified = {}, None
    if predictor is not None:
        purified = PurifiedSISDR.__new__(PurifiedSISDR)
        torch.nn.Module.__init__(purified)
        purified.predictor = predictor
    brain = SimpleNamespace(
        hparams=SimpleNamespace(
            targets="noisy",
            mixing="ring",
            scer_scale="target",
            scer_floor=1e-3,
            history=SimpleNamespace(
                add=lambda stage, **values: logged.update(values)
            ),
        ),
        purified_si_sdr=purified,
        scer_weight=lambda stage: 0.0,
    )
    loss = recipe.RingSeparation.compute_objectives(
        brain, ring, {}, sb.Stage.TRAIN
    )
    return loss, logged


@pytest.mark.slow
def test_off_it_is_the_plain_loss_to_the_last_bit(ring):
    estimates, mixtures = ring
    loss, logged = objective_of(ring, None)
    value, _ = pit(si_sdr, estimates=estimates, targets=mixtures.noisy)
    assert torch.equal(loss, -value.mean())
    assert torch.equal(logged["si_sdr"], value.mean())


@pytest.mark.slow
def test_on_it_weights_the_frames_of_the_noisy_targets(ring):
    estimates, mixtures = ring
    predictor = Levels(-30.0)
    loss, logged = objective_of(ring, predictor)
    heard = predictor.heard[0].unflatten(0, (4, 2))
    assert torch.equal(heard, mixtures.noisy)
    # weights are 0 and 2: the second half alone is heard
    found = purified_si_sdr(
        estimate=estimates.flip(1),
        target=mixtures.noisy,
        frame_snr_db=predictor(mixtures.noisy.flatten(0, 1)).view(4, 2, -1),
        normalize=True,
        window=64,
        hop=16,
    )
    torch.testing.assert_close(loss, -found.mean())
    ring[0][..., :280] = 0
    again, _ = objective_of(ring, Levels(-30.0))
    # but for the means over time, which are removed first
    torch.testing.assert_close(again, loss, atol=0.05, rtol=0)
    certain, _ = objective_of(ring, Levels(30.0))
    assert (certain - loss).abs() > 1
    assert logged["si_sdr"].isfinite()


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"purification": "/nowhere"},
            "purification: there is no folder /nowhere",
        ),
        ({"purification": 1.5}, "purification: there is no folder 1.5"),
        (
            {"purification": "x", "targets": "clean"},
            "purification: clean targets need none",
        ),
    ],
)
def test_bad_predictors_are_told(tmp_path, options, message):
    options = {"data_folder": ".", "output_folder": tmp_path, **options}
    words = [f"--{key}={value}" for key, value in options.items()]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        check_recipe(HPARAMS / "ablation_real.yaml", words)
