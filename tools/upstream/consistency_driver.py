"""Call one function of SpeechBrain's tests/consistency on a part.

    python consistency_driver.py NAME FOLDER [MODULE ...]

Runs in the root of a SpeechBrain checkout, with its Python; imports nothing
of ours. FOLDER holds the tables of tests/recipes that are checked.
"""

import sys


def main(name, folder, modules):
    """Run the function; an AssertionError is its verdict."""
    if name == "test_docstrings":
        from tests.utils.check_docstrings import check_docstrings

        assert not modules or check_docstrings(".", modules)
        return
    from tests.consistency import test_recipe, test_yaml

    function = getattr(test_recipe, name, None) or getattr(test_yaml, name)
    function(recipe_folder=folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
