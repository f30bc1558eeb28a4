"""The header of a session: RocksDB version, options, identity."""

from __future__ import annotations

import re

from phase_d_lib.logfile.lines import decoded

VERSION_LINE = b"RocksDB version: "
_HEADER_BYTES = 1 << 20  # options stand at the front of a session; a search may stop here
_ID_BYTES = 1 << 12
_ID = re.compile(rb"DB Session ID:\s+(\w+)")
_VERSION = re.compile(rb"RocksDB version: (\d[\w.]*)")
_OPTION = re.compile(rb"^\d{4}/\S+ \S+ +Options\.([^\s:]+)\s*: ?([^\r\n]*)", re.MULTILINE)


class Sessions:
    """The version and options of the first session, and which session is on."""

    def __init__(self) -> None:
        self.version: str | None = None
        self.options: dict[str, str] = {}
        self._current: bytes | None = None

    def begins(self, block: bytes, at: int) -> bool:
        """Return whether a version line begins a session; a rolled LOG only repeats its header."""
        header = block[at : at + _HEADER_BYTES]
        found = _ID.search(header[:_ID_BYTES])
        if found is not None and found.group(1) == self._current:
            return False
        self._current = found.group(1) if found is not None else None
        if self.version is None and (version := _VERSION.match(header)):
            self.version = version.group(1).decode()
            end = header.find(b"DB pointer")
            for name, value in _OPTION.findall(header[: end if end >= 0 else None]):
                self.options.setdefault(decoded(name), decoded(value).strip())
        return True
