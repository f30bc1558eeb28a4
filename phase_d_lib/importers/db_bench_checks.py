"""What has to agree inside one db_bench output, and between it and its report file."""

from __future__ import annotations

from phase_d_lib.importers.base import Check, agree, at_most
from phase_d_lib.importers.compaction_table import StatsDump
from phase_d_lib.importers.db_bench_output import WRITES, Output
from phase_d_lib.importers.db_bench_text import DbBenchResult
from phase_d_lib.importers.report_text import Report
from phase_d_lib.units import MIB, US_PER_S

DEVICE_WRITES = ("wal.bytes", "flush.write.bytes", "compact.write.bytes")
"""Tickers of everything RocksDB writes."""
_BUILT = ("bytes.compressed.to", "bytes.compression_bypassed", "bytes.compression.rejected")
# Threads that finish early leave the product short; one thread's never exceeds the wall clock.
_THREADS = 0.03
_RATE = 0.005
_EXACT = 1e-9
_KEYS = 0.001
_CLOSURE = 0.03
_TABLE = 0.02
_WALL_CLOCK_UNTIL = 6


def checks_of(output: Output) -> list[Check]:
    """Return every check the output has the numbers for."""
    checks = [check for result in output.results for check in _line_checks(output, result)]
    checks += [check for result in output.results for check in _record_check(output, result)]
    checks += _write_checks(output) + _ledger_checks(output) + _share_checks(output)
    if output.dump is not None and len(output.dump.families) == 1:
        checks += _table_checks(output, output.dump)
    return checks


def report_checks(output: Output, report: Report) -> list[Check]:
    """Compare a report file with the output of its run.

    The file is written anew by every benchmark, so it belongs to the last; its reporter ends
    without the part of an interval that was running.
    """
    last = output.results[-1]
    if last.operations is None or "while" in last.benchmark:  # also counts the side thread
        return []
    total, missing = float(last.operations), last.operations - report.operations
    longest = max(report.interval_ops, default=0)
    name, where = (
        "intervals_sum",
        f"operations of the report file's intervals and of {last.benchmark}",
    )
    if 0 <= missing <= 1.5 * longest:
        tolerance = 1.5 * longest / total if total else 0.0
        return [agree(name, report.operations, total, tolerance, where)]
    return [agree(name, report.operations, total, 0.0, where)]


def _line_checks(output: Output, result: DbBenchResult) -> list[Check]:
    """Threads x latency x rate, rate x time, of one result line."""
    checks, who = [], result.benchmark
    if result.ops_per_s > 0 and result.micros_per_op > 0:
        threads = result.micros_per_op * result.ops_per_s / US_PER_S
        asked = 1 if _wall_clock(output.header.version) else output.header.threads
        expected = float(asked or max(1, round(threads)))
        rounding = 0.5 / result.ops_per_s + 0.0005 / result.micros_per_op
        source = "threads" if asked else "the next whole number of threads"
        what = f"{who}: micros/op x ops/s / 1e6, and {source}"
        if asked or threads * _THREADS < 0.5:  # beyond, some whole number is always near
            tolerance = _THREADS + rounding
            checks.append(agree("threads_latency_rate", threads, expected, tolerance, what))
    if result.seconds and result.operations is not None:
        made = result.operations / result.seconds
        rounding = 1 / made + 0.0005 / result.seconds if made else 0.0
        what = f"{who}: operations / seconds, and ops/s"
        checks.append(agree("rate_time", made, result.ops_per_s, _RATE + rounding, what))
    return checks


def _record_check(output: Output, result: DbBenchResult) -> list[Check]:
    """The header's record size against the two rates, where every operation puts one record."""
    size = output.header.record_bytes
    puts = result.benchmark in WRITES and result.benchmark.startswith(("fill", "overwrite"))
    if not size or not result.mb_per_s or not puts or result.benchmark == "fill100K":
        return []
    made = size * result.ops_per_s / MIB
    tolerance = _RATE + 0.05 / result.mb_per_s + 1 / max(result.ops_per_s, 1.0)
    what = f"{result.benchmark}: record of the header x ops/s in MiB/s, and MB/s"
    return [agree("record_rate", made, result.mb_per_s, tolerance, what)]


def _wall_clock(version: str | None) -> bool:
    return version is not None and int(version.split(".")[0]) < _WALL_CLOCK_UNTIL


