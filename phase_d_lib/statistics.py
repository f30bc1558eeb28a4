"""RocksDB's statistics text: tickers, histograms and write stall counts.

The text is the same from ``Options.get_statistics()``, from db_bench's ``STATISTICS`` block and
from a LOG dump: one line per counter, in an order the version fixes. Nothing here reads a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NAME = r"^[ \t]*([\w.-]+)"  # a LOG dump has a blank before its first line
_TICKER = re.compile(_NAME + r" COUNT : (\d{1,20})[ \t\r]*$", re.MULTILINE)
_NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_HISTOGRAM = re.compile(
    _NAME
    + rf" P50 : {_NUMBER} P95 : {_NUMBER} P99 : {_NUMBER} P100 : {_NUMBER}"
    + r" COUNT : (\d{1,20}) SUM : (\d{1,20})[ \t\r]*$",
    re.MULTILINE,
)

_STALL_LINE = re.compile(r"Write Stall \(count\): (.*)")
_STALL_ENTRY = re.compile(r"([a-z][a-z0-9-]*): (\d{1,20})(?=,|\s|$)")
_OLD_STALL_LINE = re.compile(r"Stalls\(count\): (.*)")
_OLD_STALL_ENTRY = re.compile(r"(\d{1,20}) ([a-z][a-z0-9_ ]*?)(?=,|\s*$)")

# Names of RocksDB up to 8.0 (db/internal_stats.cc) and what 8.1 calls the same counter.
_NEW_STALL_NAMES = {
    "level0_slowdown": "l0-file-count-limit-delays",
    "level0_slowdown_with_compaction": "cf-l0-file-count-limit-delays-with-ongoing-compaction",
    "level0_numfiles": "l0-file-count-limit-stops",
    "level0_numfiles_with_compaction": "cf-l0-file-count-limit-stops-with-ongoing-compaction",
    "stop for pending_compaction_bytes": "pending-compaction-bytes-stops",
    "slowdown for pending_compaction_bytes": "pending-compaction-bytes-delays",
    "memtable_compaction": "memtable-limit-stops",
    "memtable_slowdown": "memtable-limit-delays",
}
_CAUSES = ("l0-file-count-limit", "memtable-limit", "pending-compaction-bytes")


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram since the database was opened, in the unit its name ends in.

    Attributes
    ----------
    p50, p95, p99 : float
        Percentiles, interpolated by RocksDB inside its buckets.
    max : float
        Largest value seen.
    count, sum : int
        Number of values and their sum.
    """

    p50: float
    p95: float
    p99: float
    max: float
    count: int
    sum: int


def parse_tickers(text: str) -> dict[str, int]:
    """Return every ticker of a statistics text by its full name.

    Histograms and lines that are no ticker are passed over; of a name that occurs twice (two
    dumps in one text) the last value counts.
    """
    return {name: int(count) for name, count in _TICKER.findall(text)}


def parse_histograms(text: str) -> dict[str, Histogram]:
    """Return every histogram of a statistics text by its full name; the last of a name counts."""
    return {
        name: Histogram(float(p50), float(p95), float(p99), float(top), int(count), int(total))
        for name, p50, p95, p99, top, count, total in _HISTOGRAM.findall(text)
    }


def tickers(text: str, names: Iterable[str]) -> dict[str, int]:
    """Return only the named tickers of a statistics text, at a sampler's speed.

    Parameters
    ----------
    text : str
        Statistics text, each counter on its own line.
    names : iterable of str
        Full ticker names. In the order RocksDB prints them, the text is searched once for all of
        them; any other order is only slower.

    Returns
    -------
    dict of str to int
        In the order asked. A ticker this version of RocksDB does not have (or a truncated text
        lost) is absent, not 0.
    """
    found: dict[str, int] = {}
    position = 0
    for name in names:
        label = name + " COUNT : "
        start = _line_start(text, label, position)
        if start < 0 and position:
            start = _line_start(text, label, 0)
        if start < 0:
            continue
        end = text.find("\n", start)
        number = text[start + len(label) : end if end >= 0 else None]
        if number.strip().isdecimal():
            found[name] = int(number)
            position = end if end >= 0 else 0
    return found


def _line_start(text: str, label: str, position: int) -> int:
    """Return where the line that begins with `label` begins, or -1; `position` is a line end."""
    if position == 0 and text.startswith(label):
        return 0
    start = text.find("\n" + label, position)
    return start + 1 if start >= 0 else -1


def parse_stall_counts(text: str) -> dict[str, int]:
    """Return how often the write controller delayed or stopped writes, by cause.

    Reads the properties ``rocksdb.cf-write-stall-stats`` and ``rocksdb.db-write-stall-stats`` and
    the same lines of a LOG dump: ``Write Stall (count): ...`` (8.1 and later) and
    ``Stalls(count): ...`` (before), whose counters come back under the later names.

    Returns
    -------
    dict of str to int
        For example ``l0-file-count-limit-delays``, ``memtable-limit-stops``, ``total-delays``.
        Counted are re-evaluations that found a stall, not time. Of several dumps the last counts;
        a text without such a line gives an empty dict.
    """
    counts: dict[str, int] = {}
    for line in _OLD_STALL_LINE.findall(text):
        for count, name in _OLD_STALL_ENTRY.findall(line):
            if name in _NEW_STALL_NAMES:
                counts[_NEW_STALL_NAMES[name]] = int(count)
    if counts:
        for kind in ("delays", "stops"):
            counts[f"total-{kind}"] = sum(counts.get(f"{cause}-{kind}", 0) for cause in _CAUSES)
    for line in _STALL_LINE.findall(text):
        counts.update((name, int(count)) for name, count in _STALL_ENTRY.findall(line))
    return counts
