"""What a report is made of; Markdown, HTML and PDF are three renderings of the same blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from phase_d_lib.report.sources import Source, attribute

NOTHING = "해당하는 값이 없습니다."
UNBREAKABLE = re.compile(
    r"(?<=\d) (?=(?:%p?|s|ms|µs|ns|B|KiB|MiB|GiB|MiB/s|puts/s|UTC)(?![A-Za-z0-9]))"
    r"|(?<=목표) (?=달성|미달)"
)
"""Spaces a line must not break at: between number and unit, and inside a verdict."""


@dataclass(frozen=True)
class Heading:
    """A heading; level 2 is a chapter."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, its first words `lead` emphasized."""

    text: str
    lead: str = ""


@dataclass(frozen=True)
class Item:
    """One entry of a list, its `label` emphasized."""

    text: str
    label: str = ""


@dataclass(frozen=True)
class ItemList:
    """A list; an empty one says `empty`."""

    items: tuple[Item, ...]
    numbered: bool = False
    empty: str = "해당하는 항목이 없습니다."


@dataclass(frozen=True)
class Table:
    """A table of formatted text.

    Attributes
    ----------
    columns : tuple of str
        Headings; one that ends in ``>`` has its column aligned right.
    rows : tuple of tuple of str
    caption : str
        Noun phrase that names the table; empty for none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    @classmethod
    def of(cls, columns: str, rows: Sequence[Sequence[str]], caption: str = "") -> Table:
        """Build a table from headings separated by ``|``."""
        names = tuple(name.strip() for name in columns.split("|"))
        return cls(names, tuple(tuple(row) for row in rows), caption)

    @property
    def names(self) -> tuple[str, ...]:
        """Headings as they are read."""
        return tuple(name.rstrip(">") for name in self.columns)

    @property
    def right(self) -> tuple[bool, ...]:
        """Whether each column is aligned right."""
        return tuple(name.endswith(">") for name in self.columns)


@dataclass(frozen=True)
class Box:
    """A table set off from the text: the first screen."""

    table: Table


@dataclass(frozen=True)
class Picture:
    """A figure: its file without suffix, the question it asks, its answer, and what it shows.

    `share` is its width, as a part of the text's; `turned` gives it a page of its own on its side.
    """

    name: str
    question: str
    answer: str
    alt: str
    share: float = 1.0
    turned: bool = False


@dataclass(frozen=True)
class CodeBlock:
    """Commands to type."""

    text: str


Block = Heading | Paragraph | ItemList | Table | Box | Picture | CodeBlock


@dataclass(frozen=True)
class Document:
    """A whole report in order of reading."""

    title: str
    subtitle: str
    notice: tuple[str, str]
    """Warning to read first: emphasized words and the rest; both empty for none."""
    summary: Box
    """The first screen."""
    facts: tuple[Item, ...]
    """What stands in the title block: time, status, id."""
    blocks: tuple[Block, ...]

    @property
    def chapters(self) -> tuple[str, ...]:
        """Headings of the chapters."""
        return tuple(b.text for b in self.blocks if isinstance(b, Heading) and b.level == 2)


def numbered(blocks: Sequence[Block]) -> Iterator[tuple[Block, int]]:
    """Number captioned tables, pictures and chapters, each kind from 1; 0 for anything else."""
    counts: Counter[str] = Counter()
    for block in blocks:
        kind = ""
        if isinstance(block, Table) and block.caption and block.rows:
            kind = "table"
        elif isinstance(block, Picture):
            kind = "picture"
        elif isinstance(block, Heading) and block.level == 2:
            kind = "chapter"
        counts[kind] += 1
        yield block, counts[kind] if kind else 0


def row(source: Source, *cells: str) -> tuple[str, ...]:
    """Cells of one table row, whose numbers all came from `source` unless marked otherwise."""
    return tuple(attribute(cell, source) for cell in cells)


def items(*entries: tuple[str, str]) -> ItemList:
    """List of (label, text)."""
    return ItemList(tuple(Item(text, label) for label, text in entries))


def texts(block: Block) -> Iterator[str]:
    """Every text of a block in which a number could stand, headings of tables left out."""
    match block:
        case Heading() | Paragraph():
            yield block.text
        case ItemList():
            yield from (item.text for item in block.items)
        case Table():
            yield from (cell for cells in block.rows for cell in cells)
        case Box():
            yield from texts(block.table)
        case Picture():
            yield block.answer
        case CodeBlock():
            return
