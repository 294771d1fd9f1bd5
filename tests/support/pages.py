"""Reading the pages that the evaluation writes."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """The tags, links and text of a page.

    It fails on unbalanced tags, and on what is to be fetched from elsewhere.
    Addresses that hold what they lead to are no links.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.tags, self.links, self.text, self._open = [], [], "", []
        text = path.read_text(encoding="utf-8")
        self.feed(text)
        assert self._open == []
        # nothing is fetched from elsewhere; base64 may have two slashes
        text = re.sub(r"data:[a-z]+/[a-z]+;base64,[\w+/=]+", "", text)
        assert not re.search(r"https?:|//|@import|url\(", text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.links += [
            value
            for name, value in attrs
            if name in ("src", "href") and not value.startswith("data:")
        ]
        if tag not in ("meta", "img", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] not in (["style"], ["script"]):
            self.text += data
