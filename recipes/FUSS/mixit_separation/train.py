#!/usr/bin/env python3
"""Train a separator of any sounds on mixtures alone, by MixIT.

    python train.py hparams/mixit_mini.yaml [--key=value ...]
    torchrun --nproc-per-node=2 train.py hparams/mixit_mini.yaml

Two mixtures are summed; the outputs of the separator are assigned to the two
so that their sums come nearest to them.  No separated sound is a target of
the training; but where mixtures are made here, the share `single_share` of
them holds a single sound, which nothing marks.  Methods: Wisdom et al.,
"Unsupervised sound separation using mixture invariant training", NeurIPS 2020,
arXiv 2006.12701; Wisdom et al., "Sparse, efficient, and semantic mixture
invariant training", WASPAA 2021, arXiv 2106.00847.

Start reading at the bottom.
"""

import evaluate
import runs
import speechbrain as sb
import torch
from data import make_mixtures
from objectives import (
    add_classifier,
    check_least_squares,
    form_input,
    penalties,
    semantic_loss,
    separation_loss,
)
from options import RULES, find_conflicts
from release import FIGURES

from speechbrain_ext.evaluation import summarise, universal_figures
from speechbrain_ext.training import (
    SkipNonFinite,
    leave_processes,
    linear_ramp,
    log_row,
    rank_and_size,
    read_command_line,
    remember_run,
    require_same_run,
    run_on_main,
    run_recipe,
    save_hparams,
    warmup_cosine,
)


