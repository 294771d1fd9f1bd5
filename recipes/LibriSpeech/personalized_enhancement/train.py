#!/usr/bin/env python3
"""Recipe for training a speech enhancer for one user, from noisy recordings.

The user has no clean speech. More noise is added to the user's noisy
recordings, and the enhancer learns to give the recordings back as if they
were clean (pseudo speech enhancement). A predictor of frame SNRs tells how
clean their frames are, and the frames of the loss are weighted by that (data
purification).

To run this recipe, train the predictor, then an enhancer for a user (and a
generalist, which knows no user, to compare with: --stage generalist):
> python train.py hparams/pse_librispeech.yaml --stage snr_predictor \
    --data_folder LIBRISPEECH --fsd50k_folder FSD50K --musan_folder MUSAN
> python train.py hparams/pse_librispeech.yaml --stage personalize --user 19 ...

Methods: A. Sivaraman, S. Kim and M. Kim, "Personalized Speech Enhancement
through Self-Supervised Data Augmentation and Purification", Interspeech 2021,
arXiv 2104.02018; contrastive mixtures: A. Sivaraman and M. Kim, IEEE JSTSP
2022, arXiv 2104.02017.
"""

import csv
import os
import sys

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.dataio import audio_io
from speechbrain.utils.distributed import if_main_process, run_on_main

from speechbrain_ext.dataio.noisy_speech import NoisyRecordings
from speechbrain_ext.dataio.noisy_user import (
    check_speech,
    read_user,
    simulate_user,
)
from speechbrain_ext.losses.contrastive_mixtures import contrastive_pairs
from speechbrain_ext.losses.frame_levels import compare_levels
from speechbrain_ext.losses.purification import (
    frame_snr_db,
    purified_mse,
    purified_si_sdr,
    purified_snr,
)
from speechbrain_ext.losses.si_sdr import si_sdr
from speechbrain_ext.training.nonfinite import SkipNonFinite
from speechbrain_ext.training.schedules import warmup_cosine

LOSSES = {
    "segmental": purified_mse,
    "snr": purified_snr,
    "si_sdr": purified_si_sdr,
}
IMPROVED = ("si_sdr", "si_sdri", "sdr", "sdri")


