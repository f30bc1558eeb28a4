"""v5 against predictors that know no model: errors by group, paired differences, verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtr, stdtrit

from phase_d_lib.adaptation.traces import Kind, TraceSpec
from phase_d_lib.adaptation.windows import WINDOW_S, windows
from phase_d_lib.errors import InputError
from phase_d_lib.models.base import Case
from phase_d_lib.models.v5 import V5, Alarm, Factors, Forecast, Window
from phase_d_lib.rates import BOOTSTRAP_SEED, MIN_BLOCKS
from phase_d_lib.runs import Run
from phase_d_lib.specs import ArrivalSpec, Frozen, RunSpec

WARM_WINDOWS = 2
"""Windows every predictor sees before its first forecast is scored."""
ALPHA = 0.5
"""Weight of the last window in the exponential mean."""
MIN_CHANGE_TRACES = 10
"""Traces with a change below which nothing passes."""
NO_WORSE_MARGIN = 0.01
"""Mean |log error| by which v5 may be worse and still count as no worse."""
RESAMPLES = 10_000

CaseOf = Callable[[RunSpec], Case]
"""All that may be known of a run before it starts, as :meth:`deployment.Fleet.case_of` says it."""
Predictor = Literal["v5", "persistence", "exponential_mean", "persistence_knowing_load"]
PREDICTORS: tuple[Predictor, ...] = (
    "v5",
    "persistence",
    "exponential_mean",
    "persistence_knowing_load",
)
Group = Literal["change", "options", "load", "stationary"]
GROUPS: dict[Group, tuple[Kind, ...]] = {
    "change": ("options", "load"),
    "options": ("options",),
    "load": ("load",),
    "stationary": ("stationary",),
}
"""Kinds of traces that are compared together."""
FollowVerdict = Literal["better", "no_worse", "worse", "unknown"]


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