class MixITSeparation(SkipNonFinite, sb.Brain):
    """Separator trained by MixIT and its penalties, or supervised."""

    def compute_forward(self, batch, stage):
        """Mix on the device and separate.

        Returns the estimates (batch, M, time), what they were made from
        (batch, time), and the mixtures.
        """
        mixtures = self.mixtures[stage].mix(batch)
        mixture = form_input(mixtures, self.hparams)
        return self.modules.separator(mixture), mixture, mixtures

    def compute_objectives(self, predictions, batch, stage):
        """Return the loss in dB, plus the penalties times their weights."""
        estimates, mixture, mixtures = predictions
        loss, assignment = separation_loss(estimates, mixtures, self.hparams)
        objective = loss.mean()
        values = {"separation": objective.detach()}
        parts = penalties(estimates, mixture, self.hparams)
        if self.hparams.semantic_weight > 0:
            logits = self.modules.classifier(estimates, mixture)
            value = semantic_loss(logits, mixtures, assignment)
            parts["semantic"] = self.hparams.semantic_weight, value
        ramp = self.penalty_ramp(stage)
        for name, (weight, value) in parts.items():
            values[name] = value.detach()
            objective = objective + ramp * weight * value
        if self.checks_solver(stage):
            values |= check_least_squares(estimates, mixtures, self.hparams)
        if stage != sb.Stage.TRAIN and mixtures.references is not None:
            self.measure(mixtures)
        values["objective"] = objective.detach()
        self.hparams.history.add(stage.name.lower(), **values)
        return objective

    def penalty_ramp(self, stage):
        """Zero at first, then a ramp to 1; 1 in validation."""
        if stage != sb.Stage.TRAIN:
            return 1.0
        return linear_ramp(
            self.optimizer_step,
            start=self.hparams.penalty_start * self.total_steps,
            end=self.hparams.penalty_end * self.total_steps,
            value=1.0,
        )

    def checks_solver(self, stage):
        """In validation, and before a row of the training is logged."""
        if self.hparams.objective != "mixit" or not self.hparams.solver_check:
            return False
        next_step = self.optimizer_step + 1
        logged = next_step % self.hparams.log_interval == 0
        return stage != sb.Stage.TRAIN or logged

    @torch.no_grad()
    def measure(self, mixtures):
        """Separate single mixtures and hold them against the references."""
        self.rows += universal_figures(
            estimates=self.modules.separator(mixtures.mixture).float(),
            references=mixtures.references,
            mixture=mixtures.mixture,
        )

    def on_stage_start(self, stage, epoch):
        """Begin the figures of a validation."""
        self.rows = []

    def on_fit_batch_start(self, batch, should_step):
        """Set the learning rate of this step."""
        rate = warmup_cosine(
            self.optimizer_step,
            peak=self.hparams.learning_rate,
            total=self.total_steps,
            warmup=self.hparams.warmup,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Log every few steps."""
        if should_step and self.optimizer_step % self.hparams.log_interval == 0:
            rate = self.optimizer.param_groups[0]["lr"]
            row = self.hparams.history.write(
                step=self.optimizer_step,
                stage="train",
                learning_rate=rate,
                skipped_steps=self.skipped_steps,
            )
            self.log(row)

    def on_stage_end(self, stage, stage_loss, epoch):
        """Write the validation's row; keep the best and the last, or all."""
        if stage != sb.Stage.VALID:
            return
        summary = summarise(self.rows) if self.rows else {}
        row = self.hparams.history.write(
            step=self.optimizer_step,
            stage="valid",
            **{name: summary[name] for name in FIGURES if name in summary},
        )
        self.log(row)
        every = self.hparams.keep_checkpoints == "all"
        self.checkpointer.save_and_keep_only(
            meta={"objective": row["objective"], "last": -epoch},
            min_keys=[self.hparams.selection],
            num_to_keep=self.hparams.number_of_epochs if every else 1,
        )

    def log(self, row):
        """Write a row into the logs."""
        log_row(
            row,
            text_log=self.hparams.text_log,
            tensorboard=self.hparams.tensorboard,
        )


def train(hparams, run_opts):
    """Fit the separator, going on where an interrupted run stopped."""
    rank, world_size = rank_and_size()
    mixtures = {
        sb.Stage.TRAIN: make_mixtures(
            hparams, sb.Stage.TRAIN, rank=rank, world_size=world_size
        ),
        sb.Stage.VALID: make_mixtures(hparams, sb.Stage.VALID),
    }
    add_classifier(hparams, mixtures[sb.Stage.TRAIN])
    brain = MixITSeparation(
        modules=hparams["modules"],
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.mixtures = {k: v.to(brain.device) for k, v in mixtures.items()}
    train_loader = mixtures[sb.Stage.TRAIN].loader
    brain.train_sampler = train_loader.batch_sampler
    brain.checkpointer.add_recoverable("train_loader", train_loader)
    brain.checkpointer.add_recoverable("history", hparams["history"])
    steps = hparams["batches_per_epoch"] // brain.grad_accumulation_factor
    brain.total_steps = hparams["number_of_epochs"] * steps
    run_on_main(
        remember_run, args=[hparams["output_folder"], runs.identity(hparams)]
    )
    brain.fit(
        hparams["epoch_counter"],
        train_loader,
        mixtures[sb.Stage.VALID].loader,
    )
    return brain


def configure(arguments):
    """Read the command line, join the other processes, prepare the data.

    Arguments
    ---------
    arguments : list of str
        The hyperparameter file and options.

    Returns
    -------
    hparams, run_opts : dict, RunOptions
    """
    command = read_command_line(arguments, RULES, find_conflicts)
    hparams = command.hparams
    require_same_run(hparams["output_folder"], runs.identity(hparams))
    save_hparams(command)
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"]
    )
    run_on_main(hparams["prepare"])
    return hparams, command.run_opts


def main(arguments):
    """Prepare the data, train, evaluate, report."""
    hparams, run_opts = configure(arguments)
    # a fault of the test split shows now, not after the training
    mixtures = make_mixtures(hparams, sb.Stage.TEST)
    brain = train(hparams, run_opts)
    mixtures.to(brain.device)
    steps, skipped = brain.optimizer_step, brain.skipped_steps
    brain.on_evaluate_start(min_key=hparams["selection"])
    info = {"steps": steps, "skipped_steps": skipped}
    run_on_main(evaluate.evaluate, args=[hparams, mixtures, arguments, info])
    leave_processes()


if __name__ == "__main__":
    run_recipe(main)
