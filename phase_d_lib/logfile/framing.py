"""RocksDB's lines inside other logs: Ceph, journald, containers, any prefix.

RocksDB's own date, where a line has it, marks where its text begins. What stands before it is
learned as a shape, so that the undated lines of a stats dump behind the same prefix are found
too. Ceph strips date and thread and writes its own: they are put back in RocksDB's form.
"""

from __future__ import annotations

import re

import orjson

from phase_d_lib.logfile.lines import DATED_LINE, decoded

_OWN_DATE = re.compile(
    rb"(?<!Original Log Time )\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d\.\d{6}(?= \w)",
)
_ISO = rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d:\d\d:\d\d)[.,](\d{3,9})\S* +"
_CEPH = re.compile(_ISO + rb"(\w+) +(-?\d+) +rocksdb: ?(.*)", re.DOTALL)
_OTHER_EVENT = re.compile(_ISO + rb"()().*?(EVENT_LOG_v1 \{.*)", re.DOTALL)
_FOREIGN = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_CEPH_SEVERITY = {b"3": b"[WARN] ", b"2": b"[ERROR] ", b"1": b"[FATAL] "}
"""Ceph's debug level of a line, by RocksDB's severity, whose mark Ceph leaves out."""
_MESSAGE_KEYS = ("log", "message", "MESSAGE", "msg")
_SHAPE_PARTS = re.compile(rb"[0-9A-Fa-f]*\d[0-9A-Fa-f]*|\s+|[A-Z]{4,}|[A-Za-z]+|.", re.DOTALL)
_MONTHS = frozenset(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
_SHAPES = 32
SAMPLE_BYTES = 1 << 16
"""How much of the front of a file tells how its lines are framed."""


class Framing:
    """Takes RocksDB's text out of the lines of one file, one line for each.

    Parameters
    ----------
    sample : bytes
        Front of the file, from which it is told whether its lines are RocksDB's own.

    Attributes
    ----------
    foreign_lines : int
        Lines of other programs, left out.
    coarse : bool
        Whether dates are rounded to more than a microsecond, as Ceph's are.
    """

    def __init__(self, sample: bytes) -> None:
        own = len(DATED_LINE.findall(sample))
        dated = len(_OWN_DATE.findall(sample))
        self._plain = own > 0 and 2 * own >= dated
        self.foreign_lines = 0
        self.coarse = False
        self._shapes: list[bytes] = []
        self._prefix: re.Pattern[bytes] | None = None

    def own_text(self, block: bytes) -> bytes:
        """Return whole lines as RocksDB would have written them."""
        if self._plain:
            return block
        return b"\n".join([self._line(line) for line in block.split(b"\n")])

    def _line(self, line: bytes) -> bytes:
        if line[:1] == b"{":
            line = _message(line)
        found = _OWN_DATE.search(line)
        if found is not None:
            at = found.start()
            if at:
                self._learn(line[:at])
            return line[at:]
        found = _CEPH.match(line) or _OTHER_EVENT.match(line)
        if found is not None:
            return self._dated(found)
        if self._prefix is not None and (found := self._prefix.match(line)):
            return line[found.end() :]
        if _FOREIGN.match(line):
            self.foreign_lines += 1
            return b""
        return line

    def _dated(self, found: re.Match[bytes]) -> bytes:
        """Return a line whose date another logger wrote, in RocksDB's form."""
        year, month, day, clock, fraction, thread, level, text = found.groups()
        if len(fraction) < 6:
            self.coarse = True
        stamp = b"%b/%b/%b-%b.%b" % (year, month, day, clock, fraction.ljust(6, b"0")[:6])
        mark = _CEPH_SEVERITY.get(level, b"")
        if text.startswith((mark or b"\0", b"(Original", b"EVENT_LOG")):
            mark = b""
        return b"%b %b %b%b" % (stamp, thread or b"0", mark, text)

    def _learn(self, prefix: bytes) -> None:
        """Note the shape of a prefix: its words as they are, its numbers free."""
        known = self._prefix.match(prefix) if self._prefix is not None else None
        if (known is not None and known.end() == len(prefix)) or len(self._shapes) >= _SHAPES:
            return
        self._shapes.append(_shape(prefix))
        longest_first = sorted(self._shapes, key=lambda shape: (-len(shape), shape))
        self._prefix = re.compile(b"|".join(longest_first))


def _shape(prefix: bytes) -> bytes:
    parts = []
    for found in _SHAPE_PARTS.finditer(prefix):
        part = found.group()
        if part.isspace():
            # The blanks at the end are the prefix's; more of them belong to the text.
            parts.append(rb"\s+" if found.end() < len(prefix) else re.escape(part))
        elif part in _MONTHS:
            parts.append(rb"[A-Z][a-z]{2}")
        elif any(48 <= byte <= 57 for byte in part):
            parts.append(rb"[0-9A-Fa-f]+")
        elif len(part) >= 4 and part.isupper():  # a severity
            parts.append(rb"[A-Z]+")
        else:
            parts.append(re.escape(part))
    return b"".join(parts)


def _message(line: bytes) -> bytes:
    """Return the message of a line of JSON; any other line as it is."""
    try:
        entry = orjson.loads(decoded(line))
    except orjson.JSONDecodeError:
        return line
    if not isinstance(entry, dict):
        return line
    for key in _MESSAGE_KEYS:
        message = entry.get(key)
        if isinstance(message, str):
            return message.encode("utf-8", "replace").rstrip(b"\r\n")
    return line
