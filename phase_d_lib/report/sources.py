"""Numbers that carry where they came from, through every sentence and table cell.

A number is marked once, where it is formatted, by :func:`attribute`. The mark lives inside the
text, in characters of Unicode's private use area, so that it survives f-strings and tables; a
renderer takes text apart with :func:`pieces` and shows the source or, like Markdown, does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass

_OPEN, _FIELD, _TEXT, _CLOSE = "\ue000", "\ue001", "\ue002", "\ue003"
_MARK = re.compile(f"{_OPEN}([^{_TEXT}{_OPEN}]*){_TEXT}([^{_CLOSE}{_OPEN}]*){_CLOSE}")
_STRAY = re.compile(f"[{_OPEN}{_FIELD}{_TEXT}{_CLOSE}]")
_CODE = re.compile(r"`([^`]*)`")
_UNIT = r"%p|%|puts/s|MiB/s|KiB|MiB|GiB|B|ms|µs|ns|s|배|개|회|건|번|코어|바이트"
_PLAIN = r"[-+±<>≥≤]?\d+(?:,\d{3})*(?:\.\d+)*"
_NUMBER = re.compile(
    # A letter, point or hyphen before a digit makes it a name: v3, L0, p99.9, case-01.
    r"(?<![A-Za-z0-9_.\-/])"
    rf"(?:\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC|(?:p [=<] )?{_PLAIN}(?:(?:-|에서 |/){_PLAIN})?)"
    rf"(?:\s?(?:{_UNIT})(?![A-Za-z]))?"
    r"(?:\(\d+ % 신뢰구간 [^()]*\))?"
)
RULE = "rule"
"""Stage of a number that is a written rule of the library, not a measurement."""


@dataclass(frozen=True)
class Source:
    """Where a number came from.

    Attributes
    ----------
    stage : str
        Name of the scrap, ``report`` or ``rule``.
    file : str
        File of the report or of the run; module of the library for a rule.
    field : str
        Path inside the file, parts separated by ``/``; a constant's name for a rule.
    run_id : str
        Run it was measured in; empty for what several runs or none gave.
    """

    stage: str
    file: str
    field: str
    run_id: str = ""

    @property
    def address(self) -> str:
        """File and field in one word: ``performance_report.json#put_rate_ops_per_s``."""
        return f"{self.file}#{self.field}"


@dataclass(frozen=True)
class Piece:
    """A stretch of text of one kind."""

    text: str
    code: bool = False
    source: Source | None = None


def rule(module: str, constant: str) -> Source:
    """Return the source of a limit that is written in a module of the library."""
    return Source(RULE, f"phase_d_lib.{module}", constant)


def mark(text: str, source: Source) -> str:
    """Give the whole of `text` a source."""
    head = _FIELD.join(astuple(source))
    return f"{_OPEN}{head}{_TEXT}{text}{_CLOSE}"


def attribute(text: str, source: Source) -> str:
    """Mark every number of `text` that carries no source yet; names and code stay as they are."""
    return "".join(
        _NUMBER.sub(lambda found: mark(found.group(), source), part) if free else part
        for part, free in _split(text)
    )


def plain(text: str) -> str:
    """Return `text` without its marks."""
    return _STRAY.sub("", _MARK.sub(r"\2", text))


def unattributed(text: str) -> list[str]:
    """Numbers of `text` that carry no source."""
    return [
        found.group() for part, free in _split(text) if free for found in _NUMBER.finditer(part)
    ]


def pieces(text: str) -> Iterator[Piece]:
    """Take a line apart into plain text, code spans and numbers with a source."""
    end = 0
    for found in re.finditer(f"{_MARK.pattern}|{_CODE.pattern}", text):
        yield from _bare(text[end : found.start()])
        head, marked, code = found.groups()
        if head is None:
            yield Piece(plain(code), code=True)
        else:
            yield Piece(plain(marked), source=_source(head))
        end = found.end()
    yield from _bare(text[end:])


def _bare(text: str) -> Iterator[Piece]:
    if shown := _STRAY.sub("", text):
        yield Piece(shown)


def _source(head: str) -> Source | None:
    fields = head.split(_FIELD)
    return Source(*fields) if len(fields) == 4 else None


def _split(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (part, whether it is free text): marks and code spans are not."""
    end = 0
    for found in re.finditer(f"{_MARK.pattern}|{_CODE.pattern}", text):
        yield text[end : found.start()], True
        yield found.group(), False
        end = found.end()
    yield text[end:], True
