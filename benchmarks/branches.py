"""Files and lines of the branches that would be sent to SpeechBrain.

    python benchmarks/branches.py

Each recipe has a branch, on top of library branches (CONTRIBUTING.md). They
are worked out without a checkout of SpeechBrain; `tools/upstream.py` makes
them in one, and runs SpeechBrain's checks.
"""

import argparse
import sys

from figures import ROOT, add_option, write_figures

sys.path.insert(0, str(ROOT / "tools"))

from upstream.destinations import RECIPES  # noqa: E402
from upstream.plan import make_plan  # noqa: E402


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no difference")
    add_option(parser)
    options = parser.parse_args()
    branches = {"recipe": {}, "library": {}}
    for recipe in RECIPES:
        plan = make_plan(ROOT, recipe)
        branches["recipe"][recipe.folder] = list(plan.files.values())
        for name, parts in plan.library.items():
            texts = [text for part in parts.values() for text in part.values()]
            branches["library"][name] = texts
    figures = {}
    print("| branch | kind | files | lines |\n|---|---|---|---|")
    for kind, found in branches.items():
        sizes = {
            name: (len(texts), sum(len(text.splitlines()) for text in texts))
            for name, texts in found.items()
        }
        for name, (files, lines) in sizes.items():
            print(f"| {name} | {kind} | {files} | {lines} |")
        figures[f"{kind}_files"] = max(files for files, _ in sizes.values())
        figures[f"{kind}_lines"] = max(lines for _, lines in sizes.values())
    write_figures(options.json, figures)


if __name__ == "__main__":
    main()
