"""What holds for every test and doctest: words for ids, tiers, folders."""

import datetime
import json
import os
import platform
import random
import re
import shutil
import subprocess
import tempfile
import time
import zlib

import pytest
from checkout import ROOT, files_below

RECORD = ROOT / "tests/exhaustive/LAST_RUN.json"
BEFORE = pytest.StashKey()
LEFT = pytest.StashKey()
COLLECTED = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption(
        "--record",
        action="store_true",
        help=f"write the outcome to {RECORD.relative_to(ROOT)}; "
        "goes with -m exhaustive",
    )
    parser.addoption(
        "--seed", type=int, default=0, help="of all that tests draw"
    )


# Nothing of the user's is read, and nothing is left in the checkout -----------


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        return  # workers inherit the environment
    if config.option.record and config.option.markexpr != "exhaustive":
        raise pytest.UsageError("--record goes with -m exhaustive")
    home = tempfile.mkdtemp(prefix="tests_")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    for name in [name for name in os.environ if name.startswith("HF_")]:
        del os.environ[name]
    os.environ |= {
        "XDG_CACHE_HOME": f"{home}/cache",
        "HF_HOME": f"{home}/huggingface",
        "TORCH_HOME": f"{home}/torch",
        "MPLCONFIGDIR": f"{home}/matplotlib",
        "MPLBACKEND": "Agg",
        # all servers of the tests run on this machine
        "NO_PROXY": "*",
        "no_proxy": "*",
    }
    # two workers with a thread for each core wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    config.stash[BEFORE] = time.time(), set(files_below(ROOT))


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory):
    """Work outside the checkout: what is written by default goes there."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    config = session.config
    if BEFORE not in config.stash:
        return
    started, before = config.stash[BEFORE]
    config.stash[LEFT] = sorted(set(files_below(ROOT)) - before)
    # elsewhere people may be working in the checkout meanwhile
    left = config.stash[LEFT] and "CI" in os.environ
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if config.option.record:
        record(config, time.time() - started)


def pytest_terminal_summary(terminalreporter, config):
    for path in config.stash.get(LEFT, []):
        terminalreporter.write_line(
            f"{path} has appeared during the tests, which may write to "
            "temporary folders only.",
            red=True,
        )


# The same draws in any order, in any process ----------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    seed_by_name(item.nodeid, item.config)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    """Let a fixture that tests share not depend on which of them is first."""
    if fixturedef.scope == "function":
        return (yield)
    states = random_states()
    parameter = getattr(request, "param_index", 0)
    name = f"{fixturedef.baseid} {fixturedef.argname} {parameter}"
    seed_by_name(name, request.config)
    try:
        return (yield)
    finally:
        for restore, state in states:
            restore(state)


def seed_by_name(name, config):
    import numpy as np
    import torch  # after the environment is set

    seed = zlib.crc32(name.encode()) + config.option.seed
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_states():
    """Pairs of a function and the state that it restores."""
    import numpy as np
    import torch

    return [
        (random.setstate, random.getstate()),
        (np.random.set_state, np.random.get_state()),
        (torch.set_rng_state, torch.get_rng_state()),
    ]


# Words for ids ----------------------------------------------------------------


def pytest_make_parametrize_id(val, argname):
    """Make words of a value; what has none is called as its argument is.

    An id must be the same in every process, so no bytes, no representations
    of objects and no digits of computed floats may get into it.
    """
    if isinstance(val, float):
        return f"{val:g}"
    if isinstance(val, bytes | re.Pattern):
        return argname
    text = val if isinstance(val, str) else getattr(val, "__name__", None)
    if isinstance(text, str):
        return "-".join(re.findall(r"[A-Za-z0-9_.=]+", text))[:60] or argname
    return None  # numbers, Booleans, None; others by argument and number


# The exhaustive tier ----------------------------------------------------------


def pytest_ignore_collect(collection_path, config):
    """Spare the imports of exhaustive tests that would be left out."""
    others = "exhaustive" not in config.option.markexpr
    return True if others and collection_path == RECORD.parent else None


@pytest.fixture(scope="session")
def collected(pytestconfig):
    """Give the ids of all tests that were asked for, in their order."""
    return pytestconfig.stash[COLLECTED]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leave out the exhaustive tests unless -m asks for them."""
    config.stash[COLLECTED] = [item.nodeid for item in items]
    if "exhaustive" in config.option.markexpr:
        return
    off = [item for item in items if item.get_closest_marker("exhaustive")]
    if off:
        config.hook.pytest_deselected(items=off)
        items[:] = [item for item in items if item not in set(off)]


def record(config, seconds):
    """Write when, where and how a run of the exhaustive tier ended."""
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    reports = {
        outcome: [r for r in stats.get(outcome, []) if hasattr(r, "nodeid")]
        for outcome in ("passed", "failed", "error", "skipped")
    }

    def git(*words):
        result = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True
        )
        return result.stdout.strip()

    content = {
        "command": " ".join(
            ["python -m pytest", *config.invocation_params.args]
        ),
        "date": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}",
        "commit": git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(git("status", "--porcelain")),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "seconds": round(seconds),
        **{outcome: len(found) for outcome, found in reports.items()},
        # what tests tell by the fixture record_property
        "figures": {
            report.nodeid: dict(report.user_properties)
            for report in reports["passed"] + reports["failed"]
            if report.user_properties
        },
    }
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(content, indent=2) + "\n")
