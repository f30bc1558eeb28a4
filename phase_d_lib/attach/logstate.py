"""What a growing LOG tells now: stalls, level 0, debt, bytes flushed and compacted, errors.

With `header` the only module that knows how `phase_d_lib.logfile` reads piece by piece.
"""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from phase_d_lib.attach.writestalls import WriteStalls
from phase_d_lib.logfile.dumps import DumpText, dump_rows
from phase_d_lib.logfile.reader import LogReader, Rows
from phase_d_lib.logfile.stats import STATS_COLUMNS
from phase_d_lib.logfile.tables import COMPACTION_COLUMNS, FLUSH_COLUMNS, WarningCount

RECENT_S = 120.0
_FLUSH = {name: at for at, name in enumerate(FLUSH_COLUMNS)}
_COMPACTION = {name: at for at, name in enumerate(COMPACTION_COLUMNS)}
_DATABASE = {name: at for at, name in enumerate(STATS_COLUMNS["database"])}
_FAMILIES = {name: at for at, name in enumerate(STATS_COLUMNS["families"])}
_FILES = re.compile(
    rb" files\[(\d{1,9})[ \]](?:[^\n]*?estimated pending compaction bytes (\d{1,18}))?"
)
"""Level-0 files in a summary of the levels, and since 8.x the debt."""
_SUMMARY = re.compile(rb"\[([^\[\]\n]+)\] (?:Level summary|[Cc]ompacted to|Moved #)")
"""What stands before them: the column family and what was done."""
_DUMP_PERIOD_S = 10.0
"""Some programs dump statistics every second; each dump costs as much as 20 KiB of events."""


@dataclass
class Family:
    """What the LOG last told of a column family.

    Attributes
    ----------
    l0_files, pending_bytes : int or None
        None before the LOG told.
    pending_told_s : float or None
        Epoch seconds when it was told of the debt.
    warnings : Counter of (cause, kind)
        Warnings of stalls, one a decision of the write controller.
    delayed_rate_bytes_per_s : int
        Of the last delay.
    """

    l0_files: int | None = None
    pending_bytes: int | None = None
    pending_told_s: float | None = None
    warnings: Counter[tuple[str, str]] = field(default_factory=Counter)
    delayed_rate_bytes_per_s: int = 0


@dataclass(frozen=True)
class Moved:
    """Bytes that finished jobs moved."""

    flush: int = 0
    compaction_read: int = 0
    compaction_write: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(
            self.flush + other.flush,
            self.compaction_read + other.compaction_read,
            self.compaction_write + other.compaction_write,
        )

    def __sub__(self, other: Moved) -> Moved:
        return Moved(
            self.flush - other.flush,
            self.compaction_read - other.compaction_read,
            self.compaction_write - other.compaction_write,
        )


