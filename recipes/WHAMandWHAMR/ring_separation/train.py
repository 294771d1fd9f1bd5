#!/usr/bin/env python3
"""Train a separator by ring mixing with the SCER loss, on noisy speech only.

    python train.py hparams/ring_sepformer.yaml [--key=value ...]
    torchrun --nproc-per-node=2 train.py hparams/ring_sepformer.yaml

A ring of N noisy recordings makes N mixtures of two, so that every recording
is estimated twice; the signal-to-consistency-error ratio (SCER) of the two
estimates is trained beside the permutation-invariant SI-SDR.  No clean speech
is used in training.  Method: Maciejewski & Cornell, "Ring Mixing with
Auxiliary Signal-to-Consistency-Error Ratio Loss for Unsupervised Denoising in
Speech Separation", arXiv 2604.08415.

Start reading at the bottom.
"""

import evaluate
import runs
import selection
import speechbrain as sb
from data import make_mixtures
from purification import find_predictor, purified_separation

from speechbrain_ext.losses import align, pit, scer, si_sdr
from speechbrain_ext.training import (
    SkipNonFinite,
    leave_processes,
    linear_ramp,
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

RULES = {
    "seed": (int, 0, 2**32 - 1),
    "sample_rate": (int, 4000, 96000),
    "segment_seconds": (float, 0.25, None),
    "mixing": ["ring", "pairs"],
    "targets": ["noisy", "clean"],
    "ring_size": (int, 3, None),
    "alternate_sexes": [True, False],
    "reverberate": [True, False],
    "gain_db": (float, 0, 40),
    "speed_change": (float, 0, 0.49),
    "equaliser_db": (float, 0, 40),
    "scer_weight": (float, 0, None),
    "scer_start": (float, 0, 1),
    "scer_end": (float, 0, 1),
    "scer_scale": ["target", "least_squares", "none"],
    "scer_floor": (float, 0, 1),
    "selection": ["objective", "blind", "clean", "last"],
    "keep_checkpoints": ["selected", "all"],
    "number_of_epochs": (int, 1, None),
    "rings_per_epoch": (int, 1, None),
    "valid_rings": (int, 1, None),
    "test_rings": (int, 1, None),
    "test_segment_seconds": (float, 0.25, None),
    "examples": (int, 0, None),
    "dnsmos_mixtures": (int, 0, None),
    "learning_rate": (float, 0, 1),
    "warmup": (float, 0, 0.99),
    "log_interval": (int, 1, None),
    "num_workers": (int, 0, None),
}


def find_conflicts(values):
    """List what is legal by itself but not together, for `load_hparams`."""
    mistakes = []
    if values["purification"] and values["targets"] == "clean":
        mistakes.append("purification: clean targets need none")
    for key in ("snr_db", "sweep_snr_db", "metrics"):
        if not isinstance(values[key], list | None):
            mistakes.append(f"{key}: {values[key]!r} is no list, nor null")
    if values["scer_start"] > values["scer_end"]:
        mistakes.append("scer_start: it lies after scer_end")
    if values["scer_floor"] == 0:
        mistakes.append("scer_floor: 0 would reward consistency endlessly")
    if values["mixing"] == "pairs" and values["scer_weight"] > 0:
        mistakes.append("scer_weight: SCER needs a ring; set it to 0")
    if not values["clean_speech_known"]:
        for key in ("selection", "targets"):
            if values[key] == "clean":
                mistakes.append(f"{key}: clean needs clean_speech_known")
    return mistakes


class RingSeparation(SkipNonFinite, sb.Brain):
    """Separator trained by SI-SDR with PIT, and SCER round a ring."""

    predictor = None  # of frame SNRs, where targets are purified

    def compute_forward(self, batch, stage):
        """Mix on the device and separate.

        Returns the estimates (batch, sources, time) and what was mixed.
        """
        mixtures = self.sources[stage].mix(batch)
        return self.modules.separator(mixtures.mixture), mixtures

    def compute_objectives(self, predictions, batch, stage):
        """Return the negative of SI-SDR + weight x SCER, in dB."""
        estimates, mixtures = predictions
        clean = self.hparams.targets == "clean"
        targets = mixtures.speech if clean else mixtures.noisy
        separation, permutation = pit(
            si_sdr, estimates=estimates, targets=targets
        )
        objective = separation.mean()
        values = {"si_sdr": objective.detach()}
        if self.predictor is not None:
            objective = purified_separation(
                estimates=align(estimates, permutation),
                targets=targets,
                predictor=self.predictor,
            ).mean()
        if stage != sb.Stage.TRAIN or self.hparams.mixing == "ring":
            # source k stands in mixture k first and in mixture k - 1 second
            aligned = align(estimates, permutation)
            consistency = scer(
                first=aligned[:, 0],
                second=aligned[:, 1].roll(1, 0),
                target=targets[:, 0],
                scale=self.hparams.scer_scale,
                floor=self.hparams.scer_floor,
            ).mean()
            values["scer"] = consistency.detach()
            weight = self.scer_weight(stage)
            if weight > 0:
                objective = objective + weight * consistency
        if stage != sb.Stage.TRAIN and self.clean_speech_known:
            improvement = evaluate.clean_improvement(estimates, mixtures)
            values["clean_si_sdri"] = improvement.mean()
        if stage != sb.Stage.TRAIN and self.judge is not None:
            scores = self.judge.snr(mixtures.mixture, estimates)
            values["blind_si_snr"] = scores.mean()
        values["objective"] = -objective.detach()
        self.hparams.history.add(stage.name.lower(), **values)
        return -objective

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
        if not should_step:
            return
        history = self.hparams.history
        history.add(
            "train",
            learning_rate=self.optimizer.param_groups[0]["lr"],
            scer_weight=self.scer_weight(sb.Stage.TRAIN),
        )
        if self.optimizer_step % self.hparams.log_interval == 0:
            row = history.write(
                step=self.optimizer_step,
                stage="train",
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
        meta = {
            "objective": row["objective"],
            "blind": -row.get("blind_si_snr", float("nan")),
            "clean": -row.get("clean_si_sdri", float("nan")),
            "last": -epoch,
        }
        every = self.hparams.keep_checkpoints == "all"
        self.checkpointer.save_and_keep_only(
            meta=meta,
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
    load_start(hparams["separator"], runs.start_of(hparams))
    brain = RingSeparation(
        modules=hparams["modules"],
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    rank, world_size = rank_and_size()
    brain.sources = {
        sb.Stage.TRAIN: make_mixtures(
            hparams, sb.Stage.TRAIN, rank=rank, world_size=world_size
        ).to(brain.device),
        sb.Stage.VALID: make_mixtures(hparams, sb.Stage.VALID).to(brain.device),
    }
    train_loader = brain.sources[sb.Stage.TRAIN].loader
    valid_loader = brain.sources[sb.Stage.VALID].loader
    brain.clean_speech_known = hparams["clean_speech_known"]
    brain.predictor = find_predictor(hparams)
    if brain.predictor is not None:
        brain.predictor.to(brain.device)
    brain.judge = None
    if hparams["selection"] == "blind":
        brain.judge = selection.load_judge(hparams).to(brain.device)
    brain.train_sampler = train_loader.batch_sampler
    brain.checkpointer.add_recoverable("train_loader", train_loader)
    brain.checkpointer.add_recoverable("history", hparams["history"])
    steps = hparams["rings_per_epoch"] // brain.grad_accumulation_factor
    brain.total_steps = hparams["number_of_epochs"] * steps
    run_on_main(
        remember_run, args=[hparams["output_folder"], runs.identity(hparams)]
    )
    brain.fit(hparams["epoch_counter"], train_loader, valid_loader)
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
    runs.require_reference(hparams)
    if hparams["selection"] == "blind":
        selection.load_judge(hparams)
    runs.start_of(hparams)
    find_predictor(hparams)
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
    sources = make_mixtures(hparams, sb.Stage.TEST)
    brain = train(hparams, run_opts)
    sources.to(brain.device)
    brain.on_evaluate_start(min_key=hparams["selection"])
    run_on_main(evaluate.evaluate, args=[brain, hparams, sources, arguments])
    leave_processes()


if __name__ == "__main__":
    run_recipe(main)
