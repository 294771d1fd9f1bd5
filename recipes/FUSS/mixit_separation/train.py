#!/usr/bin/env python3
"""Recipe for training a separator of any sounds on mixtures alone, by MixIT.

Two mixtures are summed; the outputs of the separator are assigned to the two
so that their sums come nearest to them. No separated sound is a target of the
training. Penalties of outputs that are active together, or whose classes are
not those of their mixture, keep it from spreading a sound over its outputs.

To run this recipe, do the following:
> python train.py hparams/fuss_mixit.yaml --data_folder /path/to/FUSS

Methods: S. Wisdom et al., "Unsupervised Sound Separation Using Mixture
Invariant Training", NeurIPS 2020, arXiv 2006.12701; S. Wisdom et al., "Sparse,
Efficient, and Semantic Mixture Invariant Training", WASPAA 2021, arXiv
2106.00847.
"""

import os
import sys

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.distributed import run_on_main

from speechbrain_ext.dataio.mixing import pair_targets
from speechbrain_ext.losses.active_outputs import active_outputs
from speechbrain_ext.losses.mixit import check_least_squares, mixit
from speechbrain_ext.losses.padded_snr import padded_snr
from speechbrain_ext.losses.semantic import semantic
from speechbrain_ext.losses.sparsity import covariance, sparsity
from speechbrain_ext.losses.universal_separation import (
    average_scores,
    pair_outputs,
    source_scores,
    universal_figures,
)
from speechbrain_ext.training.nonfinite import SkipNonFinite
from speechbrain_ext.training.schedules import linear_ramp, warmup_cosine


