"""What the options of this recipe may be; the launcher checks them."""

from speechbrain_ext.losses import EXACT_LIMIT
from speechbrain_ext.services.options import ListOf, find_mistakes

RULES = {
    "seed": (int, 0, 2**32 - 1),
    "sample_rate": (int, 4000, 96000),
    "segment_seconds": (float, 0.25, None),
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
    "selection": ["objective", "last"],
    "keep_checkpoints": ["selected", "all"],
    "number_of_epochs": (int, 1, None),
    "batch_size": (int, 1, None),
    "batches_per_epoch": (int, 1, None),
    "total_batches": (int, 1, None),
    "valid_batches": (int, 1, None),
    "test_batch_size": (int, 1, None),
    "test_batches": (int, 1, None),
    "test_segment_seconds": (float, 0.25, None),
    "examples": (int, 0, None),
    "learning_rate": (float, 0, 1),
    "warmup_ratio": (float, 0, 0.99),
    "max_grad_norm": (float, 0, None),
    "log_interval": (int, 1, None),
    "num_workers": (int, 0, None),
}
# where mixtures are made here, not found; where they are those of FUSS
SOME_RULES = {
    "single_ratio": (float, 0, 1),
    "most_sources": (int, 2, None),
    "most_voices": (int, 0, None),
    "voice_probability": (float, 0, 1),
    "gain_db": (float, 0, None),
    "noise_probability": (float, 0, 1),
    "snr_db": ListOf(float, interval=True, optional=True),
    "condition": ["dry", "reverb"],
}
# what a run may resume with another value of
FREE = ("results", "solver_check", "variant")
MOST_SOURCES = 4  # of the test, and of supervised training


def find_conflicts(values):
    """List what is legal by itself but not together."""
    rules = {key: rule for key, rule in SOME_RULES.items() if key in values}
    if mistakes := find_mistakes(values, rules):
        return mistakes
    if values["penalty_end"] < values["penalty_start"]:
        mistakes.append(
            f"penalty_end: {values['penalty_end']} lies before penalty_start, "
            f"{values['penalty_start']}"
        )
    if values["objective"] == "mixit":
        mistakes += find_mixit_mistakes(values)
    else:
        mistakes += find_supervised_mistakes(values)
    if not values["references"] and values["test_batch_size"] % 2:
        mistakes.append(
            "test_batch_size: without references the test sums two mixtures "
            "as well; it is odd"
        )
    snr, noise = values.get("snr_db"), values.get("noise_probability", 0)
    if snr is None and noise > 0:
        mistakes.append(
            f"snr_db: noise_probability is {noise}; give the lowest and the "
            "highest SNR, such as '[0.0, 10.0]'"
        )
    return mistakes


def find_mixit_mistakes(values):
    """List what does not go with MixIT."""
    mistakes = []
    if values["batch_size"] % 2:
        mistakes.append("batch_size: two mixtures make an example; it is odd")
    outputs = values["num_sources"]
    for key, value in (("solver", "exact"), ("solver_check", True)):
        if outputs > EXACT_LIMIT and values[key] == value:
            mistakes.append(
                f"{key}: {value!r} tries all assignments of at most "
                f"{EXACT_LIMIT} outputs; num_sources is {outputs}"
            )
    if values.get("single_ratio") == 1:
        mistakes.append(
            "single_ratio: it is 1; with one source in every mixture MixIT "
            "has nothing to learn"
        )
    return mistakes


def find_supervised_mistakes(values):
    """List what does not go with supervised training."""
    mistakes = [
        f"{name}_weight: it goes with objective mixit; set it to 0"
        for name in ("sparsity", "covariance", "semantic")
        if values[f"{name}_weight"] > 0
    ]
    if not values["references"]:
        mistakes.append(
            "references: supervised training needs them; set it to True"
        )
    if values["num_sources"] < MOST_SOURCES:
        mistakes.append(
            f"num_sources: {values['num_sources']} outputs cannot hold the "
            f"{MOST_SOURCES} sources of supervised training"
        )
    if values.get("noise_probability", 0) > 0:
        mistakes.append(
            "noise_probability: supervised training draws clips like those of "
            "the test (supervised_mixtures), which have no noise; set it to 0"
        )
    return mistakes
