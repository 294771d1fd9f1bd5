"""What the options of this recipe may be; the launcher checks them."""

from speechbrain_ext.console import describe_error
from speechbrain_ext.evaluation.measures import PACKAGES as METRICS
from speechbrain_ext.inference.snr_predictor import load_predictor
from speechbrain_ext.services.options import INTERVAL, ListOf

RULES = {
    "seed": (int, 0, 2**32 - 1),
    "stage": ["snr_predictor", "generalist", "personalize"],
    "clean_speech_known": [True, False],
    "sample_rate": (int, 4000, 96000),
    "segment_seconds": (float, 0.1, None),
    "loss": ["segmental", "mse", "snr", "si_sdr"],
    "purification": ["predicted", "oracle", "none"],
    "targets": ["pseudo", "clean"],
    "beta": (float, 0, None),
    "offset": (float, None, None),
    "normalize_weights": [True, False],
    "positive_weight": (float, 0, None),
    "negative_weight": (float, 0, None),
    "check_recordings": [True, False],
    "predictor_snr_db": INTERVAL,
    "user_snr_db": INTERVAL,
    "injected_snr_db": INTERVAL,
    "test_snr_db": INTERVAL,
    "noise_labels_dropped": ListOf(str),
    "metrics": ListOf(str, METRICS, optional=True),
    "window": (int, 16, None),
    "hop": (int, 4, None),
    "model": ["gru", "conv_tasnet", "band"],
    "selection": ["target", "clean", "objective", "last"],
    "keep_checkpoints": ["selected", "all"],
    "number_of_epochs": (int, 1, None),
    "batch_size": (int, 1, None),
    "batches_per_epoch": (int, 1, None),
    "total_batches": (int, 1, None),
    "valid_batches": (int, 1, None),
    "test_draws": (int, 1, None),
    "examples": (int, 0, None),
    "learning_rate": (float, 0, 1),
    "warmup_ratio": (float, 0, 0.99),
    "max_grad_norm": (float, 0, None),
    "log_interval": (int, 1, None),
    "num_workers": (int, 0, None),
}
# keys that a stage does not read: it resumes with other values of them
STAGES = {
    "snr_predictor": ("predictor", "load_predictor"),
    "generalist": ("predictor", "load_predictor"),
}
# what the noises of a stage are for
PURPOSES = {
    "snr_predictor": {"predictor", "user"},
    "generalist": {"injected", "test"},
    "personalize": {"user", "injected", "test"},
}


def find_conflicts(values):
    """List what is legal by itself but not together."""
    mistakes = []
    clamp = values["level_clamp_db"]
    if clamp is not None and not (is_number(clamp) and clamp > 0):
        mistakes.append(
            f"level_clamp_db: {clamp!r} is no range in dB, nor null"
        )
    if values["window"] % (2 * values["hop"]):
        mistakes.append(
            f"window: {values['window']} is no multiple of twice the hop, "
            f"{values['hop']}"
        )
    sources = values["noise_sources"]
    wanted, known = PURPOSES[values["stage"]], set().union(*PURPOSES.values())
    if not isinstance(sources, dict) or not wanted <= set(sources) <= known:
        mistakes.append(
            f"noise_sources: {sources!r} must have the keys "
            f"{', '.join(sorted(wanted))}, and no others than "
            f"{', '.join(sorted(known))}"
        )
    if values["model"] not in values["enhancers"]:
        mistakes.append(
            f"model: {values['model']!r} is none of the enhancers of this "
            f"file, which are {', '.join(values['enhancers'])}"
        )
    if all(
        values[f"test_{name}"] == values[f"train_{name}"]
        for name in ("noise", "noise_split")
    ):
        mistakes.append(
            "test_noise_split: it is that of the training; noises of the test "
            "must be new"
        )
    if values["stage"] == "personalize":
        mistakes += find_personal_conflicts(values)
    elif not values["clean_speech_known"]:
        mistakes.append(
            f"stage: {values['stage']} needs clean speech; with one user's "
            "recordings choose personalize"
        )
    return mistakes


def find_personal_conflicts(values):
    """List what does not go together for a user."""
    mistakes = []
    if values["user"] == "all":
        mistakes.append(
            "user: personalize needs one user, give it as --user=NAME"
        )
    if not values["clean_speech_known"]:
        for key, value in (
            ("purification", "oracle"),
            ("targets", "clean"),
            ("selection", "clean"),
        ):
            if values[key] == value:
                mistakes.append(f"{key}: {value} needs clean_speech_known")
    if values["loss"] == "mse" and values["purification"] != "none":
        mistakes.append(
            "purification: the loss mse has no frames to weight; choose "
            "segmental, or set purification to none"
        )
    if values["targets"] == "clean" and values["purification"] != "none":
        mistakes.append("purification: clean targets need none; set it to none")
    contrastive = values["positive_weight"] or values["negative_weight"]
    if contrastive and values["batch_size"] % 4:
        mistakes.append(
            f"batch_size: {values['batch_size']} is no multiple of 4; "
            "contrastive pairs come two by two"
        )
    if values["purification"] == "predicted" and values["predictor"] is None:
        mistakes.append(
            "predictor: purification by predicted levels needs one; give the "
            "results folder of --stage=snr_predictor, or shipped"
        )
    return mistakes or find_unusable(values)


def find_unusable(values):
    """Tell if the predictor cannot be loaded, or is for other frames."""
    predicted = values["purification"] == "predicted"
    if values["predictor"] is None or not (
        predicted or values["check_recordings"]
    ):
        return []
    try:
        load_predictor(
            values["predictor"],
            sample_rate=values["sample_rate"],
            window=values["window"],
            hop=values["hop"],
        )
    except FileNotFoundError as error:
        return [
            f"predictor: {error}. Train one by --stage=snr_predictor, or give "
            "its folder as --predictor=DIR"
        ]
    except (OSError, RuntimeError, ValueError) as error:
        return [f"predictor: {describe_error(error)}"]
    return []


def is_number(value):
    """Tell whether a value is a number."""
    return type(value) in (int, float)
