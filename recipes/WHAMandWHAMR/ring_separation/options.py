"""What the options of this recipe may be; the launcher checks them."""

from speechbrain_ext.evaluation.measures import PACKAGES as METRICS
from speechbrain_ext.inference.purified import PurifiedSISDR
from speechbrain_ext.inference.selection import load_module
from speechbrain_ext.services.options import ListOf

RULES = {
    "seed": (int, 0, 2**32 - 1),
    "sample_rate": (int, 4000, 96000),
    "segment_seconds": (float, 0.25, None),
    "mixing": ["ring", "pairs"],
    "targets": ["noisy", "clean"],
    "batch_size": (int, 3, None),
    "snr_db": ListOf(float, interval=True, optional=True),
    "test_snr_db": ListOf(float, optional=True),
    "metrics": ListOf(str, METRICS, optional=True),
    "alternate_sexes": [True, False, "by_pitch"],
    "reverberate": [True, False],
    "clean_speech_known": [True, False],
    "gain_db": (float, 0, 40),
    "speed_range": (float, 0, 0.49),
    "equalizer_db": (float, 0, 40),
    "scer_weight": (float, 0, None),
    "scer_start": (float, 0, 1),
    "scer_end": (float, 0, 1),
    "scer_scale": ["target", "least_squares", "none"],
    "scer_floor": (float, 0, 1),
    "selection": ["objective", "blind", "clean", "last"],
    "keep_checkpoints": ["selected", "all"],
    "number_of_epochs": (int, 1, None),
    "batches_per_epoch": (int, 1, None),
    "total_batches": (int, 1, None),
    "valid_batches": (int, 1, None),
    "test_batches": (int, 1, None),
    "test_segment_seconds": (float, 0.25, None),
    "examples": (int, 0, None),
    "dnsmos_mixtures": (int, 0, None),
    "learning_rate": (float, 0, 1),
    "warmup_ratio": (float, 0, 0.99),
    "log_interval": (int, 1, None),
    "num_workers": (int, 0, None),
}


def find_conflicts(values):
    """List what is legal by itself but not together."""
    mistakes = []
    if values["purification"] and values["targets"] == "clean":
        mistakes.append("purification: clean targets need none")
    without = values.get("start_without", [])
    if fault := ListOf(str).find_fault(without):
        mistakes.append(f"start_without: {fault}")
    elif without and not values["start_from"]:
        mistakes.append("start_without: there is nothing without start_from")
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
    return mistakes + find_unusable(values)


def find_unusable(values):
    """List the models that cannot be loaded, or have another sample rate."""
    wanted = []
    if values["selection"] == "blind":
        wanted.append((load_module, values["estimator"]))
    if values["purification"] is not None:
        wanted.append((PurifiedSISDR, values["purification"]))
    mistakes = []
    for load, source in wanted:
        try:
            load(source, sample_rate=values["sample_rate"])
        except (ValueError, OSError) as error:
            mistakes.append(str(error))
    return mistakes
