"""Just enough HTML reading for tests: elements with their attributes and text."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"input", "meta", "link", "img", "br", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parents: tuple[str, ...] = ()
    text: str = field(default="")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, tuple(each.tag for each in self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data


def read(html: str) -> list[Element]:
    """Every element, in order."""
    reader = _Reader()
    reader.feed(html)
    return reader.elements


def find(html: str, tag: str, **attributes: str) -> list[Element]:
    """Elements of a tag with these attributes; `class_` and `data_x` spell class and data-x."""
    wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    return [
        element
        for element in read(html)
        if element.tag == tag
        and all(element.attributes.get(name) == value for name, value in wanted.items())
    ]


def bars(html: str) -> list[Element]:
    """The progress bars of what a page shows; the frame's own says that a request is under way."""
    return [each for each in find(html, "progress") if each.attributes.get("id") != "busy"]


def by_id(html: str, id_: str) -> Element | None:
    """The element with an id."""
    return next((each for each in read(html) if each.attributes.get("id") == id_), None)


def words(text: str) -> str:
    """Text with its white space made single."""
    return " ".join(text.split())


def said_in(html: str) -> str:
    """What a reader reads: the text without its tags, in single spaces."""
    return words(re.sub(r"<[^>]*>", " ", html))
