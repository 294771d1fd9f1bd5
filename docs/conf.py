"""How Sphinx builds the site of this project; the command: CONTRIBUTING.md.

Sphinx reads the checkout itself, not this folder alone: pages are shown from
where they lie, and their links lead to the same files as in the checkout.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "speechbrain_ext"
html_title = project
html_theme = "furo"
html_show_copyright = False
html_domain_indices = False
# leads from the top folder of the site to its first page
html_extra_path = ["index.html"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md"),
    *("benchmarks/*.md", "recipes/*/*/README.md"),
]
# folders with nothing to show may be large: data, environments, results
exclude_patterns = [
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and path.name not in ("docs", "benchmarks", "recipes")
]

# headings are link targets, as where the files are read in a browser
myst_heading_anchors = 3

# commands and listings without a language are shown as they are
highlight_language = "text"

# API: what `__all__` of a package names
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "member-order": "bysource",
}
add_module_names = False
# `name` links to what bears the name, and is shown as code if nothing does
default_role = "py:obj"
napoleon_google_docstring = False
