"""How a line of a LOG begins: date and thread."""

from __future__ import annotations

import re
from collections.abc import Iterator

DATED_LINE = re.compile(rb"^\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d\.\d{6}(?= )", re.MULTILINE)
DATE_BYTES = len(b"2023/06/18-14:55:55.079783")
_ORIGINAL_TIME = b"(Original Log Time "


def written_at(line: bytes) -> bytes:
    """Return the date a line was written at."""
    return line[:DATE_BYTES]


def meant_at(line: bytes) -> bytes:
    """Return the date a line speaks of: its own, or the earlier one RocksDB noted in it."""
    late = line.find(_ORIGINAL_TIME)
    begin = late + len(_ORIGINAL_TIME) if late >= 0 else 0
    return line[begin : begin + DATE_BYTES]


def thread(line: bytes) -> bytes:
    """Return the thread id of a line: what stands behind its date."""
    return line[DATE_BYTES + 1 : 64].lstrip().partition(b" ")[0]


def positions(text: bytes, needle: bytes) -> Iterator[int]:
    """Yield where a needle occurs."""
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + len(needle))


def decoded(text: bytes) -> str:
    """Return text as a string; what is no UTF-8 is replaced."""
    return text.decode("utf-8", "replace")
