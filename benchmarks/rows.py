"""What is to be reached: the rows of the table that run.py writes."""

import operator
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# about how many seconds each takes
SCRIPTS = {
    "branches": 20,
    "pit": 30,
    "mixing": 60,
    "estimator": 120,
    "processes": 60,
    "training_step": 300,
    "mixit": 600,
    "sepformer": 600,
    "inference": 1800,
    "long_recordings": 1800,
}
TEST_SECONDS = 30
# what may be missing here, by what a row says that it needs
MISSING = {
    "asteroid": "the peer, Asteroid, is not installed",
    "bfloat16": "this CPU has no bfloat16",
    "GPU": "there is no GPU",
}
SIGNS = {"at least": operator.ge, "at most": operator.le}


class Row(NamedTuple):
    """A row of the table.

    Arguments
    ---------
    what : str
        What is measured, and in which unit.
    by : str
        The script that shows it, or the tests.
    figure : str
        Which figure of the script is judged.
    sign : str
        "at least" or "at most"; empty where there is no target.
    target : float
    ours, peer : str
        Figures of the script whose ratio it is.
    needs : str
        What it cannot be measured without, of `MISSING`.
    why : str
        Why it is not measured, if it never is.
    """

    what: str
    by: str
    figure: str = "passed"
    sign: str = ""
    target: float = 0.0
    ours: str = ""
    peer: str = ""
    needs: str = ""
    why: str = ""


MOST, LEAST = "at most", "at least"
SLOW = "test, not run here: it trains"
UNIT, LONG = "tests/unittests/", "tests/integration/"


def sepformer_rows() -> Iterable[Row]:
    """Give the rows of SepFormer, by mode and precision."""
    targets = {
        "training_float32": 1.25,
        "training_bfloat16": 1.15,
        "inference_float32": 1.2,
        "inference_bfloat16": 2.2,
    }
    for case, target in targets.items():
        mode, precision = case.split("_")
        rest = {"needs": "bfloat16" if precision == "bfloat16" else ""}
        title = f"SepFormer 25.7 M, {mode} in {precision}, SpeechBrain's"
        times = f"{case}_seconds", f"{case}_peer_seconds"
        memory = f"{case}_memory", f"{case}_peer_memory"
        speed = f"{case}_times_as_fast"
        yield Row(
            f"{title} time over ours (s)",
            *("sepformer", speed, LEAST, target, *times),
            **rest,
        )
        ratio = f"{case}_memory_ratio"
        yield Row(
            f"{title.replace(', Speech', ', memory over Speech')} (MB)",
            *("sepformer", ratio, MOST, 0.6, *memory),
            **rest,
        )