class PersonalizedEnhancement(SkipNonFinite, sb.Brain):
    """Predictor of frame SNRs, or enhancer, by the stage of the recipe."""

    def compute_forward(self, batch, stage):
        """Predict levels [batch, frames], or enhance [batch, time]."""
        noisy = self.speech[stage].mix(batch)
        output = self.modules.network(noisy.mixture)
        return (output if self.predicts else output[:, 0]), noisy

    def compute_objectives(self, predictions, batch, stage):
        """Compute the error of the levels in dB^2, or the enhancer's loss."""
        output, noisy = predictions
        if stage == sb.Stage.TEST:
            score = self.score_levels if self.predicts else self.score
            return score(batch, output[0], noisy.mixture[0], noisy.target[0])
        if self.predicts:
            values = self.predictor_values(output, noisy)
        else:
            values = self.enhancer_values(output, noisy)
            if stage == sb.Stage.VALID:
                values.update(self.improvements(output, noisy))
        self.hparams.history.add(
            stage.name.lower(),
            **{name: value.detach() for name, value in values.items()},
        )
        return values["objective"]

    def predictor_values(self, levels, noisy):
        """Compare predicted levels [batch, frames] with the true ones."""
        wanted = self.true_levels(noisy.target, noisy.mixture)
        objective = (levels - wanted).square().mean()
        pair = torch.stack((levels.detach().flatten(), wanted.flatten()))
        return {
            "objective": objective,
            "error_db": objective.detach().sqrt(),
            "correlation": torch.corrcoef(pair)[0, 1],
        }

    def true_levels(self, target, noisy):
        """Compute the levels that the predictor learns."""
        return frame_snr_db(
            target=target,
            noisy=noisy,
            clamp_db=self.hparams.level_clamp_db,
            **self.frames,
        )

    def enhancer_values(self, estimate, noisy):
        """Compute the loss of estimates [batch, time], and its parts."""
        target, levels = self.choose_target(noisy), self.find_levels(noisy)
        weighting = {
            "beta": self.hparams.beta,
            "offset": self.hparams.offset,
            "normalize": self.hparams.normalize_weights,
        }
        if self.hparams.loss == "mse":
            loss = (estimate - target).square().mean()
        else:
            loss = LOSSES[self.hparams.loss](
                estimate=estimate,
                target=target,
                frame_snr_db=levels,
                **(weighting if levels is not None else {}),
                **self.frames,
            ).mean()
            if self.hparams.loss != "segmental":
                loss = -loss
        if noisy.positive is None:
            return {"objective": loss}
        contrast = contrastive_pairs(
            estimate=estimate,
            target=target,
            positive=noisy.positive,
            frame_snr_db=levels,
            positive_weight=self.hparams.positive_weight,
            negative_weight=self.hparams.negative_weight,
            **weighting,
            **self.frames,
        ).mean()
        return {
            "objective": loss + contrast,
            "enhancement": loss,
            "contrast": contrast,
        }

    def choose_target(self, noisy):
        """Choose what to give back: the recording, or the speech in it."""
        clean = noisy.clean is not None and self.hparams.targets == "clean"
        return noisy.clean if clean else noisy.target

    @torch.no_grad()
    def find_levels(self, noisy):
        """Tell how clean the frames of the user's recordings are, or None."""
        if self.hparams.stage != "personalize":
            return None
        if self.hparams.purification == "oracle":
            return frame_snr_db(
                target=noisy.clean, noisy=noisy.target, **self.frames
            )
        if self.hparams.purification == "predicted":
            return self.predictor(noisy.target)
        return None

    def improvements(self, estimate, noisy):
        """Compute SI-SDR improvements, which checkpoints are selected by."""
        targets = {"target": self.choose_target(noisy), "clean": noisy.clean}
        return {
            f"{name}_si_sdri": (
                si_sdr(estimate=estimate, target=target)
                - si_sdr(estimate=noisy.mixture, target=target)
            ).mean()
            for name, target in targets.items()
            if target is not None
        }

    def score(self, item, estimate, mixture, target):
        """Add a row for an enhanced mixture to the test results."""
        known, draw = self.hparams.clean_speech_known, item["draw"]
        speaker = item["recording"].speaker if known else self.hparams.user
        name = f"{speaker}/{item['recording'].id}/{draw}"
        both = torch.stack((estimate, mixture)).double()
        after, before = si_sdr(
            estimate=both, target=target.double().expand_as(both)
        ).tolist()
        row = {"id": name, "source": 0, "test": "test"}
        row.update(si_sdr=after, si_sdri=after - before)
        if not known and draw == 0:
            # what is heard and rated is the recording itself, which holds
            # noise enough
            mixture, estimate = target, self.modules.network(target[None])[0, 0]
        if self.hparams.more_metrics is not None and (known or draw == 0):
            row.update(self.compare(name, estimate, mixture, target))
        if len(self.results) < self.hparams.examples:
            signals = {"mixture": mixture, "estimate_1": estimate}
            if known:
                signals["reference_1"] = target
            self.save_sounds(f"examples/{len(self.results) + 1:02d}", signals)
        self.results.append(row)
        return torch.tensor(-after)

    def compare(self, name, estimate, mixture, target):
        """Measure a signal after and before (input_...) its enhancement."""
        row, known = {}, self.hparams.clean_speech_known
        for prefix, signal in (("", estimate), ("input_", mixture)):
            (found,) = self.hparams.more_metrics(
                estimates=signal[None],
                targets=target[None],
                mixture=mixture,
                utterance=name,
            )
            # of a signal against itself these say nothing
            skipped = IMPROVED if prefix or not known else ()
            for key, value in found.items():
                if key not in skipped:
                    row[prefix + key] = value
        return row

    def score_levels(self, item, levels, noisy, clean):
        """Add a row for the predicted levels of a recording."""
        wanted = self.true_levels(clean, noisy)
        figures = compare_levels(
            predicted=levels,
            true=wanted,
            speech=clean,
            noise=noisy - clean,
            **self.frames,
        )
        name = f"{item['recording'].speaker}/{item['recording'].id}"
        row = {"id": name, "source": 0, "test": "test", **figures}
        if not self.results:
            # for the plot of the results page
            self.save_sounds("levels", {"recording": noisy})
            found = torch.stack((wanted, levels), 1).tolist()
            self.write_table("levels/levels.csv", ["true", "predicted"], found)
        self.results.append(row)
        return torch.tensor(row["error_db"])

    def save_sounds(self, folder, signals):
        """Write signals [time] as WAV files below the output folder."""
        if not if_main_process():
            return
        folder = os.path.join(self.hparams.output_folder, folder)
        os.makedirs(folder, exist_ok=True)
        for name, signal in signals.items():
            audio_io.save(
                os.path.join(folder, f"{name}.wav"),
                signal.cpu(),
                self.hparams.sample_rate,
                subtype="FLOAT",
            )

    def write_table(self, name, columns, rows):
        """Write a CSV file below the output folder."""
        if not if_main_process():
            return
        path = os.path.join(self.hparams.output_folder, name)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(rows)

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
        """Keep the best checkpoint and the last one, or all; write tests."""
        if stage == sb.Stage.TEST:
            names = list(dict.fromkeys(n for row in self.results for n in row))
            rows = [
                [row.get(name, "") for name in names] for row in self.results
            ]
            self.write_table("test_results.csv", names, rows)
        if stage != sb.Stage.VALID:
            return
        row = self.hparams.history.write(
            step=self.optimizer_step, stage="valid"
        )
        # a predictor has its objective alone, a generalist clean targets
        target = -row.get("target_si_sdri", -row["objective"])
        every = self.hparams.keep_checkpoints == "all"
        self.checkpointer.save_and_keep_only(
            meta={
                "objective": row["objective"],
                "target": target,
                "clean": -row.get("clean_si_sdri", -target),
                "last": -epoch,
            },
            min_keys=[self.hparams.selection],
            num_to_keep=self.hparams.number_of_epochs if every else 1,
        )