class MixITSeparation(SkipNonFinite, sb.Brain):
    """Separator trained by MixIT and its penalties, or supervised."""

    def compute_forward(self, batch, stage):
        """Mix a batch on the device and separate it.

        Returns the estimates [batch, outputs, time], what they were made from
        [batch, time], and the mixtures with all that went into them.
        """
        mixtures = self.mixtures[stage].mix(batch)
        mixture = mixtures.mixture
        if self.is_paired(stage):
            mixture = pair_targets(mixture).sum(dim=1)
        return self.modules.separator(mixture), mixture, mixtures

    def is_paired(self, stage):
        """Tell whether mixtures of two mixtures are separated, or mixtures."""
        tested = stage == sb.Stage.TEST and self.hparams.references
        return self.hparams.objective == "mixit" and not tested

    def compute_objectives(self, predictions, batch, stage):
        """Compute the loss in dB, plus the penalties times their weights."""
        estimates, mixture, mixtures = predictions
        if stage == sb.Stage.TEST and self.hparams.references:
            return self.score(batch["id"], estimates, mixtures)
        loss, assignment = self.separation_loss(estimates, mixtures)
        objective = loss.mean()
        if stage == sb.Stage.TEST:
            self.score_blindly(batch["id"], loss, mixtures)
            return objective
        values = {"separation": objective.detach()}
        ramp = self.penalty_ramp(stage)
        for name, weight, value in self.penalties(
            estimates, mixture, mixtures, assignment
        ):
            values[name] = value.detach()
            objective = objective + ramp * weight * value
        if self.checks_solver(stage):
            values.update(self.compare_solvers(estimates, mixtures))
        if stage == sb.Stage.VALID and mixtures.references is not None:
            singles = self.modules.separator(mixtures.mixture)
            for row in self.measure(singles, mixtures):
                self.scores += source_scores(row)
        values["objective"] = objective.detach()
        self.hparams.history.add(stage.name.lower(), **values)
        return objective

    def separation_loss(self, estimates, mixtures):
        """Compute the loss [batch] in dB, and the assignment, if any."""
        if self.hparams.objective == "supervised":
            value, _ = padded_snr(
                estimates=estimates,
                references=mixtures.references,
                mixture=mixtures.mixture,
                snr_max=self.hparams.snr_max,
            )
            return -value, None
        return mixit(
            estimates=estimates,
            mixtures=pair_targets(mixtures.mixture),
            solver=self.hparams.solver,
            snr_max=self.hparams.snr_max,
        )

    def penalties(self, estimates, mixture, mixtures, assignment):
        """Yield name, weight and value of the penalties that have a weight."""
        if self.hparams.sparsity_weight > 0:
            value = sparsity(
                estimates=estimates,
                mixture=mixture,
                form=self.hparams.sparsity_form,
            )
            yield "sparsity", self.hparams.sparsity_weight, value.mean()
        if self.hparams.covariance_weight > 0:
            value = covariance(estimates=estimates, mixture=mixture)
            yield "covariance", self.hparams.covariance_weight, value.mean()
        if self.hparams.semantic_weight > 0:
            value = semantic(
                logits=self.modules.classifier(estimates, mixture),
                labels=mixtures.labels.unflatten(0, (-1, 2)),
                assignment=assignment,
            )
            yield "semantic", self.hparams.semantic_weight, value.mean()

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
        due = (self.optimizer_step + 1) % self.hparams.log_interval == 0
        wanted = self.hparams.solver_check and self.hparams.objective == "mixit"
        return wanted and (due or stage != sb.Stage.TRAIN)

    def compare_solvers(self, estimates, mixtures):
        """Tell how often least squares would have been wrong, and its cost."""
        return check_least_squares(
            estimates=estimates,
            mixtures=pair_targets(mixtures.mixture),
            snr_max=self.hparams.snr_max,
        )

    def measure(self, estimates, mixtures):
        """Compare separated single mixtures with their references."""
        return universal_figures(
            estimates=estimates,
            references=mixtures.references,
            mixture=mixtures.mixture,
        )

    def score(self, ids, estimates, mixtures):
        """Add a row for every source to the test results."""
        rows = self.measure(estimates, mixtures)
        for place, row in enumerate(rows):
            outputs, targets = pair_outputs(
                row, estimates[place], mixtures.references[place]
            )
            self.hparams.results.add(
                f"{self.hparams.results.mixtures:05d}_{ids[place]}",
                source_scores(row),
                kind=row["references"],
                mixture=mixtures.mixture[place],
                estimate=outputs,
                reference=targets,
            )
        return torch.tensor(-sum(sum(row["si_snr"]) for row in rows))

    def score_blindly(self, ids, losses, mixtures):
        """Add a row for every clip: the loss of its pair, active outputs."""
        estimates = self.modules.separator(mixtures.mixture)
        order, active = active_outputs(estimates=estimates)
        for place, loss in enumerate(losses.repeat_interleave(2).tolist()):
            found = order[place][active[place][order[place]]]
            self.hparams.results.add(
                f"{self.hparams.results.mixtures:05d}_{ids[place]}",
                [{"mixit_loss": loss, "outputs": len(found)}],
                kind=len(found),
                mixture=mixtures.mixture[place],
                estimate=estimates[place][found],
            )

    def on_stage_start(self, stage, epoch=None):
        """Begin the figures of a validation or a test."""
        self.scores = []
        self.hparams.results.clear()

    def on_fit_batch_start(self, batch, should_step):
        """Set the learning rate of this step."""
        rate = warmup_cosine(
            self.optimizer_step,
            peak=self.hparams.learning_rate,
            total=self.total_steps,
            warmup=self.hparams.warmup_ratio,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Log every few steps."""
        if should_step and self.optimizer_step % self.hparams.log_interval == 0:
            self.hparams.history.write(
                step=self.optimizer_step,
                stage="train",
                learning_rate=self.optimizer.param_groups[0]["lr"],
                skipped_steps=getattr(self, "skipped_steps", 0),
            )

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Keep the best checkpoint and the last one, or all; write the test."""
        if stage == sb.Stage.TEST:
            self.hparams.results.write()
        if stage != sb.Stage.VALID:
            return
        row = self.hparams.history.write(
            step=self.optimizer_step,
            stage="valid",
            **(average_scores(self.scores) if self.scores else {}),
        )
        every = self.hparams.keep_checkpoints == "all"
        self.checkpointer.save_and_keep_only(
            meta={"objective": row["objective"], "last": -epoch},
            min_keys=[self.hparams.selection],
            num_to_keep=self.hparams.number_of_epochs if every else 1,
        )


def dataio_prep(hparams):
    """Make the mixtures of every stage; only training varies them."""
    mixit_pairs = hparams["objective"] == "mixit"
    make = (
        hparams["mixtures"] if mixit_pairs else hparams["supervised_mixtures"]
    )
    return {
        sb.Stage.TRAIN: make(
            hparams["train_data"],
            split=hparams["train_split"],
            segment_seconds=hparams["segment_seconds"],
            batch_size=hparams["batch_size"],
            batches=hparams["batches_per_epoch"],
            references=not mixit_pairs,
            paired=mixit_pairs,
            seed=hparams["seed"],
            rank=int(os.environ.get("RANK", 0)),
            world_size=int(os.environ.get("WORLD_SIZE", 1)),
            num_workers=hparams["num_workers"],
        ),
        sb.Stage.VALID: make(
            hparams["valid_data"],
            split=hparams["valid_split"],
            segment_seconds=hparams["segment_seconds"],
            batch_size=hparams["batch_size"],
            batches=hparams["valid_batches"],
            references=hparams["references"],
            paired=mixit_pairs,
        ),
        sb.Stage.TEST: hparams["test_mixtures"](
            hparams["test_data"],
            split=hparams["test_split"],
            segment_seconds=hparams["test_segment_seconds"],
            batch_size=hparams["test_batch_size"],
            batches=hparams["test_batches"],
            references=hparams["references"],
            paired=not hparams["references"],
        ),
    }


def make_brain(hparams, run_opts):
    """Make the Brain, with its data and what a checkpoint must hold."""
    mixtures = dataio_prep(hparams)
    if hparams["semantic_weight"] > 0:
        add_classifier(hparams, mixtures[sb.Stage.TRAIN].classes)
    brain = MixITSeparation(
        modules=hparams["modules"],
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.mixtures = {
        stage: found.to(brain.device) for stage, found in mixtures.items()
    }
    accumulated = brain.grad_accumulation_factor
    brain.total_steps = hparams["total_batches"] // accumulated
    # the loader draws its own batches for each rank; its place in the epoch
    # is part of the checkpoint
    train_loader = brain.mixtures[sb.Stage.TRAIN].loader
    brain.train_sampler = train_loader.batch_sampler
    brain.checkpointer.add_recoverable("train_loader", train_loader)
    brain.checkpointer.add_recoverable("history", hparams["history"])
    return brain


def add_classifier(hparams, classes):
    """Build the classifier of the semantic loss, once classes are known."""
    if not classes:
        raise ValueError(
            "semantic_weight: the mixtures have no labels; give a CSV of them "
            "as labels (columns mixture and labels), or set it to 0"
        )
    classifier = hparams["classifier"](len(classes))
    hparams["modules"]["classifier"] = classifier
    hparams["checkpointer"].add_recoverable("classifier", classifier)


def main(arguments):
    """Prepare the data, train and test."""
    # Load hyperparameters file with command-line overrides
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    with open(hparams_file, encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, overrides)

    # Initialize ddp (useful only for multi-GPU DDP training)
    sb.utils.distributed.ddp_init_group(run_opts)

    # Create experiment directory
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )

    # Data preparation
    run_on_main(hparams["prepare"])

    # Training
    brain = make_brain(hparams, run_opts)
    brain.fit(
        hparams["epoch_counter"],
        brain.mixtures[sb.Stage.TRAIN].loader,
        brain.mixtures[sb.Stage.VALID].loader,
    )

    # Test
    brain.evaluate(
        brain.mixtures[sb.Stage.TEST].loader, min_key=hparams["selection"]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
