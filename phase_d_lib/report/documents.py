"""Build the JSON files of a report: pure functions from the inputs and the monitored run."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from phase_d_lib.profiles import SEARCHED
from phase_d_lib.report import objectives as goals
from phase_d_lib.report.document_types import (
    DOCUMENTS,
    Adjustment,
    Alerts,
    AutoTuningRecords,
    CalibratedConfiguration,
    ComprehensiveReport,
    Confirmation,
    DashboardData,
    Document,
    Gap,
    IntegrationResults,
    LoopRow,
    ModelDeployment,
    NumberedAlert,
    PerformanceReport,
    PhaseDReport,
    RealTimeMetrics,
    Stability,
    TuningRecord,
)
from phase_d_lib.report.findings import findings, unmarked
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.objectives import objectives, planned_samples, samples_fraction
from phase_d_lib.report.readings import binding, confirmed, judged_stability
from phase_d_lib.report.recommendations import future_work, not_shown, recommendations
from phase_d_lib.report.sources import plain
from phase_d_lib.runs import Run
from phase_d_lib.workspace import write_atomically

MAX_SERIES_SAMPLES = 2000
_GAP_PERIODS = 1.5
_SERIES = (
    "time_s", "put_ops_per_s", "put_latency_p50_us", "put_latency_p99_us", "put_latency_p999_us",
    "put_latency_max_us", "stall_fraction", "l0_files", "pending_compaction_bytes",
    "flush_write_bytes_per_s", "compact_write_bytes_per_s", "compact_read_bytes_per_s",
    "device_write_bytes_per_s", "process_cpu_cores", "machine_busy_fraction", "steal_fraction",
    "rss_bytes",
)  # fmt: skip
_LAST_STATE = (
    "put_ops_per_s", "put_latency_p99_us", "l0_files", "pending_compaction_bytes",
    "delayed_write_rate_bytes_per_s", "write_stopped", "memtable_bytes", "running_compactions",
)  # fmt: skip
_STATUS_RULE = "critical: 열린 심각 경보가 있음; warning: 열린 경고가 있음; healthy: 열린 경보 없음"


def build_documents(inputs: ReportInputs, run: Run) -> dict[str, Document]:
    """Build every JSON document, by file name without ``.json``.

    Parameters
    ----------
    inputs : ReportInputs
    run : Run
        The monitored run.
    """
    return {
        "model_deployment": model_deployment(inputs),
        "integration_results": integration_results(inputs),
        "real_time_metrics": real_time_metrics(inputs, run),
        "dashboard_data": dashboard_data(inputs, run),
        "alerts": alerts(inputs),
        "auto_tuning_records": auto_tuning_records(inputs),
        "performance_report": performance_report(inputs),
        "phase_d_report": phase_d_report(inputs, run),
        "phase_d_comprehensive_report": comprehensive_report(inputs),
    }


def model_deployment(inputs: ReportInputs) -> ModelDeployment:
    """Every model with its status, and what it was calibrated on."""
    calibration, record = inputs.integration.calibration, inputs.integration.record
    return ModelDeployment(
        calibrated_at=calibration.measured_at,
        calibration=tuple(
            CalibratedConfiguration.model_validate(row.model_dump(exclude={"case"}))
            for row in calibration.rows
        ),
        host_speeds=calibration.host,
        host_speed_runs=calibration.sources,
        device=calibration.device,
        models=record.models,
        regime=record.regime,
        active=record.active,
        active_reason=record.active_reason,
        active_since=record.active_since,
        previous=record.previous,
    )


def integration_results(inputs: ReportInputs) -> IntegrationResults:
    """One row per monitoring loop."""
    monitoring = inputs.monitoring
    start = datetime.fromisoformat(monitoring.result.started_at)
    return IntegrationResults(
        predicted_at=monitoring.predicted_at,
        loops=tuple(
            LoopRow(
                started_at=(start + timedelta(seconds=loop.start_s)).isoformat(
                    timespec="milliseconds"
                ),
                loop=loop,
            )
            for loop in monitoring.loops
        ),
        followed=monitoring.followed,
        followed_refused=monitoring.followed_refused,
    )


def real_time_metrics(inputs: ReportInputs, run: Run) -> RealTimeMetrics:
    """The sampled series, or why it is left out."""
    samples, spec = run.samples, inputs.monitoring.spec
    long = samples["gap_s"] > _GAP_PERIODS * spec.sample_period_s
    gaps = samples.loc[long, ["time_s", "gap_s"]]
    repeated = len(samples) <= MAX_SERIES_SAMPLES
    return RealTimeMetrics(
        run_id=inputs.monitoring.run_id,
        sample_period_s=spec.sample_period_s,
        samples=len(samples),
        planned_samples=planned_samples(spec),
        slots_filled_fraction=samples_fraction(samples, spec),
        gaps=tuple(Gap(end_s=float(end), length_s=float(gap)) for end, gap in gaps.to_numpy()),
        longest_gap_s=float(samples["gap_s"].max()),
        series={name: _values(samples[name]) for name in _SERIES if name in samples and repeated},
        series_omitted_reason=None if repeated else f"more than {MAX_SERIES_SAMPLES} samples",
    )


def dashboard_data(inputs: ReportInputs, run: Run) -> DashboardData:
    """The last state of the monitored run."""
    last = run.samples.iloc[-1]
    numbered = [n for n in alerts(inputs).alerts if n.alert.end_s is None]
    severities = {n.alert.severity for n in numbered}
    critical = "critical" in severities
    return DashboardData(
        at_s=float(last["time_s"]),
        status="critical" if critical else "warning" if severities else "healthy",
        status_rule=_STATUS_RULE,
        metrics={name: _finite(last[name]) for name in _LAST_STATE if name in last},
        trends=inputs.monitoring.trends,
        open_alerts=tuple(n.number for n in numbered),
    )


def alerts(inputs: ReportInputs) -> Alerts:
    """Every alert, numbered in order of its start."""
    return Alerts(
        alerts=tuple(
            NumberedAlert(number=number, alert=alert)
            for number, alert in enumerate(inputs.monitoring.alerts, start=1)
        )
    )


def auto_tuning_records(inputs: ReportInputs) -> AutoTuningRecords:
    """Every option set tried, and the confirmation of the chosen one."""
    tuning, again = inputs.tuning, inputs.validation.tuned
    default = inputs.profile.scenario.options.model_dump()
    records = tuple(
        TuningRecord(
            option_set=c.option_set,
            adjustments=tuple(
                Adjustment(option=name, from_value=default[name], to_value=value)
                for name, value in c.changes.items()
            ),
            why="found_by_search" if c.option_set == SEARCHED else "candidate_of_profile",
            pairs=c.pairs,
            rate_ratio=c.rate_ratio,
            held_ratio=c.held_ratio,
            breaches=c.breaches,
            effect=c.effect,
            memtable_bytes_ratio=c.memtable_bytes_ratio,
            kept=c.option_set == tuning.chosen and confirmed(inputs),
        )
        for c in tuning.comparisons
    )
    return AutoTuningRecords(
        seed=tuning.seed,
        records=records,
        confirmation=(
            Confirmation(pairs=again.pairs, rate_ratio=again.rate_ratio, effect=again.effect)
            if again is not None
            else None
        ),
        search=tuning.search,
        trials=tuning.trials,
        confirmation_trials=inputs.validation.trials,
        sustained=tuning.sustained,
        effects=tuning.effects,
        factors=tuning.factors,
    )


def performance_report(inputs: ReportInputs) -> PerformanceReport:
    """Statistics of rate and latency, stability verdicts, held-out accuracy and its residuals."""
    monitoring, validation = inputs.monitoring, inputs.validation
    result = monitoring.result
    rates = [loop.put_ops_per_s for loop in monitoring.loops]
    judged = [(trend.metric, judged_stability(inputs, trend)) for trend in monitoring.trends]
    return PerformanceReport(
        put_rate_ops_per_s=result.put_rate_ops_per_s,
        rate_cv_fraction=result.rate_cv_fraction,
        loop_rate_mean_ops_per_s=float(np.mean(rates)) if rates else None,
        loop_rate_sd_ops_per_s=float(np.std(rates, ddof=1)) if len(rates) > 1 else None,
        loop_rate_min_ops_per_s=min(rates, default=None),
        loop_rate_max_ops_per_s=max(rates, default=None),
        s_max=inputs.integration.calibration.sustained,
        put_latency_us=result.put_latency_us,
        stall_fraction=result.stall_fraction,
        stalls=monitoring.stalls,
        ledger=monitoring.ledger,
        validity=result.validity,
        stability=tuple(
            Stability(metric=m, word_ko=j.word, value_ko=plain(j.value), rule_ko=plain(j.rule))
            for m, j in judged
        ),
        scores=validation.scores,
        baselines=validation.baselines,
        every_score=validation.every_score,
        regimes_absent=validation.regimes_absent,
        held_out_cases=validation.cases,
    )


def phase_d_report(inputs: ReportInputs, run: Run) -> PhaseDReport:
    """The four objectives and the report's provenance."""
    return PhaseDReport(
        report_id=inputs.report_id,
        generated_at=inputs.generated_at,
        profile=inputs.profile,
        integration_seed=inputs.integration.seed,
        validation_seed=inputs.validation.seed,
        host=inputs.integration.host,
        environment=inputs.environment,
        measured_at=inputs.measured_at,
        sources=inputs.sources,
        objectives=tuple(goals.unmarked(o) for o in objectives(inputs, run.samples)),
    )


def comprehensive_report(inputs: ReportInputs) -> ComprehensiveReport:
    """Findings and recommendations, each with the rule and the numbers behind it."""
    resource, source = binding(inputs)
    return ComprehensiveReport(
        binding=resource,
        binding_source=plain(source),
        findings=tuple(map(unmarked, findings(inputs))),
        recommendations=tuple(map(unmarked, recommendations(inputs))),
        future_work=tuple(map(unmarked, future_work(inputs))),
        not_shown_ko=tuple(map(plain, not_shown(inputs))),
    )


def write_schemas(folder: Path) -> list[Path]:
    """Write the JSON Schema of every document to `folder`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, text in schema_texts().items():
        write_atomically(folder / name, text)
        files.append(folder / name)
    return files


def schema_texts() -> dict[str, str]:
    """JSON Schema of every document: file name -> text."""
    texts = {}
    for name, kind in DOCUMENTS.items():
        schema = kind.model_json_schema(mode="serialization")
        dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        texts[f"{name}.schema.json"] = (
            json.dumps({**dialect, **schema}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        )
    return texts


def _values(column: pd.Series[float]) -> tuple[float | None, ...]:
    return tuple(_finite(value) for value in column)


def _finite(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
