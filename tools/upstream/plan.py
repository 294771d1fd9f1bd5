"""What a branch will hold, worked out without a checkout of SpeechBrain."""

import csv
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from upstream.destinations import CUTS, LIBRARY, MODULES, RECIPES, Recipe
from upstream.library import PACKAGE, Library
from upstream.translation import Translator

HERE = Path(__file__).parent
# what stays here of a recipe
NOT_SENT = ("ablation.yaml", "options.py", "reference/", "report")
SENT = re.compile(
    r"\w+\.py|hparams/[\w.-]+\.yaml|README\.md|extra_requirements\.txt"
)
README_END = HERE / "readme_end.md"


@dataclass
class Plan:
    """The files of a stack of branches, as texts by their path in SpeechBrain.

    Arguments
    ---------
    recipe : Recipe
        The recipe.
    library : dict
        Branch -> message of a commit -> path -> text, the lowest first.
    files : dict
        Path -> text of the recipe's branch, on top of these; empty if the
        recipe is left out.
    rows : list of dict
        For SpeechBrain's tests/recipes; "nonzero" is ours.
    left_out : list of str
        Tracked files of the recipe that are not sent.
    substitutions, mistakes
        As of `Translator`.
    """

    recipe: Recipe
    library: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)
    left_out: list = field(default_factory=list)
    substitutions: list = field(default_factory=list)
    mistakes: list = field(default_factory=list)


def find_recipe(folder: str | Path) -> Recipe:
    """Find a recipe of the table by its folder.

    Raises
    ------
    LookupError
        If the table has no such recipe.
    """
    words = Path(folder).parts[-2:]
    for recipe in RECIPES:
        if recipe.folder == "/".join(words):
            return recipe
    known = ", ".join(f"recipes/{recipe.folder}" for recipe in RECIPES)
    raise LookupError(
        f"{folder} is no recipe of tools/upstream/destinations.py, which "
        f"knows {known}"
    )


def make_plan(root: Path, recipe: Recipe, up_to: str = "") -> Plan:
    """Translate a recipe with the modules that it needs, and what is below.

    Arguments
    ---------
    root : Path
        The checkout of this project.
    recipe : Recipe
        The recipe.
    up_to : str
        The library branch after which to stop; by default nothing is left
        out.

    Raises
    ------
    LookupError
        If the recipe stands on no such branch.
    """
    if up_to and up_to not in recipe.on:
        raise LookupError(
            f"{recipe.folder} does not stand on {up_to}, but on "
            + ", ".join(recipe.on)
        )
    translator = Translator(Library(root), destinations(), CUTS)
    plan = Plan(
        recipe,
        substitutions=translator.substitutions,
        mistakes=translator.mistakes,
    )
    done = set()
    for branch in recipe.on:
        plan.library[branch] = {
            message: {
                path: translate_module(translator, ours)
                for ours, path in part.items()
            }
            for message, part in LIBRARY[branch].items()
        }
        done.update(*LIBRARY[branch].values())
        for module in translator.needed.keys() - done:
            translator.mistakes.append(
                f"{translator.needed.pop(module)} is of the branch {branch}, "
                f"but {PACKAGE}.{module} is neither in it nor below it"
            )
        if branch == up_to:
            return plan
    add_recipe(plan, root, translator)
    while waiting := [m for m in translator.needed if m not in done]:
        for module in waiting:
            done.add(module)
            text = translate_module(translator, module)
            plan.files[translator.table[module]] = text
    return plan


def destinations() -> dict[str, str]:
    """Give the path in SpeechBrain of all that has one."""
    table = dict(MODULES)
    for branch in LIBRARY.values():
        for part in branch.values():
            table.update(part)
    return table


def translate_module(translator: Translator, ours: str) -> str:
    """Translate a module, or a file named by its path."""
    library = translator.library
    is_path = ours.endswith(".py")
    path = library.root / ours if is_path else library.file(ours)
    if path is None or not path.is_file():
        translator.mistakes.append(
            f"tools/upstream/destinations.py has {ours}, which is not there"
        )
        return ""
    return translator.python(path.read_text(encoding="utf-8"), ours)


