"""Reads comments as GitHub's own renderer does, and prints as JSON what they come to: the elements,
the texts outside of code, and whether all that is opened is closed.

    github_markdown.py FILE...
"""

import html.parser
import json
import sys

import cmarkgfm
from cmarkgfm.cmark import Options

VOID = {"br", "hr", "img", "input"}


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.elements, self.attributes, self.texts = [], set(), set(), []
        self.comments, self.wrong = [], []

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if not {"code", "pre"} & set(self.open) and data.strip():
            self.texts.append(data)

    def handle_comment(self, data):
        self.comments.append(data.strip())


def read(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    # Raw markup is let through: GitHub takes out what is dangerous afterwards, this is to be none.
    options = Options.CMARK_OPT_UNSAFE
    reader = Reader()
    reader.feed(cmarkgfm.github_flavored_markdown_to_html(text, options))
    reader.close()
    return {
        "length": len(text.encode("utf-16-le")) // 2,
        "elements": sorted(reader.elements),
        "attributes": sorted(reader.attributes),
        "text": "\n".join(reader.texts),
        "comments": reader.comments,
        "wrong": reader.wrong + reader.open,
    }


json.dump([read(path) for path in sys.argv[1:]], sys.stdout)
