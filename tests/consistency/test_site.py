"""The site builds without a warning, and whoever follows a link arrives."""

import importlib
import importlib.util
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from checkout import ROOT, tracked_files
from processes import Script

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(
            map(importlib.util.find_spec, ("sphinx", "myst_parser", "furo"))
        ),
        reason="Sphinx is not installed: pip install '.[docs]'",
    ),
]
BUILD = """
import sys
from sphinx.cmd.build import build_main
sys.exit(build_main(sys.argv[1:]))
"""
TEXTS = ("*.md", "docs/*.md", "benchmarks/*.md", "recipes/*/*/README.md")
START = "docs/index.html"


class Page(HTMLParser):
    """Targets of a page: its ids, where it leads, and what it is made of."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.parts = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        if "href" in attrs:
            (self.links if tag == "a" else self.parts).append(attrs["href"])
        if "src" in attrs:
            self.parts.append(attrs["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as CONTRIBUTING.md says: page to its targets."""
    folder = tmp_path_factory.mktemp("site").resolve()
    options = ("--quiet", "--fail-on-warning", "--keep-going")
    script = Script(BUILD, *options, "-c", ROOT / "docs", ROOT, folder)
    _, warnings = script.communicate()
    assert script.returncode == 0, warnings
    return folder, {
        path: Page(path.read_text(encoding="utf-8"))
        for path in folder.rglob("*.html")
    }


def arrive(site, page, link):
    """Find the file of the site that a link leads to, and check that it is."""
    folder, pages = site
    parts = urlsplit(link)
    target = page
    if parts.path:
        target = (page.parent / unquote(parts.path)).resolve()
    where = f"{page.relative_to(folder)} leads to {link}"
    assert target.is_relative_to(folder), f"{where}, outside of the site"
    assert target.is_file(), f"{where}, which is not there"
    if parts.fragment and target in pages:
        ids = pages[target].ids
        assert unquote(parts.fragment) in ids, f"{where}: no such section"
    return target


def test_every_link_arrives_and_every_page_is_reached(site):
    folder, pages = site
    ways, reached = [folder / START], set()
    while ways:
        page = ways.pop()
        reached.add(page)
        inside = [
            arrive(site, page, link)
            for link in pages[page].links
            if urlsplit(link).scheme not in ("http", "https")
        ]
        ways += (set(inside) & pages.keys()) - reached - set(ways)
    assert len(reached) > 15
    # the first redirects to the start; every page has a field for the search
    assert pages.keys() - reached == {
        folder / "index.html",
        folder / "search.html",
    }


def test_it_can_be_read_without_a_network(site):
    _, pages = site
    for page, found in pages.items():
        for part in found.parts:
            if not part.startswith("data:"):
                arrive(site, page, part)


def test_every_text_for_readers_has_its_page(site):
    folder, pages = site
    texts = [
        path.relative_to(ROOT)
        for pattern in TEXTS
        for path in {*ROOT.glob(pattern)}.intersection(tracked_files())
    ]
    assert len(texts) > 9
    missing = {folder / text.with_suffix(".html") for text in texts}
    assert missing - pages.keys() == set()


def test_every_public_name_is_described(site):
    _, pages = site
    ids = set().union(*(page.ids for page in pages.values()))
    packages = [
        path.parent.name for path in ROOT.glob("speechbrain_ext/*/__init__.py")
    ]
    described, missing = {}, []
    for package in packages:
        module = importlib.import_module(f"speechbrain_ext.{package}")
        for name in getattr(module, "__all__", ()):
            value, full = getattr(module, name), f"{module.__name__}.{name}"
            if ids & {full, f"module-{full}"}:
                described[id(value)] = full
            else:
                missing.append((full, id(value)))
    assert len(described) > 100
    # what two packages name is described once
    assert [full for full, key in missing if key not in described] == []


def test_formulas_are_shown_as_they_are_written(site):
    """Without `::` before it, an indented formula becomes a quotation."""
    folder, _ = site
    for page in (folder / "docs/api").iterdir():
        assert "<blockquote" not in page.read_text(encoding="utf-8"), page.name