def add_recipe(plan: Plan, root: Path, translator: Translator) -> None:
    """Translate the files of the recipe."""
    folder = root / "recipes" / plan.recipe.folder
    sent = {}
    scripts = "".join(
        path.read_text(encoding="utf-8")
        for path in folder.glob("*.py")
        if not path.name.startswith(NOT_SENT)
    )
    for name in tracked_files(folder):
        path = folder / name
        kept = name.startswith(NOT_SENT) or name in plan.recipe.keeps
        if not SENT.fullmatch(name) or kept:
            plan.left_out.append(name)
            continue
        text = path.read_text(encoding="utf-8")
        if name.endswith(".yaml") and names_our_corpora(text):
            plan.left_out.append(name)
            continue
        place = f"{plan.recipe.place}/{name}"
        file = f"{plan.recipe.folder}/{name}"
        if name.endswith(".py"):
            text = translator.python(text, file)
        elif name.endswith(".yaml"):
            text = translator.yaml(text, file, scripts)
        elif name == "README.md":
            text = complete_readme(translator.readme(text, file))
        text = text.replace(f"recipes/{plan.recipe.folder}", plan.recipe.place)
        plan.files[place] = sent[name] = text
    for name in ("train.py", "README.md"):
        if name not in sent:
            plan.mistakes.append(f"{plan.recipe.folder} has no {name}")
    add_rows(plan, sent)


def add_rows(plan: Plan, sent: dict[str, str]) -> None:
    """Make a row of SpeechBrain's tests/recipes for each hparams file."""
    recipe, place = plan.recipe, plan.recipe.place
    hparams = [name for name in sent if name.startswith("hparams/")]
    if not hparams:
        plan.mistakes.append(
            f"{recipe.folder} has no hyperparameter file to send: all name "
            f"{PACKAGE}.corpora, which stays here"
        )
    known = {row["Hparam_file"]: row for row in read_rows()}
    for name in hparams:
        row = dict(known.get(f"{recipe.folder}/{name}", {}))
        if not row:
            plan.mistakes.append(
                f"{recipe.folder}/{name} has no row in tools/upstream/rows.csv"
            )
        script = row.pop("Script_file", "train.py")
        prepare = re.findall(r"\b(\w+_prepare)\b", sent[name])
        prepare += re.findall(r"\b(\w+_prepare)\b", sent.get(script, ""))
        prepare = [p for p in prepare if f"{p}.py" in sent]
        plan.rows.append(
            {
                **row,
                "Dataset": recipe.dataset,
                "Script_file": f"{place}/{script}",
                "Hparam_file": f"{place}/{name}",
                "Data_prep_file": f"{place}/{prepare[0]}.py" if prepare else "",
                "Readme_file": f"{place}/README.md",
            }
        )


def read_rows() -> list[dict]:
    """Read what the rows of SpeechBrain's tests need besides file names."""
    with open(HERE / "rows.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names_our_corpora(text: str) -> bool:
    """Tell whether a YAML file names a corpus that stays here."""
    code = (line.partition("#")[0] for line in text.splitlines())
    return any(f"{PACKAGE}.corpora" in line for line in code)


def complete_readme(text: str) -> str:
    """Append the sections that SpeechBrain's READMEs end with."""
    parts = README_END.read_text(encoding="utf-8").split("\n\n\n")
    for part in parts:
        title = part.strip().splitlines()[0].strip("# *")
        if not re.search(rf"(?mi)^#+ *\**{title}", text):
            text = text.rstrip("\n") + "\n\n" + part.strip("\n") + "\n"
    return text


def tracked_files(folder: Path) -> list[str]:
    """List the files that git tracks in a folder, or all where it is not."""
    result = subprocess.run(
        ["git", "ls-files", "-z"], cwd=folder, capture_output=True, text=True
    )
    names = result.stdout.split("\0")[:-1] if result.returncode == 0 else []
    if not names:
        names = [
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
    return sorted(name for name in names if (folder / name).is_file())
