#!/usr/bin/env python3
"""Train enhancement and recognition together, by contrastive losses.

    python train.py hparams/robust_asr_mini.yaml [--key=value ...]
    torchrun --nproc-per-node=2 train.py hparams/robust_asr_mini.yaml

In stages: an enhancer by SI-SNR; a recogniser on clean, then on noisy speech;
K-means of its encoder's outputs on clean speech; the enhancer before the
frozen recogniser, by SI-SNR and contrastive terms that draw enhanced frames to
clean ones of the same cluster; at last both together.  Method, in parts
reconstructed: Lee & Kim, "Cluster-Based Pairwise Contrastive Loss for
Noise-Robust Speech Recognition", Sensors 24(8) 2573, 2024.

Start reading at the bottom.
"""

import logging
import time

import evaluate
import speechbrain as sb
import torch
from data import make_both
from objectives import (
    choose_frames,
    contrastive_terms,
    count_errors,
    enhancement_loss,
    make_balance,
    recognition_loss,
)
from options import RULES, find_conflicts
from speechbrain.utils.distributed import infer_device
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain.utils.metric_stats import ErrorRateStats
from stages import (
    STAGES,
    TOKENIZER,
    StageFolder,
    chosen_stages,
    load_teacher,
    require_start,
    trained_parts,
)
from tokens import fit_tokenizer

from speechbrain_ext.training import (
    History,
    SkipNonFinite,
    leave_processes,
    log_row,
    rank_and_size,
    read_command_line,
    run_on_main,
    run_recipe,
    save_hparams,
    warmup_cosine,
)

logger = logging.getLogger(__name__)


