#!/usr/bin/env python3
"""Recipe for training an enhancer and a recognizer together, for noisy speech.

In stages: an enhancer is trained by SI-SNR; a recognizer on clean, then on
noisy speech; K-means clusters its outputs on clean speech; then the enhancer
before the frozen recognizer, by SI-SNR and terms that draw enhanced frames to
clean ones of their cluster (CBPC) or their own (InfoNCE); at last both.

To run this recipe, do the following:
> python train.py hparams/robust_asr_librispeech.yaml \
    --data_folder /path/to/LibriSpeech --noise_folder /path/to/noise

Method, in parts reconstructed: G. W. Lee and H. K. Kim, "Cluster-Based
Pairwise Contrastive Loss for Noise-Robust Speech Recognition", Sensors 24(8)
2573, 2024.
"""

import copy
import json
import os
import sys
import time
from typing import NamedTuple

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.nnet.losses import ctc_loss
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.metric_stats import ErrorRateStats

from speechbrain_ext.dataio.transcripts import normalize_text, repeat, words_of
from speechbrain_ext.losses.si_sdr import si_sdr
from speechbrain_ext.models.conformer_ctc import frame_mask
from speechbrain_ext.training.nonfinite import SkipNonFinite
from speechbrain_ext.training.schedules import warmup_cosine


class TrainingStage(NamedTuple):
    """A stage of the training: which parts are trained, and on what."""

    name: str
    trained: tuple
    noisy: bool = True
    enhance: bool = True
    recognize: bool = True
    contrastive: bool = False


# in their order; the clusters are found after the stage multi
STAGES = (
    TrainingStage("enhancer", ("enhancer",), recognize=False),
    TrainingStage("clean", ("recognizer",), noisy=False, enhance=False),
    TrainingStage("multi", ("recognizer",), enhance=False),
    TrainingStage("frozen", ("enhancer",), contrastive=True),
    TrainingStage("joint", ("enhancer", "recognizer"), contrastive=True),
)
# stages that a front end does without; joint needs all
LEFT_OUT = {
    "none": ("enhancer", "frozen", "joint"),
    "separate": ("frozen", "joint"),
}


