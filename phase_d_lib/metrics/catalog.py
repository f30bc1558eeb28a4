"""Every metric by its Prometheus name, beside the sample column it is read from.

Names follow the exporters that RocksDB users have: the ticker or property name with underscores
after ``rocksdb_``, base units (bytes, seconds) and ``_total`` on counters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from phase_d_lib.monitor import Expectations

_MICRO = 1e-6


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name : str
        As a query writes it, ``_total`` included.
    column : str
        Sample column it is read from.
    factor : float
        Unit of the column in units of the metric.
    """

    name: str
    column: str
    help: str
    labels: dict[str, str] = field(default_factory=dict)
    factor: float = 1.0

    @property
    def kind(self) -> Literal["counter", "gauge"]:
        """Whether it only grows."""
        return "counter" if self.name.endswith("_total") else "gauge"

    @property
    def unit(self) -> str:
        """Base unit in the name, or nothing."""
        base = self.name.removesuffix("_total")
        return next((unit for unit in ("bytes", "seconds") if base.endswith(f"_{unit}")), "")


def _stalls() -> Iterator[Metric]:
    for cause in ("memtable", "l0", "pending"):
        for kind in ("delay", "stop"):
            yield Metric(
                "rocksdb_write_stall_events_total",
                f"{cause}_{kind}s_total",
                "Times the write controller delayed or stopped writes, by cause.",
                {"cause": cause, "kind": kind},
            )


def _latencies() -> Iterator[Metric]:
    for quantile, name in (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"), ("0.999", "p999")):
        yield Metric(
            "rocksdb_put_latency_seconds",
            f"put_latency_{name}_us",
            "Quantiles of the put latency over the last sample interval.",
            {"quantile": quantile},
            _MICRO,
        )


METRICS: tuple[Metric, ...] = (
    Metric("rocksdb_puts_total", "puts_total", "Puts finished."),
    Metric("rocksdb_gets_total", "gets_total", "Gets finished."),
    Metric("rocksdb_bytes_written_total", "batch_bytes_total", "Bytes of write batches."),
    Metric("rocksdb_wal_bytes_total", "wal_bytes_total", "Bytes written to the WAL."),
    Metric(
        "rocksdb_flush_write_bytes_total", "flush_write_bytes_total", "Bytes written by flushes."
    ),
    Metric(
        "rocksdb_compact_read_bytes_total", "compact_read_bytes_total", "Bytes compactions read."
    ),
    Metric(
        "rocksdb_compact_write_bytes_total", "compact_write_bytes_total", "Bytes compactions wrote."
    ),
    Metric(
        "rocksdb_bytes_compressed_to_total",
        "compressed_to_bytes_total",
        "Bytes of blocks after compression.",
    ),
    Metric(
        "rocksdb_bytes_compression_bypassed_total",
        "compression_bypassed_bytes_total",
        "Bytes of blocks written without compression.",
    ),
    Metric(
        "rocksdb_bytes_compression_rejected_total",
        "compression_rejected_bytes_total",
        "Bytes of blocks that compression did not make smaller.",
    ),
    Metric(
        "rocksdb_stall_seconds_total",
        "stall_us_total",
        "Time writers were delayed or stopped, all threads together.",
        factor=_MICRO,
    ),
    *_stalls(),
    Metric("rocksdb_num_files_at_level", "l0_files", "SST files at a level.", {"level": "0"}),
    Metric(
        "rocksdb_estimate_pending_compaction_bytes",
        "pending_compaction_bytes",
        "Compaction debt: bytes compaction must rewrite to bring every level to its target.",
    ),
    Metric(
        "rocksdb_actual_delayed_write_rate_bytes_per_second",
        "delayed_write_rate_bytes_per_s",
        "Rate that delayed writes are held to; 0 when they are not delayed.",
    ),
    Metric("rocksdb_is_write_stopped", "write_stopped", "1 while writes are stopped."),
    Metric(
        "rocksdb_cur_size_all_mem_tables_bytes", "memtable_bytes", "Size of unflushed memtables."
    ),
    Metric(
        "rocksdb_num_immutable_mem_table", "immutable_memtables", "Memtables waiting for a flush."
    ),
    Metric("rocksdb_num_running_flushes", "running_flushes", "Flushes under way."),
    Metric("rocksdb_num_running_compactions", "running_compactions", "Compactions under way."),
    Metric("rocksdb_live_sst_files_size_bytes", "live_sst_bytes", "Size of live SST files."),
    *_latencies(),
    Metric(
        "rocksdb_put_latency_max_seconds",
        "put_latency_max_us",
        "Longest put of the last sample interval.",
        factor=_MICRO,
    ),
    Metric("rocksdb_backlog_puts", "backlog_ops", "Open load: puts due but not started."),
    Metric(
        "rocksdb_process_cpu_seconds_total",
        "process_cpu_s_total",
        "CPU time of the process that holds the database.",
    ),
    Metric(
        "rocksdb_process_resident_memory_bytes", "rss_bytes", "Resident memory of that process."
    ),
    Metric(
        "rocksdb_process_read_bytes_total", "io_read_bytes_total", "Bytes it read from devices."
    ),
    Metric(
        "rocksdb_process_written_bytes_total", "io_write_bytes_total", "Bytes it wrote to devices."
    ),
    Metric(
        "rocksdb_host_cpu_seconds_total", "machine_cpu_s_total", "CPU time of the host, all states."
    ),
    Metric(
        "rocksdb_host_cpu_busy_seconds_total", "machine_busy_s_total", "CPU time the host was busy."
    ),
    Metric(
        "rocksdb_host_cpu_steal_seconds_total",
        "machine_steal_s_total",
        "CPU time the hypervisor took from the host.",
    ),
    Metric("rocksdb_disk_free_bytes", "disk_free_bytes", "Free space where the database lies."),
    Metric("rocksdb_disk_size_bytes", "disk_total_bytes", "Size of that file system."),
    Metric("rocksdb_sample_timestamp_seconds", "unix_time_s", "Unix time of the newest sample."),
    Metric("rocksdb_sample_gap_seconds", "gap_s", "Time between the two newest samples."),
)


def expectation_gauges(expected: Expectations) -> dict[str, tuple[str, float]]:
    """Name -> (help, value) of the limits a run is held against; what nobody stated is absent."""
    options, objective_us = expected.options, expected.put_p999_objective_us
    stated: dict[str, tuple[str, float | None]] = {
        "rocksdb_level0_slowdown_writes_trigger": (
            "Level-0 files at which writes are delayed.",
            options.level0_slowdown_writes_trigger,
        ),
        "rocksdb_level0_stop_writes_trigger": (
            "Level-0 files at which writes stop.",
            options.level0_stop_writes_trigger,
        ),
        "rocksdb_soft_pending_compaction_limit_bytes": (
            "Compaction debt at which writes are delayed; absent when switched off.",
            options.soft_pending_compaction_bytes_limit or None,
        ),
        "rocksdb_hard_pending_compaction_limit_bytes": (
            "Compaction debt at which writes stop; absent when switched off.",
            options.hard_pending_compaction_bytes_limit or None,
        ),
        "rocksdb_put_latency_objective_seconds": (
            "Stated objective of the p99.9 put latency.",
            None if objective_us is None else objective_us * _MICRO,
        ),
        "rocksdb_predicted_puts_per_second_low": (
            "Low end of the active model's 90 % interval of the put rate.",
            expected.put_rate_low_ops_per_s,
        ),
    }
    return {name: (text, float(x)) for name, (text, x) in stated.items() if x is not None}
