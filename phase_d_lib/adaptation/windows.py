"""A run cut into windows, and v5 following them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phase_d_lib.models.base import Case
from phase_d_lib.models.v5 import V5, Factors, Window
from phase_d_lib.rates import counters_at
from phase_d_lib.runs import Run
from phase_d_lib.specs import ArrivalSpec, Frozen, RunSpec

WINDOW_S = 10.0
"""Length of a window and of the horizon: longer than the stall cycle."""


def windows(run: Run, length_s: float = WINDOW_S) -> tuple[Window, ...]:
    """Cut a run after its warm-up into windows of `length_s` seconds; a shorter rest is dropped."""
    spec, samples = run.spec, run.samples
    end_s = float(samples["time_s"].iloc[-1])
    # A run may end a few milliseconds short of its last window.
    count = int((end_s - spec.warmup_s + spec.sample_period_s / 4) // length_s)
    edges = np.minimum(spec.warmup_s + length_s * np.arange(count + 1), end_s)
    at_edges = counters_at(samples, edges)
    return tuple(
        _window(run, edges[n], edges[n + 1], at_edges.iloc[n : n + 2]) for n in range(count)
    )


def _window(run: Run, start_s: float, end_s: float, counters: pd.DataFrame) -> Window:
    spec, length_s = run.spec, end_s - start_s
    change = counters.iloc[1] - counters.iloc[0]
    inside = run.samples[run.samples["time_s"].between(start_s, end_s)]
    # -1 where /proc/PID/io could not be read: unknown, not zero.
    readable = bool(
        (run.samples[["io_read_bytes_total", "io_write_bytes_total"]] >= 0).all(axis=None)
    )
    read, written = (float(change[f"io_{way}_bytes_total"]) for way in ("read", "write"))
    user_bytes = float(change["puts_total"]) * spec.workload.record_bytes

    def per_user_byte(value: float) -> float:
        return value / user_bytes if user_bytes else 0.0

    offered = offered_in(spec, start_s, end_s)
    due = offered_in(spec, 0.0, end_s)
    backlog = None if due is None else max(0.0, due * end_s - float(counters["puts_total"].iloc[1]))
    return Window(
        start_s=start_s,
        end_s=end_s,
        put_ops_per_s=float(change["puts_total"]) / length_s,
        offered_ops_per_s=offered,
        flush_bytes_per_user_byte=per_user_byte(float(change["flush_write_bytes_total"])),
        compaction_write_bytes_per_user_byte=per_user_byte(
            float(change["compact_write_bytes_total"])
        ),
        wal_bytes_per_user_byte=per_user_byte(float(change["wal_bytes_total"])),
        device_read_bytes_per_user_byte=per_user_byte(read) if readable else None,
        compaction_write_bytes_per_s=float(change["compact_write_bytes_total"]) / length_s,
        busy_slots=float(inside["running_compactions"].mean()) if len(inside) else None,
        device_bytes_per_s=(read + written) / length_s if readable else None,
        stall_fraction=float(change["stall_us_total"]) / 1e6 / spec.workload.threads / length_s,
        backlog_ops=backlog,
    )


def offered_in(spec: RunSpec, start_s: float, end_s: float) -> float | None:
    """Mean arrival rate of puts between two times of a run, ops/s; None for a closed loop."""
    arrival = spec.workload.arrival
    if arrival.kind == "closed":
        return None
    arrived = _arrived(arrival, end_s, spec.duration_s) - _arrived(
        arrival, start_s, spec.duration_s
    )
    return (1.0 - spec.workload.read_fraction) * arrived / (end_s - start_s)


def _arrived(arrival: ArrivalSpec, time_s: float, duration_s: float) -> float:
    """Operations expected to arrive in the first `time_s` seconds."""
    rate = arrival.rate_ops_per_s or 0.0
    if arrival.kind == "trace":
        return float(np.searchsorted(arrival.trace_s or (), time_s))
    if arrival.kind == "ramp":
        end = arrival.end_rate_ops_per_s or rate
        return rate * time_s + (end - rate) * time_s**2 / (2.0 * duration_s)
    if arrival.kind == "bursts":
        cycles, within_s = divmod(time_s, arrival.burst_period_s)
        a_cycle = rate * arrival.burst_period_s
        return cycles * a_cycle + min(a_cycle, within_s * rate * arrival.burst_factor)
    return rate * time_s


class Followed(Frozen):
    """One window of a run that v5 followed: its forecast from the windows before, and the rate."""

    start_s: float
    end_s: float
    forecast_ops_per_s: float
    interval_90: tuple[float, float]
    measured_ops_per_s: float
    factors: Factors
    """After this window."""
    alarm: bool
    """Whether this window raised a drift alarm."""


def follow(run: Run, model: V5, case: Case, length_s: float = WINDOW_S) -> tuple[Followed, ...]:
    """Follow a run without changes window by window, each forecast before it is seen.

    Raises
    ------
    ModelRefusal
        When v4, the prior, refuses the case.
    """
    tracker, rows = model.track(case), []
    for window in windows(run, length_s):
        forecast = tracker.forecast(
            window.end_s - window.start_s, offered_ops_per_s=window.offered_ops_per_s
        )
        before = len(tracker.alarms)
        tracker.observe(window)
        rows.append(
            Followed(
                start_s=window.start_s,
                end_s=window.end_s,
                forecast_ops_per_s=forecast.rate_ops_per_s,
                interval_90=forecast.interval_90,
                measured_ops_per_s=window.put_ops_per_s,
                factors=tracker.factors,
                alarm=len(tracker.alarms) > before,
            )
        )
    return tuple(rows)
