"""The statistics RocksDB prints as tables: ``rocksdb.stats``, the dump of db_bench's ``stats``.

Columns are found by name, for versions differ in them. "GB" and "MB" are GiB and MiB there
(``db/internal_stats.cc``), and what it calls compaction includes flushes: the cumulative line, the
``Sum`` row and L0 count both. Only the table by thread priority tells them apart, by the pool that
ran the job: flushes in ``High``, compactions in ``Low`` and ``Bottom``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from phase_d_lib.units import GIB

_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?)"
_TABLE = re.compile(
    r"^\*\* Compaction Stats \[([^\n]{0,200})\] \*\*\n(Level|Priority) ([^\n]{0,1000})\n"
    r"-{1,1000}\n((?: {0,8}\w{1,10} {1,12}\d[^\n]{0,1000}\n)*)",
    re.MULTILINE,
)
_UPTIME = re.compile(rf"^Uptime\(secs\): {_NUMBER} total", re.MULTILINE)
_INGEST = re.compile(rf"^Cumulative writes: [^\n]{{1,300}}ingest: {_NUMBER} GB", re.MULTILINE)
_WAL = re.compile(rf"^Cumulative WAL: [^\n]{{1,300}}written: {_NUMBER} GB", re.MULTILINE)
_STALL = re.compile(rf"^Cumulative stall: [^\n]{{1,100}}, {_NUMBER} percent", re.MULTILINE)
_FLUSH = re.compile(rf"^Flush\(GB\): cumulative {_NUMBER}", re.MULTILINE)
_COMPACTION = re.compile(
    rf"^Cumulative compaction: {_NUMBER} GB write, [^\n]{{1,60}} write, {_NUMBER} GB read",
    re.MULTILINE,
)


@dataclass(frozen=True)
class StatsDump:
    """The last dump of an output; None where it does not say.

    Attributes
    ----------
    families : tuple of str
        Column families with a table; with more than one, the values are the last family's.
    uptime_s : float or None
        Since the database was opened.
    ingest_bytes, wal_bytes : float or None
        Batch bytes written, and bytes of the WAL, of the whole database.
    job_write_bytes, job_read_bytes : float or None
        Of flushes and compactions together; flushes read nothing.
    flush_write_bytes : float or None
    job_s : float or None
        Seconds of flushes and compactions, ``Comp(sec)`` of the ``Sum`` row.
    compaction_s : float or None
        Of compactions alone, from the table by priority.
    stall_fraction : float or None
        Share of the uptime that writers waited.
    """

    families: tuple[str, ...]
    uptime_s: float | None
    ingest_bytes: float | None
    wal_bytes: float | None
    job_write_bytes: float | None
    job_read_bytes: float | None
    flush_write_bytes: float | None
    job_s: float | None
    compaction_s: float | None
    stall_fraction: float | None


def parse_dump(text: str) -> StatsDump | None:
    """Return the last statistics dump of a text, or None if it holds no compaction table."""
    tables = _TABLE.findall(text)
    if not tables:
        return None
    last = {kind: _rows(kind, header, body) for _, kind, header, body in tables}
    wrote, read = _last_gib(_COMPACTION, text, 1), _last_gib(_COMPACTION, text, 2)
    percent = _last(_STALL, text, 1)
    return StatsDump(
        families=tuple(dict.fromkeys(family for family, *_ in tables)),
        uptime_s=_last(_UPTIME, text, 1),
        ingest_bytes=_last_gib(_INGEST, text, 1),
        wal_bytes=_last_gib(_WAL, text, 1),
        job_write_bytes=wrote,
        job_read_bytes=read,
        flush_write_bytes=_last_gib(_FLUSH, text, 1),
        job_s=last.get("Level", {}).get("Sum", {}).get("Comp(sec)"),
        compaction_s=_compaction_seconds(last.get("Priority")),
        stall_fraction=None if percent is None else percent / 100,
    )


def _compaction_seconds(rows: dict[str, dict[str, float]] | None) -> float | None:
    """Return the seconds of the pools that compact; a pool that did nothing has no row."""
    if rows is None:
        return None
    pools = [rows[name] for name in ("Low", "Bottom") if name in rows]
    seconds = [pool["Comp(sec)"] for pool in pools if "Comp(sec)" in pool]
    return float(sum(seconds)) if len(seconds) == len(pools) else None


def _rows(kind: str, header: str, body: str) -> dict[str, dict[str, float]]:
    """Return the numeric columns of a table by row; read from the right, as sizes have a unit."""
    columns = [kind, *header.split()]
    rows: dict[str, dict[str, float]] = {}
    for line in body.splitlines():
        cells = line.split()
        named = zip(reversed(columns), reversed(cells), strict=False)
        rows[cells[0]] = {
            column: float(cell) for column, cell in named if re.fullmatch(_NUMBER, cell)
        }
    return rows


def _last(pattern: re.Pattern[str], text: str, group: int) -> float | None:
    numbers = [float(match[group]) for match in pattern.finditer(text)]
    return numbers[-1] if numbers else None


def _last_gib(pattern: re.Pattern[str], text: str, group: int) -> float | None:
    gib = _last(pattern, text, group)
    return None if gib is None else gib * GIB
