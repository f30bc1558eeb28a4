"""Names that tell whose data it is, replaced by tokens: the same name always by the same one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from phase_d_lib.errors import InputError

KEPT = frozenset(
    {
        "",
        ".",
        "..",
        "LOG",
        "__hostname__",
        "db",
        "default",
        "localhost",
        "redacted",
        "rocksdb",
        "root",
    }
)
"""Names that tell nothing, such as RocksDB's own column family."""

_PART = r"[^\s:,;\"'()\[\]/]"
_PATTERNS = {
    "url": r"\b[a-zA-Z][\w+.-]*://[^\s,;\"'()\[\]]+",
    "path": (
        rf"(?<![\w/.])(?:\.{{1,2}}|~[\w.-]*)?/{_PART}+(?:/{_PART}*)*"
        r"|\b[A-Za-z]:[\\][^\s,;\"'()\[\]]+"
    ),
    "db": r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    "session": r"\b(?=[0-9A-Z]*\d)[0-9A-Z]{20}\b",
    "user": r"\b[\w.+-]+@[A-Za-z][\w.-]*\w",
    "host": r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?!\.?\w)",
    "label": r"(?<==\")[^\"\n]+(?=\")",
}
"""What gives itself away by its shape. Of ``db="orders"`` the value is a label."""
_CODE_PLACE = re.compile(r"/?(?:\w+/){0,3}\w+\.(?:cc|h)")
_HOME = re.compile(r"(?:/home|/Users|\\Users)[/\\]([^\s/\\:,;\"'()\[\]]+)")
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?")
_BARE = {"cf", "metric"}
"""Kinds whose names are whole words: a dot or a dash makes another name of them."""
_QUOTED = {"job"}
"""Kinds whose names are often plain words, so that only the brackets around them tell a name."""
_DOMAIN = r"(?:\.[A-Za-z][\w-]*)*"


class Redactor:
    """Replaces hosts, users, paths, column families, session and database ids by tokens.

    A token is a kind and a number in order of first appearance, such as ``cf-1`` or ``path-2``.
    Paths, addresses, URLs, session and database ids are known by their shape; other names have to
    be made known.
    """

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, int] = {}
        self._kinds: dict[str, str] = {}
        self._of_words: dict[str, str] = {}
        self._pattern = _compiled({})

    def know(self, kind: str, names: Iterable[str]) -> None:
        """Note names to be replaced wherever they stand in a text.

        Parameters
        ----------
        kind : str
            'cf', 'host', 'user', 'path', 'db', 'session', 'job' or another word for the tokens.
        names : iterable of str
            A name that is a number, and one of kind 'job', is replaced in brackets and quotes
            only, and a path of one word only where an error names it: anywhere else they may be
            numbers and words of the text itself.
        """
        for name in names:
            if name in KEPT or name in self._kinds:
                continue
            self._kinds[name] = kind
            self._of_words[name] = self.name(kind, name)
            self._know_alike(kind, name)
        self._pattern = _compiled(self._kinds)

    def learn(self, value: object) -> None:
        """Note the users whose home directories the texts of a value name."""
        if isinstance(value, str):
            found = set(_HOME.findall(value)) - KEPT - self._kinds.keys()
            if found:
                self.know("user", found)
        elif isinstance(value, Mapping):
            for part in value.values():
                self.learn(part)
        elif isinstance(value, list | tuple):
            for part in value:
                self.learn(part)

    def name(self, kind: str, name: str) -> str:
        """Return the token of a name."""
        if name in KEPT:
            return name
        if (kind, name) not in self._tokens:
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            self._tokens[kind, name] = f"{kind}-{self._numbers[kind]}"
        return self._tokens[kind, name]

    def text(self, text: str) -> str:
        """Return a text with every name known, path, address and id replaced."""
        self.learn(text)
        return self._pattern.sub(self._token, text)

    def record(self, value: Any) -> Any:
        """Return a value of JSON with every text in it replaced; keys and numbers are kept."""
        return each_text(value, self.text)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Replace names in the one line of an error, too."""
        try:
            yield
        except InputError as error:
            raise type(error)(self.text(str(error))) from None

    def _know_alike(self, kind: str, name: str) -> None:
        """Note what else means the same: a host without its domain, numbers left out as N."""
        names, short = [name], name.partition(".")[0]
        if kind == "host" and len(short) > 2 and not short.isdecimal() and short not in KEPT:
            names.append(short)
        for one in names:
            self._kinds.setdefault(one, kind)
            self._of_words.setdefault(one, self._of_words[name])
            alike = _NUMBER.sub("N", one)  # as a LOG's warnings are told by kind
            if alike != one and sum(map(str.isalpha, alike)) > 2:
                self._kinds.setdefault(alike, kind)
                self._of_words.setdefault(alike, f"{kind}-N")

    def _token(self, found: re.Match[str]) -> str:
        whole, kind = found.group(), str(found.lastgroup)
        if kind == "word":
            known = self._of_words.get(whole)
            return known or self._of_words[_without_domain(whole, self._kinds)]
        if kind == "path" and _is_place_in_code(found):
            return whole
        return self.name("path" if kind == "url" else kind, whole)


def _compiled(kinds: Mapping[str, str]) -> re.Pattern[str]:
    """Return one pattern of all known names and shapes, so that no token is read again."""
    words = [_word(name, kinds[name]) for name in sorted(kinds, key=len, reverse=True)]
    named = [f"(?P<word>{'|'.join(words)})"] if words else []
    shapes = [f"(?P<{kind}>{shape})" for kind, shape in _PATTERNS.items()]
    return re.compile("|".join(named + shapes))


def _word(name: str, kind: str) -> str:
    literal = re.escape(name)
    if name.isdecimal() or kind in _QUOTED:
        return rf"(?<=[\[\"'(]){literal}(?=[\]\"')])"
    if kind == "path" and re.fullmatch(r"\w+", name):
        return rf"(?<!\S){literal}(?=: )"  # as an error names its file; else it is a word
    if kind in _BARE:
        return rf"(?<![\w.-]){literal}(?![\w-])"
    if kind == "host":
        literal += _DOMAIN
    # An underscore joins a name to others; a letter or a digit makes another word of it.
    return rf"(?<![^\W_]){literal}(?![^\W_])"


def _without_domain(whole: str, kinds: Mapping[str, str]) -> str:
    """Return the known host that a longer name begins with."""
    parts = whole.split(".")
    heads = (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
    return next(head for head in heads if head in kinds)


def _is_place_in_code(found: re.Match[str]) -> bool:
    """Whether it is a file of RocksDB's own code, as in ``[/db_impl/db_impl_open.cc:538]``."""
    text, begin, end = found.string, found.start(), found.end()
    bracketed = text[begin - 1 : begin] == "[" and text[end : end + 1] == ":"
    return bracketed and _CODE_PLACE.fullmatch(found.group()) is not None


def each_text(value: Any, replace: Callable[[str], str]) -> Any:
    """Return a value of JSON with every text in it replaced; keys and numbers are kept."""
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, Mapping):
        return {key: each_text(part, replace) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [each_text(part, replace) for part in value]
    return value
