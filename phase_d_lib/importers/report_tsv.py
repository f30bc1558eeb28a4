"""The kind ``report-tsv``: the table ``tools/benchmark.sh`` of RocksDB appends to, a row a test.

What it calls compaction includes flushes (it adds flushes once more for ``w_amp``), so no
amplification of the project's kind can be had from it; what it holds is printed under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import (
    Check,
    Imported,
    agree,
    at_most,
    one_file,
    ratio,
    read_capped,
)
from phase_d_lib.units import KIB, US_PER_S

# Header of report.txt, as benchmark.sh wrote it up to RocksDB 6.
_ALIASES = {
    "ops/sec": "ops_sec",
    "mb/sec": "mb_sec",
    "Size-GB": "lsm_sz",
    "Sum_GB": "c_wgb",
    "W-Amp": "w_amp",
    "W-MB/s": "c_mbps",
    "usec/op": "usec_op",
    "Uptime": "uptime",
    "Stall%": "stall%",
    "Test": "test",
}
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")
_THREADS = re.compile(r"\.t(\d{1,5})(?:\.|$)")
_PERCENTILES = ("p50", "p75", "p99", "p99.9", "p99.99", "pmax")
_TOLERANCE = 0.03


def import_report_tsv(paths: Sequence[Path]) -> Imported:
    """Import one report.tsv.

    Raises
    ------
    InputError
        If it cannot be read, has no header line, or no test in it succeeded.
    """
    path = one_file("report-tsv", paths)
    rows, notes = _rows(read_capped(path), str(path))
    checks = [check for row in rows for check in _checks(row)]
    tests = [_values(row) for row in rows]
    top = tests[0] if len(tests) == 1 else dict.fromkeys(tests[0])
    values = {"kind": "report-tsv", "source": str(path), **top, "tests": tests}
    if len(tests) > 1:
        notes.append(f"holds {len(tests)} tests: see 'tests', no rate of the whole is given")
    return Imported(values, tuple(checks), tuple(notes))


def _rows(text: str, source: str) -> tuple[list[dict[str, str]], list[str]]:
    """Return the tests by column, and what was left out."""
    columns: list[str] | None = None
    rows: list[dict[str, str]] = []
    notes = []
    for number, line in enumerate(text.split("\n"), 1):
        cells = [cell.strip() for cell in line.split("\t")]
        named = [_ALIASES.get(cell, cell) for cell in cells]
        if named[0] in ("ops_sec", "# ops_sec") and "test" in named:
            columns = ["ops_sec", *named[1:]]
        elif not line.strip() or line.startswith("#"):
            continue
        elif columns is None:
            raise InputError(f"{source}: line {number}: no header before it (ops_sec, mb_sec, ...)")
        elif _NUMBER.fullmatch(cells[0]) is None:
            notes.append(f"line {number}: left out, ops_sec is {cells[0][:40]!r}")
        elif len(cells) < columns.index("test") + 1:
            notes.append(f"line {number}: left out, {len(cells)} columns of {len(columns)}")
        else:
            rows.append(dict(zip(columns, cells, strict=False)))
    if not rows:
        raise InputError(f"{source}: no finished test; {'; '.join(notes) or 'empty'}"[:500])
    return rows, notes


def _number(row: dict[str, str], column: str) -> float | None:
    """Return a cell's number; None where the script found none (NA, empty, damaged)."""
    cell = row.get(column, "")
    return float(cell) if _NUMBER.fullmatch(cell) else None


def _values(row: dict[str, str]) -> dict[str, object]:
    rate, stalled, uptime = (_number(row, name) for name in ("ops_sec", "stall%", "uptime"))
    threads = _THREADS.search(row["test"])
    return {
        "test": row["test"],
        "rocksdb_version": row.get("version") or None,
        "threads": int(threads[1]) if threads else None,
        "seconds": uptime,
        "micros_per_op": _number(row, "usec_op"),
        "ops_per_s": rate,
        "write_ops_per_s": rate
        if row["test"].startswith(("fill", "overwrite", "bulkload"))
        else None,
        "user_mib_per_s": None if _is_seconds(row) else _number(row, "mb_sec"),
        "a_w_per_batch_byte": None,
        "a_c_per_batch_byte": None,
        "a_cr_per_batch_byte": None,
        "stall_fraction": None if stalled is None else stalled / 100,
        "busy_slots": None,
        "flush_and_compaction_jobs": ratio(_number(row, "c_wsecs"), uptime),
        "flush_and_compaction_gib": _number(row, "c_wgb"),
        "w_amp_of_script": _number(row, "w_amp"),
        **{f"{name}_us": _number(row, name) for name in _PERCENTILES if name in row},
    }


def _is_seconds(row: dict[str, str]) -> bool:
    """Whether mb_sec is the run time: scripts older than their db_bench took the wrong field.

    db_bench prints MB/s with one decimal and seconds with three.
    """
    return re.fullmatch(r"\d+\.\d{3}", row.get("mb_sec", "")) is not None


def _checks(row: dict[str, str]) -> list[Check]:
    test, checks = row["test"][:60], []
    rate, micros, stalled = (_number(row, name) for name in ("ops_sec", "usec_op", "stall%"))
    uptime, moved, speed = (_number(row, name) for name in ("uptime", "c_wgb", "c_mbps"))
    if rate and micros:
        named = _THREADS.search(test)
        product = rate * micros / US_PER_S
        threads = float(named[1]) if named else float(max(1, round(product)))
        source = "threads of the test's name" if named else "the next whole number of threads"
        what = f"{test}: usec_op x ops_sec / 1e6, and {source}"
        tolerance = _TOLERANCE + 0.05 / micros
        if named or product * tolerance < 0.5:  # beyond, some whole number is always near
            checks.append(agree("threads_latency_rate", product, threads, tolerance, what))
    if uptime and moved and speed:
        what = f"{test}: c_mbps x uptime / 1024, and c_wgb"
        tolerance = _TOLERANCE + 0.05 / speed + 0.5 / uptime + 0.05 / moved
        checks.append(agree("compaction_rate_time", speed * uptime / KIB, moved, tolerance, what))
    if stalled is not None:
        what = f"{test}: stalled share, and all the time"
        checks.append(at_most("stall_fraction", stalled / 100, 1.0, 0.0, what))
    if _is_seconds(row):
        what = f"{test}: mb_sec, and uptime (three decimals: the run time stands in mb_sec)"
        seconds = float(row["mb_sec"])
        checks.append(
            Check(
                "mb_sec",
                False,
                seconds,
                uptime or seconds,
                0.0,
                f"{what}: {seconds:g} and {uptime or seconds:g}",
            )
        )
    return checks + _percentile_check(row, test)


def _percentile_check(row: dict[str, str], test: str) -> list[Check]:
    """Return the first pair of percentiles that descends, or the outermost pair."""
    known = [(name, value) for name in _PERCENTILES if (value := _number(row, name)) is not None]
    if len(known) < 2:
        return []
    falling = [pair for pair in pairwise(known) if pair[0][1] > pair[1][1] + 1]  # both are rounded
    (low, left), (high, right) = falling[0] if falling else (known[0], known[-1])
    what = f"{test}: {low} in microseconds, and {high} at least as long"
    return [at_most("percentiles", left, right, 1 / right if right else 0.0, what)]
