"""Assemble a recipe as branches of SpeechBrain, and run SpeechBrain's checks.

    python tools/upstream.py RECIPE CHECKOUT [--up-to BRANCH] [--keep-going]

RECIPE is a folder such as recipes/WHAMandWHAMR/ring_separation, CHECKOUT a
git checkout of SpeechBrain with a clean work tree. Branches are made from its
HEAD, one on top of another, and the last is left checked out; nothing is
pushed. The library branches that the recipe stands on come first, then its
own, with the modules that stand in none of them. Each is small enough to be
sent as a pull request of its own. Tables in tools/upstream/ say where files
go, what SpeechBrain has in place of ours, and how each recipe is run on
SpeechBrain's samples.

Exit status 0 if all checks pass, 1 if a branch could not be made or a check
failed.
"""

import argparse
import sys
from pathlib import Path

from upstream.branch import Checkout, Refused, make_branches
from upstream.checks import Checks
from upstream.plan import Plan, find_recipe, make_plan

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 5


def main(arguments: list[str] | None = None) -> int:
    """Make the branches, check them, and report.

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
        "--up-to",
        metavar="BRANCH",
        default="",
        help="stop after this library branch, without the recipe",
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="make the branches although not all can be translated, to see "
        "what else is wrong",
    )
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
        plan = make_plan(ROOT, recipe, up_to=options.up_to)
        show_plan(plan)
        if plan.mistakes and not options.keep_going:
            raise Refused(
                "not all can be translated (--keep-going makes the branches "
                "all the same):\n  " + "\n  ".join(plan.mistakes)
            )
        checkout = Checkout(options.checkout, options.python)
        commits = make_branches(plan, checkout)
    except (LookupError, OSError, Refused) as error:
        print(f"upstream.py: {error}", file=sys.stderr)
        return 1
    branches = ", ".join(list(commits)[1:])
    print(f"\nBranches of {checkout.folder}: {branches}\n")
    failed = 0
    checks = Checks(plan, checkout, commits)
    for outcome in checks.run(options.skip_row):
        failed += bool(outcome.faults)
        show_outcome(outcome)
    print("left   tests/consistency/test_HF_repo.py: it needs the network")
    for line in still_missing(plan):
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
