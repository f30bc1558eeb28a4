"""The kind ``prometheus``: a range query of a RocksDB's metrics, for services that keep no LOG.

Rates are what a counter grew by over the time in which every counter has samples; ratios are per
batch byte, as for db_bench. Each database gets a row of its own, and only a single one's figures
stand for the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import (
    Check,
    Imported,
    agree,
    at_most,
    ratio,
    read_capped_bytes,
)
from phase_d_lib.importers.prometheus_instances import Instance, instances_of
from phase_d_lib.importers.prometheus_names import ambiguity, meaning_of, owned_name
from phase_d_lib.importers.prometheus_text import Series, parse_series
from phase_d_lib.importers.prometheus_window import NoWindowError, Window, window_of
from phase_d_lib.units import MIB, US_PER_S

_WRITES = ("wal_bytes", "flush_bytes", "compact_write_bytes")
_BUILT = ("compressed_bytes", "bypassed_bytes", "rejected_bytes")
_GAP = 1.5
"""Steps without a sample that make a gap."""
_STEPS = 0.05
_CLOSURE = 0.03
_STALL = 0.02
_SLOTS = 0.2


def import_prometheus(paths: Sequence[Path]) -> Imported:
    """Import the answers of one or more range queries of the same time, JSON or CSV.

    Raises
    ------
    InputError
        If a file cannot be read or is no range query, no RocksDB metric that says anything of
        writes is in it, or two metrics tell the same.
    """
    source = ", ".join(map(str, paths))
    series = [one for path in paths for one in parse_series(read_capped_bytes(path), str(path))]
    instances = instances_of(series, source)
    if not instances:
        raise InputError(f"{source}: {_nothing(series)}")
    windows, left_out = _windows(instances, source)
    rows = [{"instance": window.name, **_figures(window)} for window in windows]
    one = len(instances) == 1
    whole = rows[0] if one else dict.fromkeys(rows[0])
    unused = sorted({s.name for s in series if owned_name(s) and not meaning_of(s)})
    checks = [
        check for window in windows for check in _checks(window, "" if one else f"{window.name}: ")
    ]
    return Imported(
        {
            "kind": "prometheus",
            "source": source,
            "rocksdb_version": None,
            "threads": None,
            "micros_per_op": None,
            **whole,
            "instances": [] if one else rows,
            "unused_metrics": unused,
        },
        tuple(checks),
        tuple(left_out + _notes(windows, series, several=not one)),
        names={"unused_metrics": "metric"},
    )


def _windows(instances: Sequence[Instance], source: str) -> tuple[list[Window], list[str]]:
    """Return a window of each database, and why some of several have none."""
    windows, reasons = [], []
    for instance in instances:
        try:
            windows.append(window_of(instance))
        except NoWindowError as reason:
            reasons.append(f"{instance}: left out, {reason}" if len(instances) > 1 else str(reason))
    if not windows:
        raise InputError(f"{source}: {'; '.join(reasons)}"[:500])
    return windows, reasons


def _nothing(series: Sequence[Series]) -> str:
    owned = [one for one in series if owned_name(one)]
    if not owned:
        return f"no RocksDB metric among {', '.join(str(one) for one in series[:3])}"
    names = ", ".join(sorted({one.name for one in owned})[:3])
    return f"no metric of writes among {names}; query rocksdb_bytes_written and its like, too"


def _figures(window: Window) -> dict[str, object]:
    """Return what is printed of one database, None where its metrics do not say."""
    rate, steps_s = window.rate, window.steps_s
    batch, written, read = rate("batch_bytes"), rate("keys_written"), rate("keys_read")
    gaps_s = steps_s[steps_s > _GAP * np.median(steps_s)]
    return {
        "first_time": _utc(window.times_s[0]),
        "last_time": _utc(window.times_s[-1]),
        "seconds": window.seconds,
        "samples": len(window.times_s),
        "step_s": float(np.median(steps_s)),
        "gaps": len(gaps_s),
        "longest_gap_s": float(gaps_s.max()) if len(gaps_s) else 0.0,
        "restarts": window.restarts,
        "ops_per_s": None if written is None or read is None else written + read,
        "write_ops_per_s": written,
        "user_mib_per_s": None,
        "batch_mib_per_s": None if batch is None else batch / MIB,
        **_ledger(window),
        "delayed_sample_fraction": _share(window.gauges["delayed_rate"]),
        "stopped_sample_fraction": _share(window.gauges["stopped"]),
        "l0_files_max": _largest(window.gauges["l0_files"]),
        "pending_compaction_bytes_max": _largest(window.gauges["pending_bytes"]),
    }


def _ledger(window: Window) -> dict[str, object]:
    rate = window.rate
    batch, compaction = rate("batch_bytes"), rate("compact_write_bytes")
    parts = [rate(role) for role in _WRITES]
    known = [part for part in parts if part is not None]
    stalled_us = rate("stall_us")
    busy = _busy_slots(window)
    return {
        "a_w_per_batch_byte": ratio(sum(known), batch) if len(known) == len(parts) else None,
        "a_wal_per_batch_byte": ratio(rate("wal_bytes"), batch),
        "a_flush_per_batch_byte": ratio(rate("flush_bytes"), batch),
        "a_c_per_batch_byte": ratio(compaction, batch),
        "a_cr_per_batch_byte": ratio(rate("compact_read_bytes"), batch),
        "stall_fraction": None if stalled_us is None else stalled_us / US_PER_S,
        "busy_slots": busy,
        "slot_write_bytes_per_s": ratio(compaction, busy),
        "flush_and_compaction_jobs": _jobs(window),
    }


def _busy_slots(window: Window) -> float | None:
    """Return running compactions: by the histogram of their times, else by the sampled gauge."""
    timed = window.rate("compaction_us")
    return window.mean("running_compactions") if timed is None else timed / US_PER_S


def _jobs(window: Window) -> float | None:
    compactions, flushes = window.rate("compaction_us"), window.rate("flush_us")
    if compactions is not None and flushes is not None:
        return (compactions + flushes) / US_PER_S
    return window.mean("running_compactions", "running_flushes")


def _checks(window: Window, where: str) -> list[Check]:
    rate, steps_s = window.rate, window.steps_s
    stepped_s = len(steps_s) * float(np.median(steps_s))
    what = f"{where}samples x their step, and seconds"
    checks = [agree("interval_length", stepped_s, window.seconds, _STEPS, what)]
    flush, compaction = rate("flush_bytes"), rate("compact_write_bytes")
    built = [part for part in map(rate, _BUILT) if part is not None]
    if (
        len(built) == len(_BUILT)
        and sum(built) > 0
        and flush is not None
        and compaction is not None
    ):
        what = f"{where}flush and compaction writes, and bytes out of the block builder, a second"
        checks.append(agree("ledger_closure", flush + compaction, sum(built), _CLOSURE, what))
    stalled_us = rate("stall_us")
    if stalled_us is not None:
        what = f"{where}stalled share, and all the time"
        checks.append(at_most("stall_fraction", stalled_us / US_PER_S, 1.0, _STALL, what))
    timed, sampled = rate("compaction_us"), window.mean("running_compactions")
    if timed is not None and sampled is not None:
        what = f"{where}busy slots by the times of compactions, and by the sampled gauge"
        checks.append(agree("busy_slots", timed / US_PER_S, sampled, _SLOTS, what))
    return checks


def _notes(windows: Sequence[Window], series: Sequence[Series], *, several: bool) -> list[str]:
    notes = []
    if several:
        notes.append("several databases: see 'instances', no rate of the whole is given")
    for window in windows:
        where = f"{window.name}: " if several else ""
        if window.restarts:
            notes.append(
                f"{where}counters fell {window.restarts} time(s), as after a restart: what was "
                "counted between the last sample before and the restart is lost"
            )
        if window.rate("compaction_us") is None and window.mean("running_compactions") is not None:
            samples = len(window.gauges["running_compactions"])
            notes.append(f"{where}busy slots: the mean of {samples} samples of running compactions")
    if any(window.rate("batch_bytes") is not None for window in windows):
        notes.append("user bytes are in no metric: bytes_written counts whole write batches")
    foreign = sum(1 for one in series if owned_name(one) is None)
    if foreign:
        notes.append(f"{foreign} series are no metrics of a RocksDB and were left out")
    return notes + sorted({why for one in series if (why := ambiguity(one)) is not None})


def _share(values: np.ndarray) -> float | None:
    """Return the share of samples above 0."""
    return float((values > 0).mean()) if len(values) else None


def _largest(values: np.ndarray) -> float | None:
    return float(values.max()) if len(values) else None


def _utc(time_s: float) -> str:
    try:
        return datetime.fromtimestamp(float(time_s), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise InputError(f"a time of {time_s:g} s is no Unix time") from None
