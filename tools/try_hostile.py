"""Give the package hostile folders, archives, tables and audio files.

    python tools/try_hostile.py
    python tools/try_hostile.py --list
    python tools/try_hostile.py --only "yaml: apply"

Each case runs in a process of its own with 2 GB of memory and 10 seconds.
It must be refused with a readable message, or be harmless:

    refused   an error that names what is wrong, or a line in a list
    loaded    taken, where that is harmless
    THROUGH   accepted, code was run, a file outside was touched, the network
              was asked, or terminal codes were printed
    LOST      something good beside it was not taken
    HUNG      not done in time
    CRASHED   a traceback, a signal, or out of memory

Exit status 1 if any case ends with a word in capitals.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hostile.case import BAD, GOOD, Case, Verdict
from hostile.judge import MEMORY, SECONDS, judge
from hostile.runners import warm_up
from tqdm import tqdm


def main(arguments: list[str] | None = None) -> int:
    """Run the cases asked for.

    Arguments
    ---------
    arguments : list of str, optional
        Of the command line.

    Returns
    -------
    status : int
        1 if a case got through, hung, crashed, or lost something.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        metavar="TEXT",
        help="run cases whose name or kind contains this",
    )
    parser.add_argument(
        "--list", action="store_true", help="print the names and stop"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument(
        "--verbose", action="store_true", help="print every outcome"
    )
    options = parser.parse_args(arguments)
    cases = all_cases()
    if options.only is not None:
        wanted = options.only.casefold()
        cases = [
            case
            for case in cases
            if wanted in case.name.casefold() or wanted in case.kind
        ]
    if not cases:
        parser.error(f"no case has {options.only!r} in its name or kind")
    if options.list:
        print(*(f"{case.kind}: {case.name}" for case in cases), sep="\n")
        return 0
    verdicts = run(cases, seconds=options.seconds, verbose=options.verbose)
    print(summary(verdicts))
    return int(any(v.outcome in BAD for v in verdicts.values()))


def all_cases() -> list[Case]:
    """List the cases of all kinds; imports the package."""
    from hostile import archives, audio, tables, trees, weights, yaml_cases

    modules = (yaml_cases, weights, archives, tables, audio, trees)
    return [case for module in modules for case in module.cases()]


def run(
    cases: list[Case], *, seconds: float = SECONDS, verbose: bool = False
) -> dict[Case, Verdict]:
    """Run cases one after the other, with a bar of progress.

    Arguments
    ---------
    cases : list of Case
        What is tried.
    seconds : float
        For each.
    verbose : bool
        Whether good outcomes are printed as well.

    Returns
    -------
    verdicts : dict
        The verdict of every case.
    """
    print(
        f"{len(cases)} cases, each with {seconds:g} s and "
        f"{MEMORY / 1e9:g} GB of memory"
    )
    verdicts = {}
    with tempfile.TemporaryDirectory(prefix="hostile") as folder:
        warm_up(Path(folder, "warm"))
        for case in tqdm(cases, "hostile", unit="case"):
            verdict = judge(case, Path(folder, "case"), seconds=seconds)
            verdicts[case] = verdict
            if verbose or verdict.outcome not in ("refused", "loaded"):
                tqdm.write(
                    f"{verdict.outcome:8s} {case.kind}: {case.name} "
                    f"({verdict.seconds:.1f} s): {ascii(verdict.why)[1:-1]}"
                )
    return verdicts


def summary(verdicts: dict[Case, Verdict]) -> str:
    """Count the outcomes of each kind in a table."""
    columns = [*GOOD, *BAD]
    counts = Counter((case.kind, v.outcome) for case, v in verdicts.items())
    kinds = list(dict.fromkeys(case.kind for case in verdicts))
    lines = [f"{'':22s}" + "".join(f"{name:>9.8s}" for name in columns)]
    for kind in kinds:
        numbers = [counts[kind, outcome] for outcome in columns]
        lines.append(f"{kind:22s}" + "".join(f"{n:9d}" for n in numbers))
    totals = [sum(counts[kind, name] for kind in kinds) for name in columns]
    lines.append(f"{'all':22s}" + "".join(f"{n:9d}" for n in totals))
    slowest = max(verdicts.values(), key=lambda verdict: verdict.seconds)
    lines.append(f"the slowest took {slowest.seconds:.1f} s")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
