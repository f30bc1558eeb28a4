"""The text of one stats dump: database, column families, levels, read latency.

RocksDB rounds what it prints there (0.01 GB, 109K keys); bytes here are of that precision.
Wording: db/internal_stats.cc of RocksDB 6.0 to 11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from phase_d_lib.units import GIB, KIB, MIB

_UNITS = {"B": 1, "KB": KIB, "MB": MIB, "GB": GIB, "TB": KIB * GIB}
_COUNT_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "": 1}
_COUNT = r"(-?\d+(?:\.\d+)?[KMGT]?)"
_SIZE = r"(-?\d+(?:\.\d+)?) ([KMGT]?B)"

DATABASE_VALUES = (
    "writes",
    "keys",
    "commit_groups",
    "ingest_bytes",
    "wal_writes",
    "wal_syncs",
    "wal_bytes",
    "stall_s",
    "stall_percent",
)
_UPTIME = re.compile(r"Uptime\(secs\): ([\d.]+) total, ([\d.]+) interval")
_WRITES = re.compile(
    rf"\n(Cumulative|Interval) writes: {_COUNT} writes, {_COUNT} keys, {_COUNT} [a-z ]+, "
    rf"[^\n]*?ingest: {_SIZE}"
)
_WAL = re.compile(
    rf"\n(Cumulative|Interval) WAL: {_COUNT} writes, {_COUNT} syncs, [^\n]*?written: {_SIZE}"
)
_STALL = re.compile(
    r"\n(Cumulative|Interval) stall: (\d{1,9}):(\d{1,9}):([\d.]+) H:M:S, ([\d.]+) percent"
)
_FLUSH = re.compile(r"\nFlush\(GB\): cumulative ([\d.]+), interval ([\d.]+)")
_ADDED = re.compile(r"\nAddFile\(GB\): cumulative ([\d.]+)")
_COMPACTION = re.compile(
    r"\nCumulative compaction: ([\d.]+) GB write, [^\n]*?([\d.]+) GB read, [^\n]*?([\d.]+) seconds"
)
_PENDING = re.compile(r"\nEstimated pending compaction bytes: (\d{1,18})")
_CACHE = re.compile(rf"\nBlock cache \S+ capacity: {_SIZE}(?:[^\n]*? usage: {_SIZE})?")
_LATENCY = re.compile(
    r"\n\*\* Level (\d+) read latency histogram[^\n]*\n"
    r"Count: (\d{1,18}) +Average: ([\d.]+) +StdDev: ([\d.]+)\s*\n"
    r"Min: (\d{1,18}) +Median: ([\d.]+) +Max: (\d{1,18})\s*\n"
    r"Percentiles: P50: ([\d.]+) P75: ([\d.]+) P99: ([\d.]+) P99.9: ([\d.]+) P99.99: ([\d.]+)"
)

LEVEL_VALUES = {
    "Score": "score",
    "Read(GB)": "read_gb",
    "Rn(GB)": "read_upper_gb",
    "Rnp1(GB)": "read_output_level_gb",
    "Write(GB)": "write_gb",
    "WPreComp(GB)": "write_uncompressed_gb",
    "Wnew(GB)": "write_new_gb",
    "Moved(GB)": "moved_gb",
    "W-Amp": "write_amplification",
    "Rd(MB/s)": "read_mb_per_s",
    "Wr(MB/s)": "write_mb_per_s",
    "Comp(sec)": "compaction_s",
    "CompMergeCPU(sec)": "compaction_cpu_s",
    "Comp(cnt)": "compactions",
    "Avg(sec)": "average_s",
    "KeyIn": "keys_in",
    "KeyDrop": "keys_dropped",
    "Rblob(GB)": "read_blob_gb",
    "Wblob(GB)": "write_blob_gb",
}
"""Columns of the level table by RocksDB's heading; versions print some of them, in any order."""
_COUNTED = frozenset({"compactions", "keys_in", "keys_dropped"})