def _write_checks(output: Output) -> list[Check]:
    """What a lone writing benchmark shares with the counters: keys, bytes, time in writes."""
    result, get = output.chosen, output.counters.get
    if result is None or not output.alone or not output.writes_only:
        return []
    checks: list[Check] = []
    keys, batch = get("rocksdb.number.keys.written"), get("rocksdb.bytes.written")
    if keys is not None and result.operations is not None:
        what = "keys written, and operations"
        checks.append(agree("keys_written", keys, result.operations, _KEYS, what))
    if batch and result.mb_per_s and result.seconds:
        user = result.mb_per_s * MIB * result.seconds
        rounding = 0.05 / result.mb_per_s
        what = "user bytes (MB/s x seconds), and batch bytes at least as many"
        checks.append(at_most("user_bytes", user, batch, _RATE + rounding, what))
    writes = result.histograms.get("rocksdb.db.write.micros")
    if writes is not None and writes.count and result.operations:
        spent = result.micros_per_op * result.operations
        what = "microseconds in writes, and in operations at least as many"
        checks.append(at_most("write_time", writes.sum, spent, _RATE, what))
    return checks


def _ledger_checks(output: Output) -> list[Check]:
    """Bytes that two counters hold, and writes against what the block builder let out."""
    get, checks = output.counters.get, []
    flush, compaction = get("rocksdb.flush.write.bytes"), get("rocksdb.compact.write.bytes")
    built = [get(f"rocksdb.{name}") for name in _BUILT]
    out = sum(part for part in built if part is not None)
    # Without its bypassed bytes, an older version cannot say what it wrote uncompressed.
    if None not in built and out and flush is not None and compaction is not None:
        what = "flush and compaction writes, and bytes out of the block builder"
        checks.append(agree("ledger_closure", flush + compaction, out, _CLOSURE, what))
    pairs = (
        ("batch_bytes", "rocksdb.bytes.per.write", "rocksdb.bytes.written", "batch bytes"),
        ("stall_time", "rocksdb.db.write.stall", "rocksdb.stall.micros", "stalled microseconds"),
    )
    for name, histogram, ticker, what in pairs:
        summed, counted = output.results[0].histograms.get(histogram), get(ticker)
        if summed is not None and summed.count and counted is not None:
            told = f"{what} by histogram, and by ticker"
            checks.append(agree(name, summed.sum, counted, _EXACT, told))
    return checks


def _share_checks(output: Output) -> list[Check]:
    """Shares between 0 and 1, percentiles that ascend."""
    checks, stalled = [], output.counters.get("rocksdb.stall.micros")
    if stalled is not None and output.writing_s:
        share = stalled / US_PER_S / output.writing_s
        checks.append(at_most("stall_fraction", share, 1.0, 0.0, "stalled share, and all the time"))
    if output.dump is not None and output.dump.stall_fraction is not None:
        share = output.dump.stall_fraction
        checks.append(
            at_most("stall_percent", share, 1.0, 0.0, "stalled share of the dump, and all")
        )
    histograms = output.results[0].histograms
    if histograms:
        wrong = [name for name, h in histograms.items() if not h.p50 <= h.p95 <= h.p99 <= h.max]
        named = f" ({wrong[0]})" if wrong else ""
        what = f"histograms whose percentiles do not ascend{named}, and how many may"
        checks.append(agree("percentiles", len(wrong), 0, 0.0, what))
    return checks


def _table_checks(output: Output, dump: StatsDump) -> list[Check]:
    """The dump's rounded sums against the counters, which go on until the process ends."""
    counters, histograms = output.counters, output.results[0].histograms
    bytes_by_ticker = [counters.get(f"rocksdb.{name}") for name in DEVICE_WRITES[1:]]
    jobs = [
        histograms.get(f"rocksdb.{name}") for name in ("compaction.times.micros", "db.flush.micros")
    ]
    seconds = [job.sum / US_PER_S for job in jobs if job is not None]
    known = [part for part in bytes_by_ticker if part is not None]
    pairs = (
        ("table_writes", dump.job_write_bytes, known, "bytes flushed and compacted"),
        ("table_reads", dump.job_read_bytes, [counters.get("rocksdb.compact.read.bytes")], "bytes"),
        ("table_ingest", dump.ingest_bytes, [counters.get("rocksdb.bytes.written")], "batch bytes"),
        ("table_seconds", dump.job_s, seconds, "seconds of flushes and compactions"),
    )
    needed = {"table_writes": 2, "table_seconds": 2}
    return [
        _by_table(name, table, sum(part for part in parts if part is not None), what)
        for name, table, parts, what in pairs
        if table is not None
        and len([part for part in parts if part is not None]) == needed.get(name, 1)
    ]


def _by_table(name: str, table: float, counted: float, what: str) -> Check:
    # "%.2f GB" and "%.2f" seconds leave out up to half of their last digit.
    digit = 0.005 * 2**30 if name != "table_seconds" else 0.05
    larger = max(abs(table), abs(counted))
    tolerance = _TABLE + (digit / larger if larger else 0.0)
    return agree(name, table, counted, tolerance, f"{what} by the stats dump, and by the counters")
