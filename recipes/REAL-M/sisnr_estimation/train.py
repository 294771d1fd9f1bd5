#!/usr/bin/env python3
"""Train a blind SI-SNR estimator, which judges separations without references.

    python recipes/REAL-M/sisnr_estimation/pool.py hparams/sisnr_mini.yaml
    python train.py hparams/sisnr_mini.yaml [--strategy=single] [--key=value]
    torchrun --nproc-per-node=2 train.py hparams/sisnr_mini.yaml

Mixtures are made on the fly and separated by frozen separators of many
qualities, one drawn for every mixture; the network sees a mixture and one
estimate, and learns the SI-SNR that the estimate has.  Method: Subakan,
Ravanelli, Cornell, Grondin, "REAL-M: Towards Speech Separation on Real
Mixtures", ICASSP 2022, arXiv 2110.10812.

Start reading at the bottom.
"""

from pathlib import Path

import evaluate
import numpy as np
import speechbrain as sb
import torch
from data import (
    Pool,
    identity,
    make_mixtures,
    make_training_mixtures,
    oracle,
)
from release import estimator_release

from speechbrain_ext.training import (
    SkipNonFinite,
    leave_processes,
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

RULES = {
    "seed": (int, 0, 2**32 - 1),
    "strategy": ["pool", "single"],
    "sample_rate": (int, 4000, 96000),
    "gain_db": (float, 0, 40),
    "dry_share": (float, 0, 0.99),
    "speed_range": (float, 0, 0.49),
    "equalizer_db": (float, 0, 40),
    "pool_epochs": (int, 3, None),
    "pool_batches": (int, 1, None),
    "pool_batch_size": (int, 2, None),
    "pool_segment_seconds": (float, 0.25, None),
    "pool_learning_rate": (float, 0, 1),
    "number_of_epochs": (int, 1, None),
    "batches_per_epoch": (int, 1, None),
    "batch_size": (int, 2, None),
    "valid_batch_size": (int, 2, None),
    "valid_batches": (int, 1, None),
    "test_batches": (int, 1, None),
    "segment_seconds": (float, 0.25, None),
    "test_segment_seconds": (float, 0.25, None),
    "learning_rate": (float, 0, 1),
    "warmup": (float, 0, 0.99),
    "log_interval": (int, 1, None),
    "num_workers": (int, 0, None),
}


def find_conflicts(values):
    """List what is legal by itself but not together, for `load_hparams`."""
    mistakes = []
    for key in ("members", "snr_db"):
        if not isinstance(values[key], list):
            mistakes.append(f"{key}: {values[key]!r} is no list")
    if not isinstance(values["unseen"], list | None):
        mistakes.append(f"unseen: {values['unseen']!r} is no list, nor null")
    reference = values["reference"]
    if reference is not None and not Path(reference).is_file():
        mistakes.append(f"reference: there is no file {reference}")
    if not values["members"]:
        mistakes.append("members: at least one separator is needed")
    for name, corpus in values["corpora"].items():
        if len(corpus["splits"]) != 3:
            mistakes.append(
                f"corpora: {name} has the splits {corpus['splits']}; there "
                "must be three, for training, validation and test"
            )
    return mistakes


class SISNREstimation(SkipNonFinite, sb.Brain):
    """Regression of the SI-SNR of frozen separators' estimates."""

    def compute_forward(self, batch, stage):
        """Mix, separate and judge.

        Returns the predictions (batch, sources), with the typical errors if
        the network tells them, and the true SI-SNR, all in dB.
        """
        mixtures = self.mixtures[stage].mix(batch)
        number = len(mixtures.mixture)
        if stage == sb.Stage.TRAIN:
            # from numbers that a checkpoint brings back
            generator = np.random.default_rng(
                [self.hparams.seed, self.optimizer_step, self.step, self.rank]
            )
            chosen = generator.integers(len(self.pool), size=number)
        else:
            chosen = self.pool.in_turn(batch=self.step - 1, size=number)
        with torch.no_grad():
            estimates = self.pool.separate(mixtures.mixture, chosen)
            estimates, true = oracle(estimates, mixtures.speech)
        return self.modules.estimator(mixtures.mixture, estimates), true

    def compute_objectives(self, predictions, batch, stage):
        """Return the absolute error as a share of the range."""
        scores, true = predictions
        low, high = (
            self.hparams.estimator.snr_min,
            self.hparams.estimator.snr_max,
        )
        if self.hparams.estimator.uncertainty:
            scores, typical = scores
        error = (scores - true.clamp(low, high)).abs()
        objective = error.mean() / (high - low)
        values = {"absolute_error_db": error.mean().detach()}
        if self.hparams.estimator.uncertainty:
            # what is least off in absolute value is the median
            off = (typical - error.detach()).abs().mean()
            objective = objective + off / (high - low)
            values["error_of_error_db"] = off.detach()
        self.hparams.history.add(stage.name.lower(), **values)
        return objective

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
        """Write the validation's row; keep the best and the last model."""
        if stage != sb.Stage.VALID:
            return
        row = self.hparams.history.write(
            step=self.optimizer_step, stage="valid"
        )
        self.log(row)
        self.checkpointer.save_and_keep_only(
            meta={"absolute_error_db": row["absolute_error_db"]},
            min_keys=["absolute_error_db"],
        )

    def log(self, row):
        """Write a row into the logs."""
        log_row(
            row,
            text_log=self.hparams.text_log,
            tensorboard=self.hparams.tensorboard,
        )


def train(hparams, run_opts, pool):
    """Fit the estimator, going on where an interrupted run stopped."""
    brain = SISNREstimation(
        modules=hparams["modules"],
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.rank, world_size = rank_and_size()
    brain.pool = pool.to(brain.device)
    brain.mixtures = {
        sb.Stage.TRAIN: make_training_mixtures(
            hparams,
            sb.Stage.TRAIN,
            batch_size=hparams["batch_size"],
            batches=hparams["batches_per_epoch"],
            segment_seconds=hparams["segment_seconds"],
            rank=brain.rank,
            world_size=world_size,
        ).to(brain.device),
        sb.Stage.VALID: make_training_mixtures(
            hparams,
            sb.Stage.VALID,
            batch_size=hparams["valid_batch_size"],
            batches=hparams["valid_batches"],
            segment_seconds=hparams["segment_seconds"],
        ).to(brain.device),
    }
    train_loader = brain.mixtures[sb.Stage.TRAIN].loader
    brain.train_sampler = train_loader.batch_sampler
    brain.checkpointer.add_recoverable("train_loader", train_loader)
    brain.checkpointer.add_recoverable("history", hparams["history"])
    steps = hparams["batches_per_epoch"] // brain.grad_accumulation_factor
    brain.total_steps = hparams["number_of_epochs"] * steps
    run_on_main(
        remember_run, args=[hparams["output_folder"], run_identity(hparams)]
    )
    brain.fit(
        hparams["epoch_counter"],
        train_loader,
        brain.mixtures[sb.Stage.VALID].loader,
    )
    return brain


def run_identity(hparams):
    """Collect what makes another run of a run, if it is changed."""
    estimator = hparams["estimator"]
    return {
        **identity(hparams, ["strategy", "members", "learning_rate"]),
        "range": [estimator.snr_min, estimator.snr_max],
        "uncertainty": estimator.uncertainty,
        "encoder": str(estimator.encoder),
    }


def prepare(hparams):
    """Prepare all corpora, and the rooms."""
    for corpus in (*hparams["corpora"].values(), hparams["rooms"]):
        run_on_main(corpus["prepare"])


def main(arguments):
    """Prepare the data, train, evaluate, report, make a release."""
    command = read_command_line(arguments, RULES, find_conflicts)
    hparams, folder = command.hparams, command.hparams["output_folder"]
    require_same_run(folder, run_identity(hparams))
    save_hparams(command)
    sb.create_experiment_directory(experiment_directory=folder)
    prepare(hparams)
    used, others = evaluate.split_members(hparams)
    where = {
        "folder": hparams["pool_folder"],
        "sample_rate": hparams["sample_rate"],
    }
    pool = Pool(used, **where)
    # faults of the evaluation show now, not after the training
    unseen = Pool(others, **where)
    mixtures = make_mixtures(
        hparams,
        sb.Stage.TEST,
        batch_size=hparams["valid_batch_size"],
        batches=hparams["test_batches"],
        segment_seconds=hparams["test_segment_seconds"],
    )
    brain = train(hparams, command.run_opts, pool)
    info = {
        "steps": brain.optimizer_step,
        "skipped_steps": brain.skipped_steps,
    }
    brain.on_evaluate_start(min_key="absolute_error_db")
    info["selected_step"] = brain.optimizer_step

    def finish():
        pools = {"members": pool, "unseen": unseen}
        metrics = evaluate.evaluate(
            hparams, mixtures, pools, device=brain.device, **info
        )
        release = estimator_release(
            Path(folder) / "release", hparams, metrics, arguments
        )
        print(f"Figures and plots: {folder}/index.html; release: {release}")

    run_on_main(finish)
    leave_processes()


if __name__ == "__main__":
    run_recipe(main)
