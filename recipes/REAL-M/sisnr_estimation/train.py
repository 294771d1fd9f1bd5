#!/usr/bin/env python3
"""Recipe for training a blind SI-SNR estimator, which needs no references.

Mixtures are made on the fly and separated by frozen separators of many
qualities, one drawn for every mixture. The estimator sees a mixture and one
separated source, and learns the SI-SNR of that source.

To run this recipe, do the following:
> python train.py hparams/sisnr_librimix_whamr.yaml \
      --librimix_folder /path/to/librimix --whamr_folder /path/to/whamr

Method: C. Subakan, M. Ravanelli, S. Cornell, F. Grondin, "REAL-M: Towards
Speech Separation on Real Mixtures", ICASSP 2022, arXiv 2110.10812.
"""

import csv
import os
import sys

import numpy as np
import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.distributed import if_main_process, run_on_main

from speechbrain_ext.dataio.several import SeveralCorpora, mix_corpora
from speechbrain_ext.losses.pit import align, pit
from speechbrain_ext.losses.si_sdr import si_sdr
from speechbrain_ext.models.separator_pool import SeparatorPool
from speechbrain_ext.training.nonfinite import SkipNonFinite
from speechbrain_ext.training.schedules import warmup_cosine

# of the absolute errors, the ratio that is to be below the typical error
QUANTILE = 0.68


class SISNREstimation(SkipNonFinite, sb.Brain):
    """Regression of the SI-SNR of what frozen separators give."""

    def compute_forward(self, batch, stage):
        """Mix a batch on the device, separate it, estimate the SI-SNR.

        Returns what `estimate` does; in tests, a list of it: every mixture
        is separated by every separator.
        """
        mixtures = self.mixtures[stage].mix(batch)
        number = len(mixtures.mixture)
        if stage == sb.Stage.TEST:
            return [
                self.estimate(mixtures, np.full(number, separator))
                for separator in range(len(self.pool))
            ]
        if stage == sb.Stage.VALID:
            chosen = self.pool.in_turn(batch=self.step - 1, size=number)
            return self.estimate(mixtures, chosen)
        # the draws follow from numbers that a checkpoint restores
        generator = np.random.default_rng(
            [self.hparams.seed, self.optimizer_step, self.step, self.rank]
        )
        chosen = generator.integers(len(self.pool), size=number)
        return self.estimate(mixtures, chosen)

    def estimate(self, mixtures, chosen):
        """Separate mixtures, and estimate the SI-SNR of every source.

        Returns the estimated and the true SI-SNR [batch, sources] in dB, and
        the typical error of the estimator, or None if it tells none.
        """
        with torch.no_grad():
            separated = self.pool.separate(mixtures.mixture, chosen)
            # the order of the sources that is best for all of them together
            _, permutation = pit(
                si_sdr, estimates=separated, targets=mixtures.speech
            )
            separated = align(separated, permutation)
            true = si_sdr(estimate=separated, target=mixtures.speech)
        estimated = self.modules.estimator(mixtures.mixture, separated)
        if self.hparams.uncertainty:
            return estimated[0], true, estimated[1]
        return estimated, true, None

    def compute_objectives(self, predictions, batch, stage):
        """Compute the absolute error, relative to the estimator's range."""
        if stage == sb.Stage.TEST:
            return self.score(batch["id"], predictions)
        low, high = self.hparams.snr_min, self.hparams.snr_max
        estimated, true, typical = predictions
        error = (estimated - true.clamp(low, high)).abs()
        objective = error.mean() / (high - low)
        values = {"absolute_error_db": error.mean().detach()}
        if typical is not None:
            # the quantile of the errors is where this is least (pinball loss)
            off = error.detach() - typical
            off = torch.maximum(QUANTILE * off, (QUANTILE - 1) * off).mean()
            objective = objective + off / (high - low)
            values["error_of_error_db"] = off.detach()
        self.hparams.history.add(stage.name.lower(), **values)
        return objective

    def score(self, ids, predictions):
        """Add a row for every separated source to the test results.

        Returns the mean absolute error in dB.
        """
        errors = []
        for name, (estimated, true, typical) in zip(
            self.pool.names, predictions, strict=True
        ):
            values = {"predicted": estimated, "true": true}
            if typical is not None:
                values["typical"] = typical
            for k, source in np.ndindex(*true.shape):
                names = "+".join(ids[2 * k : 2 * k + 2])
                row = {
                    "id": f"{self.step - 1:03d}_{names}",
                    "source": source,
                    "test": self.condition,
                    "separator": name,
                }
                row.update(
                    (column, round(value[k, source].item(), 3))
                    for column, value in values.items()
                )
                self.results.append(row)
            errors.append((estimated - true).abs().mean())
        return torch.stack(errors).mean()

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

    def on_stage_end(self, stage, stage_loss, epoch):
        """Keep the best checkpoint and the last one, or all."""
        if stage != sb.Stage.VALID:
            return
        row = self.hparams.history.write(
            step=self.optimizer_step, stage="valid"
        )
        every = self.hparams.keep_checkpoints == "all"
        self.checkpointer.save_and_keep_only(
            meta={
                "absolute_error_db": row["absolute_error_db"],
                "last": -epoch,
            },
            min_keys=[self.hparams.selection],
            num_to_keep=self.hparams.number_of_epochs if every else 1,
        )