def find_user_table(hparams):
    """Find the table of the user's noisy recordings, simulated or real."""
    if hparams["clean_speech_known"]:
        return os.path.join(hparams["output_folder"], "user", "manifest.csv")
    return hparams["user_data"]


def make_user(hparams):
    """Simulate a user's noisy recordings where the clean speech is known."""
    speech = [
        row
        for row in hparams["speech"](hparams["user_data"])
        if not row.split or row.split.startswith("user_")
    ]
    chosen = [row for row in speech if row.speaker == str(hparams["user"])]
    if not chosen:
        known = ", ".join(sorted({row.speaker for row in speech}))
        raise ValueError(
            f"user: the corpus has no user {hparams['user']!r}; it has {known}"
        )
    simulate_user(
        chosen,
        hparams["noises"]("train", "user"),
        os.path.dirname(find_user_table(hparams)),
        snr_db=hparams["user_snr_db"],
        seed=hparams["seed"],
    )


def dataio_prep(hparams):
    """Make the noisy speech of every stage; only training varies it."""
    stage = hparams["stage"]
    if stage == "personalize":
        clean = hparams["clean_speech_known"]
        table = find_user_table(hparams)
        train, train_clean = read_user(table, split="user_train", clean=clean)
        valid, valid_clean = read_user(table, split="user_valid", clean=clean)
    else:
        train_clean = valid_clean = None
        train = hparams["speech"](
            hparams["train_data"], split=hparams["train_split"]
        )
        valid = hparams["speech"](
            hparams["valid_data"], split=hparams["valid_split"]
        )
    purpose, snr_db = "injected", hparams["injected_snr_db"]
    if stage == "snr_predictor":
        purpose, snr_db = "predictor", hparams["predictor_snr_db"]
    contrastive = hparams["positive_weight"] or hparams["negative_weight"]
    speech = {
        sb.Stage.TRAIN: hparams["noisy_speech"](
            train,
            hparams["noises"]("train", purpose),
            clean=train_clean,
            snr_db=snr_db,
            batches=hparams["batches_per_epoch"],
            contrastive=stage == "personalize" and bool(contrastive),
            seed=hparams["seed"],
            rank=int(os.environ.get("RANK", 0)),
            world_size=int(os.environ.get("WORLD_SIZE", 1)),
            num_workers=hparams["num_workers"],
        ),
        sb.Stage.VALID: hparams["noisy_speech"](
            valid,
            hparams["noises"]("valid", purpose),
            clean=valid_clean,
            snr_db=snr_db,
            batches=hparams["valid_batches"],
        ),
    }
    if stage == "snr_predictor":
        # noises around users, which the predictor has not heard
        speech[sb.Stage.TEST] = NoisyRecordings(
            read_tests(hparams),
            hparams["noises"]("train", "user"),
            snr_db=hparams["user_snr_db"],
            level_db=None,
        )
    else:
        speech[sb.Stage.TEST] = NoisyRecordings(
            read_tests(hparams),
            hparams["noises"]("test", "test"),
            snr_db=hparams["test_snr_db"],
            draws=hparams["test_draws"],
        )
    return speech


