"""Watch a run live: loops beside the prediction, alerts with cause and action, trends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from phase_d_lib.adaptation import WINDOW_S, Followed, follow
from phase_d_lib.deployment import Fleet
from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.latency import histogram_quantiles_us
from phase_d_lib.ledger import Ledger, ledger_of
from phase_d_lib.logfile import stall_seconds_by_cause
from phase_d_lib.models.base import Prediction
from phase_d_lib.models.v5 import V5
from phase_d_lib.profiles import MonitoringPlan, Scenario
from phase_d_lib.rates import counters_at
from phase_d_lib.runs import Run, RunResult
from phase_d_lib.specs import Frozen, OptionsSpec, RunSpec
from phase_d_lib.validity import MAX_STEAL_FRACTION

AlertKind = Literal[
    "write_stop",
    "slowdown",
    "l0_near_slowdown",
    "pending_near_soft_limit",
    "cpu_steal",
]
Severity = Literal["warning", "critical"]
NEAR_FRACTION = 0.8
CLOSE_AFTER_SAMPLES = 3
STABLE_CV_FRACTION = 0.05
TREND_ALPHA = 0.05


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


class AlertBook:
    """Opens an alert at once, closes it after three quiet samples; appends both to a file.

    Parameters
    ----------
    options : OptionsSpec
    file : Path, optional
        ``alerts.jsonl``; None keeps them in memory only.
    """

    def __init__(self, options: OptionsSpec, file: Path | None = None) -> None:
        self._options, self._file = options, file
        self._open: dict[tuple[str, str], Alert] = {}
        self._quiet: dict[tuple[str, str], int] = {}
        self._previous: dict[str, Any] | None = None
        self.closed: list[Alert] = []

    def observe(self, row: dict[str, Any]) -> list[Alert]:
        """Take one raw sample; return the alerts it opened."""
        raised = self._conditions(row)
        opened = []
        for key, (severity, value, limit) in raised.items():
            self._quiet[key] = 0
            if key not in self._open:
                alert = Alert.model_validate(
                    {
                        "kind": key[0],
                        "severity": severity,
                        "cause": key[1],
                        "start_s": row["time_s"],
                        "end_s": None,
                        "value": value,
                        "limit": limit,
                    }
                )
                self._open[key] = alert
                opened.append(alert)
                self._write(alert)
        for quiet in [k for k in self._open if k not in raised]:
            self._quiet[quiet] += 1
            if self._quiet[quiet] >= CLOSE_AFTER_SAMPLES:
                self._close(quiet, row["time_s"])
        self._previous = row
        return opened

    def all(self) -> tuple[Alert, ...]:
        """Every alert so far, by start time; those still open have no end."""
        return tuple(sorted([*self.closed, *self._open.values()], key=lambda alert: alert.start_s))

    def _close(self, key: tuple[str, str], time_s: float) -> None:
        alert = self._open.pop(key).model_copy(update={"end_s": time_s})
        self.closed.append(alert)
        self._write(alert)

    def _write(self, alert: Alert) -> None:
        if self._file is not None:
            with self._file.open("a") as stream:
                stream.write(alert.model_dump_json() + "\n")

    def _conditions(
        self, row: dict[str, Any]
    ) -> dict[tuple[AlertKind, str], tuple[Severity, float, float]]:
        options, before = self._options, self._previous
        found: dict[tuple[AlertKind, str], tuple[Severity, float, float]] = {}
        slowdown = options.level0_slowdown_writes_trigger
        soft = options.soft_pending_compaction_bytes_limit
        if row["l0_files"] >= NEAR_FRACTION * slowdown:
            found["l0_near_slowdown", "l0"] = ("warning", row["l0_files"], NEAR_FRACTION * slowdown)
        if soft and row["pending_compaction_bytes"] >= NEAR_FRACTION * soft:
            found["pending_near_soft_limit", "pending"] = (
                "warning",
                row["pending_compaction_bytes"],
                NEAR_FRACTION * soft,
            )
        if before is None:
            return found
        for cause in ("memtable", "l0", "pending"):
            stops = row[f"{cause}_stops_total"] - before[f"{cause}_stops_total"]
            delays = row[f"{cause}_delays_total"] - before[f"{cause}_delays_total"]
            if stops > 0:
                found["write_stop", cause] = ("critical", float(stops), 0.0)
            if delays > 0:
                found["slowdown", cause] = ("warning", float(delays), 0.0)
        elapsed = row["machine_cpu_s_total"] - before["machine_cpu_s_total"]
        steal = row["machine_steal_s_total"] - before["machine_steal_s_total"]
        if elapsed > 0 and steal / elapsed > MAX_STEAL_FRACTION:
            found["cpu_steal", "host"] = ("warning", steal / elapsed, MAX_STEAL_FRACTION)
        return found


def monitor(
    laboratory: Laboratory,
    scenario: Scenario,
    plan: MonitoringPlan,
    fleet: Fleet,
    seed: int,
    on_sample: Callable[[list[dict[str, Any]]], None] | None = None,
) -> tuple[Run, MonitoringResult]:
    """Predict the scenario in writing, run it under observation, describe what it did.

    Parameters
    ----------
    on_sample : callable, optional
        Called with the raw sample rows so far, for a live display.
    """
    spec = monitoring_spec(scenario, plan, seed)
    predictions = fleet.predict(spec)
    file = laboratory.workspace.runs / spec.run_id / "alerts.jsonl"
    book = AlertBook(spec.options, file)
    rows: list[dict[str, Any]] = []

    def observe(row: dict[str, Any], _: EngineProcess) -> None:
        nonlocal book
        if rows and row["time_s"] < rows[-1]["time_s"]:  # a new attempt began
            rows.clear()
            book = AlertBook(spec.options, file)
        rows.append(row)
        book.observe(row)
        if on_sample is not None:
            on_sample(rows)

    frozen = [p.model_dump(mode="json") for p in predictions]
    run = laboratory.run(spec, predictions=frozen, on_sample=observe)
    return run, describe(run, fleet.record.active, plan.loop_s, fleet)


def monitoring_spec(scenario: Scenario, plan: MonitoringPlan, seed: int) -> RunSpec:
    """Spec of the run that a monitoring stage watches."""
    return scenario.spec(
        duration_s=plan.duration_s,
        warmup_s=plan.warmup_s,
        sample_period_s=plan.sample_period_s,
        seed=derived_seed(seed, "monitoring"),
        block="monitoring/live",
    )


def describe(
    run: Run, active_model: str | None, loop_s: float, fleet: Fleet | None = None
) -> MonitoringResult:
    """Describe a finished run: the same from a live run and from a recorded one.

    Parameters
    ----------
    fleet : Fleet, optional
        Holds the v5 that follows the run; without one nothing does.
    """
    if run.result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    frozen = run.predictions or {"written_at": None, "predictions": []}
    predictions = tuple(Prediction.model_validate(p) for p in frozen["predictions"])
    active = next((p for p in predictions if p.model == active_model), None)
    inside = run.window
    start_s, end_s = (float(inside["unix_time_s"].iloc[i]) for i in (0, -1))
    book = AlertBook(run.spec.options)
    for row in run.samples.to_dict("records"):
        book.observe({str(key): value for key, value in row.items()})
    return MonitoringResult(
        run_id=run.spec.run_id,
        spec=run.spec,
        result=run.result,
        predictions=predictions,
        predicted_at=frozen["written_at"],
        active_model=active_model,
        loops=loops(run, active, loop_s),
        alerts=book.all(),
        stalls=tuple(
            StallShare.model_validate(row)
            for row in stall_seconds_by_cause(run.log, start_s, end_s).to_dict("records")
        ),
        trends=tuple(
            trend(inside, metric, loop_s)
            for metric in (
                "put_ops_per_s",
                "put_latency_p99_us",
                "l0_files",
                "pending_compaction_bytes",
            )
        ),
        ledger=ledger_of(run),
        **_followed(run, fleet, max(loop_s, WINDOW_S)),
    )


def _followed(run: Run, fleet: Fleet | None, window_s: float) -> dict[str, Any]:
    model = fleet.models.get(V5.name) if fleet is not None else None
    if fleet is None or not isinstance(model, V5):
        return {}
    try:
        return {"followed": follow(run, model, fleet.case_of(run.spec), window_s)}
    except ModelRefusal as refusal:
        return {"followed_refused": str(refusal)}


def loops(run: Run, active: Prediction | None, loop_s: float) -> tuple[Loop, ...]:
    """Cut the window of a run into loops of `loop_s` seconds; a shorter rest is dropped."""
    start_s, end_s = (float(run.window["time_s"].iloc[i]) for i in (0, -1))
    # The window may end a few milliseconds short of its last loop.
    count = int((end_s - start_s + run.spec.sample_period_s / 4) // loop_s)
    edges = np.minimum(start_s + loop_s * np.arange(count + 1), end_s)
    at_edges = counters_at(run.samples, edges)
    return tuple(
        _loop(run, active, n + 1, edges[n], edges[n + 1], at_edges.iloc[n + 1] - at_edges.iloc[n])
        for n in range(count)
    )


def _loop(
    run: Run,
    active: Prediction | None,
    number: int,
    start_s: float,
    end_s: float,
    change: pd.Series[float],
) -> Loop:
    length_s = end_s - start_s
    rate = float(change["puts_total"]) / length_s
    histogram = run.latency[run.latency["operation"] == "put"]
    latency = histogram_quantiles_us(
        histogram[histogram["second"].between(int(start_s), int(end_s) - 1)]
    )
    user_bytes = float(change["puts_total"] * run.spec.workload.record_bytes)
    background = float(change["flush_write_bytes_total"] + change["compact_write_bytes_total"])
    stalled_s = float(change["stall_us_total"]) / 1e6 / run.spec.workload.threads
    l0_files = run.samples.loc[run.samples["time_s"].between(start_s, end_s), "l0_files"]
    predicted = active.saturation_ops_per_s if active else None
    return Loop(
        number=number,
        start_s=start_s,
        end_s=end_s,
        put_ops_per_s=rate,
        put_latency_p50_us=latency["p50"],
        put_latency_p99_us=latency["p99"],
        put_latency_p999_us=latency["p999"],
        put_latency_max_us=latency["max"],
        stall_fraction=stalled_s / length_s,
        mean_l0_files=float(l0_files.mean()) if len(l0_files) else None,
        write_bytes_per_user_byte=background / user_bytes if user_bytes else None,
        cpu_cores_used=float(change["process_cpu_s_total"]) / length_s,
        steal_fraction=float(change["machine_steal_s_total"] / change["machine_cpu_s_total"]),
        model=active.model if active else None,
        predicted_ops_per_s=predicted,
        error_fraction=predicted / rate - 1.0 if predicted and rate else None,
    )


def _loop_means(times_s: np.ndarray, values: np.ndarray, loop_s: float) -> np.ndarray:
    """Time-weighted means over whole loops; a value holds for the interval before its time."""
    if len(times_s) < 2:
        return np.array([])
    held = np.concatenate([[0.0], np.cumsum(values[1:] * np.diff(times_s))])
    slack_s = float(np.median(np.diff(times_s))) / 4
    edges = np.arange(times_s[0], times_s[-1] + slack_s, loop_s)
    means: np.ndarray = np.diff(np.interp(edges, times_s, held)) / loop_s
    return means


def trend(samples: pd.DataFrame, metric: str, loop_s: float) -> Trend:
    """Test a metric for a linear trend over the window, and how much its loop means vary.

    Ordinary least squares with Newey-West standard errors (lag n^(1/4)), because neighbouring
    samples depend on each other. Source: Newey and West (1987), Econometrica 55(3). Variation is
    that of means over `loop_s`, which is longer than the stall cycle: single samples always swing.
    """
    # Half a second to import, and only a monitored run needs it.
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools import add_constant

    series = samples[["time_s", metric]].dropna()
    values = series[metric].to_numpy(dtype=float)
    means = _loop_means(series["time_s"].to_numpy(dtype=float), values, loop_s)
    cv = float(means.std(ddof=1) / means.mean()) if len(means) > 1 and means.mean() else None
    slope, p_value = 0.0, 1.0
    if len(values) >= 8 and np.ptp(values) > 0:
        design = add_constant(series["time_s"].to_numpy() / 60.0)
        lags = int(len(values) ** 0.25) + 1
        fitted = OLS(values, design).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        slope, p_value = float(fitted.params[1]), float(fitted.pvalues[1])
    significant = p_value < TREND_ALPHA
    return Trend(
        metric=metric,
        slope_per_min=slope,
        p_value=p_value,
        significant=significant,
        cv_fraction=cv,
        stable=None if cv is None else not significant and cv <= STABLE_CV_FRACTION,
    )