ROWS = [
    Row(
        "PIT SI-SNR loss, SpeechBrain's time over ours, the worst row (ms)",
        *("pit", "times_as_fast", LEAST, 5, "ms", "peer_ms"),
    ),
    Row(
        "PIT, operator calls, most",
        *("pit", "calls", MOST, 299, "calls", "peer_calls"),
    ),
    Row(
        "PIT, operators that synchronize, most",
        *("pit", "syncs", MOST, 0, "syncs", "peer_syncs"),
    ),
    Row("PIT, loss off SpeechBrain's", "pit", "loss_off", MOST, 5e-5),
    Row("PIT, gradient off SpeechBrain's", "pit", "gradient_off", MOST, 2e-5),
    Row(
        "MixIT, 8 outputs, Asteroid's time over ours (ms)",
        *("mixit", "times_as_fast", LEAST, 250, "ms", "peer_ms"),
        needs="asteroid",
    ),
    Row(
        "MixIT, 16 outputs, exact over least squares (ms)",
        *("mixit", "over_least_squares", MOST, 1.5),
        *("ms_16", "least_squares_ms_16"),
    ),
    Row("MixIT, 16 outputs, memory (MiB)", "mixit", "mib_16", MOST, 200),
    Row(
        "mixing on the fly, examples per CPU-second, the slowest length of "
        "files; SpeechBrain's WHAM steps on 5 s files",
        *("mixing", "slowest", LEAST, 900, "slowest", "speechbrain_5_s"),
    ),
    Row(
        "mixing, the fastest length of files over the slowest (1.25: our "
        "reading of independent)",
        *("mixing", "spread", MOST, 1.25),
    ),
    *(
        Row(
            f"training step over the bare model's, {model} (ms)",
            *("training_step", f"{key}_ratio", MOST, 1.05),
            *(f"{key}_ms", f"{key}_bare_ms"),
        )
        for model, key in {
            "headline": "BandSeparator",
            "Conv-TasNet": "ConvTasNet",
            "SepFormer": "SepFormer",
        }.items()
    ),
    Row(
        "DDP: parameters of ranks are equal to the last bit, and those of one "
        "process with the joined batch",
        f"{LONG}test_training.py -k ranks_end",
        why=SLOW,
    ),
    Row(
        "mixtures a second, two processes over one of as many threads",
        *("processes", "two_over_one", "", 0, "two", "one"),
    ),
    *sepformer_rows(),
    Row(
        "SepFormer 25.7 M, outputs off SpeechBrain's, of the largest one",
        *("sepformer", "inference_float32_off", MOST, 1e-5),
    ),
    Row(
        "SepFormer 25.7 M, memory of training with checkpointing over "
        "SpeechBrain's",
        *("sepformer", "training_float32_checkpointing_ratio", MOST, 0.25),
    ),
    Row(
        "SepFormer 25.7 M, training in bfloat16 on a GPU, SpeechBrain's time "
        "over ours",
        *("sepformer", "gpu_times_as_fast", LEAST, 2),
        needs="GPU",
    ),
    Row(
        "separation, memory is bounded for any length",
        f"{UNIT}inference/test_streaming.py -k 'bounded or memory'",
    ),
    Row(
        "SI-SNR estimator: batched, deterministic, any number of sources",
        f"{UNIT}inference/test_sisnr_estimator.py "
        f"{UNIT}models/test_sisnr_estimator.py",
    ),
    Row(
        "SI-SNR estimator, examples a second of training, ours in batches of "
        "16, SpeechBrain's of 1",
        *("estimator", "training, ours, float32, batch 16", "", 0),
        "training, ours, float32, batch 16",
        "training, SpeechBrain, batch 1",
    ),
    Row(
        "publishing: one command, with card, metrics and a load-back check",
        f"{UNIT}hub/test_hub.py -k 'publish or card or comes_back'",
    ),
    Row(
        "loading refuses what is not on a list, before anything runs",
        f"{UNIT}hub/test_hostile_yaml.py {UNIT}hub/test_hostile_files.py",
    ),
    Row(
        "adaptation of a published separator: one command",
        f"{LONG}test_adaptation.py",
        why=SLOW,
    ),
    Row(
        "adaptation, measured gain",
        "recipes/WHAMandWHAMR/ring_separation/README.md",
        why="it takes hours of training",
    ),
    Row(
        "separating 8 s with SepFormer 25.7 M, SpeechBrain's time over ours "
        "(s)",
        *("inference", "times_as_fast", "", 0, "seconds", "peer_seconds"),
    ),
    Row(
        "separating 8 s, outputs off SpeechBrain's `separate_batch`",
        *("inference", "off", MOST, 1e-4),
    ),
    Row(
        "separating with SepFormer 25.7 M, memory for 10 minutes over that "
        "for 1",
        *("inference", "longest_over_shortest", MOST, 1.1),
    ),
    Row(
        "separating with the model of the package, memory for an hour over "
        "that for a minute",
        *("inference", "shipped_longest_over_shortest", MOST, 1.1),
    ),
    Row(
        "long recordings: 3 h of 48 kHz stereo (GB)",
        *("long_recordings", "peak_gb", MOST, 1.2),
    ),
    *(
        Row(
            f"{kind} branches for upstream, {what} of the largest",
            *("branches", f"{kind}_{what}", MOST, most),
        )
        for kind in ("recipe", "library")
        for what, most in {"files": 14, "lines": 2200}.items()
    ),
    Row(
        "branches for upstream pass all of SpeechBrain's checks",
        "tools/upstream.py",
        why="it needs a checkout of SpeechBrain",
    ),
    Row(
        "dynamic mixing: seeded, resumable in mid-epoch, sharded by rank",
        f"{UNIT}dataio/test_samplers.py",
    ),
    Row(
        "separate_file: any rate, channels and length, at the input's level",
        f"{UNIT}inference/test_separator.py",
    ),
]


def judge(row: Row, result: Mapping | None, lacking: Iterable[str]) -> str:
    """Say whether what a row shows is as it should be.

    Arguments
    ---------
    row : Row
    result : Mapping or None
        Of its script or tests: `figures`, None where it failed. None if that
        was not run.
    lacking : iterable of str
        Keys of `MISSING`.

    Returns
    -------
    verdict : str
        "met", "not met", "no target", or "not measured here" with the reason.
    """
    reason = row.why
    if not reason and row.needs in lacking:
        reason = MISSING[row.needs]
    if not reason and result is None:
        reason = "not run"
    elif not reason and result["figures"] is None:
        reason = "the script failed"
    figure = None if reason else result["figures"].get(row.figure)
    if figure is None:
        return f"not measured here ({reason or 'the run gave no figure'})"
    if is_test(row):
        return "met" if figure else "not met"
    if not row.sign:
        return "no target"
    return "met" if SIGNS[row.sign](figure, row.target) else "not met"


def is_test(row: Row) -> bool:
    """Tell whether tests show a row."""
    return row.figure == "passed"


def show(figure: float | None) -> str:
    """Write a figure with three digits."""
    if figure is None:
        return ""
    number = float(f"{figure:.3g}")
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:g}"


def make_line(row: Row, results: Mapping, lacking: Iterable[str]) -> str:
    """Write the line of a row."""
    result = results.get(row.by)
    verdict = judge(row, result, lacking)
    found = {} if verdict.startswith("not measured") else result["figures"]
    ours, peer = found.get(row.ours), found.get(row.peer)
    if not row.ours:
        ours = found.get(row.figure)
    ratio = None
    if ours is not None and peer:
        direct = row.figure.endswith("times_as_fast")
        ratio = found[row.figure] if direct else ours / peer
    cells = [
        row.what,
        "" if is_test(row) else show(ours),
        show(peer),
        show(ratio),
        f"{row.sign} {row.target:g}" if row.sign else "",
        verdict,
        f"`{row.by}{'.py' if row.by in SCRIPTS else ''}`",
    ]
    return "| " + " | ".join(cells) + " |"
