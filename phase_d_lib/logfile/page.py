"""The summary of a LOG as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phase_d_lib.units import GIB, KIB, MIB

_WARNINGS = 12
_LEVEL_COLUMNS = (
    "column_family",
    "level",
    "files",
    "size_bytes",
    "score",
    "write_gb",
    "write_amplification",
    "compaction_s",
    "compactions",
)


def page(record: Mapping[str, Any]) -> str:
    """Return the record of `summarize` as lines of text."""
    parts = (_head, _lines, _stalls, _work, _entries, _counters, _levels, _warnings)
    return "\n".join(line for part in parts for line in part(record))


def _head(record: Mapping[str, Any]) -> Iterator[str]:
    first, last = record["time_range"]
    names = [name for name in record["column_families"] if name]
    yield f"RocksDB {record['version'] or 'of unknown version'}, {record['sessions']} session(s)"
    for start in record["session_starts"][-5:]:
        base = f" (RocksDB {start['base_version']})" if start["base_version"] else ""
        named = f", id {start['session_id']}" if start["session_id"] else ""
        yield f"  {start['time_s'] or '-'}  {start['product']} {start['version']}{base}{named}"
    yield f"time range       {first or '-'} to {last or '-'}"
    yield f"column families  {', '.join(names) or '-'}"


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"lines            {record['lines']:,}: {record['parsed_lines']:,} read, "
        f"{record['skipped_lines']:,} damaged, {record['foreign_lines']:,} of other programs"
    )
    if record["skipped_at"]:
        places = [f"{at['file']}:{at['line']}" for at in record["skipped_at"][:10]]
        yield f"  damaged at file:line {', '.join(places)}"
    events = [f"{name} {count:,}" for name, count in record["events"].items()]
    yield f"events           {', '.join(events) or 'none'}"
    yield f"stats dumps      {record['stats_dumps']:,}"


def _stalls(record: Mapping[str, Any]) -> Iterator[str]:
    yield "stalls           cause, warnings of a slowdown and of a stop, seconds in either"
    for cause, stall in record["stalls"].items():
        yield f"  {cause:15} {stall['slowdown']:8,} {stall['stop']:8,} {stall['seconds']:12,.1f} s"


def _work(record: Mapping[str, Any]) -> Iterator[str]:
    ingest, factor = record["ingest_bytes"], record["write_amplification"]
    yield f"flushed          {size(record['flush_bytes'])} in {record['flushes']:,} flushes"
    yield (
        f"compacted        {size(record['compaction_read_bytes'])} read, "
        f"{size(record['compaction_write_bytes'])} written in {record['compactions']:,} compactions"
    )
    yield f"written by users {'-' if ingest is None else size(ingest) + ' by the stats dumps'}"
    if factor is not None:
        yield f"amplification    {factor:.2f} bytes written a byte flushed"


def _entries(record: Mapping[str, Any]) -> Iterator[str]:
    key, value = record["mean_key_bytes"], record["mean_value_bytes"]
    if key is not None and value is not None:
        yield f"mean entry       key {key:.1f} B, value {value:.1f} B, by the table files made"


def _counters(record: Mapping[str, Any]) -> Iterator[str]:
    cache, bloom = record["cache"], record["filter"]
    if cache is None:
        yield "block cache      no statistics in the LOG"
        return
    found = cache["hit_fraction"]
    shown = "not used" if found is None else f"{found:.1%} of {cache['hits'] + cache['misses']:,}"
    yield f"block cache      hits {shown}"
    useful = bloom["useful_fraction"]
    if useful is None:
        yield "filters          not used"
        return
    wrong = bloom["false_positive_fraction"]
    false = "" if wrong is None else f", false positives {wrong:.2%}"
    yield f"filters          spared {useful:.1%} of look-ups{false}"


def _levels(record: Mapping[str, Any]) -> Iterator[str]:
    rows = record["levels"]
    if not rows:
        return
    yield f"levels at the last stats dump, {rows[0]['time_s'] or 'undated'}"
    table = [[_cell(name, row[name]) for name in _LEVEL_COLUMNS] for row in rows]
    heads = [name.removesuffix("_bytes").replace("_", " ") for name in _LEVEL_COLUMNS]
    widths = [max(map(len, column)) for column in zip(heads, *table, strict=True)]
    for cells in (heads, *table):
        yield "  " + "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    return size(value) if name.endswith("_bytes") else str(value)


def _warnings(record: Mapping[str, Any]) -> Iterator[str]:
    rows = record["warnings"]
    if not rows:
        return
    yield "warnings and errors"
    for row in rows[:_WARNINGS]:
        yield f"  {row['count']:8,}  {row['severity']:7}  {row['kind'][:110]}"
    if len(rows) > _WARNINGS:
        yield f"  and {len(rows) - _WARNINGS} more kinds; --json lists all"


def size(size_bytes: float) -> str:
    """Return a size with the unit that suits it."""
    for unit, unit_bytes in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(size_bytes) >= unit_bytes:
            return f"{size_bytes / unit_bytes:,.1f} {unit}"
    return f"{size_bytes:,.0f} B"
