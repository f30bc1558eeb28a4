"""Two values side by side: where a file shows something else than what was computed again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from phase_d_lib.specs import Frozen

EXACT = 0.0
SAMPLED = 1e-6
"""Relative difference allowed between numbers computed from samples on two machines, whose
logarithms differ in the last bit."""
_ABSENT = "nothing"
_MOST_LETTERS = 80


class Difference(Frozen):
    """One place where a file does not say what it should."""

    file: str
    field: str
    shown: str
    recomputed: str

    def __str__(self) -> str:
        where = f"{self.file}, {self.field}" if self.field else self.file
        return f"{where}: shown {self.shown}, recomputed {self.recomputed}"


def value_differences(
    file: str, shown: Any, recomputed: Any, tolerance: float = EXACT, field: str = ""
) -> Iterator[Difference]:
    """Walk two values of JSON; numbers may differ by a relative `tolerance`.

    Parameters
    ----------
    field : str
        Path of the values inside the file, parts separated by ``/``.
    """
    if isinstance(shown, Mapping) and isinstance(recomputed, Mapping):
        for key in {**shown, **recomputed}:
            yield from value_differences(
                file, shown.get(key), recomputed.get(key), tolerance, f"{field}/{key}".lstrip("/")
            )
    elif _is_list(shown) and _is_list(recomputed) and len(shown) == len(recomputed):
        for place, (one, other) in enumerate(zip(shown, recomputed, strict=True)):
            yield from value_differences(file, one, other, tolerance, f"{field}/{place}")
    elif not _alike(shown, recomputed, tolerance):
        yield Difference(file=file, field=field, shown=_brief(shown), recomputed=_brief(recomputed))


def count_values(value: Any) -> int:
    """Count the numbers in a value of JSON."""
    if isinstance(value, Mapping):
        return sum(map(count_values, value.values()))
    if _is_list(value):
        return sum(map(count_values, value))
    return int(isinstance(value, int | float) and not isinstance(value, bool))


def page_differences(file: str, shown: str, recomputed: str) -> Iterator[Difference]:
    """Compare two HTML pages by what can be read in them; the field is a number's source."""
    if shown == recomputed:
        return
    one, other = page_pieces(shown), page_pieces(recomputed)
    found = False
    for left, right in _unequal([p.key for p in one], [p.key for p in other]):
        for mine, theirs in _paired(one[left], other[right]):
            found = True
            source = theirs.source or mine.source
            yield Difference(
                file=file, field=source, shown=_brief(mine.text), recomputed=_brief(theirs.text)
            )
    if not found:
        yield from text_differences(file, shown, recomputed, {})


def text_differences(
    file: str, shown: str, recomputed: str, sources: Mapping[str, str]
) -> Iterator[Difference]:
    """Compare two texts line by line and word by word.

    Parameters
    ----------
    sources : mapping
        Number as it is shown -> where it came from, to name the field.
    """
    one, other = shown.splitlines(), recomputed.splitlines()
    for left, right in _unequal(one, other):
        for place in range(max(left.stop - left.start, right.stop - right.start)):
            mine, theirs = _nth(one[left], place), _nth(other[right], place)
            if mine == theirs:
                continue
            word, meant = next(_paired_words(mine, theirs))
            source = _source_of(meant, sources)
            yield Difference(
                file=file,
                field=f"line {left.start + place + 1}{f' ({source})' if source else ''}",
                shown=_brief(word),
                recomputed=_brief(meant),
            )


def text_of(file: Path) -> str:
    """Read a text that may hold anything: what is no UTF-8 becomes a sign that says so."""
    return file.read_text(errors="replace")


class PagePiece(Frozen):
    """A stretch of visible text of a page, and the source it names."""

    text: str
    source: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same as another one."""
        return self.text, self.source


def page_pieces(page: str) -> list[PagePiece]:
    """Take the visible text of a page apart at its tags."""
    reader = _PageReader()
    reader.feed(page)
    reader.close()
    return reader.pieces


def sources_of(page: str) -> dict[str, str]:
    """Return number as shown -> source, of every number of a page that names one."""
    return {piece.text.replace("\u00a0", " "): piece.source for piece in page_pieces(page)
            if piece.source}  # fmt: skip


class _PageReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[PagePiece] = []
        self._source = ""
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent = tag in ("style", "script")
        self._source = dict(attrs).get("data-source") or ""

    def handle_endtag(self, tag: str) -> None:
        self._silent, self._source = False, ""

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._silent:
            self.pieces.append(PagePiece(text=data.strip(), source=self._source))


def _unequal(one: Sequence[Any], other: Sequence[Any]) -> Iterator[tuple[slice, slice]]:
    if len(one) == len(other):  # a changed digit: no need to look for what moved
        yield from (
            (slice(n, n + 1), slice(n, n + 1))
            for n, (mine, theirs) in enumerate(zip(one, other, strict=True))
            if mine != theirs
        )
        return
    for kind, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind != "equal":
            yield slice(a, b), slice(c, d)


def _nth(lines: Sequence[str], place: int) -> str:
    return lines[place] if place < len(lines) else ""


def _paired(
    one: Sequence[PagePiece], other: Sequence[PagePiece]
) -> Iterator[tuple[PagePiece, PagePiece]]:
    nothing = PagePiece(text="")
    for place in range(max(len(one), len(other))):
        mine = one[place] if place < len(one) else nothing
        yield mine, other[place] if place < len(other) else nothing


def _paired_words(one: str, other: str) -> Iterator[tuple[str, str]]:
    """Yield the first words that differ; the whole lines where words came or went."""
    mine, theirs = one.split(), other.split()
    if len(mine) == len(theirs):
        yield from ((a, b) for a, b in zip(mine, theirs, strict=True) if a != b)
    yield one, other


def _source_of(word: str, sources: Mapping[str, str]) -> str:
    bare = word.strip("|*.,() ")
    return next((source for shown, source in sources.items() if bare and bare in shown), "")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _alike(shown: Any, recomputed: Any, tolerance: float) -> bool:
    numbers = isinstance(shown, int | float) and isinstance(recomputed, int | float)
    if numbers and tolerance and not isinstance(shown, bool) and not isinstance(recomputed, bool):
        return math.isclose(shown, recomputed, rel_tol=tolerance, abs_tol=tolerance * 1e-6)
    return type(shown) is type(recomputed) and shown == recomputed


def _brief(value: Any) -> str:
    if value is None or value == "":
        return _ABSENT
    text = str(value) if isinstance(value, str | int | float) else repr(value)
    line = " ".join(text.split())
    return line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}..."