def read_tests(hparams):
    """Read what is tested on: clean speech of users where it is known."""
    table, split = hparams["test_data"], hparams["test_split"]
    if not hparams["clean_speech_known"]:
        return read_user(table, split=split, clean=False)[0]
    speech = hparams["speech"](table, split=split)
    if hparams["stage"] != "personalize":
        return speech
    return [row for row in speech if row.speaker == str(hparams["user"])]


def find_predictor(hparams):
    """Load the trained predictor of frame SNRs, if the run needs one."""
    predicted = hparams["purification"] == "predicted"
    wanted = predicted or hparams["check_recordings"]
    if hparams["stage"] != "personalize" or hparams["predictor"] is None:
        wanted = False
    return hparams["load_predictor"]() if wanted else None


def make_brain(hparams, run_opts):
    """Make the Brain, with its data and what a checkpoint must hold."""
    speech = dataio_prep(hparams)
    name, network = "separator", hparams["enhancers"][hparams["model"]]
    if hparams["stage"] == "snr_predictor":
        name, network = "predictor", hparams["snr_predictor"]
    if hparams["start_from"] is not None:
        path = os.path.join(hparams["start_from"], f"{name}.ckpt")
        pretrainer = hparams["pretrainer"](
            loadables={name: network}, paths={name: path}
        )
        pretrainer.collect_files()
        pretrainer.load_collected()
    brain = PersonalizedEnhancement(
        modules={"network": network},
        opt_class=hparams["optimizer"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.predicts = hparams["stage"] == "snr_predictor"
    brain.frames = {"window": hparams["window"], "hop": hparams["hop"]}
    brain.speech = {
        stage: found.to(brain.device) for stage, found in speech.items()
    }
    brain.results = []
    steps = hparams["total_batches"] // brain.grad_accumulation_factor
    brain.total_steps = steps
    # the loader draws its own batches for each rank; its place in the epoch
    # is part of the checkpoint
    train_loader = brain.speech[sb.Stage.TRAIN].loader
    brain.train_sampler = train_loader.batch_sampler
    brain.checkpointer.add_recoverable(name, network)
    brain.checkpointer.add_recoverable("train_loader", train_loader)
    brain.checkpointer.add_recoverable("history", hparams["history"])
    return brain


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
    predictor = find_predictor(hparams)
    if hparams["stage"] == "personalize":
        if hparams["clean_speech_known"]:
            run_on_main(make_user, kwargs={"hparams": hparams})
        table, check = find_user_table(hparams), hparams["check_recordings"]
        recordings, _ = read_user(table, split="user_train", clean=False)
        check_speech(recordings, predictor if check else None)

    # Training
    brain = make_brain(hparams, run_opts)
    if predictor is not None:
        brain.predictor = predictor.to(brain.device)
    brain.fit(
        hparams["epoch_counter"],
        brain.speech[sb.Stage.TRAIN].loader,
        brain.speech[sb.Stage.VALID].loader,
    )

    # Test
    brain.evaluate(
        brain.speech[sb.Stage.TEST].loader, min_key=hparams["selection"]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
