"""How well v5 follows a running database: traces with a change of regime, forecast and scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr, stdtrit

from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import EngineError, InputError, ModelRefusal
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.models.base import Case
from phase_d_lib.models.v5 import V5, Alarm, Factors, Forecast, Window
from phase_d_lib.profiles import Scenario
from phase_d_lib.rates import BOOTSTRAP_SEED, MIN_BLOCKS, counters_at
from phase_d_lib.runs import Run, read_json_lines
from phase_d_lib.smax import COVARIATES
from phase_d_lib.specs import ArrivalSpec, Frozen, OptionsSpec, RunSpec, parse

WINDOW_S = 10.0
"""Length of a window and of the horizon: longer than the stall cycle."""
TRACE_S, WARMUP_S, CHANGE_AT_S = 90.0, 10.0, 40.0
WARM_WINDOWS = 2
"""Windows every predictor sees before its first forecast is scored."""
ALPHA = 0.5
"""Weight of the last window in the exponential mean."""
MIN_CHANGE_TRACES = 10
"""Traces with a change below which nothing passes."""
NO_WORSE_MARGIN = 0.01
"""Mean |log error| by which v5 may be worse and still count as no worse."""
RESAMPLES = 10_000
LIVE_OPTIONS = frozenset(
    {
        "write_buffer_size",
        "max_write_buffer_number",
        "target_file_size_base",
        "max_bytes_for_level_base",
        "max_bytes_for_level_multiplier",
        "level0_file_num_compaction_trigger",
        "level0_slowdown_writes_trigger",
        "level0_stop_writes_trigger",
        "soft_pending_compaction_bytes_limit",
        "hard_pending_compaction_bytes_limit",
    }
)
"""Options that RocksDB takes in ``SetOptions`` (options/cf_options.cc of v9.8.4)."""

CaseOf = Callable[[RunSpec], Case]
"""All that may be known of a run before it starts, as :meth:`deployment.Fleet.case_of` says it."""
Predictor = Literal["v5", "persistence", "exponential_mean", "persistence_knowing_load"]
PREDICTORS: tuple[Predictor, ...] = (
    "v5",
    "persistence",
    "exponential_mean",
    "persistence_knowing_load",
)
Kind = Literal["options", "load", "stationary"]
Group = Literal["change", "options", "load", "stationary"]
GROUPS: dict[Group, tuple[Kind, ...]] = {
    "change": ("options", "load"),
    "options": ("options",),
    "load": ("load",),
    "stationary": ("stationary",),
}
"""Kinds of traces that are compared together."""
FollowVerdict = Literal["better", "no_worse", "worse", "unknown"]


# -- traces ----------------------------------------------------------------------------------------


class Change(Frozen):
    """A live change of options; changes of the load are in the arrivals of the spec."""

    at_s: float = Field(ge=0)
    options: dict[str, int | float] = Field(min_length=1)


class TraceSpec(Frozen):
    """A run and what is changed while it goes."""

    name: str
    spec: RunSpec
    changes: tuple[Change, ...] = ()

    @model_validator(mode="after")
    def _possible(self) -> TraceSpec:
        times = [change.at_s for change in self.changes]
        if times != sorted(times) or (times and times[-1] >= self.spec.duration_s):
            raise ValueError(f"changes at {times} s must ascend and lie inside the run")
        for change in self.changes:
            fixed = sorted(set(change.options) - LIVE_OPTIONS)
            if fixed:
                raise ValueError(f"{', '.join(fixed)}: RocksDB does not change it live")
            self.spec_at(change.at_s)
        return self

    @property
    def kind(self) -> Kind:
        """What changes the regime."""
        if self.changes:
            return "options"
        moving = self.spec.workload.arrival.kind in ("bursts", "ramp", "trace")
        return "load" if moving else "stationary"

    def spec_at(self, time_s: float) -> RunSpec:
        """Spec with the options that hold at a time."""
        options = self.spec.options.model_dump()
        for change in self.changes:
            if change.at_s <= time_s:
                options |= change.options
        changed = parse(OptionsSpec, options, f"trace {self.name}")
        return self.spec.model_copy(update={"options": changed})


def standard_traces(
    scenario: Scenario, saturation_ops_per_s: float, seed: int
) -> tuple[TraceSpec, ...]:
    """Return ten traces with a change of options or load, and four stationary ones.

    Loads go from half of the saturation rate to 1.2 times it; no window is without arrivals, for
    the logarithm of its rate would tell nothing.
    """
    own, rate = scenario.options, saturation_ops_per_s

    def spec(name: str, options: dict[str, Any] | None = None, **arrival: Any) -> RunSpec:
        changes: dict[str, Any] = dict(options or {})
        if arrival:
            changes["arrival"] = ArrivalSpec(**arrival).model_dump()
        return scenario.spec(
            changes,
            duration_s=TRACE_S,
            warmup_s=WARMUP_S,
            seed=derived_seed(seed, "adaptation", name),
            block=f"adaptation/{name}",
        )

    buffer, base = own.write_buffer_size, own.max_bytes_for_level_base
    slowdown, stop = own.level0_slowdown_writes_trigger, own.level0_stop_writes_trigger
    trigger = own.level0_file_num_compaction_trigger
    low = (trigger + slowdown) // 2
    option_changes: dict[str, dict[str, int | float]] = {
        "buffer-x2": {"write_buffer_size": 2 * buffer},
        "buffer-half": {"write_buffer_size": buffer // 2},
        "level-base-x2": {"max_bytes_for_level_base": 2 * base},
        "level-base-half": {"max_bytes_for_level_base": base // 2},
        "triggers-low": {
            "level0_slowdown_writes_trigger": low,
            "level0_stop_writes_trigger": low + stop - slowdown,
        },
        "triggers-high": {
            "level0_slowdown_writes_trigger": stop,
            "level0_stop_writes_trigger": 2 * stop - slowdown,
        },
    }
    loads: dict[str, dict[str, Any]] = {
        "bursts-over": _bursts(0.8 * rate, 4 / 3, 20.0),
        "bursts-under": _bursts(0.75 * rate, 1.25, 25.0),
        "ramp-up": _ramp(0.5 * rate, 1.2 * rate),
        "ramp-down": _ramp(1.2 * rate, 0.5 * rate),
    }
    steady = {
        "steady": spec("steady"),
        "steady-again": spec("steady-again"),
        "steady-buffer-x2": spec("steady-buffer-x2", {"write_buffer_size": 2 * buffer}),
        "steady-load": spec("steady-load", kind="poisson", rate_ops_per_s=0.8 * rate),
    }
    return (
        *(
            TraceSpec(
                name=name, spec=spec(name), changes=(Change(at_s=CHANGE_AT_S, options=options),)
            )
            for name, options in option_changes.items()
        ),
        *(TraceSpec(name=name, spec=spec(name, **load)) for name, load in loads.items()),
        *(TraceSpec(name=name, spec=asked) for name, asked in steady.items()),
    )


def _bursts(mean: float, factor: float, period_s: float) -> dict[str, Any]:
    shape = {"burst_factor": factor, "burst_period_s": period_s}
    return {"kind": "bursts", "rate_ops_per_s": mean, **shape}


def _ramp(start: float, end: float) -> dict[str, Any]:
    return {"kind": "ramp", "rate_ops_per_s": start, "end_rate_ops_per_s": end}


def run_trace(laboratory: Laboratory, trace: TraceSpec) -> Run:
    """Run a trace, changing its options live, or return its recording.

    Raises
    ------
    EngineError
        When RocksDB did not take a change.
    """
    waiting = list(trace.changes)
    before_s = 0.0

    def follow(row: dict[str, Any], process: EngineProcess) -> None:
        nonlocal waiting, before_s
        if row["time_s"] < before_s:  # a new attempt began
            waiting = list(trace.changes)
        before_s = row["time_s"]
        # The engine looks for commands at its samples, so one is sent a period ahead.
        while waiting and before_s >= waiting[0].at_s - trace.spec.sample_period_s:
            options = waiting.pop(0).options
            process.set_options({name: str(value) for name, value in options.items()})

    run = laboratory.run(trace.spec, on_sample=follow)
    if not laboratory.recorded:
        _must_have_changed(run, trace)
    return run


def _must_have_changed(run: Run, trace: TraceSpec) -> None:
    journal = read_json_lines(run.path / "commands.jsonl")
    refused = [row["error"] for row in journal if row["error"] is not None]
    if refused or len(journal) < len(trace.changes):
        what = refused[0] if refused else f"{len(journal)} of {len(trace.changes)} changes arrived"
        raise EngineError(f"trace {trace.name}: options were not changed: {what}")


# -- windows ---------------------------------------------------------------------------------------


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


def measure(
    laboratory: Laboratory, traces: Sequence[TraceSpec], model: V5, case_of: CaseOf
) -> AdaptationResult:
    """Run every trace and compare v5 with predictors that know no model.

    A trace whose run is not valid for its covariates after the laboratory's retries, or that the
    prior refuses, is not scored but listed with its reason.
    """
    scored, refused = [], {}
    for trace in traces:
        run = run_trace(laboratory, trace)
        reasons = run.result.validity.reasons if run.result else ()
        spoiled = [str(reason) for reason in reasons if reason.code in COVARIATES]
        try:
            if run.result is not None and not spoiled:
                scored.append(score(trace, run, model, case_of))
                continue
        except ModelRefusal as refusal:
            spoiled.append(str(refusal))
        refused[trace.name] = "; ".join(spoiled) or "unfinished"
    return summary(scored).model_copy(update={"refused": refused})


def table(result: AdaptationResult) -> str:
    """Errors and differences as plain text for the command line."""
    lines = [f"{'group':12} {'predictor':26} {'windows':>7} {'mean |log error|':>17} {'after':>7}"]
    for row in result.errors:
        after = row.after_change_log_error
        lines.append(
            f"{row.group:12} {row.predictor:26} {row.windows:>7} {row.mean_log_error:>17.3f} "
            f"{'-' if after is None else f'{after:.3f}':>7}"
        )
    for d in result.differences:
        ends = (
            "-" if d.interval_95 is None else f"{d.interval_95[0]:+.3f} to {d.interval_95[1]:+.3f}"
        )
        lines.append(
            f"v5 - {d.against}, {d.group} ({d.traces} traces): {d.mean_log:+.3f}, 95 % {ends}: "
            f"{d.verdict}"
        )
    low, high = result.coverage_95 or (0.0, 1.0)
    lines.append(
        f"90 % intervals hold {result.covered} of {result.windows} windows "
        f"(95 % interval {low:.3f} to {high:.3f}); passed: {result.passed}"
    )
    return "\n".join(lines)


# -- scores ----------------------------------------------------------------------------------------


class WindowScore(Frozen):
    """One window, and what each predictor said of it before; rates in ops/s."""

    start_s: float
    measured: float
    offered: float | None
    v5: float
    interval_90: tuple[float, float]
    persistence: float
    exponential_mean: float
    persistence_knowing_load: float
    """The last window's rate, or what arrives and waits, if that is less."""
    first_after_change: bool

    def log_error(self, predictor: Predictor) -> float:
        """|log(predicted / measured)|, both at least one put per second."""
        return abs(math.log(max(getattr(self, predictor), 1.0) / max(self.measured, 1.0)))

    @property
    def covered(self) -> bool:
        """Whether v5's interval holds the measured rate."""
        return self.interval_90[0] <= self.measured <= self.interval_90[1]


