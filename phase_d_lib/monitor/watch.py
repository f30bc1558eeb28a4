"""Watch a run live, or describe one that is over: the same rules on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from phase_d_lib.adaptation import WINDOW_S, follow
from phase_d_lib.deployment import Fleet
from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.ledger import ledger_of
from phase_d_lib.logfile import stall_seconds_by_cause
from phase_d_lib.models.base import Prediction
from phase_d_lib.models.v5 import V5
from phase_d_lib.monitor.alerts import AlertBook
from phase_d_lib.monitor.anomalies import anomalies
from phase_d_lib.monitor.changes import change_points
from phase_d_lib.monitor.result import MonitoringResult, StallShare
from phase_d_lib.monitor.signals import Expectations, Row
from phase_d_lib.monitor.trends import trend
from phase_d_lib.monitor.windows import loops
from phase_d_lib.profiles import MonitoringPlan, Scenario
from phase_d_lib.runs import Run
from phase_d_lib.specs import RunSpec

WATCHED = ("put_ops_per_s", "put_latency_p99_us", "l0_files", "pending_compaction_bytes")
"""Metrics whose trends, changes and anomalies are told."""


def monitor(
    laboratory: Laboratory,
    scenario: Scenario,
    plan: MonitoringPlan,
    fleet: Fleet,
    seed: int,
    on_sample: Callable[[list[dict[str, Any]]], None] | None = None,
    *,
    put_p999_objective_us: float | None = None,
    observers: Sequence[Callable[[Row], None]] = (),
) -> tuple[Run, MonitoringResult]:
    """Predict the scenario in writing, run it under observation, describe what it did.

    Parameters
    ----------
    on_sample : callable, optional
        Called with the raw sample rows so far, for a live display.
    put_p999_objective_us : float, optional
        Objective of the p99.9 put latency, microseconds; None states none.
    observers : sequence of callable
        Each is called with the newest raw row, for example
        :meth:`phase_d_lib.metrics.Exporter.observe`.
    """
    spec = monitoring_spec(scenario, plan, seed)
    predictions = fleet.predict(spec)
    active = _active(predictions, fleet.record.active)
    expected = Expectations.of(spec, active, put_p999_objective_us)
    file = laboratory.workspace.runs / spec.run_id / "alerts.jsonl"
    book = AlertBook(expected, file)
    rows: list[dict[str, Any]] = []

    def observe(row: dict[str, Any], _: EngineProcess) -> None:
        nonlocal book
        if rows and row["time_s"] < rows[-1]["time_s"]:  # a new attempt began
            rows.clear()
            book = AlertBook(expected, file)
        rows.append(row)
        book.observe(row)
        for observer in observers:
            observer(row)
        if on_sample is not None:
            on_sample(rows)

    frozen = [p.model_dump(mode="json") for p in predictions]
    run = laboratory.run(spec, predictions=frozen, on_sample=observe)
    result = describe(run, fleet.record.active, plan.loop_s, fleet, put_p999_objective_us)
    return run, result


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
    run: Run,
    active_model: str | None,
    loop_s: float,
    fleet: Fleet | None = None,
    put_p999_objective_us: float | None = None,
) -> MonitoringResult:
    """Describe a finished run: the same from a live run and from a recorded one.

    Parameters
    ----------
    fleet : Fleet, optional
        Holds the v5 that follows the run; without one nothing does.
    put_p999_objective_us : float, optional
        Objective of the p99.9 put latency, microseconds; None states none.
    """
    if run.result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    frozen = run.predictions or {"written_at": None, "predictions": []}
    predictions = tuple(Prediction.model_validate(p) for p in frozen["predictions"])
    active = _active(predictions, active_model)
    inside = run.window
    start_s, end_s = (float(inside["unix_time_s"].iloc[i]) for i in (0, -1))
    book = replay(run.samples, Expectations.of(run.spec, active, put_p999_objective_us))
    return MonitoringResult(
        run_id=run.spec.run_id,
        spec=run.spec,
        result=run.result,
        predictions=predictions,
        predicted_at=frozen["written_at"],
        active_model=active_model,
        loops=loops(run, active, loop_s),
        alerts=book.all(),
        state=book.state,
        rules_inactive=book.inactive,
        stalls=tuple(
            StallShare.model_validate(row)
            for row in stall_seconds_by_cause(run.log, start_s, end_s).to_dict("records")
        ),
        trends=tuple(trend(inside, metric, loop_s) for metric in WATCHED),
        change_points=tuple(c for metric in WATCHED for c in change_points(inside, metric)),
        anomalies=tuple(a for metric in WATCHED for a in anomalies(inside, metric)),
        ledger=ledger_of(run),
        **_followed(run, fleet, max(loop_s, WINDOW_S)),
    )


def replay(samples: pd.DataFrame, expected: Expectations) -> AlertBook:
    """Apply the alert rules to recorded samples, in order."""
    book = AlertBook(expected)
    for row in samples.to_dict("records"):
        book.observe({str(key): value for key, value in row.items()})
    return book


def _active(predictions: Sequence[Prediction], model: str | None) -> Prediction | None:
    return next((p for p in predictions if p.model == model), None)


def _followed(run: Run, fleet: Fleet | None, window_s: float) -> dict[str, Any]:
    model = fleet.models.get(V5.name) if fleet is not None else None
    if fleet is None or not isinstance(model, V5):
        return {}
    try:
        return {"followed": follow(run, model, fleet.case_of(run.spec), window_s)}
    except ModelRefusal as refusal:
        return {"followed_refused": str(refusal)}
