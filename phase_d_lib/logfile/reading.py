"""Whole LOGs as tables."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

from phase_d_lib.logfile.files import in_order, log_files, opened
from phase_d_lib.logfile.frames import table
from phase_d_lib.logfile.reader import LogReader
from phase_d_lib.logfile.stats import StatsTables
from phase_d_lib.logfile.tables import (
    COMPACTION_COLUMNS,
    FLUSH_COLUMNS,
    STALL_COLUMNS,
    STATE_COLUMNS,
    STORED_COLUMNS,
    LogTables,
)


def read_log(path: str | Path, *more: str | Path) -> LogTables:
    """Read a LOG, or all LOG files of one database, in any order.

    Parameters
    ----------
    path, *more : str or Path
        Files such as ``LOG`` and ``LOG.old.1700000000000000``, plain or gzip, or another
        program's log that carries RocksDB's lines; of a directory its LOG and LOG.old.*.

    Raises
    ------
    InputError
        If a file cannot be opened. What a file holds never raises.
    """
    reader = LogReader()
    for file in in_order(log_files((path, *more))):
        with opened(file) as stream:
            for _ in reader.read(stream):
                pass
    return tables_of(reader)


def tables_of(reader: LogReader) -> LogTables:
    """Return everything read, in order of time."""
    rows = reader.rows()
    first_s, last_s = reader.time_range_s()
    sessions = reader.sessions
    return LogTables(
        version=sessions.version,
        options=sessions.options,
        lines=reader.lines,
        event_lines=sum(reader.events.counts.values()),
        skipped_lines=reader.damage.lines,
        first_time_s=first_s,
        last_time_s=last_s,
        flushes=table(rows.flushes, FLUSH_COLUMNS, "end_time_s"),
        compactions=table(rows.compactions, COMPACTION_COLUMNS, "end_time_s"),
        stalls=table(rows.stalls, STALL_COLUMNS, "time_s"),
        controller=table(rows.states, STATE_COLUMNS, "time_s"),
        foreign_lines=reader.foreign_lines,
        skipped_at=tuple(reader.damage.numbers),
        events=dict(reader.events.counts),
        column_families=reader.column_families(),
        sessions=reader.session_starts(),
        warnings=reader.warning_counts(),
        stored=table(
            [(family, *astuple(data)) for family, data in reader.jobs.data.items()],
            STORED_COLUMNS,
            "files",
        ),
        dumps=reader.dumps.count,
        stats=StatsTables(rows.dumps),
    )