class RobustASR(SkipNonFinite, sb.Brain):
    """One stage of the training of a front end and a recognizer, or a test."""

    def compute_forward(self, batch, stage):
        """Add noise on the device, enhance, recognize."""
        speech = self.utterances[stage].mix(batch)
        recognize = self.plan.recognize
        if stage == sb.Stage.TRAIN and self.plan.name == "frozen":
            # a frozen recognizer is asked only where a term needs it
            recognize = bool(self.balance.ratios)
        output = self.modules.joint(
            speech.noisy,
            speech.lengths,
            enhance=self.plan.enhance,
            recognize=recognize,
        )
        return speech, output

    def compute_objectives(self, predictions, batch, stage):
        """Compute the leading term plus the others times their weights."""
        speech, output = predictions
        values = {}
        if output.recognition is not None:
            characters = self.hparams.characters
            said = [normalize_text(text) for text in speech.texts]
            targets, lengths = characters.encode_batch(said)
            values["recognition"] = ctc_loss(
                output.recognition.log_probabilities,
                targets.to(self.device),
                speech.lengths,
                lengths.to(self.device),
                characters.blank,
            )
            if stage != sb.Stage.TRAIN:
                heard = self.count_errors(speech, output.recognition, said)
            if stage == sb.Stage.TEST:
                self.score(speech, output, said, heard)
                return values["recognition"]
        if self.plan.enhance:
            ratio = si_sdr(estimate=output.waveforms, target=speech.clean)
            # utterances that are clean already would give any value
            most_db = self.hparams.enhancement_max_db
            values["enhancement"] = -ratio.clamp(max=most_db).mean()
        leading = values[self.leading]
        objective = leading
        if self.plan.name == "joint":
            weight = self.hparams.enhancement_weight
            objective = objective + weight * values["enhancement"]
        if self.balance.ratios and self.plan.contrastive:
            terms = self.compare_frames(speech, output, stage)
            if stage == sb.Stage.TRAIN:
                self.balance.measure(
                    at=output.waveforms, leading=leading, terms=terms
                )
            for name, weight in self.balance.weights().items():
                objective = objective + weight * terms[name]
            values.update(terms)
        values["loss"] = objective
        values = {name: value.detach() for name, value in values.items()}
        self.history.add(stage.name.lower(), **values)
        return objective

    @property
    def leading(self):
        """The term that a stage is about."""
        recognizes = "recognizer" in self.plan.trained
        return "recognition" if recognizes else "enhancement"

    def compare_frames(self, speech, output, stage):
        """Compute the contrastive terms; the teacher hears the clean speech."""
        device = torch.device(self.device).type
        with torch.no_grad(), torch.autocast(device, enabled=False):
            clean = self.teacher(speech.clean, speech.lengths).frames
            labels = self.hparams.tokenizer(clean)
        return self.hparams.contrast(
            self.balance.ratios,
            frames=output.recognition.frames,
            clean_frames=clean,
            labels=labels,
            mask=frame_mask(speech.lengths, labels.shape[1]),
            project=getattr(self.modules, "projection", None),
            classify=getattr(self.modules, "token_classifier", None),
            seed=self.step_seed() if stage == sb.Stage.TRAIN else 0,
        )

    def step_seed(self):
        """Give each step and process randomness of its own."""
        rank = int(os.environ.get("RANK", 0))
        world_size = int(os.environ.get("WORLD_SIZE", 1))
        number = STAGES.index(self.plan) + len(STAGES) * self.hparams.seed
        return (number << 32) + self.optimizer_step * world_size + rank

    def on_fit_batch_start(self, batch, should_step):
        """Set this step's learning rate, and what its dropout draws."""
        torch.manual_seed(self.step_seed())
        rate = warmup_cosine(
            self.optimizer_step,
            peak=self.hparams.learning_rates[self.plan.name],
            total=self.total_steps,
            warmup=self.hparams.warmup_ratio,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Log every few steps."""
        if should_step and self.optimizer_step % self.hparams.log_interval == 0:
            self.history.write(
                step=self.optimizer_step,
                stage="train",
                skipped_steps=getattr(self, "skipped_steps", 0),
            )

    def on_stage_start(self, stage, epoch=None):
        """Begin to count the errors of a validation or test."""
        self.errors = {"wer": ErrorRateStats(), "cer": ErrorRateStats()}

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Keep the best checkpoint and the last one; write the tests."""
        if stage == sb.Stage.TEST:
            self.write_results()
        if stage != sb.Stage.VALID:
            return
        wer = self.errors["wer"]
        figures = {"wer": wer.summarize("WER")} if self.plan.recognize else {}
        row = self.history.write(
            step=self.optimizer_step, stage="valid", **figures
        )
        chosen_by = "wer" if self.leading == "recognition" else "loss"
        self.checkpointer.save_and_keep_only(
            meta={"objective": row[chosen_by], "last": -epoch},
            min_keys=[self.hparams.selection],
        )

    def count_errors(self, speech, recognition, said):
        """Compare what is heard with what was said; return the former."""
        heard = self.hparams.characters.decode_batch(
            recognition.log_probabilities, speech.lengths
        )
        for name, split in (("wer", str.split), ("cer", list)):
            self.errors[name].append(
                speech.ids, [split(x) for x in heard], [split(x) for x in said]
            )
        return heard

    def score(self, speech, output, said, heard):
        """Add a row for every utterance to the test results."""
        frames = [
            self.teacher(signal, speech.lengths).frames
            for signal in (output.waveforms, speech.clean)
        ]
        mask = frame_mask(speech.lengths, frames[0].shape[1])
        tokens = [self.hparams.tokenizer(part) for part in frames]
        same = ((tokens[0] == tokens[1]) & mask).sum(1) / mask.sum(1)
        ends = (speech.lengths * speech.clean.shape[1]).round().int().tolist()
        for k, end in enumerate(ends):
            noisy, clean = speech.noisy[k, :end], speech.clean[k, :end]
            estimate = output.waveforms[k, :end]
            row = {"reference": said[k], "hypothesis": heard[k]}
            if self.hparams.more_metrics is not None:
                (scores,) = self.hparams.more_metrics(
                    estimates=estimate[None],
                    targets=clean[None],
                    mixture=noisy,
                    utterance=speech.ids[k],
                )
                if self.condition == "clean":  # there is nothing to improve
                    scores = {n: scores[n] for n in scores if "sdr" not in n}
                row.update(scores)
            row["agreement"] = same[k].item()
            for name, unit in (("wer", "word"), ("cer", "character")):
                found = self.errors[name].scores[k - len(ends)]
                row[f"{unit}_errors"] = found["num_edits"]
                row[f"{unit}s"] = found["num_ref_tokens"]
            test = {"test": self.condition, "kind": self.condition}
            sounds = {"estimate": [estimate], "reference": [clean]}
            self.hparams.results.add(
                speech.ids[k], [row], **test, mixture=noisy, **sounds
            )

    def write_results(self):
        """Write the rows of all tests so far, and this one's alignments."""
        self.hparams.results.write()
        for name, errors in self.errors.items():
            file = f"{name}_{self.condition.replace(' ', '_')}.txt"
            path = os.path.join(self.hparams.output_folder, file)
            if if_main_process():
                with open(path, "w", encoding="utf-8") as file:
                    errors.write_stats(file)


def dataio_prep(hparams):
    """Read the utterances and the noises of training, validation and test."""
    read = hparams["read_speech"]
    train = read(hparams["train_data"], split=hparams["train_split"])
    words = words_of(train) if hparams["closed_vocabulary"] else None
    valid = hparams["valid_data"], hparams["valid_split"]
    test = hparams["test_data"], hparams["test_split"]
    speech = {
        sb.Stage.TRAIN: train,
        sb.Stage.VALID: read(valid[0], split=valid[1], words=words),
        sb.Stage.TEST: read(test[0], split=test[1], words=words),
    }
    noise = {
        sb.Stage.TRAIN: (hparams["train_noise"], hparams["train_noise_split"]),
        sb.Stage.VALID: (hparams["valid_noise"], hparams["valid_noise_split"]),
        sb.Stage.TEST: (hparams["test_noise"], hparams["test_noise_split"]),
    }
    for stage, (table, split) in noise.items():
        noise[stage] = hparams["read_noise"](table, split=split)
    return speech, noise


def make_utterances(hparams, data, stage, snr_db, shared=False):
    """Make the batches of a stage; only training varies them.

    Speech stays clean where `snr_db` is None. In the test, each utterance gets
    several noises, the same ones at every SNR. Shared batches are divided
    among the processes.
    """
    speech, noise = (found[stage] for found in data)
    training = stage == sb.Stage.TRAIN
    if stage == sb.Stage.TEST and snr_db is not None:
        speech = repeat(speech, hparams["test_draws"])
    return hparams["utterances"](
        speech,
        None if snr_db is None else noise,
        snr_db=snr_db,
        clean_probability=hparams["clean_probability"] if training else 0.0,
        speeds=hparams["speeds"] if training else (1.0,),
        batch_size=(
            hparams["batch_size"] if training else hparams["valid_batch_size"]
        ),
        shuffle=training,
        seed=hparams["seed"] if training else 0,
        rank=int(os.environ.get("RANK", 0)) if shared else 0,
        world_size=int(os.environ.get("WORLD_SIZE", 1)) if shared else 1,
        num_workers=hparams["num_workers"] if training else 0,
    )


def find_folder(hparams, name):
    """Find the folder of a stage: in this run, or finished in another."""
    own = hparams["output_folder"]
    for place in (hparams["start_from"] or own, own):
        folder = os.path.join(place, "stages", name)
        if os.path.isfile(os.path.join(folder, "finished.json")):
            return folder
    os.makedirs(folder, exist_ok=True)
    return folder


def finish(folder, begin, **result):
    """Write down that a stage is finished, and what is known of it."""
    path = os.path.join(folder, "finished.json")
    if if_main_process() and not os.path.isfile(path):
        result["cpu_seconds"] = time.process_time() - begin
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)


