"""Line breaks and column widths of a table on paper, so that nothing runs over the margin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from phase_d_lib.report.blocks import UNBREAKABLE, Table
from phase_d_lib.report.sources import Piece, pieces

PORTRAIT_PT, LANDSCAPE_PT = 493.0, 740.0
"""Width of the text on A4 with margins of 18 mm, upright and turned."""
SIZES_PT = (8.5, 8.0, 7.5, 7.0)
PADDING_PT = 10.0
"""Left and right of a cell together."""
_ROOM = 0.72
"""Share of its unwrapped width a table needs; with less, lines get too many to read."""
_PROSE_EM = 24.0
"""Line length from which a cell is prose that wraps anyway."""
_CODE_EM = 0.55
_BREAK = re.compile(r"( )|(?<=[^\s(])(?=\()|(?<=[A-Za-z]{3}[-_])(?=[A-Za-z]{2})")
"""Places a line may break: a space, before a parenthesis, inside a long option name."""
_NBSP = "\u00a0"


@dataclass(frozen=True)
class Unit:
    """What a line does not break inside: a word, or the space between two.

    Attributes
    ----------
    pieces : tuple of (str, bool)
        Text and whether it is code.
    """

    pieces: tuple[tuple[str, bool], ...] = ()
    space: bool = False

    @property
    def loose(self) -> bool:
        """Whether the unit is so long that it had better break than run over."""
        return self.width_em > 16.0

    @property
    def width_em(self) -> float:
        """Width in units of the type size."""
        if self.space:
            return 0.28
        return sum(_width(text, code) for text, code in self.pieces)


@dataclass(frozen=True)
class Layout:
    """How a table is set."""

    size_pt: float
    widths_pt: tuple[float, ...]
    landscape: bool


def units(text: str) -> Iterator[Unit]:
    """Take a line apart into units; a number stays with its unit of measure."""
    line = UNBREAKABLE.sub(_NBSP, " ".join(text.split(" ")))
    word: list[tuple[str, bool]] = []
    for piece in pieces(line):
        for part in _parts(piece):
            if part in (" ", ""):
                if word:
                    yield Unit(tuple(word))
                    word = []
                if part:
                    yield Unit(space=True)
            else:
                word.append((part, piece.code))
    if word:
        yield Unit(tuple(word))


def _parts(piece: Piece) -> Iterator[str]:
    """Parts of a piece; an empty one or a space ends the word before it."""
    end = 0
    if piece.text.startswith("("):
        yield ""
    for found in _BREAK.finditer(piece.text):
        if found.start() > end:
            yield piece.text[end : found.start()]
        yield found.group()
        end = found.end()
    if end < len(piece.text):
        yield piece.text[end:]


def fit(table: Table) -> Layout:
    """Choose size, widths and orientation: the largest type in which the table fits upright.

    Only a table whose longest words do not fit in the smallest type is turned.
    """
    shortest, longest = _needs(table)
    inside = PADDING_PT * len(table.columns)
    comfortable = _ROOM * sum(min(line, _PROSE_EM) for line in longest)
    for size in SIZES_PT:
        free = PORTRAIT_PT - inside
        if size * sum(shortest) <= free and size * comfortable <= free:
            return Layout(size, _share(shortest, longest, size, PORTRAIT_PT), landscape=False)
    size = SIZES_PT[-1]
    turned = size * sum(shortest) > PORTRAIT_PT - inside
    width = LANDSCAPE_PT if turned else PORTRAIT_PT
    return Layout(size, _share(shortest, longest, size, width), landscape=turned)


def _needs(table: Table) -> tuple[list[float], list[float]]:
    """Width of the longest word and of the longest line of each column, in type sizes."""
    shortest, longest = [], []
    for column in zip(table.names, *table.rows, strict=True):
        cells = [list(units(cell)) for cell in column]
        shortest.append(max((u.width_em for cell in cells for u in cell), default=1.0))
        # The heading may wrap, so it does not decide how wide a column would like to be.
        lines = [sum(u.width_em for u in cell) for cell in cells[1:]]
        longest.append(max([*lines, shortest[-1]]))
    return shortest, longest


def _share(
    shortest: list[float], longest: list[float], size: float, width: float
) -> tuple[float, ...]:
    """Give each column its longest word, then equal parts of the rest until its lines fit."""
    free = width - PADDING_PT * len(shortest)
    found = [size * value for value in shortest]
    wish = [size * value for value in longest]
    over = free - sum(found)
    waiting = sorted(range(len(wish)), key=lambda n: wish[n] - found[n])
    for place, column in enumerate(waiting):
        given = min(wish[column] - found[column], max(0.0, over) / (len(waiting) - place))
        found[column] += given
        over -= given
    spare = max(0.0, over) / len(found)
    return tuple(value + spare + PADDING_PT for value in found)


def _width(text: str, code: bool) -> float:
    if code:
        return sum(0.9 if _is_wide(letter) else _CODE_EM for letter in text) + 0.3
    return sum(_letter(letter) for letter in text)


def _letter(letter: str) -> float:
    if _is_wide(letter):
        return 0.94
    if letter in f" {_NBSP}.,:;'()-/|":
        return 0.36
    if letter.isdigit() or letter.islower():
        return 0.61
    return 1.09 if letter == "%" else 0.85


def _is_wide(letter: str) -> bool:
    return ord(letter) >= 0x1100
