"""The kind ``db_bench``: what db_bench printed, with or without its statistics.

Ratios are per batch byte (``bytes.written``), the basis of published ledgers. RocksDB's counters
belong to the process, so where an output holds several benchmarks they are those of all together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from phase_d_lib.importers.base import Imported, one_file, ratio, read_capped
from phase_d_lib.importers.compaction_table import StatsDump
from phase_d_lib.importers.db_bench_case import case_fragment
from phase_d_lib.importers.db_bench_checks import DEVICE_WRITES, checks_of, report_checks
from phase_d_lib.importers.db_bench_output import Output, parse_output
from phase_d_lib.importers.db_bench_text import DbBenchResult
from phase_d_lib.importers.report_text import is_report, read_report
from phase_d_lib.units import US_PER_S

LEDGER = (
    "a_w_per_batch_byte",
    "a_wal_per_batch_byte",
    "a_flush_per_batch_byte",
    "a_c_per_batch_byte",
    "a_cr_per_batch_byte",
    "stall_fraction",
    "busy_slots",
    "slot_write_bytes_per_s",
    "flush_and_compaction_jobs",
)
"""Figures of the statistics, in the order printed."""
NAMES = {"column_families": "cf"}
"""Fields with names."""


def import_db_bench(paths: Sequence[Path]) -> Imported:
    """Import an output of db_bench, and its report file beside it to check one by the other.

    Raises
    ------
    InputError
        If a file cannot be read, the output has no result line, or there are two outputs.
    """
    texts = {path: read_capped(path) for path in paths}
    reports = [path for path, text in texts.items() if is_report(text)]
    path = one_file("db_bench", [path for path in texts if path not in reports])
    output = parse_output(texts[path], str(path))
    checks = checks_of(output)
    for report in reports:
        checks.extend(report_checks(output, read_report(texts[report], str(report))))
    values, notes = summary(output)
    record = {"kind": "db_bench", "source": str(path), **values}
    return Imported(record, tuple(checks), tuple(notes), case=case_fragment(output), names=NAMES)


def summary(output: Output) -> tuple[dict[str, object], list[str]]:
    """Return what is printed of an output, None where it does not say, and notes on that."""
    chosen, header = output.chosen, output.header
    values: dict[str, object] = {
        "rocksdb_version": header.version,
        "benchmark": chosen and chosen.benchmark,
        "threads": header.threads,
        "seconds": chosen and chosen.seconds,
        "operations": chosen and chosen.operations,
        "micros_per_op": chosen and chosen.micros_per_op,
        "ops_per_s": chosen and chosen.ops_per_s,
        "write_ops_per_s": _write_rate(output),
        "user_mib_per_s": chosen and chosen.mb_per_s,
        **(_counted(output) or _tabled(output.dump)),
        "column_families": None if output.dump is None else list(output.dump.families),
        "benchmarks": [_line(result) for result in output.results],
    }
    return values, _notes(output)


def _write_rate(output: Output) -> float | None:
    if output.chosen is not None and output.writes_only:
        return output.chosen.ops_per_s
    keys = output.counters.get("rocksdb.number.keys.written")
    return ratio(keys, output.wall_s) if output.alone else None


def _counted(output: Output) -> dict[str, object] | None:
    """Return the ledger by the tickers; None without them."""
    get = output.counters.get
    batch = get("rocksdb.bytes.written")
    if batch is None:
        return None
    parts = [get(f"rocksdb.{name}") for name in DEVICE_WRITES]
    wal, flush, compaction = parts
    known = [part for part in parts if part is not None]
    stalled_us = get("rocksdb.stall.micros")
    jobs = output.results[0].histograms.get("rocksdb.compaction.times.micros")
    flushes = output.results[0].histograms.get("rocksdb.db.flush.micros")
    busy_us = None if jobs is None else jobs.sum
    wall_s = None if output.waited else output.wall_s
    figures = (
        ratio(sum(known), batch) if len(known) == len(parts) else None,
        ratio(wal, batch),
        ratio(flush, batch),
        ratio(compaction, batch),
        ratio(get("rocksdb.compact.read.bytes"), batch),
        _per_second(stalled_us, output.writing_s),
        _per_second(busy_us, wall_s),
        ratio(compaction, busy_us and busy_us / US_PER_S),
        _per_second(None if flushes is None or jobs is None else jobs.sum + flushes.sum, wall_s),
    )
    return dict(zip(LEDGER, figures, strict=True))


def _tabled(dump: StatsDump | None) -> dict[str, object]:
    """Return the ledger by a dump's rounded sums, where there are no tickers."""
    if dump is None or len(dump.families) != 1:
        return dict.fromkeys(LEDGER)
    batch, wal, flush = dump.ingest_bytes, dump.wal_bytes, dump.flush_write_bytes
    jobs = dump.job_write_bytes
    compaction = None if jobs is None or flush is None else jobs - flush
    figures = (
        ratio(None if wal is None or jobs is None else wal + jobs, batch),
        ratio(wal, batch),
        ratio(flush, batch),
        ratio(compaction, batch),
        ratio(dump.job_read_bytes, batch),
        dump.stall_fraction,
        ratio(dump.compaction_s, dump.uptime_s),
        ratio(compaction, dump.compaction_s),
        ratio(dump.job_s, dump.uptime_s),
    )
    return dict(zip(LEDGER, figures, strict=True))


def _notes(output: Output) -> list[str]:
    notes = []
    names = ", ".join(result.benchmark for result in output.results)
    if output.chosen is None:
        notes.append(f"holds {names}: no single one that writes, so no rate of the whole is given")
    elif not output.alone:
        notes.append(f"holds {names}: amplification and busy slots are those of all together")
    notes += _dump_notes(output.dump, counted="rocksdb.bytes.written" in output.counters)
    if output.counters.get("rocksdb.blobdb.blob.file.bytes.written"):
        notes.append("blob files were written: not supported, their bytes are in no a_")
    return notes


def _dump_notes(dump: StatsDump | None, *, counted: bool) -> list[str]:
    if counted:
        return []
    if dump is None:
        return ["no statistics, so no amplification; run db_bench with --statistics"]
    if len(dump.families) > 1:
        return [f"{len(dump.families)} column families: not supported"]
    notes = ["amplification from the rounded sums of the stats dump, not from counters"]
    if dump.compaction_s is None:
        notes.append("busy slots: this version's Comp(sec) counts flushes and compactions as one")
    return notes


def _line(result: DbBenchResult) -> dict[str, object]:
    return {
        "benchmark": result.benchmark,
        "micros_per_op": result.micros_per_op,
        "ops_per_s": result.ops_per_s,
        "seconds": result.seconds,
        "operations": result.operations,
        "mib_per_s": result.mb_per_s,
    }


def _per_second(micros: int | None, seconds: float | None) -> float | None:
    return None if micros is None else ratio(micros / US_PER_S, seconds)