def database(text: str) -> tuple[Any, ...]:
    """Return uptime, interval and `DATABASE_VALUES`, since the opening and of the interval."""
    values: dict[tuple[str, str], Any] = {}
    for when, writes, keys, groups, size, unit in _WRITES.findall(text):
        for name, number in (("writes", writes), ("keys", keys), ("commit_groups", groups)):
            values[when, name] = count(number)
        values[when, "ingest_bytes"] = _size(size, unit)
    for when, writes, syncs, size, unit in _WAL.findall(text):
        values[when, "wal_writes"], values[when, "wal_syncs"] = count(writes), count(syncs)
        values[when, "wal_bytes"] = _size(size, unit)
    for when, hours, minutes, seconds, percent in _STALL.findall(text):
        values[when, "stall_s"] = int(hours) * 3600 + int(minutes) * 60 + (_real(seconds) or 0.0)
        values[when, "stall_percent"] = _real(percent)
    up = _UPTIME.search(text)
    uptime = (_real(up.group(1)), _real(up.group(2))) if up else (None, None)
    cumulative, interval = (
        tuple(values.get((when, name)) for name in DATABASE_VALUES)
        for when in ("Cumulative", "Interval")
    )
    return (*uptime, *cumulative, *interval)


def family(text: str) -> Iterator[tuple[Any, ...]]:
    """Yield the row of a column family's own lines, where a part of its stats holds them.

    Flushed bytes since the opening and of the interval, bytes of files added, compaction bytes
    written and read and its seconds, pending bytes, block cache capacity and use.
    """
    flush = _FLUSH.search(text)
    if flush is None:
        return
    added, merged = _ADDED.search(text), _COMPACTION.search(text)
    pending, cache = _PENDING.search(text), _CACHE.search(text)
    used = cache is not None and cache.group(3) is not None
    yield (
        _size(flush.group(1), "GB"),
        _size(flush.group(2), "GB"),
        _size(added.group(1), "GB") if added else None,
        _size(merged.group(1), "GB") if merged else None,
        _size(merged.group(2), "GB") if merged else None,
        _real(merged.group(3)) if merged else None,
        int(pending.group(1)) if pending else None,
        _size(cache.group(1), cache.group(2)) if cache else None,
        _size(cache.group(3), cache.group(4)) if cache and used else None,
    )


def levels(text: str) -> Iterator[tuple[Any, ...]]:
    """Yield level, files, files being compacted, bytes and `LEVEL_VALUES` of each row.

    The table by priority has the same columns, but its rows are no levels.
    """
    body = text.lstrip("\r\n")
    if not body.startswith("Level "):
        return
    lines = body.split("\n")
    heads = lines[0].split()
    if heads[:3] != ["Level", "Files", "Size"]:
        return
    names = [LEVEL_VALUES.get(head) for head in heads[3:]]
    for line in lines[1:]:
        cells = line.split()
        if not cells:
            return
        if len(cells) == len(heads) + 1 and "/" in cells[1]:
            yield from _level(cells, names)


def _level(cells: list[str], names: list[str | None]) -> Iterator[tuple[Any, ...]]:
    """Yield the row of one line of the level table; nothing when a cell is damaged."""
    files, _, busy = cells[1].partition("/")
    try:
        values = {
            name: count(cell) if name in _COUNTED else float(cell)
            for name, cell in zip(names, cells[4:], strict=True)
            if name is not None
        }
        row = (cells[0], count(files), count(busy), _size(cells[2], cells[3]))
    except (ValueError, OverflowError):
        return
    yield (*row, *(values.get(name) for name in LEVEL_VALUES.values()))


def read_latency(text: str) -> Iterator[tuple[Any, ...]]:
    """Yield level, count, mean, deviation, least, median, largest and percentiles in microseconds.

    The percentiles are P50, P75, P99, P99.9 and P99.99.
    """
    for level, values, *reals in _LATENCY.findall(text):
        yield (int(level), int(values), *(_real(value) for value in reals))


def count(text: str) -> int | None:
    """Return a count as RocksDB rounds it: ``109K`` is 109,000; None for what is none."""
    unit = text[-1:] if text[-1:] in "KMGT" else ""
    try:
        return _whole(float(text.removesuffix(unit)) * _COUNT_UNITS[unit])
    except (ValueError, OverflowError):
        return None


def _size(number: str, unit: str) -> int | None:
    """Return a size in bytes, None for what is none or out of range."""
    try:
        return _whole(float(number) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        return None


def _whole(number: float) -> int | None:
    """Return a number rounded, None when it does not fit 64 bits."""
    return round(number) if abs(number) < 2.0**63 else None


def _real(text: str) -> float | None:
    """Return a number, None for what is none, such as ``1.2.3``."""
    try:
        return float(text)
    except ValueError:
        return None
