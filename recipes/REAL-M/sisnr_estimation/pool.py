#!/usr/bin/env python3
"""Train the separators whose separations the estimator learns to judge.

    python recipes/REAL-M/sisnr_estimation/pool.py hparams/sisnr_mini.yaml

Takes the estimator's YAML file and its options.  Each network of the key
`separators` is trained on mixtures of all corpora, with clean targets; the
models after the first, the middle and the last epoch are kept in hub layout:
POOL_FOLDER/NAME/first and so on.  A finished one is not trained again, an
interrupted one goes on.  `--only=NAME,NAME` trains some of them: once the data
are prepared, several processes can share the work so.

Start reading at the bottom.
"""

import logging
import os
from pathlib import Path

import speechbrain as sb
import torch
from data import KEPT, identity, kept_epochs, make_training_mixtures
from release import separator_release

from speechbrain_ext.losses import pit, si_sdr
from speechbrain_ext.outputs import mark_folder
from speechbrain_ext.training import (
    AtomicCheckpointer,
    History,
    MuonWithAdam,
    SkipNonFinite,
    claim_output,
    read_command_line,
    remember_run,
    require_same_run,
    run_recipe,
    save_hparams,
    warmup_cosine,
)
from train import RULES, find_conflicts, prepare

logger = logging.getLogger(__name__)


