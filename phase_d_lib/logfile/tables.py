"""What a LOG says, as tables, and which columns they have."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from phase_d_lib.logfile.stats import StatsTables

FLUSH_COLUMNS = {
    "start_time_s": "float64",
    "end_time_s": "float64",
    "job": "Int64",
    "column_family": "str",
    "reason": "str",
    "entries": "Int64",
    "input_bytes": "Int64",
    "output_bytes": "Int64",
    "l0_files_after": "Int64",
    "immutable_memtables": "Int64",
}
COMPACTION_COLUMNS = {
    "start_time_s": "float64",
    "end_time_s": "float64",
    "job": "Int64",
    "column_family": "str",
    "kind": "str",
    "reason": "str",
    "score": "float64",
    "start_level": "Int64",
    "output_level": "Int64",
    "files_in_start": "Int64",
    "files_in_output": "Int64",
    "input_bytes": "Int64",
    "input_bytes_start": "Int64",
    "input_bytes_output": "Int64",
    "output_bytes": "Int64",
    "moved_bytes": "Int64",
    "output_files": "Int64",
    "compaction_time_s": "float64",
    "cpu_time_s": "float64",
    "subcompactions": "Int64",
    "num_input_records": "Int64",
    "num_output_records": "Int64",
    "l0_files_after": "Int64",
}
STALL_COLUMNS = {
    "time_s": "float64",
    "column_family": "str",
    "kind": "str",
    "cause": "str",
    "value": "Int64",
    "delayed_write_rate_bytes_per_s": "Int64",
}
STATE_COLUMNS = {"time_s": "float64", "column_family": "str", "kind": "str", "cause": "str"}
STORED_COLUMNS = {
    "column_family": "str",
    "files": "Int64",
    "file_bytes": "Int64",
    "filter_bytes": "Int64",
    "key_bytes": "Int64",
    "value_bytes": "Int64",
    "entries": "Int64",
}

CAUSES = ("memtable_limit", "l0_file_limit", "pending_bytes")
"""Why writes are delayed or stopped, in the order RocksDB asks."""


@dataclass(frozen=True)
class SessionStart:
    """One opening of the database.

    Attributes
    ----------
    time_s : float or None
        Epoch seconds of its first line; None when that is not dated.
    session_id : str or None
        RocksDB's own; None before 6.15, which has none.
    product, version : str
        As in ``RocksDB`` and ``9.8.4``; of Speedb its own version.
    base_version : str or None
        RocksDB version a Speedb is made from.
    """

    time_s: float | None
    session_id: str | None
    product: str
    version: str
    base_version: str | None


@dataclass(frozen=True)
class WarningCount:
    """How often a kind of warning or error stands in the LOG.

    Attributes
    ----------
    severity : str
        'warning', 'error' or 'fatal'.
    kind : str
        Its words; numbers and paths are left out.
    count : int
    first_time_s, last_time_s : float or None
        Epoch seconds; None when undated.
    """

    severity: str
    kind: str
    count: int
    first_time_s: float | None
    last_time_s: float | None


@dataclass
class StoredData:
    """What the table files made hold, as their properties tell: sums over the files.

    Attributes
    ----------
    files, entries : int
    file_bytes, filter_bytes, key_bytes, value_bytes : int
        Of the keys 8 bytes an entry are RocksDB's own.
    """

    files: int = 0
    file_bytes: int = 0
    filter_bytes: int = 0
    key_bytes: int = 0
    value_bytes: int = 0
    entries: int = 0


@dataclass(frozen=True, eq=False)
class LogTables:
    """What one LOG, or several of one database, say. Absent tables are empty with their columns.

    Attributes
    ----------
    version : str or None
        RocksDB version of the first session.
    options : dict of str to str
        ``Options.name: value`` lines of the first session; of several column families the first.
    lines, event_lines, skipped_lines : int
        All lines; events read; lines of a kind read here that were damaged.
    first_time_s, last_time_s : float
        Epoch seconds of the first and last dated line; NaN without any.
    flushes : DataFrame
        One row per finished flush: ``start_time_s``, ``end_time_s`` (epoch), ``job``,
        ``column_family``, ``reason``, ``entries``, ``input_bytes`` (memtable data),
        ``output_bytes`` (table files made), ``l0_files_after``, ``immutable_memtables``.
    compactions : DataFrame
        One row per finished compaction, ``kind`` 'merge', 'intra_l0' or 'trivial_move'. Input is
        split into ``_start`` (all levels but the output level) and ``_output``; bytes per level
        are NA when a file is older than the LOG. A trivial move reads and writes nothing; its
        size is ``moved_bytes`` and its start, score, reason and start level are not logged.
    stalls : DataFrame
        One row per warning: ``time_s``, ``column_family``, ``kind`` ('delay', 'stop'), ``cause``
        ('memtable_limit', 'l0_file_limit', 'pending_bytes'), ``value`` (memtables, files or
        bytes), ``delayed_write_rate_bytes_per_s`` (NA for a stop).
    controller : DataFrame
        One row per re-evaluation of the write controller: ``time_s``, ``column_family`` (missing:
        all of them), ``kind`` ('normal', 'delay', 'stop'), ``cause``. See `stall_seconds_by_cause`.
    foreign_lines : int
        Lines of other programs around RocksDB's.
    skipped_at : tuple of (int, int)
        (file, line) of the first skipped lines, counted from 1 in the order of time.
    events : dict of str to int
        Events read, by type.
    column_families : dict of str to dict of str to str
        Options of each column family met; empty where the LOG does not print them.
    sessions : tuple of SessionStart
        Every opening of the database.
    warnings : tuple of WarningCount
        Warnings and errors by kind, the most frequent first.
    stored : DataFrame
        What the table files made hold, as their properties tell: one row a column family with
        the columns of `StoredData`.
    dumps : int
        Stats dumps.
    stats : StatsTables
        What they say.
    """

    version: str | None
    options: dict[str, str]
    lines: int
    event_lines: int
    skipped_lines: int
    first_time_s: float
    last_time_s: float
    flushes: pd.DataFrame
    compactions: pd.DataFrame
    stalls: pd.DataFrame
    controller: pd.DataFrame
    foreign_lines: int
    skipped_at: tuple[tuple[int, int], ...]
    events: dict[str, int]
    column_families: dict[str, dict[str, str]]
    sessions: tuple[SessionStart, ...]
    warnings: tuple[WarningCount, ...]
    stored: pd.DataFrame
    dumps: int
    stats: StatsTables