class TraceScore(Frozen):
    """One trace, forecast one window ahead."""

    name: str
    kind: Kind
    windows: tuple[WindowScore, ...]
    alarms: tuple[Alarm, ...]
    factors: Factors
    """At the end of the trace."""

    def mean_log_error(self, predictor: Predictor) -> float:
        """Mean |log error| over the scored windows."""
        return float(np.mean([window.log_error(predictor) for window in self.windows]))


class PredictorError(Frozen):
    """Mean |log error| of one predictor over one group of traces."""

    predictor: Predictor
    group: Group
    windows: int
    mean_log_error: float
    after_change_log_error: float | None
    """Over the first windows after a change of options alone."""


class Difference(Frozen):
    """Error of v5 less that of another predictor, mean over traces of the means inside each."""

    against: Predictor
    group: Group
    traces: int
    mean_log: float
    interval_90: tuple[float, float] | None
    interval_95: tuple[float, float] | None
    """None with fewer than four traces."""
    verdict: FollowVerdict


class AdaptationResult(Frozen):
    """v5 against predictors that know no model."""

    alpha: float
    window_s: float
    traces: tuple[TraceScore, ...]
    errors: tuple[PredictorError, ...]
    differences: tuple[Difference, ...]
    windows: int
    covered: int
    """Windows whose rate lies inside v5's 90 % interval."""
    coverage_95: tuple[float, float] | None
    """Interval of the coverage over traces as blocks; it should contain 0.9."""
    refused: dict[str, str] = Field(default_factory=dict)
    """Trace -> why it was not scored."""
    passed: bool
    """Better than every other row across changes, and no worse than any on stationary traces."""


