"""The alert rules, one entry each: pure functions of recent samples, live or recorded.

A rule compares one signal with one limit. A rule whose column a sample lacks, or whose limit nobody
stated, stays inactive and says so; a signal that can't tell neither opens nor closes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from phase_d_lib.monitor import signals
from phase_d_lib.monitor.result import AlertKind, Severity
from phase_d_lib.monitor.signals import Expectations, Row, Signal
from phase_d_lib.validity import MAX_STEAL_FRACTION, MAX_WRITE_CLOSURE_ERROR

NEAR_FRACTION = 0.8
CLOSE_NEAR_FRACTION = 0.7
"""Below this share of a trigger the alert of nearing it may close."""
DISK_FULL_IN_S = 3600.0
MIN_FREE_FRACTION = 0.05
Limit = Callable[[Expectations], float | None]


@dataclass(frozen=True)
class Rule:
    """One alert rule.

    Attributes
    ----------
    needs : tuple of str
        Sample columns without which the rule stays inactive.
    signal : callable
        What is compared with the limit.
    limit : callable
        Expectations -> the value at which the alert opens, or None where none is stated.
    close_limit : callable, optional
        Expectations -> the value at which it may close; None is `limit` itself.
    below : bool
        Whether small values are the bad ones.
    held_by : str
        Gauge that keeps an open alert open while it is not zero; empty for none.
    """

    kind: AlertKind
    cause: str
    severity: Severity
    needs: tuple[str, ...]
    signal: Signal
    limit: Limit
    action: str
    close_limit: Limit | None = None
    below: bool = False
    held_by: str = ""
    unstated: str = "no limit stated"

    def inactive_because(self, row: Row, expected: Expectations) -> str | None:
        """Why the rule can't watch samples like this one; None when it can."""
        missing = [name for name in self.needs if name not in row]
        if missing:
            return f"no column {', '.join(missing)}"
        return self.unstated if self.limit(expected) is None else None

    def holds(self, value: float, row: Row, expected: Expectations, *, is_open: bool) -> bool:
        """Whether the alert opens, or stays open, at this value."""
        limit = self.limit(expected)
        if is_open and self.close_limit is not None:
            limit = self.close_limit(expected)
        if limit is None:
            return False
        beyond = value <= limit if self.below else value >= limit
        return beyond or (is_open and bool(row.get(self.held_by)))


_STOP_ACTIONS = {
    "memtable": "Flushes lag behind: check the device, then raise max_write_buffer_number.",
    "l0": "Level 0 is full: give compactions more slots or bandwidth, or lower the put rate.",
    "pending": "Compaction debt hit the hard limit: lower the put rate until it is paid.",
}
_SLOWDOWN_ACTIONS = {
    "memtable": "Flushes barely keep up: check the device and max_background_jobs.",
    "l0": "Level 0 fills faster than it is compacted: compare the put rate with S_max.",
    "pending": "Compaction debt passed the soft limit: compare the put rate with S_max.",
}


def _at_least_one(_: Expectations) -> float:
    return 1.0


def _stall_rules(kind: AlertKind, noun: str, severity: Severity, held_by: str) -> list[Rule]:
    actions = _STOP_ACTIONS if kind == "write_stop" else _SLOWDOWN_ACTIONS
    return [
        Rule(
            kind,
            cause,
            severity,
            needs=(f"{cause}_{noun}_total",),
            signal=signals.added(f"{cause}_{noun}_total"),
            limit=_at_least_one,
            action=action,
            held_by=held_by,
        )
        for cause, action in actions.items()
    ]


def _l0_limit(share: float) -> Limit:
    return lambda expected: share * expected.options.level0_slowdown_writes_trigger


def _pending_limit(share: float) -> Limit:
    return lambda expected: share * expected.options.soft_pending_compaction_bytes_limit or None


RULES: tuple[Rule, ...] = (
    *_stall_rules("write_stop", "stops", "critical", "write_stopped"),
    *_stall_rules("slowdown", "delays", "warning", "delayed_write_rate_bytes_per_s"),
    Rule(
        "l0_near_slowdown",
        "l0",
        "warning",
        needs=("l0_files",),
        signal=signals.last("l0_files"),
        limit=_l0_limit(NEAR_FRACTION),
        close_limit=_l0_limit(CLOSE_NEAR_FRACTION),
        action="Check whether level-0 compactions are late.",
    ),
    Rule(
        "pending_near_soft_limit",
        "pending",
        "warning",
        needs=("pending_compaction_bytes",),
        signal=signals.last("pending_compaction_bytes"),
        limit=_pending_limit(NEAR_FRACTION),
        close_limit=_pending_limit(CLOSE_NEAR_FRACTION),
        action="Check whether compaction debt keeps growing.",
        unstated="soft_pending_compaction_bytes_limit is 0, which switches it off",
    ),
    Rule(
        "latency_objective",
        "put_p999",
        "warning",
        needs=("put_latency_p999_us",),
        signal=signals.put_p999_us,
        limit=lambda expected: expected.put_p999_objective_us,
        action="Look for stalls in the same seconds; without any, for the device or the CPU.",
        unstated="no p99.9 objective stated",
    ),
    Rule(
        "throughput_below_interval",
        "prediction",
        "warning",
        needs=("puts_total",),
        signal=signals.put_rate_ops_per_s,
        limit=lambda expected: expected.put_rate_low_ops_per_s,
        below=True,
        action="The host or the load is not what the model was calibrated on: calibrate again.",
        unstated="no model interval for a closed load",
    ),
    Rule(
        "ledger_open",
        "ledger",
        "warning",
        needs=(*signals.WRITTEN, *signals.BUILT, "batch_bytes_total"),
        signal=signals.closure_error,
        limit=lambda _: MAX_WRITE_CLOSURE_ERROR,
        action="Do not use this run for calibration: its counters do not add up.",
    ),
    Rule(
        "cpu_steal",
        "host",
        "warning",
        needs=("machine_cpu_s_total", "machine_steal_s_total"),
        signal=signals.steal_fraction,
        limit=lambda _: MAX_STEAL_FRACTION,
        action="Reduce other load on this host, then measure again.",
    ),
    Rule(
        "disk_filling",
        "projection",
        "warning",
        needs=("disk_free_bytes",),
        signal=signals.disk_full_in_s,
        limit=lambda _: DISK_FULL_IN_S,
        close_limit=lambda _: 2 * DISK_FULL_IN_S,
        below=True,
        action="Free space or stop the load before the projected time.",
    ),
    Rule(
        "disk_filling",
        "free_space",
        "critical",
        needs=("disk_free_bytes", "disk_total_bytes"),
        signal=signals.free_fraction,
        limit=lambda _: MIN_FREE_FRACTION,
        close_limit=lambda _: 1.5 * MIN_FREE_FRACTION,
        below=True,
        action="Free space now: compactions need room for their outputs.",
    ),
)
