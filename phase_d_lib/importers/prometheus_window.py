"""What one database of a range query did over the time in which all its counters have samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phase_d_lib.importers.prometheus_instances import Instance
from phase_d_lib.importers.prometheus_names import SUMMED_GAUGES, Meaning
from phase_d_lib.importers.prometheus_text import Series


class NoWindowError(Exception):
    """The counters of a database have no time in common; the message says why."""


@dataclass(frozen=True)
class Flow:
    """What one role did in a window.

    Attributes
    ----------
    per_s : float
        Mean rate, in the unit of the role and second.
    restart_times_s : frozenset of float
        Times at which a counter was lower than before.
    """

    per_s: float
    restart_times_s: frozenset[float]


@dataclass(frozen=True)
class Window:
    """One database over the time in which all its counters have samples.

    Attributes
    ----------
    name : str
        Its labels.
    times_s : ndarray
        Every time at which any of its series has a value, Unix seconds.
    flows : dict of str to Flow
        By role.
    gauges : dict of str to ndarray
        By role, a value a time; empty without samples.
    """

    name: str
    times_s: np.ndarray
    flows: dict[str, Flow]
    gauges: dict[str, np.ndarray]

    @property
    def seconds(self) -> float:
        """From the first to the last."""
        return float(self.times_s[-1] - self.times_s[0])

    @property
    def steps_s(self) -> np.ndarray:
        """From each time to the next."""
        return np.diff(self.times_s)

    @property
    def restarts(self) -> int:
        """Times at which any counter fell."""
        return len(frozenset[float]().union(*(f.restart_times_s for f in self.flows.values())))

    def rate(self, role: str) -> float | None:
        """Return what a role did a second, in the unit of its name."""
        flow = self.flows.get(role)
        return None if flow is None else flow.per_s

    def mean(self, *roles: str) -> float | None:
        """Return the sum of the means of gauges; None where one has no samples."""
        if any(len(self.gauges[role]) == 0 for role in roles):
            return None
        return float(sum(self.gauges[role].mean() for role in roles))


def window_of(instance: Instance) -> Window:
    """Return a database over the time in which every counter of it has samples.

    Raises
    ------
    NoWindowError
        If there is no such time, or a single sample in it.
    """
    start_s, end_s = _common_time(instance)
    times_s = _sample_times(instance, start_s, end_s)
    if len(times_s) < 2:
        raise NoWindowError("one sample a series; a rate needs two: widen the range")
    flows = {role: _flow_of(told, start_s, end_s) for role, told in instance.flows.items()}
    roles = ("running_compactions", "running_flushes", "delayed_rate", "stopped")
    return Window(
        name=str(instance),
        times_s=times_s,
        flows={role: flow for role, flow in flows.items() if flow is not None},
        gauges={
            role: _gauge_of(instance, role, start_s, end_s)
            for role in (*roles, "l0_files", "pending_bytes")
        },
    )


def _common_time(instance: Instance) -> tuple[float, float]:
    """Return the time in which every counter of a database has samples, Unix seconds."""
    spans = {
        role: (
            min(_seen(one)[0][0] for _, one in told),
            max(_seen(one)[0][-1] for _, one in told),
        )
        for role, told in instance.flows.items()
    }
    if not spans:
        times = np.concatenate([_seen(g)[0] for told in instance.gauges.values() for g in told])
        return float(times.min()), float(times.max())
    late = max(spans, key=lambda role: spans[role][0])
    early = min(spans, key=lambda role: spans[role][1])
    start_s, end_s = spans[late][0], spans[early][1]
    if start_s >= end_s and late != early:
        names = " and ".join(str(instance.flows[role][0][1]) for role in (early, late))
        raise NoWindowError(f"{names} have no time in common; query one range for both")
    return start_s, end_s


def _flow_of(told: Sequence[tuple[Meaning, Series]], start_s: float, end_s: float) -> Flow | None:
    """Return what the parts of one role did together in a window; None with a single sample.

    A counter that fell began again from 0, as its process did. Parts that are equal throughout are
    one counter of the database, told once for each column family.
    """
    parts = []
    for meaning, one in told:
        times, values = _seen(one)
        inside = (times >= start_s) & (times <= end_s)
        if inside.any():
            parts.append((times[inside], values[inside] * meaning.factor))
    if not parts:
        return None
    times, values = parts[0]
    if all(np.array_equal(times, t) and np.array_equal(values, v) for t, v in parts):
        parts = parts[:1]
    if told[0][0].form == "rate":
        return Flow(float(sum(values.mean() for _, values in parts)), frozenset())
    span_s = max(times[-1] for times, _ in parts) - min(times[0] for times, _ in parts)
    if span_s <= 0:
        return None
    falls = [np.diff(values) < 0 for _, values in parts]
    grown = sum(
        values[-1] - values[0] + values[:-1][fell].sum()
        for (_, values), fell in zip(parts, falls, strict=True)
    )
    restarts = [times[1:][fell] for (times, _), fell in zip(parts, falls, strict=True)]
    return Flow(float(grown / span_s), frozenset(np.concatenate(restarts).tolist()))


def _gauge_of(instance: Instance, role: str, start_s: float, end_s: float) -> np.ndarray:
    """Return a gauge of the whole database in a window, a value a time; empty without samples."""
    at: dict[float, float] = {}
    for one in instance.gauges.get(role, ()):
        for time_s, value in zip(*_seen(one), strict=True):
            if start_s <= time_s <= end_s:
                before = at.get(time_s)
                if before is None:
                    at[time_s] = value
                else:
                    at[time_s] = before + value if role in SUMMED_GAUGES else max(before, value)
    return np.array([at[time_s] for time_s in sorted(at)])


def _sample_times(instance: Instance, start_s: float, end_s: float) -> np.ndarray:
    """Return every time in a window at which any series of a database has a value."""
    flows = [one for told in instance.flows.values() for _, one in told]
    gauges = [one for told in instance.gauges.values() for one in told]
    times = np.unique(np.concatenate([_seen(one)[0] for one in (*flows, *gauges)]))
    return times[(times >= start_s) & (times <= end_s)]


def _seen(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values where there is a value."""
    has = np.isfinite(series.values)
    return series.times_s[has], series.values[has]
