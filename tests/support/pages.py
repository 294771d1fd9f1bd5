"""Reading the pages that the evaluation writes."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The tags, links and text of a page; fails on unbalanced tags."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.links, self.text, self._open = [], [], "", []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.links += [v for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "img", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] not in (["style"], ["script"]):
            self.text += data
