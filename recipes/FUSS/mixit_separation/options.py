"""What the keys of the hyperparameter files may be."""

from speechbrain_ext.losses import EXACT_LIMIT
from speechbrain_ext.training import find_mistakes

RULES = {
    "seed": (int, 0, 2**32 - 1),
    "sample_rate": (int, 4000, 96000),
    "clip_seconds": (float, 0.25, None),
    "references": [True, False],
    "objective": ["mixit", "supervised"],
    "solver": ["exact", "least_squares", "least_squares_flip"],
    "solver_check": [True, False],
    "snr_max": (float, 0, None),
    "sparsity_weight": (float, 0, None),
    "sparsity_form": ["mixture", "norm"],
    "covariance_weight": (float, 0, None),
    "semantic_weight": (float, 0, None),
    "penalty_start": (float, 0, 1),
    "penalty_end": (float, 0, 1),
    "consistency": ["learned", "uniform", "none"],
    "num_sources": (int, 2, None),
    "match_level": [True, False],
    "selection": ["objective", "last"],
    "keep_checkpoints": ["selected", "all"],
    "number_of_epochs": (int, 1, None),
    "batch_size": (int, 1, None),
    "batches_per_epoch": (int, 1, None),
    "valid_batches": (int, 1, None),
    "test_batch_size": (int, 1, None),
    "test_batches": (int, 1, None),
    "test_clip_seconds": (float, 0.25, None),
    "examples": (int, 0, None),
    "learning_rate": (float, 0, 1),
    "warmup": (float, 0, 0.99),
    "max_grad_norm": (float, 0, None),
    "log_interval": (int, 1, None),
    "num_workers": (int, 0, None),
}
# only where mixtures are made here, not found
MADE_RULES = {
    "single_share": (float, 0, 1),
    "most_sources": (int, 2, None),
    "most_voices": (int, 0, None),
    "voice_share": (float, 0, 1),
    "level_range_db": (float, 0, None),
    "noise_share": (float, 0, 1),
}
MOST_SOURCES = 4  # of the test, and of supervised training


def find_conflicts(values):
    """List what is legal by itself but not together, for `load_hparams`."""
    mistakes = []
    mixit = values["objective"] == "mixit"
    if mixit and values["batch_size"] % 2:
        mistakes.append("batch_size: two mixtures make an example; it is odd")
    if values["num_sources"] > EXACT_LIMIT and mixit:
        for key, value in (("solver", "exact"), ("solver_check", True)):
            if values[key] == value:
                outputs = values["num_sources"]
                mistakes.append(
                    f"{key}: {value!r} tries all assignments of at most "
                    f"{EXACT_LIMIT} outputs; num_sources is {outputs}"
                )
    if values["penalty_end"] < values["penalty_start"]:
        mistakes.append(
            f"penalty_end: {values['penalty_end']} lies before penalty_start, "
            f"{values['penalty_start']}"
        )
    mistakes += find_mixture_mistakes(values)
    if not values["references"]:
        if not mixit:
            mistakes.append(
                "references: supervised training needs them; set it to true"
            )
        if values["test_batch_size"] % 2:
            mistakes.append(
                "test_batch_size: without references the test sums two "
                "mixtures as well; it is odd"
            )
    if not mixit:
        for key in ("sparsity", "covariance", "semantic"):
            if values[f"{key}_weight"] > 0:
                mistakes.append(
                    f"{key}_weight: it goes with objective mixit; set it to 0"
                )
        if values["num_sources"] < MOST_SOURCES:
            mistakes.append(
                f"num_sources: {values['num_sources']} outputs cannot hold "
                f"the {MOST_SOURCES} sources of supervised training"
            )
    return mistakes


def find_mixture_mistakes(values):
    """List what is wrong with the keys of mixtures that are made here."""
    rules = {key: rule for key, rule in MADE_RULES.items() if key in values}
    mistakes = find_mistakes(values, rules)
    if not rules or mistakes:
        return mistakes
    if values["objective"] == "mixit" and values["single_share"] == 1:
        mistakes.append(
            "single_share: it is 1; with one source in every mixture MixIT "
            "has nothing to learn"
        )
    snr = values["noise_snr_db"]
    if snr is None:
        if values["noise_share"] > 0:
            mistakes.append(
                f"noise_snr_db: noise_share is {values['noise_share']}; give "
                "the lowest and the highest SNR, such as '[0.0, 10.0]'"
            )
    elif not is_range(snr):
        mistakes.append(
            f"noise_snr_db: {snr!r} is no list of the lowest and the highest "
            "SNR in dB"
        )
    if values["objective"] == "supervised" and values["noise_share"] > 0:
        mistakes.append(
            "noise_share: supervised training draws clips like those of the "
            "test (supervised_mixtures), which have no noise; set it to 0"
        )
    return mistakes


def is_range(value):
    """Tell whether a value is a list of two numbers, the lower one first."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(number) in (int, float) for number in value)
        and value[0] <= value[1]
    )
