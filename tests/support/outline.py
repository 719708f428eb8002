"""A page as a parser sees it."""

import html.parser

EMPTY = {"meta", "link", "br", "img", "use", "path"}


class Outline(html.parser.HTMLParser):
    """Fails on tags that aren't closed in order; keeps headings, links, anchors and cells."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.ids, self.texts = [], [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        given = dict(attributes)
        self.links += [value for name, value in given.items() if name in ("href", "src", "xlink:href")]
        self.ids += [given["id"]] if "id" in given else []
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in EMPTY:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "h2", "span", "small", "text", "caption"):
            self.texts.append(data.strip())
