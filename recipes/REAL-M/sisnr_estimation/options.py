"""What the options of this recipe may be; the launcher checks them."""

from types import SimpleNamespace

from speechbrain_ext.hub.separators import load_separator
from speechbrain_ext.services.options import ListOf

COMMON = {
    "seed": (int, 0, 2**32 - 1),
    "sample_rate": (int, 4000, 96000),
    "snr_db": ListOf(float, interval=True, optional=True),
    "reverberate": [True, False],
    "dry_ratio": (float, 0, 0.99),
    "gain_db": (float, 0, 40),
    "speed_range": (float, 0, 0.49),
    "equalizer_db": (float, 0, 40),
    "number_of_epochs": (int, 1, None),
    "batches_per_epoch": (int, 1, None),
    "batch_size": (int, 2, None),
    "valid_batch_size": (int, 2, None),
    "valid_batches": (int, 1, None),
    "test_batches": (int, 1, None),
    "segment_seconds": (float, 0.25, None),
    "test_segment_seconds": (float, 0.25, None),
    "learning_rate": (float, 0, 1),
    "warmup_ratio": (float, 0, 0.99),
    "total_batches": (int, 1, None),
    "num_workers": (int, 0, None),
}
RULES = {
    **COMMON,
    "strategy": ["pool", "single"],
    "members": ListOf(str, least=1),
    "test_members": ListOf(str, optional=True),
    "snr_min": (float, -60, 60),
    "snr_max": (float, -60, 60),
    "uncertainty": [True, False],
    "selection": ["absolute_error_db", "last"],
    "keep_checkpoints": ["selected", "all"],
    "log_interval": (int, 1, None),
}


def find_conflicts(values):
    """List what is legal by itself but not together."""
    mistakes = find_data_conflicts(values)
    if values["snr_min"] >= values["snr_max"]:
        mistakes.append(
            f"snr_min: {values['snr_min']:g} is not below snr_max, "
            f"{values['snr_max']:g}"
        )
    return mistakes or find_unusable(values)


def find_data_conflicts(values):
    """List corpora that lack a table, and other mistakes of the data."""
    mistakes = []
    if values["reverberate"] and values["rooms"] is None:
        mistakes.append("rooms: reverberate needs a table of them")
    for stage in ("train", "valid", "test"):
        tables = values[f"{stage}_data"]
        for kind in ("data", "split", "noise"):
            key = f"{stage}_{kind}"
            found = values[key]
            if found is None and kind != "data":
                continue
            if not isinstance(found, dict):
                mistakes.append(f"{key}: {found!r} is no mapping of corpora")
            elif isinstance(tables, dict) and found.keys() - tables.keys():
                unknown = ", ".join(found.keys() - tables.keys())
                mistakes.append(f"{key}: {unknown} is not in {stage}_data")
    return mistakes


def find_unusable(values):
    """List separators that are not there or have another sample rate."""
    mistakes = []
    for key in ("members", "test_members"):
        for name in values[key] or ():
            try:
                load_separator(
                    name,
                    folder=values["pool_folder"],
                    sample_rate=values["sample_rate"],
                )
            except FileNotFoundError as error:
                mistakes.append(
                    f"{key}: {error}; train it first, as the comment that "
                    "opens the YAML file says"
                )
            except (ValueError, OSError) as error:
                mistakes.append(f"{key}: {error}")
    return mistakes


def find_pool_conflicts(values):
    """List what is legal by itself but not together, for pool.py."""
    mistakes = find_data_conflicts(values)
    if values["separator"] not in values["separators"]:
        names = ", ".join(values["separators"])
        mistakes.append(
            f"separator: {values['separator']!r} is none of {names}"
        )
    return mistakes


# of the scripts beside train.py
SCRIPTS = {
    "pool": SimpleNamespace(
        RULES={**COMMON, "selection": ["first", "middle", "last"]},
        find_conflicts=find_pool_conflicts,
    )
}