def score(trace: TraceSpec, run: Run, model: V5, case_of: CaseOf) -> TraceScore:
    """Forecast each window of a run from those before it; a change is known at the next window.

    Raises
    ------
    ModelRefusal
        When v4, the prior, refuses the trace's case.
    """
    return score_windows(trace, windows(run), model, case_of)


def score_windows(
    trace: TraceSpec, seen: Sequence[Window], model: V5, case_of: CaseOf
) -> TraceScore:
    """Score as :func:`score` does, from windows already cut."""
    tracker = model.track(_case_at(trace, 0.0, case_of))
    rates = [window.put_ops_per_s for window in seen]
    rows: list[WindowScore] = []
    mean, backlog, known_s = rates[0], 0.0, 0.0
    for number, window in enumerate(seen):
        length_s = window.end_s - window.start_s
        new = any(known_s < change.at_s <= window.start_s for change in trace.changes)
        changed = _case_at(trace, window.start_s, case_of) if new else None
        forecast = tracker.forecast(length_s, changed, window.offered_ops_per_s)
        if changed is not None:
            tracker.adopt(changed)
        if number >= WARM_WINDOWS:
            demand = (window.offered_ops_per_s or 0.0) + backlog / length_s
            loaded = math.inf if window.offered_ops_per_s is None else demand
            rows.append(_row(window, forecast, rates[number - 1], mean, loaded, new))
        tracker.observe(window)
        mean = ALPHA * rates[number] + (1.0 - ALPHA) * mean
        backlog, known_s = window.backlog_ops or 0.0, window.start_s
    return TraceScore(
        name=trace.name,
        kind=trace.kind,
        windows=tuple(rows),
        alarms=tuple(tracker.alarms),
        factors=tracker.factors,
    )