class LogState:
    """Reads the pieces of a LOG in order and keeps what they tell.

    Attributes
    ----------
    stalls : WriteStalls
    warnings : Counter of (cause, kind)
        Warnings of stalls in all that was read.
    families : dict of str to Family
        By name.
    moved : Moved
        Bytes of all jobs that finished in what was read.
    ingest_bytes_per_s, ingest_told_s : float or None
        Rate of users' writes by the last stats dump that tells, and its time, epoch seconds.
    """

    def __init__(self) -> None:
        self.stalls = WriteStalls()
        self.warnings: Counter[tuple[str, str]] = Counter()
        self.families: dict[str, Family] = {}
        self.moved = Moved()
        self.ingest_bytes_per_s: float | None = None
        self.ingest_told_s: float | None = None
        self._reader = LogReader()
        self._dump_s = -math.inf
        self._recent: deque[tuple[float, Moved]] = deque()
        self._errors: dict[tuple[str, str], int] = {}

    def take(self, text: bytes) -> list[WarningCount]:
        """Read whole lines; return the kinds of error, with counts, that are worth telling."""
        for _ in self._reader.read(_Lines(text)):
            pass
        self._take_rows(self._reader.rows())
        self._take_summaries(text)
        return self._new_errors() if b"[ERROR]" in text or b"[FATAL]" in text else []

    def time_range_s(self) -> tuple[float, float]:
        """Return epoch seconds of the first and last line read; NaN before any."""
        return self._reader.time_range_s()

    def moved_since(self, time_s: float) -> Moved:
        """Return what the jobs moved that finished after a time, at most `RECENT_S` ago."""
        return sum((moved for end_s, moved in self._recent if end_s > time_s), Moved())

    def family(self, name: str | None) -> Family:
        """Return what is known of a column family; an unnamed one is the default."""
        return self.families.setdefault(name or "default", Family())

    def _take_rows(self, rows: Rows) -> None:
        for time_s, name, kind, cause, value, rate in rows.stalls:
            family = self.family(name)
            family.warnings[cause, kind] += 1
            self.warnings[cause, kind] += 1
            if cause == "pending_bytes":
                family.pending_bytes, family.pending_told_s = value, time_s
            if rate is not None:
                family.delayed_rate_bytes_per_s = rate
        for state in rows.states:
            self.stalls.decided(*state)
        for row in rows.flushes:
            moved = Moved(flush=row[_FLUSH["output_bytes"]])
            self._take_job(row, _FLUSH, moved)
        for row in rows.compactions:
            read = row[_COMPACTION["input_bytes"]]
            moved = Moved(0, read if type(read) is int else 0, row[_COMPACTION["output_bytes"]])
            self._take_job(row, _COMPACTION, moved)
        for dump in [dump for dump in rows.dumps if not dump.statistics][-1:]:
            self._take_dump(dump)

    def _take_job(self, row: tuple[Any, ...], columns: dict[str, int], moved: Moved) -> None:
        end_s, l0_files = row[columns["end_time_s"]], row[columns["l0_files_after"]]
        if type(l0_files) is int:
            self.family(row[columns["column_family"]]).l0_files = l0_files
        self.moved += moved
        self._recent.append((end_s, moved))
        while self._recent[0][0] < end_s - RECENT_S:
            self._recent.popleft()

    def _take_summaries(self, text: bytes) -> None:
        for found in _FILES.finditer(text):
            begin = text.rfind(b"\n", 0, found.start()) + 1
            summary = _SUMMARY.search(text, begin, found.start())
            if summary is None:
                continue
            family = self.family(summary.group(1).decode("utf-8", "replace"))
            family.l0_files = int(found.group(1))
            if found.group(2) is not None:
                family.pending_bytes = int(found.group(2))
                family.pending_told_s = self.time_range_s()[1]

    def _take_dump(self, dump: DumpText) -> None:
        """Read one stats dump, unless the last one read is as good."""
        told_s = dump.time_s
        if told_s is None or abs(told_s - self._dump_s) < _DUMP_PERIOD_S:
            return
        self._dump_s, rows = told_s, dump_rows([dump])
        for row in rows["database"]:
            bytes_in, span_s = row[_DATABASE["interval_ingest_bytes"]], row[_DATABASE["interval_s"]]
            if bytes_in is not None and span_s:
                self.ingest_bytes_per_s, self.ingest_told_s = bytes_in / span_s, told_s
        for row in rows["families"]:
            pending = row[_FAMILIES["pending_compaction_bytes"]]
            known = self.family(row[_FAMILIES["column_family"]])
            if pending is not None and told_s > (known.pending_told_s or 0.0):
                known.pending_bytes, known.pending_told_s = pending, told_s

    def _new_errors(self) -> list[WarningCount]:
        """Return the kinds of error that are new, or twice as many as when last told."""
        counts = [w for w in self._reader.warning_counts() if w.severity != "warning"]
        fresh = [w for w in counts if w.count >= 2 * self._errors.get((w.severity, w.kind), 0)]
        self._errors.update({(w.severity, w.kind): w.count for w in fresh})
        return fresh


class _Lines:
    """A text as a stream that gives its first line first.

    The reader looks at what it gets first to tell how lines are framed: for a little piece that
    would cost more than all the rest.
    """

    def __init__(self, text: bytes) -> None:
        end = text.find(b"\n") + 1
        self._parts = [part for part in (text[end:], text[:end]) if part]

    def read(self, _: int, /) -> bytes:
        """Return the next part, empty at the end."""
        return self._parts.pop() if self._parts else b""
