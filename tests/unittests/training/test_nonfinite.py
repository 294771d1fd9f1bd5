import pytest
import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.training import SkipNonFinite, nonfinite


class Regression(SkipNonFinite, sb.Brain):
    def compute_forward(self, batch, stage):
        return self.modules.layer(batch)

    def compute_objectives(self, predictions, batch, stage):
        return (predictions - 1).square().mean()


def make_brain(**run_opts):
    torch.manual_seed(0)
    brain = Regression(
        {"layer": torch.nn.Linear(3, 1)},
        opt_class=lambda parameters: torch.optim.Adam(parameters, 0.1),
        run_opts={"device": "cpu", **run_opts},
    )
    brain.init_optimizers()
    return brain


def parameters_of(brain):
    return [p.detach().clone() for p in brain.modules.parameters()]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_batch_changes_nothing(value):
    brain = make_brain()
    brain.fit_batch(torch.randn(4, 3))
    before = parameters_of(brain)
    moments = [
        state["exp_avg"].clone() for state in brain.optimizer.state.values()
    ]
    brain.fit_batch(torch.full((4, 3), value))
    for old, new in zip(before, parameters_of(brain), strict=True):
        assert torch.equal(old, new)
    for old, state in zip(moments, brain.optimizer.state.values(), strict=True):
        assert torch.equal(old, state["exp_avg"])
    assert brain.skipped_steps == 1
    brain.fit_batch(torch.randn(4, 3))
    assert brain.skipped_in_a_row == 0
    assert not torch.equal(before[0], parameters_of(brain)[0])
    assert brain.optimizer_step == 3


def test_too_many_in_a_row_end_the_run():
    brain = make_brain(nonfinite_patience=2)
    bad = torch.full((4, 3), float("nan"))
    brain.fit_batch(bad)
    brain.fit_batch(bad)
    with pytest.raises(ValueError, match="3 steps in a row"):
        brain.fit_batch(bad)


def test_skips_that_are_not_in_a_row_go_on():
    brain = make_brain(nonfinite_patience=1)
    for _ in range(4):
        brain.fit_batch(torch.full((4, 3), float("nan")))
        brain.fit_batch(torch.randn(4, 3))
    assert brain.skipped_steps == 4


def test_the_gradient_is_clipped():
    brain = make_brain(max_grad_norm=1e-3)
    brain.optimizer = torch.optim.SGD(brain.modules.parameters(), 1.0)
    before = torch.cat([p.flatten() for p in parameters_of(brain)])
    brain.fit_batch(100 * torch.ones(4, 3))
    after = torch.cat([p.flatten() for p in parameters_of(brain)])
    assert (after - before).norm() <= 1.001e-3
    assert (after - before).norm() >= 0.999e-3


def test_the_counts_survive_an_interruption(tmp_path):
    brain = make_brain()
    brain.fit_batch(torch.randn(4, 3))
    brain.fit_batch(torch.full((4, 3), float("nan")))
    brain.step = 7
    Checkpointer(tmp_path, {"brain": brain}).save_checkpoint()

    again = make_brain()
    Checkpointer(tmp_path, {"brain": again}).recover_if_possible()
    assert (again.skipped_steps, again.skipped_in_a_row) == (1, 1)
    assert (again.step, again.optimizer_step) == (7, 2)


def test_a_checkpoint_waits_for_the_end_of_an_accumulation():
    brain = make_brain(grad_accumulation_factor=3, ckpt_interval_steps=1)
    brain.checkpointer = object()
    asked = []
    for brain.step in range(1, 8):
        asked.append(brain._should_save_intra_epoch_ckpt(0.0, 1))
    assert asked == [False, False, True, False, False, True, False]


def test_only_the_main_process_writes_into_a_checkpoint(tmp_path, monkeypatch):
    brain = make_brain()
    brain.avg_train_loss = 0.25
    brain._save(tmp_path / "brain")
    monkeypatch.setattr(nonfinite, "if_main_process", lambda: False)
    brain.avg_train_loss = 1 / 3
    brain._save(tmp_path / "brain")
    brain._recover(tmp_path / "brain", end_of_epoch=False)
    assert brain.avg_train_loss == 0.25
