#!/usr/bin/env python3
"""Train an enhancer for one user, from noisy recordings alone.

    python train.py hparams/pse_mini.yaml --stage=snr_predictor
    python train.py hparams/pse_mini.yaml --stage=generalist
    python train.py hparams/pse_mini.yaml --stage=personalize --user=af_heart

To the user's recordings, which are noisy, more noise is added; the enhancer
learns to give the recordings back as if they were clean (pseudo enhancement).
Frames of the loss count by how clean a predictor says that they are (data
purification).  Methods: Sivaraman, Kim and Kim, "Personalized Speech
Enhancement through Self-Supervised Data Augmentation and Purification",
Interspeech 2021, arXiv 2104.02018; contrastive mixtures: Sivaraman and Kim,
IEEE JSTSP 2022, arXiv 2104.02017.

Start reading at the bottom.
"""

import checks
import evaluate
import objectives
import predictor_evaluation
import runs
import speechbrain as sb
import torch
from data import make_speech, make_user
from networks import (
    choose_network,
    find_predictor,
    selection_key,
    start_of,
)
from options import RULES, find_conflicts

from speechbrain_ext.training import (
    SkipNonFinite,
    leave_processes,
    load_start,
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


class PersonalizedEnhancement(SkipNonFinite, sb.Brain):
    """Trains the predictor of frame SNRs, or an enhancer."""

    def compute_forward(self, batch, stage):
        """Add the noise on the device; predict levels, or enhance.

        Returns levels (batch, frames) or estimates (batch, time), and what
        they were made from.
        """
        noisy = self.speech[stage].mix(batch)
        output = self.modules.network(noisy.mixture)
        if self.hparams.stage != "snr_predictor":
            output = output[:, 0]
        return output, noisy

    def compute_objectives(self, predictions, batch, stage):
        """Return the error of the levels in dB^2, or the enhancer's loss."""
        output, noisy = predictions
        if self.hparams.stage == "snr_predictor":
            values = objectives.predictor_values(output, noisy, self.hparams)
        else:
            values = objectives.enhancer_values(
                output, noisy, self.levels(noisy), self.hparams
            )
            if stage != sb.Stage.TRAIN:
                values |= objectives.improvements(output, noisy, self.hparams)
        objective = values["objective"]
        self.hparams.history.add(
            stage.name.lower(),
            **{name: value.detach() for name, value in values.items()},
        )
        return objective

    @torch.no_grad()
    def levels(self, noisy):
        """Tell how clean the frames of the user's recordings are, or None."""
        hparams = self.hparams
        if hparams.stage != "personalize" or hparams.purification == "none":
            return None
        if hparams.purification == "oracle":
            return objectives.true_levels(noisy, hparams)
        return self.predictor(noisy.target)

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
            row = self.hparams.history.write(
                step=self.optimizer_step,
                stage="train",
                learning_rate=self.optimizer.param_groups[0]["lr"],
                skipped_steps=self.skipped_steps,
            )
            self.log(row)

    def on_stage_end(self, stage, stage_loss, epoch):
        """Write the validation's row; keep the best and the last, or all."""
        if stage != sb.Stage.VALID:
            return
        row = self.hparams.history.write(
            step=self.optimizer_step, stage="valid"
        )
        self.log(row)
        every = self.hparams.keep_checkpoints == "all"
        self.checkpointer.save_and_keep_only(
            meta={
                "objective": row["objective"],
                "target": -row.get("target_si_sdri", float("nan")),
                "clean": -row.get("clean_si_sdri", float("nan")),
                "last": -epoch,
            },
            min_keys=[self.selection],
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
    """Fit the network, going on where an interrupted run stopped."""
    network = choose_network(hparams)
    load_start(network, start_of(hparams))
    hparams["checkpointer"].add_recoverable("network", network)
    brain = PersonalizedEnhancement(
        modules={"network": network},
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    rank, world_size = rank_and_size()
    brain.speech = {
        stage: make_speech(hparams, stage, rank=rank, world_size=world_size).to(
            brain.device
        )
        for stage in (sb.Stage.TRAIN, sb.Stage.VALID)
    }
    brain.predictor = find_predictor(hparams)
    if brain.predictor is not None:
        brain.predictor.to(brain.device)
    brain.selection = selection_key(hparams)
    train_loader = brain.speech[sb.Stage.TRAIN].loader
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
        brain.speech[sb.Stage.VALID].loader,
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
    start_of(hparams)
    predictor = find_predictor(hparams)
    require_same_run(hparams["output_folder"], runs.identity(hparams))
    save_hparams(command)
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"]
    )
    run_on_main(hparams["prepare"])
    run_on_main(make_user, args=[hparams])
    checks.check_user(hparams, predictor)
    return hparams, command.run_opts


def main(arguments):
    """Prepare the data, train, evaluate, report."""
    hparams, run_opts = configure(arguments)
    # a fault of the test shows now, not after the training
    evaluate.list_tests(hparams)
    brain = train(hparams, run_opts)
    info = {"steps": brain.optimizer_step, "skipped_steps": brain.skipped_steps}
    brain.on_evaluate_start(min_key=selection_key(hparams))
    predicting = hparams["stage"] == "snr_predictor"
    judge = predictor_evaluation if predicting else evaluate
    run_on_main(judge.evaluate, args=[hparams, arguments, info])
    leave_processes()


if __name__ == "__main__":
    run_recipe(main)
