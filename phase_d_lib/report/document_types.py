"""Types of the JSON files of a report. Each fact stands in one file; names carry their units.

| file | type |
|---|---|
| model_deployment | ModelDeployment |
| integration_results | IntegrationResults |
| real_time_metrics | RealTimeMetrics |
| dashboard_data | DashboardData |
| alerts | Alerts |
| auto_tuning_records | AutoTuningRecords |
| performance_report | PerformanceReport |
| phase_d_report | PhaseDReport |
| phase_d_comprehensive_report | ComprehensiveReport |
"""

from __future__ import annotations

from typing import Literal

from phase_d_lib.adaptation import Followed
from phase_d_lib.deployment import Deployment
from phase_d_lib.device import DeviceProbe
from phase_d_lib.guards import Breach
from phase_d_lib.host import Host
from phase_d_lib.ledger import Ledger
from phase_d_lib.models.base import HostSpeeds
from phase_d_lib.models.factors import FactorCalibration
from phase_d_lib.models.regimes import Regime
from phase_d_lib.monitor import Alert, Loop, StallShare, Trend
from phase_d_lib.profiles import Profile
from phase_d_lib.rates import Estimate
from phase_d_lib.report.findings import Finding
from phase_d_lib.report.inputs import Environment
from phase_d_lib.report.objectives import Objective
from phase_d_lib.smax import SMaxResult
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.comparison import Effect, Trial
from phase_d_lib.tuning.effects import Effects
from phase_d_lib.tuning.search import SearchResult
from phase_d_lib.validation import CaseScore, ModelScore
from phase_d_lib.validity import Verdict

SCHEMA_VERSION = 1
OptionValue = int | float | bool | str | None


class Document(Frozen):
    """Base of every file."""

    schema_version: int = SCHEMA_VERSION


class CalibratedConfiguration(Frozen):
    """One calibration run, without the case it was given as."""

    name: str
    run_id: str
    changes: dict[str, OptionValue]
    measured_ops_per_s: Estimate
    s_max_ops_per_s: Estimate | None
    stall_fraction: float
    verdict: Verdict


class ModelDeployment(Document):
    """model_deployment.json: models, their calibration, and which is active."""

    calibrated_at: str
    calibration: tuple[CalibratedConfiguration, ...]
    host_speeds: HostSpeeds
    host_speed_runs: dict[str, str]
    """Quantity -> id of the run it was measured in."""
    device: DeviceProbe | None
    """Measured device envelope; None where the profile measures none."""
    models: tuple[Deployment, ...]
    regime: Regime | None
    """Resource that binds in the scenario's own configuration, by most models."""
    active: str | None
    active_reason: str
    active_since: str | None
    previous: str | None


class LoopRow(Frozen):
    """One monitoring loop with its time."""

    started_at: str
    """UTC, ISO 8601."""
    loop: Loop


class IntegrationResults(Document):
    """integration_results.json: one row per loop, measured beside predicted."""

    predicted_at: str | None
    loops: tuple[LoopRow, ...]
    followed: tuple[Followed, ...]
    """v5's forecasts window by window, with its factors."""
    followed_refused: str | None


class Gap(Frozen):
    """Time between two samples that is longer than one and a half periods."""

    end_s: float
    length_s: float


class RealTimeMetrics(Document):
    """real_time_metrics.json: the sampled series."""

    run_id: str
    sample_period_s: float
    samples: int
    planned_samples: int
    slots_filled_fraction: float
    """Planned sampling slots that hold a sample."""
    gaps: tuple[Gap, ...]
    longest_gap_s: float
    series: dict[str, tuple[float | None, ...]]
    """Column -> values, one per sample; empty when the series is too long to repeat here."""
    series_omitted_reason: str | None
    """Why the series is empty, or None; the whole of it is samples.parquet of the run."""


class DashboardData(Document):
    """dashboard_data.json: the last state of the monitored run."""

    at_s: float
    """Time of the last sample, seconds from the start of the run."""
    status: Literal["healthy", "warning", "critical"]
    status_rule: str
    metrics: dict[str, float | None]
    trends: tuple[Trend, ...]
    open_alerts: tuple[int, ...]
    """Numbers of the alerts in alerts.json that were open at the end."""


