"""What the keys of the hyperparameter files may be."""

from stages import STAGES

FRONT_ENDS = ["none", "separate", "joint"]
METRICS = ["si_sdr", "pesq", "stoi", "estoi"]
RULES = {
    "seed": (int, 0, 2**32 - 1),
    "sample_rate": (int, 4000, 96000),
    "closed_vocabulary": [True, False],
    "longest_seconds": (float, 0.5, None),
    "num_tokens": (int, 3, None),
    "front_end": FRONT_ENDS,
    "recogniser_training": ["clean", "multi"],
    "clean_share": (float, 0, 1),
    "batch_size": (int, 1, None),
    "enhancement_weight": (float, 0, None),
    "enhancement_max_db": (float, 0, None),
    "cbpc_share": (float, 0, 1),
    "info_nce_share": (float, 0, 1),
    "token_share": (float, 0, 1),
    "shuffle_labels": [True, False],
    "temperature": (float, 0.001, None),
    "sampled_frames": (int, 2, None),
    "frames_per_cluster": (int, 1, None),
    "balance_steps": (int, 1, None),
    "num_clusters": (int, 2, None),
    "tokenizer_passes": (int, 1, None),
    "tokenizer_batches": (int, 1, None),
    "warmup": (float, 0, 0.99),
    "max_grad_norm": (float, 0, None),
    "selection": ["objective", "last"],
    "log_interval": (int, 1, None),
    "test_batch_size": (int, 1, None),
    "test_draws": (int, 1, None),
    "examples": (int, 0, None),
    "num_workers": (int, 0, None),
}


def find_conflicts(values):
    """List what is legal by itself but not together, for `load_hparams`."""
    mistakes = find_stage_mistakes(values) + find_list_mistakes(values)
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
    if values["front_end"] != "none" and values["recogniser_training"] != (
        "multi"
    ):
        mistakes.append(
            "recogniser_training: 'clean' goes with front_end none; a front "
            "end is put before the recogniser of noisy speech"
        )
    if values["shuffle_labels"] and not values["cbpc_share"]:
        mistakes.append(
            "shuffle_labels: it is about the labels of CBPC, whose cbpc_share "
            "is 0"
        )
    return mistakes


def find_stage_mistakes(values):
    """Check the numbers that each stage has of its own."""
    mistakes = []
    for key, kinds in (("epochs", int), ("learning_rate", (int, float))):
        found = values[key]
        trained = [stage.name for stage in STAGES]
        if not isinstance(found, dict) or set(found) != set(trained):
            mistakes.append(
                f"{key}: {found!r} must have a number for each of the stages "
                f"{', '.join(trained)}"
            )
            continue
        mistakes += [
            f"{key}: {name} has {number!r}, no number above 0"
            for name, number in found.items()
            if type(number) is bool
            or not isinstance(number, kinds)
            or not number > 0
        ]
    return mistakes


def find_list_mistakes(values):
    """Check the keys whose values are lists."""
    mistakes = []
    numbers = {"snr_db": 2, "test_snr_db": None, "speeds": None}
    for key, length in numbers.items():
        found = values[key]
        if (
            not isinstance(found, list)
            or not found
            or len(found) != (length or len(found))
            or not all(type(number) in (int, float) for number in found)
        ):
            many = "two numbers" if length else "numbers"
            mistakes.append(f"{key}: {found!r} is no list of {many}")
        elif key == "snr_db" and found[0] > found[1]:
            mistakes.append(f"snr_db: {found!r}, the lower one comes first")
        elif key == "speeds" and min(found) <= 0:
            mistakes.append(f"speeds: {found!r} must be above 0")
    for key in ("train_splits", "valid_splits", "test_splits"):
        found = values[key]
        if not isinstance(found, list) or not found:
            mistakes.append(f"{key}: {found!r} is no list of names")
    found = values["metrics"]
    if not isinstance(found, list) or any(n not in METRICS for n in found):
        mistakes.append(
            f"metrics: {found!r} is no list of some of {', '.join(METRICS)}"
        )
    return mistakes