def make_brain(hparams, run_opts, data, plan):
    """Make the Brain of a stage, with its data and its checkpoints."""
    joint, balance = hparams["joint"], hparams["balance"]()
    joint.train_only(plan.trained)
    parts = {name: getattr(joint, name) for name in plan.trained}
    others = {}
    if plan.contrastive and {"cbpc", "info_nce"} & set(balance.ratios):
        others["projection"] = hparams["projection"]
    if plan.contrastive and "token" in balance.ratios:
        others["token_classifier"] = hparams["token_classifier"]
    folder = find_folder(hparams, plan.name)
    brain = RobustASR(
        modules={"joint": joint, **others},
        opt_class=lambda parameters: hparams["optimizer"](
            [p for p in parameters if p.requires_grad]
        ),
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"](
            os.path.join(folder, "save"), {**parts, **others}
        ),
    )
    brain.plan, brain.folder, brain.balance = plan, folder, balance
    brain.history = hparams["history"](
        os.path.join(folder, "history.csv"),
        loggers=[
            hparams["text_log"](os.path.join(folder, "train_log.txt")),
            hparams["tensorboard"](os.path.join(folder, "tensorboard")),
        ],
    )
    snr_db = hparams["snr_db"] if plan.noisy else None
    train, valid = sb.Stage.TRAIN, sb.Stage.VALID
    brain.utterances = {
        train: make_utterances(hparams, data, train, snr_db, shared=True),
        valid: make_utterances(hparams, data, valid, snr_db),
    }
    for utterances in brain.utterances.values():
        utterances.to(brain.device)
    # the loader's place in the epoch is part of the checkpoint
    loader = brain.utterances[train].loader
    brain.train_sampler = loader.batch_sampler
    counter = hparams["epoch_counters"][plan.name]
    more = {"counter": counter, "train_loader": loader, "balance": balance}
    brain.checkpointer.add_recoverables({**more, "history": brain.history})
    steps = len(loader) // brain.grad_accumulation_factor
    if not steps:
        raise ValueError(
            f"grad_accumulation_factor: an epoch has {len(loader)} batches"
        )
    brain.total_steps = counter.limit * steps
    return brain


