"""A page of the report parsed: its elements and words, and the cells of its tables by section."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path


@dataclass
class Cell:
    """A cell of a table: its tag, classes, the label shown on a card, and its words."""

    tag: str
    classes: frozenset[str]
    label: str
    text: str = ""


@dataclass
class Section:
    """What stands between a heading of the second level and the next."""

    text: str = ""
    rows: list[list[Cell]] = field(default_factory=list)

    def row(self, first: str) -> list[Cell]:
        """The first row whose first cell begins so."""
        return next(row for row in self.rows if row[0].text.startswith(first))


class Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.sections: dict[str, Section] = {"": Section()}
        self._at = ""
        self._cell: Cell | None = None
        self._skipped = False
        self.feed(path.read_text("utf-8"))
        self.words = " ".join(self.words.split())
        for section in self.sections.values():
            section.text = " ".join(section.text.split())
            for row in section.rows:
                for cell in row:
                    cell.text = " ".join(cell.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found.append((tag, given))
        self._skipped = tag == "style"
        if tag == "h2":
            self._at = given["id"] or ""
            self.sections[self._at] = Section()
        elif tag == "tr":
            self.sections[self._at].rows.append([])
        elif tag in ("td", "th"):
            classes = frozenset((given.get("class") or "").split())
            self._cell = Cell(tag, classes, given.get("data-label") or "")
            self.sections[self._at].rows[-1].append(self._cell)
        if tag in ("br", "span", "p", "li", "h3", "h4"):
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        self._skipped = False
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._skipped:
            return
        self.words += data
        self.sections[self._at].text += data
        if self._cell is not None:
            self._cell.text += data
