#!/usr/bin/env python3
"""Recipe for training a separator on noisy speech only, by ring mixing.

A ring of N noisy recordings makes N mixtures of two neighbors, so that every
recording is estimated twice. Its own noise is the same in both estimates; the
noises of its two neighbors are not. The signal-to-consistency-error ratio
(SCER) of the two estimates, trained beside the permutation-invariant SI-SDR,
rewards removing them. No clean speech is used in training.

To run this recipe, do the following:
> python train.py hparams/wham_sepformer.yaml --data_folder /path/to/wham

Method: M. Maciejewski and S. Cornell, "Ring Mixing with Auxiliary
Signal-to-Consistency-Error Ratio Loss for Unsupervised Denoising in Speech
Separation", arXiv 2604.08415.
"""

import os
import sys

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.distributed import run_on_main

from speechbrain_ext.losses.pit import align, pit
from speechbrain_ext.losses.scer import scer
from speechbrain_ext.losses.si_sdr import si_sdr
from speechbrain_ext.training.nonfinite import SkipNonFinite
from speechbrain_ext.training.schedules import linear_ramp, warmup_cosine


class RingSeparation(SkipNonFinite, sb.Brain):
    """Separator trained by SI-SDR with PIT, and SCER around a ring.

    `make_brain` adds the data of each stage (`data`), the planned number of
    optimizer steps (`total_steps`), and two optional parts: a
    `blind_estimator` to select by, and a `purified_si_sdr` to train with.
    `test` names the test (`condition`): "test", or the SNR.
    """

    def compute_forward(self, batch, stage):
        """Mix a batch on the device and separate it.

        Returns the estimates [batch, sources, time] and the mixtures, with
        all that went into them.
        """
        mixtures = self.data[stage].mix(batch)
        return self.modules.separator(mixtures.mixture), mixtures

    def compute_objectives(self, predictions, batch, stage):
        """Compute the negative of SI-SDR + weight x SCER, in dB."""
        estimates, mixtures = predictions
        clean = self.hparams.targets == "clean"
        targets = mixtures.speech if clean else mixtures.noisy
        ratios, permutation = pit(si_sdr, estimates=estimates, targets=targets)
        aligned = align(estimates, permutation)
        quality = ratios.mean()
        # logged as it is, whatever takes its place in the objective
        values = {"si_sdr": quality.detach()}
        if self.purified_si_sdr is not None:
            quality = self.purified_si_sdr(
                estimates=aligned, targets=targets
            ).mean()
        # validation and test are always rings
        if stage != sb.Stage.TRAIN or self.hparams.mixing == "ring":
            # Mixture k holds the sources k and k + 1: source k is estimated
            # from mixture k, and once more from mixture k - 1.
            consistency = scer(
                first=aligned[:, 0],
                second=aligned[:, 1].roll(1, dims=0),
                target=targets[:, 0],
                scale=self.hparams.scer_scale,
                floor=self.hparams.scer_floor,
            ).mean()
            values["scer"] = consistency.detach()
            weight = self.scer_weight(stage)
            if stage == sb.Stage.TRAIN:
                values["scer_weight"] = weight
            if weight > 0:
                quality = quality + weight * consistency
        objective = -quality
        values["objective"] = objective.detach()
        if stage == sb.Stage.TEST:
            self.score(batch["id"], estimates, mixtures)
            return objective
        if stage == sb.Stage.VALID:
            values.update(self.validate(estimates, mixtures))
        self.hparams.history.add(stage.name.lower(), **values)
        return objective

    def scer_weight(self, stage):
        """Zero at first, then a ramp; validation uses the full weight."""
        if stage != sb.Stage.TRAIN:
            return self.hparams.scer_weight
        return linear_ramp(
            self.optimizer_step,
            start=self.hparams.scer_start * self.total_steps,
            end=self.hparams.scer_end * self.total_steps,
            value=self.hparams.scer_weight,
        )

    def validate(self, estimates, mixtures):
        """Compute what checkpoints may be selected by, besides the loss."""
        values = {}
        if self.hparams.clean_speech_known:
            _, _, improvement, _ = self.align_and_measure(estimates, mixtures)
            values["clean_si_sdri"] = improvement.mean()
        if self.blind_estimator is not None:
            scores = self.blind_estimator.snr(mixtures.mixture, estimates)
            values["blind_si_snr"] = scores.mean()
        return values

    def align_and_measure(self, estimates, mixtures):
        """Put estimates into the order of the speech, and measure them.

        Returns the estimates and the references [batch, sources, time], and
        the SI-SDR improvement and the SI-SDR [batch, sources] in dB. Where no
        clean speech is known, the noisy recordings are the references.
        """
        known = self.hparams.clean_speech_known
        targets = mixtures.speech if known else mixtures.noisy
        _, permutation = pit(si_sdr, estimates=estimates, targets=targets)
        estimates = align(estimates, permutation)
        after = si_sdr(estimate=estimates, target=targets)
        mixture = mixtures.mixture.unsqueeze(1).expand_as(targets)
        before = si_sdr(estimate=mixture, target=targets)
        return estimates, targets, after - before, after

    def score(self, ids, estimates, mixtures):
        """Add a row for every separated source to the test results."""
        estimates, targets, improvement, after = self.align_and_measure(
            estimates, mixtures
        )
        columns = {"si_sdr": after, "si_sdri": improvement}
        known = self.hparams.clean_speech_known
        noisy = known and self.hparams.snr_db is not None
        if noisy and self.hparams.residual_noise is not None:
            parts = {"speech": targets, "noise": mixtures.noise}
            columns.update(
                self.hparams.residual_noise(estimates=estimates, **parts)
            )
        measured = columns.items()
        main_test = self.condition == "test"
        for k in range(len(ids)):
            names = f"{ids[k]}+{ids[(k + 1) % len(ids)]}".replace("/", "-")
            name = f"{self.step - 1:03d}_{names}"
            rows = [
                {key: values[k, source].item() for key, values in measured}
                for source in range(estimates.shape[1])
            ]
            if main_test and self.hparams.more_metrics is not None:
                more = self.hparams.more_metrics(
                    estimates=estimates[k],
                    targets=targets[k],
                    mixture=mixtures.mixture[k],
                    utterance=name,
                )
                rows = [
                    {**row, **added}
                    for row, added in zip(rows, more, strict=True)
                ]
            self.hparams.results.add(
                name,
                rows,
                test=self.condition,
                mixture=mixtures.mixture[k],
                estimate=estimates[k],
                reference=targets[k],
            )

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
        if not should_step:
            return
        history = self.hparams.history
        history.add("train", learning_rate=self.optimizer.param_groups[0]["lr"])
        if self.optimizer_step % self.hparams.log_interval == 0:
            history.write(
                step=self.optimizer_step,
                stage="train",
                # Brain itself has no such count
                skipped_steps=getattr(self, "skipped_steps", 0),
            )

    def on_stage_end(self, stage, stage_loss, epoch):
        """Keep the best checkpoint and the last one, or all; write tests."""
        if stage == sb.Stage.TEST:
            self.hparams.results.write()
        if stage != sb.Stage.VALID:
            return
        row = self.hparams.history.write(
            step=self.optimizer_step, stage="valid"
        )
        every = self.hparams.keep_checkpoints == "all"
        # the smallest of a key is best; the newest is kept besides
        self.checkpointer.save_and_keep_only(
            meta={
                "objective": row["objective"],
                "blind": -row.get("blind_si_snr", float("nan")),
                "clean": -row.get("clean_si_sdri", float("nan")),
                "last": -epoch,
            },
            min_keys=[self.hparams.selection],
            num_to_keep=self.hparams.number_of_epochs if every else 1,
        )