def make_tester(hparams, run_opts):
    """Make the Brain of the tests; its checkpoint is the whole result."""
    joint, tokenizer = hparams["joint"], hparams["tokenizer"]
    # the recognizer of the stage multi, whatever becomes of it later
    teacher = copy.deepcopy(joint.recognizer).requires_grad_(False).eval()
    enhance = hparams["front_end"] != "none"
    result = {"joint": joint} if enhance else {"recognizer": joint.recognizer}
    result.update(teacher=teacher, tokenizer=tokenizer)
    brain = RobustASR(
        modules={"joint": joint, "teacher": teacher, "tokenizer": tokenizer},
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"](hparams["save_folder"], result),
    )
    brain.plan = TrainingStage("test", (), enhance=enhance)
    brain.teacher = teacher
    return brain


def train(hparams, run_opts, data, tester):
    """Train one stage after the other, those that are not finished."""
    brains, selection = {}, hparams["selection"]
    saved = tester.checkpointer.find_checkpoint()
    for plan in STAGES:
        if plan.name in LEFT_OUT.get(hparams["front_end"], ()):
            continue
        brain = make_brain(hparams, run_opts, data, plan)
        brains[plan.name], brain.teacher = brain, tester.teacher
        begin = time.process_time()
        loaders = [part.loader for part in brain.utterances.values()]
        brain.fit(hparams["epoch_counters"][plan.name], *loaders)
        finish(
            brain.folder,
            begin,
            steps=brain.optimizer_step,
            skipped_steps=getattr(brain, "skipped_steps", 0),
            weights=brain.balance.weights() if plan.contrastive else {},
        )
        # the selected checkpoint need not be the last
        brain.checkpointer.recover_if_possible(min_key=selection)
        if plan.name == "multi":
            recognizer = hparams["joint"].recognizer
            tester.teacher.load_state_dict(recognizer.state_dict())
            find_clusters(hparams, data, tester)
    if hparams["recognizer_training"] == "clean":
        brains["clean"].checkpointer.recover_if_possible(min_key=selection)
    if saved is None:
        tester.checkpointer.save_checkpoint(meta={selection: 0})


def find_clusters(hparams, data, tester):
    """Fit the tokenizer to what the teacher hears in clean speech."""
    folder = find_folder(hparams, "tokenizer")
    parts = {"tokenizer": hparams["tokenizer"]}
    saved = hparams["checkpointer"](os.path.join(folder, "save"), parts)

    def list_frames():
        utterances = make_utterances(hparams, data, sb.Stage.TRAIN, None)
        utterances.to(tester.device)
        for number in range(hparams["tokenizer_passes"]):
            utterances.loader.batch_sampler.set_epoch(number)
            batches = range(hparams["tokenizer_batches"])
            for _, batch in zip(batches, utterances.loader, strict=False):
                speech = utterances.mix(batch)
                frames = tester.teacher(speech.clean, speech.lengths).frames
                yield frames[frame_mask(speech.lengths, frames.shape[1])]

    @torch.no_grad()
    def fit():
        if os.path.isfile(os.path.join(folder, "finished.json")):
            return
        begin = time.process_time()
        generator = torch.Generator().manual_seed(hparams["seed"])
        used = hparams["tokenizer"].fit(list_frames(), generator)
        saved.save_checkpoint()
        finish(folder, begin, used=used)

    run_on_main(fit)
    saved.recover_if_possible()


def test(hparams, data, tester):
    """Test at every SNR, and on clean speech."""
    for snr_db in (*hparams["test_snr_db"], None):
        tester.condition = "clean" if snr_db is None else f"{snr_db:g} dB"
        snrs = None if snr_db is None else (snr_db, snr_db)
        utterances = make_utterances(hparams, data, sb.Stage.TEST, snrs)
        tester.utterances = {sb.Stage.TEST: utterances.to(tester.device)}
        tester.evaluate(utterances.loader, min_key=hparams["selection"])


def main(arguments):
    """Prepare the data, train all stages and test."""
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
    data = dataio_prep(hparams)

    # Training
    tester = make_tester(hparams, run_opts)
    if not tester.test_only:
        train(hparams, run_opts, data, tester)

    # Test
    test(hparams, data, tester)


if __name__ == "__main__":
    main(sys.argv[1:])
