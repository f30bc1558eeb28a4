"""Arrival processes as the fluid simulation sees them: a rate, and until when it holds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from phase_d_lib.specs import ArrivalSpec

ArrivalRate = Callable[[float], tuple[float, float]]
"""From a time in s to the arrival rate, ops/s, and the time in s until which it holds."""

_RAMP_STEPS = 200
_TRACE_BIN_S = 0.1
_NEVER = float("inf")


def arrival_rate(spec: ArrivalSpec, duration_s: float) -> ArrivalRate | None:
    """Return the arrival rate over time, or None for a closed loop.

    Poisson arrivals appear as their mean: their bursts are far shorter than a memtable. Bursts
    carry all arrivals of a cycle in its first 1/burst_factor. A ramp is climbed in 200 steps, a
    trace counted in bins of 0.1 s.
    """
    rate = spec.rate_ops_per_s or 0.0
    if spec.kind == "closed":
        return None
    if spec.kind == "bursts":
        return _bursts(rate, spec.burst_factor, spec.burst_period_s)
    if spec.kind == "ramp":
        return _ramp(rate, spec.end_rate_ops_per_s or rate, duration_s)
    if spec.kind == "trace":
        return _binned(spec.trace_s or ())
    return constant(rate)


def constant(rate_ops_per_s: float) -> ArrivalRate:
    """Return an arrival rate that never changes."""
    return lambda _: (rate_ops_per_s, _NEVER)


def _bursts(rate: float, factor: float, period_s: float) -> ArrivalRate:
    def at(time_s: float) -> tuple[float, float]:
        # The next edge is computed from the count of edges passed, so time never sticks at one.
        cycle = int(time_s / period_s + 1e-12)
        edge = (cycle + 1.0 / factor) * period_s
        if time_s < edge * (1.0 - 1e-12):
            return rate * factor, edge
        return 0.0, (cycle + 1) * period_s

    return at


def _ramp(start: float, end: float, duration_s: float) -> ArrivalRate:
    step_s = duration_s / _RAMP_STEPS

    def at(time_s: float) -> tuple[float, float]:
        step = min(int(time_s / step_s + 1e-9), _RAMP_STEPS - 1)
        rate = start + (end - start) * (step + 0.5) / _RAMP_STEPS
        return rate, (step + 1) * step_s if step + 1 < _RAMP_STEPS else _NEVER

    return at


def _binned(trace_s: tuple[float, ...]) -> ArrivalRate:
    def at(time_s: float) -> tuple[float, float]:
        number = int(time_s / _TRACE_BIN_S + 1e-9)
        start, end = number * _TRACE_BIN_S, (number + 1) * _TRACE_BIN_S
        if trace_s and start > trace_s[-1]:
            return 0.0, _NEVER
        return (bisect_left(trace_s, end) - bisect_left(trace_s, start)) / _TRACE_BIN_S, end

    return at
