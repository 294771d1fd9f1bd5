"""The stages of the training, and what each of them depends on."""

import copy
import dataclasses
import hashlib
import json
import logging
import os
from pathlib import Path

import torch

from speechbrain_ext.files import replaced
from speechbrain_ext.training import (
    AtomicCheckpointer,
    data_identity,
    differences,
    remember_run,
    require_same_run,
)

logger = logging.getLogger(__name__)

FINISHED = "finished.json"
TOKENIZER = "tokenizer"


@dataclasses.dataclass(frozen=True)
class TrainingStage:
    """One stage: what is trained, on what.

    Arguments
    ---------
    name : str
        Of its folder, and of its numbers in `epochs` and `learning_rate`.
    trained : tuple of str
        Parts of the joint network.
    noisy, enhance, recognise : bool
        Whether the speech has noise, and what is done with it.
    contrastive : bool
        Whether frames are compared with those of clean speech.
    after : tuple of str
        Stages whose results it starts from.
    """

    name: str
    trained: tuple
    noisy: bool
    enhance: bool
    recognise: bool
    contrastive: bool = False
    after: tuple = ()


BOTH = ("enhancer", "recogniser")
STAGES = (
    TrainingStage("enhancer", ("enhancer",), True, True, False),
    TrainingStage("clean", ("recogniser",), False, False, True),
    TrainingStage(
        "multi", ("recogniser",), True, False, True, after=("clean",)
    ),
    TrainingStage(
        "frozen", ("enhancer",), True, True, True, True,
        after=("enhancer", "multi", TOKENIZER),
    ),
    TrainingStage(
        "joint", BOTH, True, True, True, True, after=("frozen",)
    ),
)  # fmt: skip

# of every stage
COMMON = (
    *("seed", "sample_rate", "train_splits", "valid_splits", "alphabet"),
    *("closed_vocabulary", "longest_seconds", "speeds", "batch_size"),
    *("test_batch_size", "warmup", "precision", "max_grad_norm", "selection"),
)
NOISE = ("snr_db", "clean_share", "train_noise_split", "valid_noise_split")
CONTRASTIVE = (
    *("cbpc_share", "info_nce_share", "token_share", "shuffle_labels"),
    *("temperature", "sampled_frames", "frames_per_cluster", "balance_steps"),
)
CLUSTERS = ("num_clusters", "tokenizer_passes", "tokenizer_batches")


def chosen_stages(hparams):
    """List the stages of a run, in their order; the tokenizer's is apart."""
    wanted = ["clean", "multi"]
    if hparams["front_end"] != "none":
        wanted = ["enhancer", *wanted]
    if hparams["front_end"] == "joint":
        wanted += ["frozen", "joint"]
    return [stage for stage in STAGES if stage.name in wanted]


def identity(hparams, name):
    """Collect what makes another stage of a stage, if it is changed.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    name : str
        Of a stage, or of the tokenizer.

    Returns
    -------
    values : dict
        Plain values; what it starts from is told by a hash.
    """
    keys, before, parts = list(COMMON), ("multi",), ()
    values = {}
    if name == TOKENIZER:
        keys += CLUSTERS
    else:
        stage = next(stage for stage in STAGES if stage.name == name)
        before, parts = stage.after, stage.trained
        values["epochs"] = hparams["epochs"][name]
        values["learning_rate"] = hparams["learning_rate"][name]
        values["optimizer"] = hparams["optimizer"].func.__name__
        # a batch for each process makes a step of as many batches
        values["processes"] = int(os.environ.get("WORLD_SIZE", 1))
        keys += NOISE if stage.noisy else ()
        keys += ["enhancement_max_db"] if stage.enhance else []
        keys += CONTRASTIVE if stage.contrastive else ()
        keys += ["enhancement_weight"] if name == "joint" else []
    values |= {key: hparams[key] for key in keys}
    for part in parts:
        values[part] = digest(str(getattr(hparams["joint"], part)))
    values |= data_identity(hparams)
    for other in before:
        values[f"stage {other}"] = digest(json.dumps(identity(hparams, other)))
    return json.loads(json.dumps(values))


