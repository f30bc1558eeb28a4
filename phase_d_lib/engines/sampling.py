"""One row per sample, from inside the process that holds the database.

rocksdict keeps Python's lock while a put is stalled, so sampling happens between puts; a
stall longer than the period shows as a gap, with the true time on both sides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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


class Sampler:
    """Turns a database's properties and this process's counters into sample rows.

    Parameters
    ----------
    text_property : callable
        Name of a text property -> its text.
    int_property : callable
        Name of an integer property -> its value.
    statistics_text : callable
        No argument -> the statistics dump.
    """

    def __init__(
        self,
        text_property: Callable[[str], str | None],
        int_property: Callable[[str], int | None],
        statistics_text: Callable[[], str | None],
    ) -> None:
        self._text_property = text_property
        self._int_property = int_property
        self._statistics_text = statistics_text
        self._start = time.perf_counter()
        self._previous_s = 0.0
        self._sampler_cpu_s = 0.0
        self._ticker_names = list(TICKER_COLUMNS)

    def start(self) -> None:
        """Set time zero of the run."""
        self._start = time.perf_counter()
        self._previous_s = 0.0

    def sample(
        self, puts: int, gets: int, backlog: int, put_latencies_us: np.ndarray
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
        """
        cpu_before = time.thread_time()
        now_s = time.perf_counter() - self._start
        row: dict[str, Any] = {
            "time_s": now_s,
            "gap_s": now_s - self._previous_s,
            "unix_time_s": time.time(),
            "puts_total": puts,
            "gets_total": gets,
            "backlog_ops": backlog,
        }
        self._previous_s = now_s
        counters = tickers(self._statistics_text() or "", self._ticker_names)
        row.update({column: counters.get(name, 0) for name, column in TICKER_COLUMNS.items()})
        row.update(
            {column: self._int_property(name) or 0 for name, column in GAUGE_COLUMNS.items()}
        )
        stalls = parse_stall_counts(self._text_property("rocksdb.cf-write-stall-stats") or "")
        row.update({column: stalls.get(name, 0) for name, column in STALL_COLUMNS.items()})
        row.update(_latency_columns(put_latencies_us))
        row.update(_machine_columns())
        self._sampler_cpu_s += time.thread_time() - cpu_before
        row["sampler_cpu_s_total"] = self._sampler_cpu_s
        return row


def latency_row(second: int, operation: str, latencies_us: np.ndarray) -> dict[str, Any]:
    """One second's latency histogram as a JSON-able row (bucket -> count)."""
    counts = {str(bucket): count for bucket, count in bucket_counts(latencies_us).items()}
    return {"second": second, "operation": operation, "counts": counts}


def _latency_columns(put_latencies_us: np.ndarray) -> dict[str, float | None]:
    quantiles = interval_quantiles_us(put_latencies_us)
    return {f"put_latency_{name}_us": value for name, value in quantiles.items()}


def _machine_columns() -> dict[str, float]:
    cpu, process = cpu_times(), process_counters()
    return {
        "process_cpu_s_total": process.cpu_s,
        "machine_busy_s_total": cpu.busy_s,
        "machine_steal_s_total": cpu.steal_s,
        "machine_cpu_s_total": cpu.total_s,
        "rss_bytes": process.rss_bytes,
        "io_read_bytes_total": process.io_read_bytes,
        "io_write_bytes_total": process.io_write_bytes,
    }
