"""Stats dumps of a LOG: where they stand, and their rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from phase_d_lib.logfile import dumptext
from phase_d_lib.logfile.clock import Clock
from phase_d_lib.logfile.lines import DATE_BYTES, decoded, positions
from phase_d_lib.statistics import parse_histograms, parse_stall_counts, parse_tickers

_DB_STATS = b"** DB Stats **"
_STATISTICS = b"STATISTICS:"
_NEXT_MESSAGE = re.compile(rb"\n\d{4}/\d\d/\d\d-")
_FAMILY_PART = re.compile(r"\n\*\* (Compaction Stats|File Read Latency[^\[\n]*) \[(.*)\] \*\*")
_INT64 = 1 << 63
_DATABASE_BYTES = 1500  # more than the lines of the database itself
TABLES = (
    *("database", "families", "levels", "stall_counts"),
    *("read_latency", "tickers", "histograms"),
)
_LINES_ABOVE = 4  # from the title of a dump to its date


class DumpText(NamedTuple):
    """One message of a stats dump as it stands in the LOG; its rows are made when asked for."""

    number: int
    time_s: float | None
    text: bytes
    statistics: bool
    """Whether it holds tickers and histograms, else the stats of database and families."""


class Dumps:
    """Finds the stats dumps, in local time.

    Attributes
    ----------
    count : int
        Dumps met so far.
    texts : list of DumpText
        Those not yet taken.
    """

    def __init__(self, clock: Clock) -> None:
        self.count = 0
        self.texts: list[DumpText] = []
        self._clock = clock
        self._has_statistics = True

    def read(self, text: bytes) -> None:
        """Find all dumps in a text of whole messages."""
        for at in sorted([*positions(text, _DB_STATS), *positions(text, _STATISTICS)]):
            begin = text.rfind(b"\n", 0, at) + 1
            end = _NEXT_MESSAGE.search(text, at)
            statistics = not text.startswith(_DB_STATS, at)
            if not statistics or self._has_statistics:
                self.count += 1
            self._has_statistics = statistics
            part = text[begin : end.start() + 1 if end else len(text)]
            self.texts.append(DumpText(self.count, self._time_s(text, at), part, statistics))

    def _time_s(self, text: bytes, at: int) -> float | None:
        """Return the time of the dated line at or just above the title of a dump."""
        for _ in range(_LINES_ABOVE):
            begin = text.rfind(b"\n", 0, max(0, at)) + 1
            try:
                return self._clock.local_s(text[begin : begin + DATE_BYTES])
            except ValueError:
                at = begin - 1
        return None


def dump_rows(dumps: Iterable[DumpText]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of dumps by table; each begins with the dump's number and time."""
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    for dump in dumps:
        for name, values in _statistics(dump.text) if dump.statistics else _stats(dump.text):
            rows[name].append((dump.number, dump.time_s, *values))
    return rows


def database_row(dump: DumpText) -> tuple[Any, ...]:
    """Return the row of the table ``database`` of a dump, without number and time."""
    return dumptext.database(decoded(dump.text[:_DATABASE_BYTES]))


def _stats(part: bytes) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield (table, row) of a dump of database and column families."""
    text = decoded(part)
    parts = [*_FAMILY_PART.finditer(text)]
    database = text[: parts[0].start() if parts else None]
    yield "database", dumptext.database(database)
    for pair in _counts(database):
        yield "stall_counts", (None, *pair)
    ends = [*(part.start() for part in parts[1:]), len(text)][: len(parts)]
    # 6.x prints a column family twice, with and without its histograms.
    told: set[tuple[str, str]] = set()
    for found, end in zip(parts, ends, strict=True):
        family, body = found.group(2), text[found.end() : end]
        for table, rows_in in _FAMILY_TABLES.items():
            rows = [(table, (family, *row)) for row in rows_in(body)]
            if rows and (table, family) not in told:
                told.add((table, family))
                yield from rows


def _statistics(part: bytes) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield (table, row) of a dump of tickers and histograms that are not 0."""
    # Most counters of a database are 0: leaving them out here halves the time of a dump.
    alive = b"\n".join([line for line in part.split(b"\n") if line[-4:] != b" : 0"])
    text = decoded(alive)
    for name, value in parse_tickers(text).items():
        if value < _INT64:
            yield "tickers", (name, value)
    for name, h in parse_histograms(text).items():
        if max(h.count, h.sum) < _INT64:
            yield "histograms", (name, h.p50, h.p95, h.p99, h.max, h.count, h.sum)


def _counts(text: str) -> Iterator[tuple[str, int]]:
    """Yield the write stall counters of a text by their later names."""
    counts = parse_stall_counts(text).items()
    yield from (pair for pair in counts if pair[1] < _INT64)


_FAMILY_TABLES: dict[str, Callable[[str], Iterable[tuple[Any, ...]]]] = {
    "levels": dumptext.levels,
    "families": dumptext.family,
    "stall_counts": _counts,
    "read_latency": dumptext.read_latency,
}
"""What may stand in a part of a dump that speaks of one column family."""