def _row(
    window: Window, forecast: Forecast, last: float, mean: float, demand: float, new: bool
) -> WindowScore:
    return WindowScore(
        start_s=window.start_s,
        measured=window.put_ops_per_s,
        offered=window.offered_ops_per_s,
        v5=forecast.rate_ops_per_s,
        interval_90=forecast.interval_90,
        persistence=last,
        exponential_mean=mean,
        persistence_knowing_load=min(last, demand),
        first_after_change=new,
    )


def _case_at(trace: TraceSpec, time_s: float, case_of: CaseOf) -> Case:
    """Case of the options at a time, with the writer always ready: what v5 wants to know."""
    spec = trace.spec_at(time_s)
    closed = spec.workload.model_copy(update={"arrival": ArrivalSpec()})
    return case_of(spec.model_copy(update={"workload": closed}))


def summary(scores: Sequence[TraceScore]) -> AdaptationResult:
    """Compare v5 with the other predictors.

    Raises
    ------
    InputError
        When no window was scored.
    """
    rows = [window for trace in scores for window in trace.windows]
    if not rows:
        raise InputError("no window was scored; give traces of at least three windows")
    covered = sum(row.covered for row in rows)
    present = [group for group in GROUPS if _of(scores, group)]
    differences = tuple(
        difference(scores, against, group) for group in present for against in PREDICTORS[1:]
    )
    return AdaptationResult(
        alpha=ALPHA,
        window_s=WINDOW_S,
        traces=tuple(scores),
        errors=tuple(_error(scores, who, group) for group in present for who in PREDICTORS),
        differences=differences,
        windows=len(rows),
        covered=covered,
        coverage_95=_coverage_interval(scores),
        passed=_passed(differences),
    )


