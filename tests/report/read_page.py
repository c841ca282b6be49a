"""A page as a browser takes it: elements, texts, and what it would fetch."""

from html.parser import HTMLParser
from pathlib import Path

FETCHED = ("src", "href", "xlink:href", "srcset", "data", "action", "poster", "background")
"""Attributes that name something to load or to go to."""

INSIDE = ("#", "data:image/png;base64,")
"""What they may begin with on a page that holds all it needs."""


class Page(HTMLParser):
    """What a browser makes of a file.

    Attributes
    ----------
    tags : list of (str, dict)
        Elements with their attributes, in their order.
    words : list of str
        Texts that are shown.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._in_style = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the beginning of an element."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        """Take the end of an element."""
        self._in_style = False

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if not self._in_style:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All words, with single spaces between them."""
        return " ".join(" ".join(self.words).split())

    @property
    def names(self) -> set[str]:
        """Names of all elements."""
        return {tag for tag, _ in self.tags}

    @property
    def sections(self) -> list[str]:
        """Places of the page that have a name."""
        return [attributes["id"] for tag, attributes in self.tags if tag == "section"]

    @property
    def outside(self) -> list[str]:
        """Addresses of all that does not lie in the page itself."""
        return [
            value
            for _, attributes in self.tags
            for name, value in attributes.items()
            if name in FETCHED and not value.startswith(INSIDE)
        ]

    @property
    def handlers(self) -> list[str]:
        """Attributes that hold a script."""
        return [name for _, attributes in self.tags for name in attributes if name.startswith("on")]