def dataio_prep(hparams):
    """Make the mixtures of every stage.

    Validation and test have the same rings in every epoch, on every process,
    and for every seed.
    """
    make = hparams["mixtures"]
    return {
        sb.Stage.TRAIN: make(
            speech=hparams["train_data"],
            noise=hparams["train_noise"],
            split=hparams["train_split"],
            batches=hparams["batches_per_epoch"],
            segment_seconds=hparams["segment_seconds"],
            mixing=hparams["mixing"],
            speed_range=hparams["speed_range"],
            equalizer_db=hparams["equalizer_db"],
            seed=hparams["seed"],
            rank=int(os.environ.get("RANK", 0)),
            world_size=int(os.environ.get("WORLD_SIZE", 1)),
            num_workers=hparams["num_workers"],
        ),
        sb.Stage.VALID: make(
            speech=hparams["valid_data"],
            noise=hparams["valid_noise"],
            split=hparams["valid_split"],
            mixing="ring",
            batches=hparams["valid_batches"],
            segment_seconds=hparams["segment_seconds"],
        ),
        sb.Stage.TEST: make(
            speech=hparams["test_data"],
            noise=hparams["test_noise"],
            split=hparams["test_split"],
            mixing="ring",
            batches=hparams["test_batches"],
            segment_seconds=hparams["test_segment_seconds"],
        ),
    }


def make_brain(hparams, run_opts):
    """Make the Brain, with its data and what a checkpoint must hold."""
    data = dataio_prep(hparams)
    if hparams["start_from"] is not None:
        hparams["pretrainer"].collect_files()
        hparams["pretrainer"].load_collected()
    brain = RingSeparation(
        modules=hparams["modules"],
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.data = {
        stage: found.to(brain.device) for stage, found in data.items()
    }
    steps = hparams["total_batches"] // brain.grad_accumulation_factor
    brain.total_steps = steps
    # optional parts: a blind estimator to select by, weights of frames
    brain.blind_estimator = brain.purified_si_sdr = None
    if hparams["selection"] == "blind":
        brain.blind_estimator = hparams["blind_estimator"]().to(brain.device)
    if hparams["purification"] is not None:
        brain.purified_si_sdr = hparams["purified_si_sdr"]().to(brain.device)
    # The sampler gives each rank its rings; fit() tells it the epoch, so that
    # every epoch has others. The loader's place is part of a checkpoint.
    train_loader = brain.data[sb.Stage.TRAIN].loader
    brain.train_sampler = train_loader.batch_sampler
    brain.checkpointer.add_recoverable("train_loader", train_loader)
    brain.checkpointer.add_recoverable("history", hparams["history"])
    return brain


def test(brain, hparams):
    """Test at the SNR of the training, then at others."""
    loader = brain.data[sb.Stage.TEST].loader
    selection = hparams["selection"]
    brain.condition = "test"
    brain.evaluate(loader, min_key=selection)
    for snr_db in hparams["test_snr_db"] or []:
        brain.condition = f"{snr_db:g} dB"
        # it has no workers, which would have a copy of the dataset
        loader.dataset.snr_db = (snr_db, snr_db)
        brain.evaluate(loader, min_key=selection)


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
        brain.data[sb.Stage.TRAIN].loader,
        brain.data[sb.Stage.VALID].loader,
    )

    # Test
    test(brain, hparams)


if __name__ == "__main__":
    main(sys.argv[1:])
