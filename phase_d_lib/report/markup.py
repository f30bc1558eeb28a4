"""Text and tables as Markdown in which no name of anything can become markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CODE = re.compile(r"`([^`]*)`")
_ACTIVE = re.compile(r"([\\*\[\]|~])|(?<!\w)(_)|(_)(?!\w)|(<)(?=[A-Za-z/!?])|(&)(?=[#\w])|(`)")


@dataclass(frozen=True)
class Table:
    """A table of formatted text.

    Attributes
    ----------
    columns : tuple of str
        Headings; one that ends in ``>`` has its column aligned right.
    rows : tuple of tuple of str
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, columns: str, rows: Sequence[Sequence[str]]) -> Table:
        """Build a table from headings separated by ``|``."""
        names = tuple(name.strip() for name in columns.split("|"))
        return cls(names, tuple(tuple(row) for row in rows))


def prose(text: object) -> str:
    """Escape Markdown in `text`, keeping code spans, on one line."""
    line = " ".join(str(text).split())
    parts, end = [], 0
    for span in _CODE.finditer(line):
        parts += [_escape(line[end : span.start()]), code(span.group(1))]
        end = span.end()
    return "".join(parts) + _escape(line[end:])


def code(text: object) -> str:
    """Code span of any text, safe inside a table."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def markdown_table(table: Table) -> str:
    """Pipe table; an empty one says so."""
    if not table.rows:
        return "해당하는 값이 없습니다."
    names = [prose(name.rstrip(">")) for name in table.columns]
    rule = ["---:" if name.endswith(">") else "---" for name in table.columns]
    lines = [names, rule, *([prose(cell) for cell in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escape(text: str) -> str:
    return _ACTIVE.sub(lambda found: "\\" + found.group(), text)