def _coverage_interval(scores: Sequence[TraceScore]) -> tuple[float, float] | None:
    """95 % block bootstrap over traces, as for :func:`difference`; None with fewer than four."""
    shares = np.array([np.mean([row.covered for row in t.windows]) for t in scores if t.windows])
    count = len(shares)
    if count < MIN_BLOCKS:
        return None
    picks = np.random.default_rng(BOOTSTRAP_SEED).integers(0, count, size=(RESAMPLES, count))
    return _expanded(shares[picks].mean(axis=1), count, 0.025)


def _of(scores: Sequence[TraceScore], group: Group) -> list[TraceScore]:
    return [trace for trace in scores if trace.kind in GROUPS[group]]


def _error(scores: Sequence[TraceScore], who: Predictor, group: Group) -> PredictorError:
    rows = [row for trace in _of(scores, group) for row in trace.windows]
    after = [row.log_error(who) for row in rows if row.first_after_change]
    return PredictorError(
        predictor=who,
        group=group,
        windows=len(rows),
        mean_log_error=float(np.mean([row.log_error(who) for row in rows])),
        after_change_log_error=float(np.mean(after)) if after else None,
    )


def difference(scores: Sequence[TraceScore], against: Predictor, group: Group) -> Difference:
    """Paired block bootstrap over traces of v5's mean |log error| less that of `against`.

    The windows of a trace depend on each other, so a trace is a block. The percentiles are
    expanded, for there are few traces: Hesterberg (2015), The American Statistician 69(4).

    Better: the 95 % interval lies below 0. Else no worse: the 90 % interval lies below
    `NO_WORSE_MARGIN`, a one-sided test at 5 %. Else worse: the 95 % interval lies above 0. Else, or
    with fewer than four traces, unknown.
    """
    found = np.array(
        [trace.mean_log_error("v5") - trace.mean_log_error(against) for trace in _of(scores, group)]
    )
    count = len(found)
    inner = outer = None
    verdict: FollowVerdict = "unknown"
    if count >= MIN_BLOCKS:
        picks = np.random.default_rng(BOOTSTRAP_SEED).integers(0, count, size=(RESAMPLES, count))
        means = found[picks].mean(axis=1)
        inner, outer = (_expanded(means, count, tail) for tail in (0.05, 0.025))
        if outer[1] < 0.0:
            verdict = "better"
        elif inner[1] < NO_WORSE_MARGIN:
            verdict = "no_worse"
        elif outer[0] > 0.0:
            verdict = "worse"
    return Difference(
        against=against,
        group=group,
        traces=count,
        mean_log=float(found.mean()),
        interval_90=inner,
        interval_95=outer,
        verdict=verdict,
    )


def _expanded(means: NDArray[np.float64], count: int, tail: float) -> tuple[float, float]:
    """Percentile interval whose tails are those of Student's t of `count` blocks."""
    quantile = math.sqrt(count / (count - 1)) * float(stdtrit(count - 1, 1.0 - tail))
    beyond = float(ndtr(-quantile))
    low, high = np.quantile(means, [beyond, 1.0 - beyond])
    return float(low), float(high)


def _passed(differences: Sequence[Difference]) -> bool:
    verdicts = {(d.group, d.against): d.verdict for d in differences}
    changes = max((d.traces for d in differences if d.group == "change"), default=0)
    return changes >= MIN_CHANGE_TRACES and all(
        verdicts.get(("change", row)) == "better"
        and verdicts.get(("stationary", row)) in ("better", "no_worse")
        for row in PREDICTORS[1:]
    )
