"""What a LOG says, as tables, and which columns they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pandas as pd

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

CAUSES = ("memtable_limit", "l0_file_limit", "pending_bytes")
"""Why writes are delayed or stopped, in the order RocksDB asks."""


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


def table(rows: list[tuple[Any, ...]], columns: Mapping[str, Any], by: str) -> pd.DataFrame:
    """Return rows as a table with these columns and dtypes, in order of the float column `by`."""
    rows = sorted(rows, key=itemgetter(list(columns).index(by)))
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = {
        name: pd.array(list(cells), dtype=dtype)
        for (name, dtype), cells in zip(columns.items(), values, strict=True)
    }
    return pd.DataFrame(arrays, copy=False)
