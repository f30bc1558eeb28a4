"""What a monitored run showed, as frozen types: loops, alerts, trends, changes, anomalies."""

from __future__ import annotations

from typing import Literal

from phase_d_lib.adaptation import Followed
from phase_d_lib.ledger import Ledger
from phase_d_lib.models.base import Prediction
from phase_d_lib.runs import RunResult
from phase_d_lib.specs import Frozen, RunSpec

AlertKind = Literal[
    "write_stop",
    "slowdown",
    "l0_near_slowdown",
    "pending_near_soft_limit",
    "cpu_steal",
    "ledger_open",
    "latency_objective",
    "throughput_below_interval",
    "disk_filling",
]
Severity = Literal["warning", "critical"]
State = Literal["healthy", "warning", "critical"]


class Loop(Frozen):
    """One monitoring window beside what was predicted for it."""

    number: int
    start_s: float
    end_s: float
    put_ops_per_s: float
    put_latency_p50_us: float | None
    put_latency_p99_us: float | None
    put_latency_p999_us: float | None
    put_latency_max_us: float | None
    stall_fraction: float
    mean_l0_files: float | None
    write_bytes_per_user_byte: float | None
    cpu_cores_used: float
    steal_fraction: float
    model: str | None
    predicted_ops_per_s: float | None
    error_fraction: float | None
    """(predicted - measured) / measured."""


class Alert(Frozen):
    """One alert from its opening to its close; end_s is None while open."""

    kind: AlertKind
    severity: Severity
    cause: str
    start_s: float
    end_s: float | None
    value: float
    limit: float
    action: str = ""
    """What to do about it, one English sentence; empty in files written before there was one."""


class InactiveRule(Frozen):
    """An alert rule that could not watch this run, and why."""

    kind: AlertKind
    cause: str
    reason: str
    """``no column NAME``, or what was not stated."""


class StallShare(Frozen):
    """Seconds in one stall state and cause, from the LOG."""

    cause: str
    kind: Literal["delay", "stop"]
    seconds: float
    count: int


class Trend(Frozen):
    """Slope over the window with its significance (OLS, Newey-West errors)."""

    metric: str
    slope_per_min: float
    p_value: float
    significant: bool
    cv_fraction: float | None
    """Coefficient of variation of the means over monitoring loops; None with fewer than two."""
    stable: bool | None
    """No significant trend and coefficient of variation <= 5 %; None where that can't be told."""


class ChangePoint(Frozen):
    """A significant step of a metric's level."""

    metric: str
    time_s: float
    resolution_s: float
    """Length of the blocks it was found on: the time is known within one of them."""
    before_mean: float
    """Mean since the change before, or since the start of the window; unit of the metric."""
    after_mean: float
    """Mean until the next change, or the end of the window; unit of the metric."""
    p_value: float
    """Of a permutation test over the blocks of both sides."""


class Anomaly(Frozen):
    """Consecutive samples that lie far outside the window just before them."""

    metric: str
    start_s: float
    end_s: float
    value: float
    """The most extreme of them, in the unit of the metric."""
    median: float
    """Of the window before that sample, in the unit of the metric."""
    score: float
    """Robust z of that value; beyond 3.5 either way is an anomaly."""


class MonitoringResult(Frozen):
    """Everything a monitored run showed."""

    run_id: str
    spec: RunSpec
    result: RunResult
    predictions: tuple[Prediction, ...]
    predicted_at: str | None
    active_model: str | None
    loops: tuple[Loop, ...]
    alerts: tuple[Alert, ...]
    stalls: tuple[StallShare, ...]
    trends: tuple[Trend, ...]
    ledger: Ledger
    followed: tuple[Followed, ...] = ()
    """v5's forecasts of windows of ten seconds or a loop, whichever is longer."""
    followed_refused: str | None = None
    """Why v5 did not follow, or None."""
    state: State | None = None
    """Worst severity of the alerts open at the end; None in files written before it was kept."""
    rules_inactive: tuple[InactiveRule, ...] = ()
    change_points: tuple[ChangePoint, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