class RobustASR(SkipNonFinite, sb.Brain):
    """One stage of the training of a front end and a recogniser."""

    def compute_forward(self, batch, stage):
        """Add noise on the device, enhance, recognise."""
        speech = self.utterances[stage].mix(batch)
        output = self.modules.joint(
            speech.noisy,
            speech.lengths,
            enhance=self.plan.enhance,
            recognise=self.recognises(stage),
        )
        return speech, output

    def recognises(self, stage):
        """Ask a frozen recogniser only where a term needs it."""
        if stage == sb.Stage.TRAIN and self.plan.name == "frozen":
            return bool(self.balance.shares)
        return self.plan.recognise

    def compute_objectives(self, predictions, batch, stage):
        """Return the leading term plus the others times their weights."""
        speech, output = predictions
        values = {}
        if output.recognition is not None:
            values["recognition"] = recognition_loss(
                output.recognition.log_probabilities,
                speech.lengths,
                speech.texts,
                self.hparams.characters,
            )
        if self.plan.enhance:
            values["enhancement"] = enhancement_loss(
                output.waveforms, speech.clean, self.hparams.enhancement_max_db
            )
        leading = values[self.leading]
        objective = leading
        if self.plan.name == "joint":
            weight = self.hparams.enhancement_weight
            objective = objective + weight * values["enhancement"]
        if self.balance.shares and self.plan.contrastive:
            terms = self.compare_frames(speech, output, stage)
            if stage == sb.Stage.TRAIN:
                self.balance.measure(
                    at=output.waveforms, leading=leading, terms=terms
                )
            for name, weight in self.balance.weights().items():
                objective = objective + weight * terms[name]
            values |= terms
        if stage != sb.Stage.TRAIN and output.recognition is not None:
            count_errors(self.errors, speech, output.recognition, self.hparams)
        values["loss"] = objective
        values = {name: value.detach() for name, value in values.items()}
        self.history.add(stage.name.lower(), **values)
        return objective

    @property
    def leading(self):
        """The term that a stage is about."""
        trained = self.plan.trained
        return "recognition" if "recogniser" in trained else "enhancement"

    def compare_frames(self, speech, output, stage):
        """Compute the contrastive terms of a batch."""
        with torch.no_grad(), torch.autocast(self.device_type, enabled=False):
            clean = self.teacher(speech.clean, speech.lengths).frames
            labels = self.tokenizer(clean)
        seed = self.step_seed() if stage == sb.Stage.TRAIN else 0
        return contrastive_terms(
            self.modules,
            output.recognition.frames,
            clean,
            *choose_frames(labels, speech.lengths, self.hparams, seed),
            self.hparams,
        )

    def step_seed(self):
        """Give each step and process randomness of its own."""
        rank, world_size = rank_and_size()
        number = STAGES.index(self.plan) + len(STAGES) * self.hparams.seed
        return (number << 32) + self.optimizer_step * world_size + rank

    def on_fit_batch_start(self, batch, should_step):
        """Set this step's learning rate, and what its dropout draws."""
        torch.manual_seed(self.step_seed())
        rate = warmup_cosine(
            self.optimizer_step,
            peak=self.hparams.learning_rate[self.plan.name],
            total=self.total_steps,
            warmup=self.hparams.warmup,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Log every few steps."""
        if should_step and self.optimizer_step % self.hparams.log_interval == 0:
            self.log("train", skipped_steps=self.skipped_steps)

    def on_stage_start(self, stage, epoch):
        """Begin the word errors of a validation."""
        self.errors = ErrorRateStats()

    def on_stage_end(self, stage, stage_loss, epoch):
        """Write the validation's row; keep the best and the last."""
        if stage != sb.Stage.VALID:
            return
        figures = {}
        if self.plan.recognise:
            figures["wer"] = self.errors.summarize("WER")
        row = self.log("valid", **figures)
        judged = "wer" if self.leading == "recognition" else "loss"
        self.checkpointer.save_and_keep_only(
            meta={"objective": row[judged], "last": -epoch},
            min_keys=[self.hparams.selection],
        )

    def log(self, stage, **figures):
        """Write a row into the history and the logs."""
        row = self.history.write(
            step=self.optimizer_step, stage=stage, **figures
        )
        log_row(row, text_log=self.text_log, tensorboard=self.tensorboard)
        return row


def train_stage(hparams, run_opts, plan, teacher):
    """Fit one stage, going on where an interrupted run stopped.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the joint network holds the results of the
        stages before.
    run_opts : RunOptions
        Of the command line.
    plan : TrainingStage
        What is trained.
    teacher : torch.nn.Module or None
        Recogniser whose outputs on clean speech are the tokenizer's.

    Returns
    -------
    brain : RobustASR
    """
    folder = StageFolder(hparams, plan.name)
    run_on_main(folder.begin)
    parts = trained_parts(hparams, plan)
    hparams["joint"].train_only(plan.trained)
    others = {n: parts[n] for n in parts if n not in plan.trained}
    optimizer = hparams["optimizer"]
    brain = RobustASR(
        modules={"joint": hparams["joint"], **others},
        opt_class=lambda ps: optimizer([p for p in ps if p.requires_grad]),
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=folder.checkpointer(parts),
    )
    brain.plan, brain.teacher = plan, teacher
    brain.device_type = torch.device(brain.device).type
    brain.tokenizer = hparams["tokenizer"]
    brain.text_log = hparams["text_log"](str(folder.path / "train_log.txt"))
    brain.tensorboard = hparams["tensorboard"](str(folder.path / "tensorboard"))
    brain.history = History(folder.path / "history.csv")
    brain.balance = make_balance(hparams)
    brain.utterances = make_both(hparams, plan.noisy, brain.device)
    loader = brain.utterances[sb.Stage.TRAIN].loader
    brain.train_sampler = loader.batch_sampler
    epochs = EpochCounter(hparams["epochs"][plan.name])
    for name, thing in {
        "counter": epochs,
        "train_loader": loader,
        "history": brain.history,
        "balance": brain.balance,
    }.items():
        brain.checkpointer.add_recoverable(name, thing)
    steps = len(loader) // brain.grad_accumulation_factor
    if not steps:
        raise ValueError(
            "grad_accumulation_factor: it is above the number of batches of "
            f"an epoch, {len(loader)}; make it or the batch_size smaller"
        )
    brain.total_steps = epochs.limit * steps
    begin = time.process_time()
    brain.fit(epochs, loader, brain.utterances[sb.Stage.VALID].loader)
    result = {
        "steps": brain.optimizer_step,
        "skipped_steps": brain.skipped_steps,
        "weights": brain.balance.weights() if plan.contrastive else {},
        # of the process that finished it
        "cpu_seconds": time.process_time() - begin,
    }
    run_on_main(folder.finish, kwargs=result)
    return brain


def train(hparams, run_opts):
    """Train the stages that are not finished, and load the others.

    Returns the Brain of the last one that was trained here, if one was.
    """
    device = run_opts.device or infer_device()
    for name in ("joint", "tokenizer", "projection", "token_classifier"):
        hparams[name].to(device)
    brain = teacher = None
    for plan in chosen_stages(hparams):
        folder = StageFolder(hparams, plan.name)
        if folder.is_finished:
            logger.info("The stage %s is finished: %s", plan.name, folder.path)
        else:
            brain = train_stage(hparams, run_opts, plan, teacher)
        folder.load(hparams, plan)
        if plan.name == "multi":
            teacher = load_teacher(hparams)
            fit_tokenizer(hparams, teacher, device)
    if hparams["recogniser_training"] == "clean":
        clean = next(stage for stage in STAGES if stage.name == "clean")
        StageFolder(hparams, "clean").load(hparams, clean)
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
    require_start(hparams["start_from"])
    for name in (*(plan.name for plan in chosen_stages(hparams)), TOKENIZER):
        StageFolder(hparams, name).check(command.run_opts.test_only)
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
    conditions = evaluate.make_conditions(hparams)
    train(hparams, run_opts)
    run_on_main(evaluate.evaluate, args=[hparams, conditions, arguments])
    leave_processes()


if __name__ == "__main__":
    run_recipe(main)
