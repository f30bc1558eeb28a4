"""A LOG on one page: what it says in sum, as one record for people and for machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phase_d_lib.errors import InputError
from phase_d_lib.logfile.files import in_order, log_files, opened
from phase_d_lib.logfile.parquet import ParquetFolder
from phase_d_lib.logfile.reader import LogReader
from phase_d_lib.logfile.stats import STATS_COLUMNS
from phase_d_lib.logfile.tables import StoredData
from phase_d_lib.logfile.totals import Totals
from phase_d_lib.redaction import Redactor

_ENTRY_TAG_BYTES = 8  # sequence number and type, which RocksDB counts to the key


@dataclass(frozen=True)
class Summary:
    """What LOG files say in sum.

    Attributes
    ----------
    record : dict
        The object of ``phase-d log --json``; docs/log.md explains its fields.
    hosts, database_ids : tuple of str
        Names met in headers, for redaction.
    """

    record: dict[str, Any]
    hosts: tuple[str, ...]
    database_ids: tuple[str, ...]


def stream_to_parquet(paths: Iterable[str | Path], folder: Path) -> Summary:
    """Write the tables of LOG files to Parquet in memory that does not grow with them.

    Parameters
    ----------
    paths : iterable of str or Path
        As for `read_log`.
    folder : Path
        An existing directory, for one file a table.

    Raises
    ------
    InputError
        If a file cannot be opened or none holds a line of RocksDB's.
    """
    return summarize(paths, folder)


def summarize(
    paths: Iterable[str | Path],
    parquet: Path | None = None,
    family_name: Callable[[str], str] = str,
) -> Summary:
    """Read LOG files once and return what they say in sum.

    Parameters
    ----------
    paths : iterable of str or Path
        As for `read_log`.
    parquet : Path, optional
        An existing directory to write the tables to.
    family_name : callable
        What to write there for the name of a column family.

    Raises
    ------
    InputError
        If a file cannot be opened or none holds a line of RocksDB's.
    """
    files = in_order(log_files(paths))
    reader, totals = LogReader(), Totals()
    if parquet is None:
        _read(reader, files, totals.add)
    else:
        with ParquetFolder(parquet, family_name) as tables:
            _read(reader, files, totals.add, tables.add)
    if not reader.is_log:
        raise InputError(f"{files[0]}: no line of a RocksDB LOG found; name a LOG file")
    totals.finish(reader.time_range_s()[1])
    return Summary(
        _record(reader, totals), tuple(reader.sessions.hosts), tuple(reader.sessions.database_ids)
    )


def redacted(summary: Summary, redactor: Redactor) -> dict[str, Any]:
    """Return the record of a summary without names that tell whose LOG it is."""
    record = summary.record
    starts = record["session_starts"]
    redactor.know("cf", record["column_families"])
    redactor.know("host", summary.hosts)
    redactor.know("db", summary.database_ids)
    redactor.know("session", (s["session_id"] for s in starts if s["session_id"]))

    def texts(values: Mapping[str, str]) -> dict[str, str]:
        return {name: redactor.text(value) for name, value in values.items()}

    def families(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**row, "column_family": row["column_family"] and redactor.text(row["column_family"])}
            for row in rows
        ]

    return {
        **record,
        "session_starts": [
            {**s, "session_id": s["session_id"] and redactor.text(s["session_id"])} for s in starts
        ],
        "levels": families(record["levels"]),
        "stall_counts": families(record["stall_counts"]),
        "warnings": [{**w, "kind": redactor.text(w["kind"])} for w in record["warnings"]],
        "column_families": {
            redactor.name("cf", name): texts(options)
            for name, options in record["column_families"].items()
        },
        "options": texts(record["options"]),
    }


def _read(reader: LogReader, files: Iterable[Path], *takers: Callable[[Any], None]) -> None:
    for file in files:
        with opened(file) as stream:
            for _ in reader.read(stream):
                rows = reader.rows(final=False)
                for take in takers:
                    take(rows)
    rows = reader.rows()
    for take in takers:
        take(rows)


def _record(reader: LogReader, totals: Totals) -> dict[str, Any]:
    skipped = reader.damage.lines
    written = totals.flush_bytes + totals.compaction_write_bytes
    return {
        "version": reader.sessions.version,
        "sessions": len(reader.sessions.all),
        "session_starts": [
            {**asdict(start), "time_s": _iso(start.time_s)} for start in reader.session_starts()
        ],
        "time_range": [_iso(time_s) for time_s in reader.time_range_s()],
        "lines": reader.lines,
        "parsed_lines": reader.lines - skipped - reader.foreign_lines,
        "skipped_lines": skipped,
        "foreign_lines": reader.foreign_lines,
        "skipped_at": [{"file": file, "line": line} for file, line in reader.damage.numbers],
        "events": dict(sorted(reader.events.counts.items())),
        "stalls": totals.stalls,
        "stats_dumps": reader.dumps.count,
        "flushes": totals.flushes,
        "compactions": totals.compactions,
        "flush_bytes": totals.flush_bytes,
        "compaction_read_bytes": totals.compaction_read_bytes,
        "compaction_write_bytes": totals.compaction_write_bytes,
        "moved_bytes": totals.moved_bytes,
        "ingest_bytes": totals.ingest_bytes if "database" in totals.last else None,
        "write_amplification": _ratio(written, totals.flush_bytes),
        **_entries(reader.jobs.data),
        **_counters(totals),
        "levels": _rows_of(totals, "levels"),
        "stall_counts": _rows_of(totals, "stall_counts"),
        "database": _rows_of(totals, "database")[:1],
        "histograms": _rows_of(totals, "histograms"),
        "warnings": [asdict(warning) for warning in reader.warning_counts()],
        "column_families": reader.column_families(),
        "options": reader.sessions.options,
    }


def _entries(data: Mapping[str, StoredData]) -> dict[str, Any]:
    """Return the mean entry over the table files made."""
    entries = sum(stored.entries for stored in data.values())
    keys = sum(stored.key_bytes for stored in data.values())
    key_bytes = _ratio(keys, entries)
    return {
        "mean_key_bytes": None if key_bytes is None else max(0.0, key_bytes - _ENTRY_TAG_BYTES),
        "mean_value_bytes": _ratio(sum(stored.value_bytes for stored in data.values()), entries),
        "table_files": sum(stored.files for stored in data.values()),
        "table_file_bytes": sum(stored.file_bytes for stored in data.values()),
        "filter_bytes": sum(stored.filter_bytes for stored in data.values()),
    }


def _counters(totals: Totals) -> dict[str, Any]:
    """Return block cache and filter by the last dump's tickers; None without such a dump."""
    if "tickers" not in totals.last:
        return {"cache": None, "filter": None}
    values = {row[2]: row[3] for row in totals.last["tickers"]}
    hits, misses = (values.get(f"rocksdb.block.cache.{what}", 0) for what in ("hit", "miss"))
    useful = values.get("rocksdb.bloom.filter.useful", 0)
    positive = values.get("rocksdb.bloom.filter.full.positive", 0)
    true_positive = values.get("rocksdb.bloom.filter.full.true.positive", 0)
    wrong = positive - true_positive
    return {
        "cache": {"hits": hits, "misses": misses, "hit_fraction": _ratio(hits, hits + misses)},
        "filter": {
            "useful": useful,
            "positive": positive,
            "true_positive": true_positive,
            "useful_fraction": _ratio(useful, useful + positive),
            "false_positive_fraction": _ratio(wrong, useful + wrong),
        },
    }


def _rows_of(totals: Totals, name: str) -> list[dict[str, Any]]:
    """Return a table of the last stats dump as records, with its time in ISO 8601."""
    rows = [dict(zip(STATS_COLUMNS[name], row, strict=True)) for row in totals.last.get(name, ())]
    return [{**row, "time_s": _iso(row["time_s"])} for row in rows]


def _iso(time_s: float | None) -> str | None:
    """Return epoch seconds as ISO 8601 in UTC."""
    if time_s is None or not math.isfinite(time_s):
        return None
    try:
        return datetime.fromtimestamp(time_s, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
