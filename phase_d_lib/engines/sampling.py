"""One row per sample, from inside the process that holds the database.

rocksdict keeps Python's lock while a put is stalled, so there sampling happens between puts; a
stall longer than the period shows as a gap, with the true time on both sides. What a version of
RocksDB does not count or tell is None in its column, never 0.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phase_d_lib.host import cpu_times, process_counters
from phase_d_lib.latency import bucket_counts, interval_quantiles_us
from phase_d_lib.statistics import parse_stall_counts, tickers

TICKER_COLUMNS = {
    "rocksdb.bytes.written": "batch_bytes_total",
    "rocksdb.wal.bytes": "wal_bytes_total",
    "rocksdb.flush.write.bytes": "flush_write_bytes_total",
    "rocksdb.compact.read.bytes": "compact_read_bytes_total",
    "rocksdb.compact.write.bytes": "compact_write_bytes_total",
    "rocksdb.bytes.compressed.to": "compressed_to_bytes_total",
    "rocksdb.bytes.compression_bypassed": "compression_bypassed_bytes_total",
    "rocksdb.bytes.compression.rejected": "compression_rejected_bytes_total",
    "rocksdb.stall.micros": "stall_us_total",
}
GAUGE_COLUMNS = {
    "rocksdb.num-files-at-level0": "l0_files",
    "rocksdb.estimate-pending-compaction-bytes": "pending_compaction_bytes",
    "rocksdb.actual-delayed-write-rate": "delayed_write_rate_bytes_per_s",
    "rocksdb.is-write-stopped": "write_stopped",
    "rocksdb.cur-size-all-mem-tables": "memtable_bytes",
    "rocksdb.num-immutable-mem-table": "immutable_memtables",
    "rocksdb.num-running-flushes": "running_flushes",
    "rocksdb.num-running-compactions": "running_compactions",
    "rocksdb.live-sst-files-size": "live_sst_bytes",
}
STALL_COLUMNS = {
    "memtable-limit-delays": "memtable_delays_total",
    "memtable-limit-stops": "memtable_stops_total",
    "l0-file-count-limit-delays": "l0_delays_total",
    "l0-file-count-limit-stops": "l0_stops_total",
    "pending-compaction-bytes-delays": "pending_delays_total",
    "pending-compaction-bytes-stops": "pending_stops_total",
}
# Before 8.1 the stall counts stand only in the text of the column family's statistics.
_STALL_PROPERTIES = ("rocksdb.cf-write-stall-stats", "rocksdb.cfstats-no-file-histogram")


class Sampler:
    """Turns a database's properties and this process's counters into sample rows.

    Parameters
    ----------
    text_property : callable
        Name of a text property -> its text, None where there is none of that name.
    int_property : callable
        Name of an integer property -> its value, None where there is none of that name.
    statistics_text : callable
        No argument -> the statistics dump.
    database : Path, optional
        Directory whose file system is the disk; None samples no disk.
    """

    def __init__(
        self,
        text_property: Callable[[str], str | None],
        int_property: Callable[[str], int | None],
        statistics_text: Callable[[], str | None],
        database: Path | None = None,
    ) -> None:
        self._text_property = text_property
        self._int_property = int_property
        self._statistics_text = statistics_text
        self._database = database
        self._start, self._start_unix_s = time.perf_counter(), time.time()
        self._previous_s = 0.0
        self._sampler_cpu_s = 0.0
        self._ticker_names = list(TICKER_COLUMNS)

    def start(self) -> None:
        """Set time zero of the run."""
        self._start, self._start_unix_s = time.perf_counter(), time.time()
        self._previous_s = 0.0

    def sample(
        self,
        puts: int | None,
        gets: int,
        backlog: int | None,
        put_latencies_us: np.ndarray,
        seen: tuple[float, Mapping[str, float]] | None = None,
    ) -> dict[str, Any]:
        """Take one sample.

        Parameters
        ----------
        puts, gets : int
            Operations finished since the start.
        backlog : int
            Open loop: operations due but not started.
        put_latencies_us : ndarray
            Latencies of the puts finished since the previous sample, microseconds.
        seen : (float, mapping), optional
            Where another process was watched: Unix time at which its counters stood so, and its
            :func:`machine_columns` of that time. None reads this process, now.
        """
        cpu_before = time.thread_time()
        unix_time_s = time.time() if seen is None else seen[0]
        now_s = time.perf_counter() - self._start
        if seen is not None:
            now_s = unix_time_s - self._start_unix_s
        row: dict[str, Any] = {
            "time_s": now_s,
            "gap_s": now_s - self._previous_s,
            "unix_time_s": unix_time_s,
            "puts_total": puts,
            "gets_total": gets,
            "backlog_ops": backlog,
        }
        self._previous_s = now_s
        counters = tickers(self._statistics_text() or "", self._ticker_names)
        row.update({column: counters.get(name) for name, column in TICKER_COLUMNS.items()})
        row.update({column: self._int_property(name) for name, column in GAUGE_COLUMNS.items()})
        stalls = parse_stall_counts(self._stall_text())
        row.update({column: stalls.get(name) for name, column in STALL_COLUMNS.items()})
        row.update(_latency_columns(put_latencies_us))
        row.update(machine_columns() if seen is None else seen[1])
        if self._database is not None:
            row.update(disk_columns(self._database))
        self._sampler_cpu_s += time.thread_time() - cpu_before
        row["sampler_cpu_s_total"] = self._sampler_cpu_s
        return row

    def _stall_text(self) -> str:
        texts = (self._text_property(name) for name in _STALL_PROPERTIES)
        return next((text for text in texts if text), "")


def latency_row(second: int, operation: str, latencies_us: np.ndarray) -> dict[str, Any]:
    """One second's latency histogram as a JSON-able row (bucket -> count)."""
    counts = {str(bucket): count for bucket, count in bucket_counts(latencies_us).items()}
    return {"second": second, "operation": operation, "counts": counts}


def _latency_columns(put_latencies_us: np.ndarray) -> dict[str, float | None]:
    quantiles = interval_quantiles_us(put_latencies_us)
    return {f"put_latency_{name}_us": value for name, value in quantiles.items()}


def machine_columns(pid: int | str = "self") -> dict[str, float]:
    """Counters of the machine and of one process, from /proc."""
    cpu, process = cpu_times(), process_counters(pid)
    return {
        "process_cpu_s_total": process.cpu_s,
        "machine_busy_s_total": cpu.busy_s,
        "machine_steal_s_total": cpu.steal_s,
        "machine_cpu_s_total": cpu.total_s,
        "rss_bytes": process.rss_bytes,
        "io_read_bytes_total": process.io_read_bytes,
        "io_write_bytes_total": process.io_write_bytes,
    }


def disk_columns(folder: Path) -> dict[str, float]:
    """Space on the file system of a directory: free to its user, and in all."""
    disk = os.statvfs(folder)
    return {
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        "disk_total_bytes": disk.f_blocks * disk.f_frsize,
    }
