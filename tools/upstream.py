"""Assemble a recipe as a branch of SpeechBrain, and run SpeechBrain's checks.

    python tools/upstream.py RECIPE CHECKOUT [--core] [--keep-going]

RECIPE is a folder such as recipes/WHAMandWHAMR/ring_separation, CHECKOUT a
git checkout of SpeechBrain with a clean work tree. A branch is made from its
HEAD and left checked out; nothing is pushed. Shared modules come first, in
commits of their own (the core), then the recipe with the modules that it
alone needs. Tables in tools/upstream/ say where files go, what SpeechBrain
has in place of ours, and how each recipe is run on SpeechBrain's samples.

Exit status 0 if all checks pass, 1 if the branch could not be made or a check
failed.
"""

import argparse
import sys
from pathlib import Path

from upstream.branch import Checkout, Refused, make_branch
from upstream.checks import Checks
from upstream.plan import Plan, find_recipe, make_plan

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 5


def main(arguments: list[str] | None = None) -> int:
    """Make the branch, check it, and report.

    Arguments
    ---------
    arguments : list of str, optional
        Of the command line.

    Returns
    -------
    status : int
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", metavar="RECIPE")
    parser.add_argument("checkout", metavar="CHECKOUT")
    parser.add_argument(
        "--core", action="store_true", help="the shared modules alone"
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="make the branch although not all can be translated, to see "
        "what else is wrong",
    )
    parser.add_argument("--branch", help="its name; by default the recipe's")
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="interpreter for the checks, with SpeechBrain's requirements",
    )
    parser.add_argument(
        "--skip-row",
        action="store_true",
        help="do not run the recipe on SpeechBrain's samples",
    )
    options = parser.parse_args(arguments)
    try:
        recipe = find_recipe(options.recipe)
        plan = make_plan(ROOT, recipe, core_alone=options.core)
        show_plan(plan)
        if plan.mistakes and not options.keep_going:
            raise Refused(
                "not all can be translated (--keep-going makes the branch "
                "all the same):\n  " + "\n  ".join(plan.mistakes)
            )
        checkout = Checkout(options.checkout, options.python)
        name = options.branch or (
            "separation-core"
            if options.core
            else plan.recipe.folder.rpartition("/")[2].replace("_", "-")
        )
        commits = make_branch(plan, checkout, name, options.core)
    except (LookupError, OSError, Refused) as error:
        print(f"upstream.py: {error}", file=sys.stderr)
        return 1
    print(f"\nBranch {name} of {checkout.folder}\n")
    failed = 0
    checks = Checks(plan, checkout, commits, options.core)
    for outcome in checks.run(options.skip_row):
        failed += bool(outcome.faults)
        show_outcome(outcome)
    print("left   tests/consistency/test_HF_repo.py: it needs the network")
    for line in [] if options.core else still_missing(plan):
        print(f"miss   {line}")
    print(f"\n{failed} checks failed" if failed else "\nAll checks passed")
    return int(failed > 0)


def show_plan(plan: Plan) -> None:
    """Print what stays here, and what is not as it was."""
    for name in plan.left_out:
        print(f"stays  {plan.recipe.folder}/{name}")
    files = {}
    for file, ours, theirs in plan.substitutions:
        files.setdefault((ours, theirs), []).append(file)
    print("\nSubstitutions:")
    for (ours, theirs), where in files.items():
        print(f"  {ours} -> {theirs}\n      in {', '.join(where)}")


def show_outcome(outcome) -> None:
    """Print the line of a check, and the beginning of its faults."""
    if not outcome.faults:
        remark = f" ({outcome.remark})" if outcome.remark else ""
        print(f"pass   {outcome.name}{remark}", flush=True)
        return
    print(f"FAIL   {outcome.name}")
    for line in outcome.faults[:SHOWN]:
        print(f"         {line[:160]}")
    if len(outcome.faults) > SHOWN:
        print(f"         and {len(outcome.faults) - SHOWN} more")
    sys.stdout.flush()


def still_missing(plan: Plan) -> list[str]:
    """List what a maintainer will ask for and no check can see."""
    missing = []
    for row in plan.rows:
        name = Path(row["Hparam_file"]).name
        for key, what in (
            ("performance", "a result of full size"),
            ("Result_url", "a link to the folder of the full training"),
            ("HF_repo", "a model on the Hugging Face hub"),
        ):
            if not row.get(key):
                missing.append(f"{name}: {what} ({key} of its row)")
    return missing


if __name__ == "__main__":
    sys.exit(main())