def digest(text):
    """Shorten a text to sixteen hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_start(folder):
    """Raise unless a folder holds a finished stage.

    Arguments
    ---------
    folder : str or None
        The key `start_from`.

    Raises
    ------
    FileNotFoundError
        The message names the folder and the mend.
    """
    if folder is None:
        return
    stages = Path(folder) / "stages"
    if not any(stages.glob(f"*/{FINISHED}")):
        raise FileNotFoundError(
            f"start_from: there is no finished stage in {stages}; give the "
            "output folder of a run of this recipe (no release), or null"
        )


class StageFolder:
    """Where a stage is kept, or found finished.

    A stage that the run `start_from` finished with the same options is taken
    from there; all others are in this run's own folder.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    name : str
        Of the stage.
    """

    def __init__(self, hparams, name):
        self.name = name
        self.identity = identity(hparams, name)
        self.path = Path(hparams["output_folder"]) / "stages" / name
        if hparams["start_from"] is not None and not self.is_finished:
            other = Path(hparams["start_from"]) / "stages" / name
            if (other / FINISHED).is_file():
                self._take(other)

    def _take(self, other):
        """Use another run's folder, if its stage is this one."""
        found = json.loads((other / FINISHED).read_text())["identity"]
        differs = differences(self.identity, found)
        if differs:
            logger.warning(
                "%s has another %s: the stage %s is trained again",
                *(other, ", ".join(differs), self.name),
            )
        else:
            self.path = other

    @property
    def is_finished(self):
        """Whether its result is there."""
        return (self.path / FINISHED).is_file()

    def check(self, test_only=False):
        """Raise if the folder holds this stage of other options.

        Also if nothing is to be trained, and the stage is not finished.
        """
        require_same_run(self.path, self.identity)
        if test_only and not self.is_finished:
            raise ValueError(
                f"test_only: the stage {self.name} is not finished in "
                f"{self.path}; train first, or give the output_folder of a "
                "trained run"
            )
        if self.is_finished:
            differs = differences(self.identity, self.result()["identity"])
            if differs:
                raise ValueError(
                    f"output_folder: {self.path} was made with another "
                    f"{', '.join(differs)}; give another folder, or delete "
                    "that one"
                )

    def begin(self):
        """Make the folder, and write down which stage it is."""
        self.path.mkdir(parents=True, exist_ok=True)
        remember_run(self.path, self.identity)

    def finish(self, **result):
        """Write down that it is finished, and what is known of it."""
        with replaced(self.path / FINISHED) as partial:
            content = {**result, "identity": self.identity}
            partial.write_text(json.dumps(content, indent=2) + "\n")

    def result(self):
        """Read what `finish` wrote."""
        return json.loads((self.path / FINISHED).read_text())

    def checkpointer(self, parts):
        """Make the checkpointer of some modules."""
        return AtomicCheckpointer(self.path / "save", parts)

    def load(self, hparams, stage):
        """Give the joint network the parts that the stage has trained.

        Arguments
        ---------
        hparams : dict
            Of the hyperparameter file.
        stage : TrainingStage
            Finished.
        """
        parts = trained_parts(hparams, stage)
        saved = self.checkpointer(parts)
        if saved.recover_if_possible(min_key=hparams["selection"]) is None:
            raise FileNotFoundError(
                f"{self.path}: {FINISHED} is there, and no checkpoint; delete "
                "the folder to train the stage again"
            )

    def save_tokenizer(self, tokenizer, **result):
        """Keep the centroids, and that the stage is finished."""
        with replaced(self.path / "tokenizer.pt") as partial:
            torch.save(tokenizer.state_dict(), partial)
        self.finish(**result)

    def load_tokenizer(self, tokenizer):
        """Give the tokenizer its centroids."""
        weights = torch.load(self.path / "tokenizer.pt", weights_only=True)
        tokenizer.load_state_dict(weights)


def trained_parts(hparams, stage):
    """Give the modules that a stage trains, by name."""
    parts = {name: getattr(hparams["joint"], name) for name in stage.trained}
    if stage.contrastive:
        if hparams["cbpc_share"] > 0 or hparams["info_nce_share"] > 0:
            parts["projection"] = hparams["projection"]
        if hparams["token_share"] > 0:
            parts["token_classifier"] = hparams["token_classifier"]
    return parts


def load_teacher(hparams):
    """Give a frozen copy of the recogniser that the tokens are made by.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the stage multi is finished.

    Returns
    -------
    teacher : torch.nn.Module
        In evaluation mode, on the recogniser's device.
    """
    teacher = copy.deepcopy(hparams["joint"].recogniser)
    saved = StageFolder(hparams, "multi").checkpointer({"recogniser": teacher})
    saved.recover_if_possible(min_key=hparams["selection"])
    return teacher.requires_grad_(False).eval()
