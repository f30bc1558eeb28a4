"""Warnings and errors of a LOG by kind: the same words with other numbers are one kind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phase_d_lib.logfile.clock import Clock
from phase_d_lib.logfile.lines import DATE_BYTES, decoded

KINDS = 500
"""Kinds kept apart; the warnings of further kinds are one more."""
OTHER = "(other)"
_SEVERITIES = {b"WARN": "warning", b"ERROR": "error", b"FATAL": "fatal"}
_FRONT = re.compile(r"(?:\[[^\[\]]*\] ?)*")
_VARYING = re.compile(
    r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?|(?<![\w/])/[^\s:,;]+|[\w./-]+\.(?:sst|log|blob)\b"
)
_KIND_CHARS = 200
_KNOWN = 2000


@dataclass
class Kind:
    """How often a kind of warning stands in a LOG, and when (local seconds, None without dates)."""

    count: int = 0
    first_s: float | None = None
    last_s: float | None = None

    @property
    def times_s(self) -> tuple[float | None, float | None]:
        """First and last time."""
        return self.first_s, self.last_s


class Warnings:
    """Counts warnings and errors by severity and kind."""

    def __init__(self, clock: Clock) -> None:
        self.kinds: dict[tuple[str, str], Kind] = {}
        self._clock = clock
        self._known: dict[bytes, str] = {}

    def add(self, text: bytes, begin: int, bracket: int, end: int) -> None:
        """Count a line of a text; the bracket is the one that closes its severity."""
        severity = _SEVERITIES.get(text[text.rfind(b"[", begin, bracket) + 1 : bracket])
        if severity is not None:
            words = text[bracket + 2 : end][: 4 * _KIND_CHARS]
            self._count(severity, self._kind(words), text[begin : begin + DATE_BYTES])

    def _kind(self, words: bytes) -> str:
        """Return the kind of a message; the same words are looked at once."""
        alike = words.translate(None, b"0123456789")
        kind = self._known.get(alike)
        if kind is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            kind = self._known[alike] = _kind(words)
        return kind

    def _count(self, severity: str, words: str, stamp: bytes) -> None:
        if (severity, words) not in self.kinds and len(self.kinds) >= KINDS:
            words = OTHER
        kind = self.kinds.setdefault((severity, words), Kind())
        kind.count += 1
        try:
            time_s = self._clock.local_s(stamp)
        except ValueError:
            return
        kind.first_s = time_s if kind.first_s is None else min(kind.first_s, time_s)
        kind.last_s = time_s if kind.last_s is None else max(kind.last_s, time_s)


def _kind(words: bytes) -> str:
    """Return a message without its place in the code, its column family and its numbers."""
    text = decoded(words)
    front = _FRONT.match(text)
    text = text[front.end() :] if front else text
    return _VARYING.sub(_placeholder, text).strip()[:_KIND_CHARS]


def _placeholder(found: re.Match[str]) -> str:
    return "N" if found.group()[0].isdigit() else "PATH"