class NumberedAlert(Frozen):
    """One alert; its number is its place in the file, from 1."""

    number: int
    alert: Alert


class Alerts(Document):
    """alerts.json: every alert of the monitored run, in order of its start."""

    alerts: tuple[NumberedAlert, ...]


class Adjustment(Frozen):
    """One option in one option set."""

    option: str
    from_value: OptionValue
    to_value: OptionValue


class TuningRecord(Frozen):
    """One option set tried against the default."""

    option_set: str
    adjustments: tuple[Adjustment, ...]
    why: Literal["candidate_of_profile", "found_by_search"]
    pairs: int
    rate_ratio: Estimate | None
    held_ratio: Estimate | None
    """The same of the rates without borrowed debt."""
    effect: Effect
    memtable_bytes_ratio: float
    breaches: tuple[Breach, ...]
    """Guards the set breaks; it is never chosen then."""
    kept: bool
    """Chosen by tuning and confirmed in validation; anything else is rolled back."""


class Confirmation(Frozen):
    """The chosen option set against the default, measured again in fresh runs."""

    pairs: int
    rate_ratio: Estimate | None
    effect: Effect


class AutoTuningRecords(Document):
    """auto_tuning_records.json: every adjustment, its effect, and whether it was kept."""

    seed: int
    records: tuple[TuningRecord, ...]
    confirmation: Confirmation | None
    """None when the default was kept."""
    search: SearchResult | None
    """Every option set a search measured; None: only given candidates were compared."""
    trials: tuple[Trial, ...]
    confirmation_trials: tuple[Trial, ...]
    sustained: dict[str, SMaxResult]
    """S_max of the default and of the chosen set; empty: not measured."""
    effects: Effects | None
    """The chosen set without each of its options; None: not measured."""
    factors: FactorCalibration
    """Every model factor with a place in an equation: its value, what it did, kept or not."""


class Stability(Frozen):
    """Verdict on one metric; its trend stands in dashboard_data.json."""

    metric: str
    word_ko: str
    value_ko: str
    rule_ko: str


class PerformanceReport(Document):
    """performance_report.json: rate, latency, stalls, ledger, and accuracy on held-out cases."""

    put_rate_ops_per_s: Estimate
    rate_cv_fraction: float | None
    loop_rate_mean_ops_per_s: float | None
    loop_rate_sd_ops_per_s: float | None
    loop_rate_min_ops_per_s: float | None
    loop_rate_max_ops_per_s: float | None
    s_max: SMaxResult | None
    """Search for the sustainable rate; None: not measured in this report."""
    put_latency_us: dict[str, float | None]
    stall_fraction: float
    stalls: tuple[StallShare, ...]
    ledger: Ledger
    validity: Verdict
    stability: tuple[Stability, ...]
    scores: tuple[ModelScore, ...]
    baselines: tuple[ModelScore, ...]
    every_score: tuple[ModelScore, ...]
    """Models and rows to beat over all cases, those of other regimes included."""
    regimes_absent: tuple[Regime, ...]
    held_out_cases: tuple[CaseScore, ...]


class PhaseDReport(Document):
    """phase_d_report.json: the four objectives, and what the report was made from."""

    report_id: str
    generated_at: str
    profile: Profile
    validation_seed: int
    integration_seed: int
    host: Host
    environment: Environment
    measured_at: dict[str, str]
    """Stage -> UTC time of its data."""
    sources: dict[str, str]
    objectives: tuple[Objective, ...]


class ComprehensiveReport(Document):
    """phase_d_comprehensive_report.json: findings and recommendations with their rules."""

    binding: str | None
    binding_source: str
    findings: tuple[Finding, ...]
    recommendations: tuple[Finding, ...]
    future_work: tuple[Finding, ...]
    not_shown_ko: tuple[str, ...]
    """What this report does not show."""


DOCUMENTS: dict[str, type[Document]] = {
    "model_deployment": ModelDeployment,
    "integration_results": IntegrationResults,
    "real_time_metrics": RealTimeMetrics,
    "dashboard_data": DashboardData,
    "alerts": Alerts,
    "auto_tuning_records": AutoTuningRecords,
    "performance_report": PerformanceReport,
    "phase_d_report": PhaseDReport,
    "phase_d_comprehensive_report": ComprehensiveReport,
}
"""File name without ``.json`` -> its type."""
