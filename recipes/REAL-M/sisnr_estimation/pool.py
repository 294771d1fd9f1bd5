#!/usr/bin/env python3
"""Recipe for training the separators that the SI-SNR estimator learns from.

Ordinary separation of mixtures made on the fly, with clean targets. What a
separator is after the first, the middle and the last epoch is kept.

To run this recipe, do the following for each separator of the file:
> python pool.py hparams/pool_librimix_whamr.yaml --separator=sepformer \
      --librimix_folder /path/to/librimix --whamr_folder /path/to/whamr
"""

import csv
import os
import sys

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.distributed import if_main_process, run_on_main

from speechbrain_ext.dataio.several import SeveralCorpora, mix_corpora
from speechbrain_ext.losses.pit import pit
from speechbrain_ext.losses.si_sdr import si_sdr
from speechbrain_ext.training.nonfinite import SkipNonFinite
from speechbrain_ext.training.schedules import warmup_cosine


class Separation(SkipNonFinite, sb.Brain):
    """Ordinary separation: SI-SDR with PIT against clean speech."""

    def compute_forward(self, batch, stage):
        """Mix a batch on the device and separate it."""
        mixtures = self.mixtures[stage].mix(batch)
        return self.modules.separator(mixtures.mixture), mixtures

    def compute_objectives(self, predictions, batch, stage):
        """Compute the negative of SI-SDR in dB."""
        estimates, mixtures = predictions
        value, _ = pit(si_sdr, estimates=estimates, targets=mixtures.speech)
        if stage == sb.Stage.TEST:
            self.score(batch["id"], value)
        else:
            level = value.mean().detach()
            self.hparams.history.add(stage.name.lower(), si_sdr=level)
        return -value.mean()

    def score(self, ids, values):
        """Add a row for every mixture to the test results."""
        for k, value in enumerate(values.tolist()):
            names = "+".join(ids[2 * k : 2 * k + 2])
            self.results.append(
                {
                    "id": f"{self.step - 1:03d}_{names}",
                    "test": self.condition,
                    "si_sdr": value,
                }
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

    def on_stage_end(self, stage, stage_loss, epoch):
        """Keep the checkpoint of every epoch."""
        if stage == sb.Stage.TEST:
            return
        name = stage.name.lower()
        row = self.hparams.history.write(step=self.optimizer_step, stage=name)
        if stage == sb.Stage.VALID:
            last = self.hparams.number_of_epochs
            kept = {"first": 1, "middle": (last + 1) // 2, "last": last}
            meta = {name: abs(epoch - number) for name, number in kept.items()}
            self.checkpointer.save_and_keep_only(
                meta={"epoch": epoch, "si_sdr": row["si_sdr"], **meta},
                max_keys=["epoch"],
                num_to_keep=last,
            )


def dataio_prep(hparams):
    """Make the mixtures of every stage; only training varies them."""
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
        sb.Stage.TEST: SeveralCorpora(list(test.values())),
    }


def make_brain(hparams, run_opts):
    """Make the Brain, with its data and what a checkpoint must hold."""
    separator = hparams["separators"][hparams["separator"]]
    brain = Separation(
        modules={"separator": separator},
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.mixtures = {
        stage: found.to(brain.device)
        for stage, found in dataio_prep(hparams).items()
    }
    steps = hparams["total_batches"] // brain.grad_accumulation_factor
    brain.total_steps = steps
    # the loader draws its own batches for each rank; its place in the epoch
    # is part of the checkpoint
    train_loader = brain.mixtures[sb.Stage.TRAIN].loader
    brain.train_sampler = train_loader.batch_sampler
    brain.checkpointer.add_recoverable("separator", separator)
    brain.checkpointer.add_recoverable("train_loader", train_loader)
    brain.checkpointer.add_recoverable("history", hparams["history"])
    return brain


def test(brain, hparams):
    """Test what is kept of the separator; write the results."""
    brain.results = []
    loader = brain.mixtures[sb.Stage.TEST].loader
    tests = dict.fromkeys((hparams["selection"], "last", "middle", "first"))
    for brain.condition in tests:
        brain.evaluate(loader, min_key=brain.condition)
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
