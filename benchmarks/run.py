#!/usr/bin/env python3
"""All benchmarks, one after the other, and what is to be reached beside them.

    python benchmarks/run.py                   all (about an hour)
    python benchmarks/run.py --only pit mixit  these; others stay as they were
    python benchmarks/run.py --quick           a smoke test

Written are RESULTS.md, a table with the machine's description and the output
of every script below it, and RESULTS.json beside it, from which the figures of
what is not run again are taken, if they are of this machine. A smoke test
writes nothing unless --output says where. Exit status 2: a script failed.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from figures import ROOT
from rows import ROWS, SCRIPTS, TEST_SECONDS, is_test, make_line

from speechbrain_ext.training.processes import is_bfloat16_fast

HERE = ROOT / "benchmarks"
PACKAGES = ("torch", "speechbrain", "numpy", "asteroid")


def make_page(results: Mapping, machine: Mapping, quick: bool) -> str:
    """Write RESULTS.md."""
    lacking = find_lacking()
    lines = ["# What benchmarks/run.py measured", ""]
    if quick:
        lines += ["**A smoke test: the figures mean nothing.**", ""]
    lines += [
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
        "Ratios of the same run count; times depend on the machine.",
        "",
        "| what | ours | peer | ratio | target | met | shown by |",
        "|---|---|---|---|---|---|---|",
        *(make_line(row, results, lacking) for row in ROWS),
    ]
    for name in SCRIPTS:
        if name in results:
            result = results[name]
            lines += ["", f"## {name}", "", tell(result), ""]
            lines += ["```", result["output"].strip(), "```"]
    tested = [row.by for row in ROWS if row.by in results and is_test(row)]
    if tested:
        lines += ["", "## Tests", ""]
    for tests in tested:
        said = results[tests]["output"].strip().rpartition("\n")[2]
        lines.append(f"- `{tests}`: {said} ({tell(results[tests])})")
    return "\n".join(lines) + "\n"


def tell(result: Mapping) -> str:
    """Say when something was run, and for how long."""
    return (
        f"{result['date']}, commit {result['commit']}, "
        f"{result['seconds']:.0f} s"
    )


def find_lacking() -> set[str]:
    """Name what this machine lacks, of `MISSING`."""
    there = {
        "asteroid": importlib.util.find_spec("asteroid") is not None,
        "bfloat16": is_bfloat16_fast("cpu"),
        "GPU": torch.cuda.is_available(),
    }
    return {name for name, found in there.items() if not found}


def describe_machine() -> dict[str, str]:
    """Describe what the figures depend on."""
    model, memory = platform.processor() or platform.machine(), "unknown"
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        memory = f"{pages / 2**30:.0f} GiB"
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    system = platform.system()
    if system == "Linux":
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    bfloat16 = "yes" if is_bfloat16_fast("cpu") else "no"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "CPU": f"{model}, {os.cpu_count()} cores, bfloat16: {bfloat16}",
        "memory": memory,
        "GPU": gpu,
        "system": system,
        "Python": platform.python_version(),
        **versions,
        "threads": str(torch.get_num_threads()),
    }


def find_commit() -> str:
    """Name the commit that is measured, and whether files were changed."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def run_script(name: str, quick: bool, lacking: Iterable[str]) -> dict:
    """Run a benchmark, showing what it prints; give figures and output."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.json")
        words = [HERE / f"{name}.py", f"--json={path}"]
        words += ["--quick"] if quick else []
        if name == "mixit" and "asteroid" in lacking:
            words.append("--ours")
        if name == "sepformer" and "bfloat16" in lacking:
            words.append("--precision=float32")
        status, output = follow([sys.executable, *words])
        figures = None
        if status == 0:
            figures = json.loads(path.read_text(encoding="utf-8"))
    return {"figures": figures, "output": output}


def run_tests(tests: str) -> dict:
    """Run tests in one process; tell whether they passed."""
    words = ["-m", "pytest", "-n", "0", "-m", "not exhaustive"]
    command = [sys.executable, *words, *shlex.split(tests)]
    status, output = follow(command)
    return {"figures": {"passed": status == 0}, "output": output}


def follow(command: Iterable) -> tuple[int, str]:
    """Run a command, showing what it prints; give its status and output."""
    lines = []
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths))
    }
    with subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            print(f"    {line}", end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def choose(only: Iterable[str] | None) -> dict[str, int]:
    """Map what is to be run to the seconds that it may take."""
    tests = {r.by: TEST_SECONDS for r in ROWS if is_test(r) and not r.why}
    only = only or [*SCRIPTS, "tests"]
    scripts = {n: seconds for n, seconds in SCRIPTS.items() if n in only}
    return scripts | (tests if "tests" in only else {})


def read_results(path: Path, machine: Mapping, some: bool) -> dict:
    """Read what was measured before, if it was on such a machine.

    Where only `some` are to be measured, it must be, or the rest is lost.
    """
    if not path.is_file():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    differ = [
        f"{name}: {stored['machine'].get(name)} there, {machine.get(name)} here"
        for name in {**stored["machine"], **machine}
        if stored["machine"].get(name) != machine.get(name)
    ]
    if differ and some:
        raise SystemExit(
            f"{path} is of another machine ({'; '.join(differ)}); with --only, "
            "its other figures would be lost: run all, or move it away"
        )
    return {} if differ else stored["results"]


def main() -> int:
    """Run, and write the page after each script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=[*SCRIPTS, "tests"]
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--output", type=Path, metavar="FILE.md")
    options = parser.parse_args()
    output = options.output
    if output is None and not options.quick:
        output = HERE / "RESULTS.md"
    machine, lacking = describe_machine(), find_lacking()
    results = {}
    if output is not None and not options.quick:
        results = read_results(
            output.with_suffix(".json"), machine, some=bool(options.only)
        )
    chosen = choose(options.only)
    left = {
        name: results.get(name, {}).get("seconds", seconds)
        for name, seconds in chosen.items()
    }
    page, failed = "", []
    for number, name in enumerate(chosen, start=1):
        minutes = sum(left.values()) / 60
        about = "" if options.quick else f", about {minutes:.0f} minutes left"
        print(f"[{number}/{len(chosen)}] {name}{about}", flush=True)
        start = time.monotonic()
        if name in SCRIPTS:
            result = run_script(name, options.quick, lacking)
        else:
            result = run_tests(name)
        result["seconds"] = time.monotonic() - start
        result["date"] = time.strftime("%Y-%m-%d")
        result["commit"] = find_commit()
        results[name] = result
        del left[name]
        figures = result["figures"]
        if figures is None or not figures.get("passed", True):
            failed.append(name)
        page = make_page(results, machine, options.quick)
        if output is not None:
            stored = {"machine": machine, "results": results}
            text = json.dumps(stored, indent=2) + "\n"
            output.with_suffix(".json").write_text(text, encoding="utf-8")
            output.write_text(page, encoding="utf-8")
    print("\n" + page.partition("\n## ")[0])
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
