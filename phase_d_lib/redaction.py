"""Names that tell whose data it is, replaced by tokens: the same name always by the same one."""

from __future__ import annotations

import re
from collections.abc import Iterable

KEPT = frozenset({"default", ""})
"""Names that tell nothing: RocksDB's own column family."""
_PATH = re.compile(r"(?<![\w/.])/[^\s:,;\"'()\[\]/]+(?:/[^\s:,;\"'()\[\]/]*)*")
_LIKE_SESSION_ID = re.compile(r"\b(?=[0-9A-Z]*\d)[0-9A-Z]{20}\b")
_LIKE_DATABASE_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


class Redactor:
    """Replaces host names, paths, column families, session and database ids by tokens.

    A token is a kind and a number in order of first appearance, such as ``cf-1`` or ``path-2``.
    """

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, int] = {}
        self._words: re.Pattern[str] | None = None
        self._kinds: dict[str, str] = {}

    def know(self, kind: str, names: Iterable[str]) -> None:
        """Note names to be replaced wherever they stand in a text."""
        for name in names:
            if name not in KEPT and name not in self._kinds:
                self._kinds[name] = kind
                self.name(kind, name)
        known = sorted(self._kinds, key=len, reverse=True)
        words = "|".join(map(re.escape, known))
        self._words = re.compile(rf"(?<![\w.-])(?:{words})(?![\w-])") if known else None

    def name(self, kind: str, name: str) -> str:
        """Return the token of a name."""
        if name in KEPT:
            return name
        if (kind, name) not in self._tokens:
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            self._tokens[kind, name] = f"{kind}-{self._numbers[kind]}"
        return self._tokens[kind, name]

    def text(self, text: str) -> str:
        """Return a text with every name known, path and id replaced."""
        if self._words is not None:
            text = self._words.sub(lambda found: self.name(self._kinds[found[0]], found[0]), text)
        text = _PATH.sub(lambda found: self.name("path", found.group()), text)
        text = _LIKE_DATABASE_ID.sub(lambda found: self.name("db", found.group()), text)
        return _LIKE_SESSION_ID.sub(lambda found: self.name("session", found.group()), text)
