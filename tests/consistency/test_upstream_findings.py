"""The faults listed in docs/upstream.md are still in SpeechBrain.

A test passes while the installed SpeechBrain has the fault. One that fails
is good news: SpeechBrain has mended it, so the document, and what we do to
avoid the fault, can be changed. The faults of its recipes, which are not
installed, are tested where SPEECHBRAIN_CHECKOUT names a clone of SpeechBrain.
"""

import ast
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import speechbrain as sb
import torch
import torch.nn as nn
import torch.nn.functional as F
from speechbrain.augment.time_domain import AddReverb
from speechbrain.inference.metrics import SNREstimator
from speechbrain.inference.separation import SepformerSeparation
from speechbrain.lobes.models.conv_tasnet import MaskNet
from speechbrain.lobes.models.dual_path import Decoder, Encoder
from speechbrain.lobes.models.wav2vec import sample_negatives
from speechbrain.nnet.losses import cal_si_snr, get_si_snr_with_pitwrapper
from speechbrain.nnet.pooling import StatisticsPooling
from speechbrain.utils.checkpoints import METAFNAME, Checkpointer

CHECKOUT = os.environ.get("SPEECHBRAIN_CHECKOUT")
MENDED = (
    f"SpeechBrain {sb.__version__} has mended this fault: "
    "say so in docs/upstream.md, and remove this test"
)
needs_checkout = pytest.mark.skipif(
    not CHECKOUT, reason="SPEECHBRAIN_CHECKOUT names no clone of SpeechBrain"
)


# Training ---------------------------------------------------------------------


class Recipe(sb.Brain):
    """Calls its network where `called` says: in `hparams` or `modules`."""

    def compute_forward(self, batch, stage):
        return getattr(self, self.hparams.called).net(batch)

    def compute_objectives(self, predictions, batch, stage):
        return predictions.square().mean()

    def optimizers_step(self):
        """Leave the gradients as they are, to look at them."""


