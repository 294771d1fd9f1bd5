"""What the options of this recipe may be; the launcher checks them."""

from speechbrain_ext.services.options import INTERVAL, ListOf

STAGES_IN_ORDER = ("enhancer", "clean", "multi", "frozen", "joint")
METRICS = ["si_sdr", "pesq", "stoi", "estoi"]
RULES = {
    "seed": (int, 0, 2**32 - 1),
    "sample_rate": (int, 4000, 96000),
    "snr_db": INTERVAL,
    "test_snr_db": ListOf(float, least=1),
    "speeds": ListOf(float, least=1),
    "metrics": ListOf(str, METRICS),
    "closed_vocabulary": [True, False],
    "longest_seconds": (float, 0.5, None),
    "num_tokens": (int, 3, None),
    "frame_size": (int, 1, None),
    "front_end": ["none", "separate", "joint"],
    "recognizer_training": ["clean", "multi"],
    "clean_probability": (float, 0, 1),
    "batch_size": (int, 1, None),
    **{f"{name}_epochs": (int, 1, None) for name in STAGES_IN_ORDER},
    **{f"{name}_learning_rate": (float, 0, 1) for name in STAGES_IN_ORDER},
    "enhancement_weight": (float, 0, None),
    "enhancement_max_db": (float, 0, None),
    "cbpc_ratio": (float, 0, 1),
    "info_nce_ratio": (float, 0, 1),
    "token_ratio": (float, 0, 1),
    "shuffle_labels": [True, False],
    "temperature": (float, 0.001, None),
    "sampled_frames": (int, 2, None),
    "frames_per_cluster": (int, 1, None),
    "balance_steps": (int, 1, None),
    "num_clusters": (int, 2, None),
    "tokenizer_passes": (int, 1, None),
    "tokenizer_batches": (int, 1, None),
    "warmup_ratio": (float, 0, 0.99),
    "max_grad_norm": (float, 0, None),
    "selection": ["objective", "last"],
    "log_interval": (int, 1, None),
    "valid_batch_size": (int, 1, None),
    "test_draws": (int, 1, None),
    "examples": (int, 0, None),
    "num_workers": (int, 0, None),
}
# what is taken from another run is the same as what would be trained
FREE = ("start_from",)
# a stage starts from the selected checkpoint of the one before
BOUND = ("selection",)


def of(*stages):
    """Name the settings of stages that no other stage reads."""
    ends = ("epochs", "learning_rate")
    return [f"{stage}_{end}" for stage in stages for end in ends]


# settings that a stage does not read
ANY = ("front_end", "recognizer_training", "epoch_counters", "learning_rates")
NOISE = ("snr_db", "clean_probability", "train_noise", "valid_noise")
NOISE += ("train_noise_split", "valid_noise_split")
CLUSTERS = ("num_clusters", "tokenizer_passes", "tokenizer_batches")
CONTRAST = ("cbpc_ratio", "info_nce_ratio", "token_ratio", "shuffle_labels")
CONTRAST += ("temperature", "sampled_frames", "frames_per_cluster")
CONTRAST += ("balance_steps", "contrast", "balance", "projection")
CONTRAST += ("token_classifier",)
RECOGNIZER = (*ANY, *CLUSTERS, "tokenizer", *CONTRAST, "enhancement_weight")
RECOGNIZER += ("enhancement_max_db", "enhancer", "joint")
STAGES = {
    "enhancer": {
        *RECOGNIZER, "recognizer", "num_tokens", "frame_size",
        *of("clean", "multi", "frozen", "joint"),
    } - {"enhancement_max_db", "enhancer"},
    "clean": {*RECOGNIZER, *NOISE, *of("enhancer", "multi", "frozen", "joint")},
    "multi": {*RECOGNIZER, *of("enhancer", "frozen", "joint")},
    "tokenizer": {*RECOGNIZER, *of("enhancer", "frozen", "joint")}
    - {*CLUSTERS, "tokenizer"},
    "frozen": {*ANY, "enhancement_weight", *of("joint")},
    "joint": {*ANY},
}  # fmt: skip
# stages that a front end does without
LEFT_OUT = {
    "none": ("enhancer", "frozen", "joint"),
    "separate": ("frozen", "joint"),
    "joint": (),
}


def list_stages(values):
    """List the stages of a run, each with the settings that it does not read.

    A finished stage of another run is taken where all other settings are the
    same.
    """
    left_out = LEFT_OUT[values["front_end"]]
    return {name: STAGES[name] for name in STAGES if name not in left_out}


def find_conflicts(values):
    """List what is legal by itself but not together."""
    mistakes = []
    if min(values["speeds"]) <= 0:
        mistakes.append(f"speeds: {values['speeds']!r} must be above 0")
    alphabet = values["alphabet"]
    if not isinstance(alphabet, str) or len(set(alphabet)) != len(alphabet):
        mistakes.append(
            f"alphabet: {alphabet!r} must be a text in which no character "
            "stands twice"
        )
    elif values["num_tokens"] != len(alphabet) + 1:
        mistakes.append(
            f"num_tokens: {values['num_tokens']}; the {len(alphabet)} "
            "characters of the alphabet and the blank are "
            f"{len(alphabet) + 1}"
        )
    if values["front_end"] != "none" and values["recognizer_training"] != (
        "multi"
    ):
        mistakes.append(
            "recognizer_training: 'clean' goes with front_end none; a front "
            "end is put before the recognizer of noisy speech"
        )
    if values["shuffle_labels"] and not values["cbpc_ratio"]:
        mistakes.append(
            "shuffle_labels: it is about the labels of CBPC, whose cbpc_ratio "
            "is 0"
        )
    for name in STAGES_IN_ORDER:
        if values[f"{name}_learning_rate"] == 0:
            mistakes.append(f"{name}_learning_rate: it must be above 0")
    return mistakes