class Separation(SkipNonFinite, sb.Brain):
    """Ordinary separation: SI-SDR with PIT against clean speech."""

    def compute_forward(self, batch, stage):
        """Mix on the device and separate."""
        mixtures = self.mixtures[stage].mix(batch)
        return self.modules.separator(mixtures.mixture), mixtures

    def compute_objectives(self, predictions, batch, stage):
        """Return the negative of SI-SDR in dB."""
        estimates, mixtures = predictions
        value, _ = pit(si_sdr, estimates=estimates, targets=mixtures.speech)
        self.hparams.history.add(
            stage.name.lower(), si_sdr=value.mean().detach()
        )
        return -value.mean()

    def on_fit_batch_start(self, batch, should_step):
        """Set the learning rate of this step."""
        rate = warmup_cosine(
            self.optimizer_step,
            peak=self.hparams.pool_learning_rate,
            total=self.total_steps,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def on_stage_end(self, stage, stage_loss, epoch):
        """Keep the model of every epoch."""
        name = stage.name.lower()
        row = self.hparams.history.write(step=self.optimizer_step, stage=name)
        logger.info("epoch %s, %s: SI-SDR %.2f dB", epoch, name, row["si_sdr"])
        if stage == sb.Stage.VALID:
            self.checkpointer.save_and_keep_only(
                meta={"epoch": epoch, "si_sdr": row["si_sdr"]},
                max_keys=["epoch"],
                num_to_keep=self.hparams.pool_epochs,
            )


def train_separator(name, hparams, run_opts, arguments):
    """Train one separator, and write what is kept of it.

    Arguments
    ---------
    name : str
        Key of `separators`.
    hparams : dict
        Of the hyperparameter file.
    run_opts : RunOptions
        Of the command line.
    arguments : list of str
        The command line.
    """
    folder = Path(hparams["pool_folder"]) / name
    claim = claim_output(folder)
    if all((folder / kept / "README.md").is_file() for kept in KEPT):
        logger.info("%s is trained already", folder)
        claim.close()
        return
    sb.utils.seed_everything(hparams["seed"])
    separator = hparams["separators"][name]
    counter = sb.utils.epoch_loop.EpochCounter(hparams["pool_epochs"])
    checkpointer = AtomicCheckpointer(
        folder / "save", {"separator": separator, "counter": counter}
    )
    history = History(folder / "history.csv")
    brain = Separation(
        modules={"separator": separator},
        opt_class=lambda parameters: MuonWithAdam(
            parameters, lr=hparams["pool_learning_rate"]
        ),
        hparams={**hparams, "history": history},
        run_opts=run_opts,
        checkpointer=checkpointer,
    )
    brain.mixtures = {
        stage: make_training_mixtures(
            hparams,
            stage,
            batch_size=hparams[f"{prefix}_batch_size"],
            batches=hparams[f"{prefix}_batches"],
            segment_seconds=hparams["pool_segment_seconds"],
        ).to(brain.device)
        for stage, prefix in (
            (sb.Stage.TRAIN, "pool"),
            (sb.Stage.VALID, "valid"),
        )
    }
    loader = brain.mixtures[sb.Stage.TRAIN].loader
    steps = hparams["pool_batches"] // brain.grad_accumulation_factor
    brain.total_steps = hparams["pool_epochs"] * steps
    brain.train_sampler = loader.batch_sampler
    checkpointer.add_recoverable("train_loader", loader)
    checkpointer.add_recoverable("history", history)
    remember_run(folder, run_identity(name, hparams))
    brain.fit(counter, loader, brain.mixtures[sb.Stage.VALID].loader)
    keep(name, folder, separator, checkpointer, hparams, arguments)
    claim.close()


def run_identity(name, hparams):
    """Collect what makes a separator another one, if it is changed."""
    keys = [key for key in RULES if key.startswith("pool_")]
    network = str(hparams["separators"][name])
    return {**identity(hparams, keys), "network": network}


def keep(name, folder, separator, checkpointer, hparams, arguments):
    """Write the models of the first, the middle and the last epoch."""
    found = {
        checkpoint.meta["epoch"]: checkpoint
        for checkpoint in checkpointer.list_checkpoints()
        if "epoch" in checkpoint.meta
    }
    for kept, epoch in kept_epochs(hparams).items():
        path = found[epoch].paramfiles["separator"]
        weights = torch.load(path, map_location="cpu", weights_only=True)
        separator.cpu().load_state_dict(weights)
        separator_release(
            folder / kept,
            name=name,
            epoch=epoch,
            separator=separator,
            si_sdr=found[epoch].meta["si_sdr"],
            hparams=hparams,
            arguments=arguments,
        )


def check_options(hparams, run_opts):
    """Refuse options of the run that the training of a pool cannot follow."""
    if run_opts.test_only:
        raise ValueError("test_only: pool.py trains, and tests nothing")
    batches = run_opts.grad_accumulation_factor
    if batches > hparams["pool_batches"]:
        raise ValueError(
            f"grad_accumulation_factor: {batches} batches make a step, and "
            f"pool_batches is {hparams['pool_batches']}: no step would be made"
        )


def main(arguments):
    """Train all separators, or some of them."""
    only = [a for a in arguments if a.startswith("--only=")]
    arguments = [a for a in arguments if a not in only]
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError(
            "pool.py trains one separator in one process; start it without "
            "torchrun, with --only=NAME for each process"
        )
    command = read_command_line(arguments, RULES, find_conflicts, lock=False)
    hparams, run_opts = command.hparams, command.run_opts
    names = list(hparams["separators"])
    if only:
        chosen = only[-1].removeprefix("--only=").split(",")
        unknown = sorted(set(chosen) - set(names))
        if unknown:
            raise ValueError(
                f"only: {', '.join(unknown)} is none of {', '.join(names)}"
            )
        names = chosen
    check_options(hparams, run_opts)
    folder = hparams["pool_folder"]
    for name in names:
        require_same_run(Path(folder) / name, run_identity(name, hparams))
    mark_folder(folder, "pool")
    save_hparams(command, folder)
    sb.create_experiment_directory(experiment_directory=folder)
    prepare(hparams)
    for name in names:
        train_separator(name, hparams, run_opts, arguments)
        # the next one needs the memory
        hparams["separators"][name].cpu()
    print(f"Separators: {hparams['pool_folder']}")


if __name__ == "__main__":
    run_recipe(main)