def dataio_prep(hparams):
    """Make the mixtures of every stage; only training varies them.

    Those of training and validation are one loader, each of whose batches is
    from one corpus; the tests have a loader for each corpus.
    """
    train = mix_corpora(
        hparams["mixtures"],
        hparams["train_data"],
        noise=hparams["train_noise"],
        split=hparams["train_split"],
        data_root=hparams["data_root"],
        room_split="train",
        batch_size=hparams["batch_size"],
        batches=hparams["batches_per_epoch"],
        segment_seconds=hparams["segment_seconds"],
        speed_range=hparams["speed_range"],
        equalizer_db=hparams["equalizer_db"],
        seed=hparams["seed"],
        rank=int(os.environ.get("RANK", 0)),
        world_size=int(os.environ.get("WORLD_SIZE", 1)),
    )
    valid = mix_corpora(
        hparams["mixtures"],
        hparams["valid_data"],
        noise=hparams["valid_noise"],
        split=hparams["valid_split"],
        data_root=hparams["data_root"],
        room_split="valid",
        batch_size=hparams["valid_batch_size"],
        batches=hparams["valid_batches"],
        segment_seconds=hparams["segment_seconds"],
    )
    test = mix_corpora(
        hparams["mixtures"],
        hparams["test_data"],
        noise=hparams["test_noise"],
        split=hparams["test_split"],
        data_root=hparams["data_root"],
        room_split="test",
        batch_size=hparams["valid_batch_size"],
        batches=hparams["test_batches"],
        segment_seconds=hparams["test_segment_seconds"],
    )
    return {
        sb.Stage.TRAIN: SeveralCorpora(
            list(train.values()),
            seed=hparams["seed"],
            num_workers=hparams["num_workers"],
        ),
        sb.Stage.VALID: SeveralCorpora(list(valid.values())),
        sb.Stage.TEST: test,
    }


def load_pools(hparams):
    """Load the separators of the training, and those met in tests only."""
    members = list(hparams["members"])
    # strategy "single": the first separator alone
    number = 1 if hparams["strategy"] == "single" else len(members)
    groups = {
        "members": members[:number],
        "unseen": members[number:] + list(hparams["test_members"] or ()),
    }
    return {
        group: SeparatorPool({n: hparams["load_separator"](n) for n in names})
        for group, names in groups.items()
        if names
    }


def make_brain(hparams, run_opts):
    """Make the Brain, with its data and what a checkpoint must hold."""
    mixtures, pools = dataio_prep(hparams), load_pools(hparams)
    brain = SISNREstimation(
        modules=hparams["modules"],
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.rank = int(os.environ.get("RANK", 0))
    brain.pools = {
        group: pool.to(brain.device) for group, pool in pools.items()
    }
    brain.pool = brain.pools["members"]
    brain.tests = {
        corpus: found.to(brain.device)
        for corpus, found in mixtures.pop(sb.Stage.TEST).items()
    }
    brain.mixtures = {
        stage: found.to(brain.device) for stage, found in mixtures.items()
    }
    steps = hparams["total_batches"] // brain.grad_accumulation_factor
    brain.total_steps = steps
    # the loader draws its own batches for each rank; its place in the epoch
    # is part of the checkpoint
    train_loader = brain.mixtures[sb.Stage.TRAIN].loader
    brain.train_sampler = train_loader.batch_sampler
    brain.checkpointer.add_recoverable("train_loader", train_loader)
    brain.checkpointer.add_recoverable("history", hparams["history"])
    return brain


def test(brain, hparams):
    """Test on every corpus, with every separator; write the results."""
    brain.results = []
    for corpus, mixtures in brain.tests.items():
        for group, pool in brain.pools.items():
            brain.condition, brain.pool = f"{corpus}, {group}", pool
            brain.mixtures[sb.Stage.TEST] = mixtures
            brain.evaluate(mixtures.loader, min_key=hparams["selection"])
    if not if_main_process():
        return
    path = os.path.join(hparams["output_folder"], "test_results.csv")
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, brain.results[0])
        writer.writeheader()
        writer.writerows(brain.results)


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
    for prepare in hparams["prepare"].values():
        run_on_main(prepare)

    # Training
    brain = make_brain(hparams, run_opts)
    brain.fit(
        hparams["epoch_counter"],
        brain.mixtures[sb.Stage.TRAIN].loader,
        brain.mixtures[sb.Stage.VALID].loader,
    )

    # Test
    test(brain, hparams)


if __name__ == "__main__":
    main(sys.argv[1:])
