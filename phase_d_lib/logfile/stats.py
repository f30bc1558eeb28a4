"""Which tables the stats dumps fill, and their columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from phase_d_lib.logfile.dumps import DumpText, dump_rows
from phase_d_lib.logfile.dumptext import DATABASE_VALUES, LEVEL_VALUES
from phase_d_lib.logfile.frames import table

_KEY = {"dump": "Int64", "time_s": "float64"}
_FAMILY = {**_KEY, "column_family": "str"}
_REAL = ("stall_s", "stall_percent")
_WHOLE = ("compactions", "keys_in", "keys_dropped")

STATS_COLUMNS: dict[str, dict[str, str]] = {
    "database": {
        **_KEY,
        "uptime_s": "float64",
        "interval_s": "float64",
        **{
            prefix + name: "float64" if name in _REAL else "Int64"
            for prefix in ("", "interval_")
            for name in DATABASE_VALUES
        },
    },
    "families": {
        **_FAMILY,
        "flush_bytes": "Int64",
        "interval_flush_bytes": "Int64",
        "added_file_bytes": "Int64",
        "compaction_write_bytes": "Int64",
        "compaction_read_bytes": "Int64",
        "compaction_s": "float64",
        "pending_compaction_bytes": "Int64",
        "block_cache_capacity_bytes": "Int64",
        "block_cache_usage_bytes": "Int64",
    },
    "levels": {
        **_FAMILY,
        "level": "str",
        "files": "Int64",
        "files_in_compaction": "Int64",
        "size_bytes": "Int64",
        **{name: "Int64" if name in _WHOLE else "float64" for name in LEVEL_VALUES.values()},
    },
    "stall_counts": {**_FAMILY, "name": "str", "count": "Int64"},
    "read_latency": {
        **_FAMILY,
        "level": "Int64",
        "count": "Int64",
        **dict.fromkeys(("mean_us", "deviation_us", "min_us", "median_us", "max_us"), "float64"),
        **dict.fromkeys(("p50_us", "p75_us", "p99_us", "p99_9_us", "p99_99_us"), "float64"),
    },
    "tickers": {**_KEY, "name": "str", "value": "Int64"},
    "histograms": {
        **_KEY,
        "name": "str",
        **dict.fromkeys(("p50", "p95", "p99", "max"), "float64"),
        "count": "Int64",
        "sum": "Int64",
    },
}
"""Columns and dtypes by table."""


class StatsTables:
    """What the stats dumps say; ``dump`` counts them from 1 and joins the tables.

    Each table is made when it is first asked for.

    Parameters
    ----------
    dumps : list of DumpText
        Times in epoch seconds.

    Attributes
    ----------
    database : DataFrame
        One row a dump: writes, ingest, WAL and stall since the opening and, ``interval_``, since
        the dump before.
    families : DataFrame
        One row a dump and column family: flushed and compacted bytes, pending bytes, block cache.
    levels : DataFrame
        One row a dump, column family and level ('L0' ..., 'Sum', 'Int' for the interval).
    stall_counts : DataFrame
        Write stall counters by their names since 8.1; no column family: of the database.
    read_latency : DataFrame
        One row a dump, column family and level, in microseconds.
    tickers, histograms : DataFrame
        One row a counter that is not 0.
    """

    def __init__(self, dumps: Sequence[DumpText]) -> None:
        self._dumps = dumps
        self._made: dict[str, pd.DataFrame] = {}

    @cached_property
    def _rows(self) -> dict[str, list[tuple[Any, ...]]]:
        return dump_rows(self._dumps)

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name not in STATS_COLUMNS:
            raise AttributeError(name)
        if name not in self._made:
            self._made[name] = table(self._rows[name], STATS_COLUMNS[name], "dump")
        return self._made[name]