def compare_gradients(rank, folder):
    """One of two processes: print how far the gradients are apart."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/s", rank=rank, world_size=2
    )
    for called in ("hparams", "modules"):
        torch.manual_seed(0)
        net = nn.Linear(4, 1)
        options = {"device": "cpu", "distributed_backend": "gloo"}
        brain = Recipe(
            {"net": net},
            opt_class=lambda parameters: torch.optim.SGD(parameters, 0.1),
            hparams={"net": net, "called": called},
            run_opts=options | {"distributed_launch": True},
        )
        brain.on_fit_start()
        torch.manual_seed(rank)  # each process has data of its own
        brain.fit_batch(torch.randn(8, 4))
        both = [torch.empty_like(net.weight) for _ in range(2)]
        torch.distributed.all_gather(both, net.weight.grad)
        if rank == 0:
            print(called, (both[0] - both[1]).abs().max().item())


@pytest.mark.slow
def test_ddp_does_not_synchronize_what_hparams_call(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), tmp_path],
            env=os.environ | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [process.communicate()[0] for process in processes]
    difference = dict(line.split() for line in printed[0].splitlines())
    assert float(difference["modules"]) == 0
    assert float(difference["hparams"]) > 0.01, MENDED


def test_a_checkpoint_that_was_cut_short_is_taken_for_a_whole_one(tmp_path):
    class Killed(BaseException):
        pass

    def kill(layer, path):
        raise Killed

    layers = {"first": nn.Linear(1, 1), "second": nn.Linear(1, 1)}
    checkpointer = Checkpointer(tmp_path, layers)
    whole = checkpointer.save_checkpoint()
    checkpointer.custom_save_hooks["second"] = kill
    with pytest.raises(Killed):
        checkpointer.save_checkpoint()
    resumed = Checkpointer(tmp_path, layers)
    newest = resumed.find_checkpoint()
    assert newest.path != whole.path and "second" not in newest.paramfiles, (
        MENDED
    )
    # the message, a RuntimeError, is lost as well
    with pytest.raises(KeyError, match="second"):
        resumed.recover_if_possible()
    (newest.path / METAFNAME).unlink()
    assert resumed.recover_if_possible().path == whole.path


def test_the_limit_of_steps_on_the_command_line_stays_a_text():
    _, run_opts, _ = sb.parse_arguments(["a.yaml", "--optimizer_step_limit=3"])
    assert run_opts.optimizer_step_limit == "3", MENDED


def test_the_module_that_the_wham_recipes_use_is_gone():
    assert not hasattr(sb.processing, "speech_augmentation"), MENDED
    with pytest.raises(TypeError, match="positional"):
        AddReverb("rirs.csv")(torch.zeros(1, 8), None)


# Losses and layers ------------------------------------------------------------


def test_si_snr_writes_into_the_estimates():
    leaf = torch.randn(8, 1, 1, requires_grad=True)
    with pytest.raises(RuntimeError, match="in-place"):
        cal_si_snr(torch.randn(8, 1, 1), leaf)


def test_statistics_pooling_is_noisy_in_evaluation():
    pool, frames = StatisticsPooling().eval(), torch.randn(1, 9, 4)
    assert not torch.equal(pool(frames), pool(frames)), MENDED
    assert (pool(frames)[0, 0, :4] > frames.mean(1)).all()  # and biased


def test_negatives_of_wav2vec_come_from_another_utterance():
    utterance = torch.arange(3.0).view(3, 1, 1).expand(3, 50, 1).contiguous()
    negatives = sample_negatives(utterance, 100)
    assert (negatives[:, 0] == 0).all()
    assert (negatives[:, 2] == 1).any(), MENDED


# Inference --------------------------------------------------------------------


def estimator(norm="stnorm"):
    encoder = nn.Sequential(nn.Conv1d(2, 4, 4), nn.ReLU())
    output = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())
    nn.init.normal_(output[0].weight)
    return SNREstimator(
        {"encoder": encoder, "encoder_out": output},
        {
            "stat_pooling": StatisticsPooling(),
            "separation_norm_type": norm,
            **{"snrmin": 0, "snrmax": 10},
        },
    )


@torch.no_grad()
def test_the_estimator_pairs_estimates_with_other_mixtures():
    model, mixtures = estimator(), torch.randn(2, 800)
    estimates = mixtures.unsqueeze(2) * torch.tensor([0.1, 2.0])
    estimates = estimates + torch.randn(2, 800, 2)
    together = model.estimate_batch(mixtures, estimates)
    alone = [
        model.estimate_batch(mixtures[i : i + 1], estimates[i : i + 1])
        for i in range(2)
    ]
    apart = (together - torch.cat(alone)).abs()
    # the noise of the pooling is below 1e-3 dB
    assert apart[0] < 1e-2 and apart[3] < 1e-2
    assert apart[1] > 1e-2 and apart[2] > 1e-2, MENDED


@torch.no_grad()
def test_the_estimator_fails_on_three_sources_and_on_silence():
    mixture = torch.randn(1, 800)
    with pytest.raises(RuntimeError, match="Sizes of tensors"):
        estimator().estimate_batch(mixture, torch.randn(1, 800, 3))
    silent = torch.stack([mixture, torch.zeros(1, 800)], 2)
    assert estimator().estimate_batch(mixture, silent)[1].isnan(), MENDED


@torch.no_grad()
def test_max_normalization_ignores_negative_samples():
    model, mixture = estimator("max"), torch.randn(1, 800)
    mixture[0, 0] = -100  # the largest magnitude
    seen = []
    model.mods.encoder.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    model.estimate_batch(mixture, mixture.unsqueeze(2).expand(-1, -1, 2))
    assert seen[0].abs().max() > 10, MENDED


@torch.no_grad()
def test_the_last_samples_are_not_separated():
    decoder = Decoder(
        in_channels=8, out_channels=1, kernel_size=16, stride=8, bias=False
    )
    model = SepformerSeparation(
        {
            "encoder": Encoder(16, 8),
            "masknet": MaskNet(8, 4, 8, 3, 2, 1, 2),
            "decoder": decoder,
        },
        {"num_spks": 2},
    )
    mixture = torch.randn(1, 400 + 7)
    assert model.separate_batch(mixture)[:, -7:].abs().max() == 0, MENDED
    padded = model.separate_batch(F.pad(mixture, (0, 1)))
    assert padded[:, 400:407].abs().max() > 0


# Recipes ----------------------------------------------------------------------


@needs_checkout
@pytest.mark.parametrize(
    "recipe",
    [
        *("Aishell1Mix/separation", "BinauralWSJ0Mix/separation"),
        *("DNS/enhancement", "LibriMix/separation", "WSJ0Mix/separation"),
        *("WHAMandWHAMR/enhancement", "WHAMandWHAMR/separation"),
        "REAL-M/sisnr-estimation",
    ],
)
def test_networks_are_called_through_hparams(recipe):
    text = Path(CHECKOUT, "recipes", recipe, "train.py").read_text()
    calls = r"self\.hparams\.(Decoder[LR]?|encoder_out)\("
    assert re.search(calls, text), MENDED


@needs_checkout
def test_the_oracle_is_greedy():
    path = Path(CHECKOUT, "recipes/REAL-M/sisnr-estimation/train.py")
    function = next(
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if getattr(node, "name", None) == "compute_oracle_sisnrs"
    )
    names = {"torch": torch}
    exec(compile(ast.Module([function], []), path, "exec"), names)
    loss = types.SimpleNamespace(loss=get_si_snr_with_pitwrapper)
    brain = types.SimpleNamespace(hparams=loss)
    s = torch.randn(1, 8000, 2)
    first, second = s.unbind(2)
    estimates = torch.stack([first + 0.9 * second, first + 0.1 * second], 2)
    found = names["compute_oracle_sisnrs"](brain, estimates, s)
    assert found.mean() < -8, MENDED  # the other order gives 9.6 dB
    with pytest.raises(AssertionError):
        names["compute_oracle_sisnrs"](
            brain, estimates.expand(2, -1, -1), s.expand(2, -1, -1)
        )


if __name__ == "__main__":
    compare_gradients(int(sys.argv[1]), sys.argv[2])
