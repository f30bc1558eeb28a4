"""The header of a session: version, identity, options of the database and of column families."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phase_d_lib.logfile.lines import decoded, positions, written_at

VERSION_LINE = b" version: "
PRODUCT_LINE = re.compile(rb"(RocksDB|Spee[dD][bB]) version: ([^\r\n]*)")
_HEADER_BYTES = 1 << 20  # options stand at the front of a session; a search may stop here
_ID_BYTES = 1 << 12
_ID = re.compile(rb"DB Session ID:\s+(\w+)")
_DB_ID = re.compile(rb"DB ID: ([\w-]+)")
_HOST = re.compile(rb"Host name \(Env\):\s*([^\r\n]+)")
_VERSION = re.compile(rb"\d[\w.]*")
_BASE_VERSION = re.compile(rb"\((\d[\w.]*)\)")
_OPTION = re.compile(rb"^\d{4}/\S+ \S+ +Options\.([^\s:]+)\s*: ?([^\r\n]*)", re.MULTILINE)
_FAMILY = b" Options for column family ["
_HEADER_END = b"DB pointer"
_DATABASE = b"DB ID: "
_FAMILY_END = re.compile(rb"Recovered from manifest|DB pointer|Options for column family \[")
_FAMILY_BYTES = 1 << 16


@dataclass(frozen=True)
class Session:
    """One opening of the database.

    Attributes
    ----------
    session_id : str or None
        RocksDB's own; None before 6.15, which has none.
    version, product : str
        As in ``9.8.4`` and ``RocksDB``; of Speedb its own version.
    base_version : str or None
        RocksDB version a Speedb is made from.
    stamp : bytes
        Local date of its first line.
    """

    session_id: str | None
    version: str
    product: str
    base_version: str | None
    stamp: bytes


class Sessions:
    """The sessions met, and version and options of the first."""

    def __init__(self) -> None:
        self.all: list[Session] = []
        self.options: dict[str, str] = {}
        self.column_families: dict[str, dict[str, str]] = {}
        self.database_ids: dict[str, None] = {}
        self.hosts: dict[str, None] = {}
        self._seen: set[str] = set()
        self._header_bytes = 0  # still to come of the first header
        self._open_family: dict[str, str] | None = None  # its options go on in the next text

    @property
    def version(self) -> str | None:
        """Version of the first session."""
        return self.all[0].version if self.all else None

    def begins(self, block: bytes, at: int) -> bool:
        """Return whether a version line begins a session; a rolled LOG only repeats its header."""
        begin = block.rfind(b"\n", 0, at) + 1
        product = PRODUCT_LINE.search(block, begin, at + 64)
        if product is None:
            return False
        header = block[begin : at + _HEADER_BYTES]
        found = _ID.search(header[:_ID_BYTES])
        session_id = found.group(1).decode() if found is not None else None
        if session_id is not None and session_id in self._seen:
            return False
        if session_id is not None:
            self._seen.add(session_id)
        version = _VERSION.match(product.group(2))
        base = _BASE_VERSION.search(product.group(2))
        session = Session(
            session_id,
            decoded(version.group() if version else product.group(2)),
            "RocksDB" if product.group(1) == b"RocksDB" else "Speedb",
            base.group(1).decode() if base else None,
            written_at(header),
        )
        if not self.all:
            end = header.find(_HEADER_END)
            self.options = _options(header[: end if end >= 0 else None])
            self._header_bytes = 0 if end >= 0 else _HEADER_BYTES
        self.all.append(session)
        return True

    def read_names(self, text: bytes) -> None:
        """Note options of column families, host and database id from a header."""
        self._go_on(text)
        for at in positions(text, _FAMILY):
            begin = at + len(_FAMILY)
            close = text.find(b"]:", begin, begin + _ID_BYTES)
            if close < 0:
                continue
            end = _FAMILY_END.search(text, close, close + _FAMILY_BYTES)
            region = text[close : end.start() if end else close + _FAMILY_BYTES]
            options = self.column_families.setdefault(decoded(text[begin:close]), {})
            _add_options(options, region)
            self._open_family = options if end is None else None
        if len(self.database_ids) < len(self.all) and _DATABASE in text:
            self.hosts.update((decoded(name).strip(), None) for name in _HOST.findall(text))
            self.database_ids.update((decoded(name), None) for name in _DB_ID.findall(text))

    def _go_on(self, text: bytes) -> None:
        """Read on in a header that the text before was cut in."""
        if self._header_bytes > 0:
            end = text.find(_HEADER_END)
            _add_options(self.options, text[: end if end >= 0 else self._header_bytes])
            self._header_bytes = 0 if end >= 0 else self._header_bytes - len(text)
        if self._open_family is not None:
            found = _FAMILY_END.search(text, 0, _FAMILY_BYTES)
            _add_options(self._open_family, text[: found.start() if found else _FAMILY_BYTES])
            if found is not None or len(text) > _FAMILY_BYTES:
                self._open_family = None


def _options(header: bytes) -> dict[str, str]:
    """Return ``Options.name: value`` lines; of a name that occurs twice the first counts."""
    found: dict[str, str] = {}
    _add_options(found, header)
    return found


def _add_options(found: dict[str, str], header: bytes) -> None:
    for name, value in _OPTION.findall(header):
        found.setdefault(decoded(name), decoded(value).strip())
