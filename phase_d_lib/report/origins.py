"""Sources of the report's numbers: which scrap, run, file and field each came from."""

from __future__ import annotations

from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.sources import Source

PERFORMANCE = "performance_report.json"
LOOPS = "integration_results.json"
SAMPLES = "real_time_metrics.json"
DASHBOARD = "dashboard_data.json"
ALERTS = "alerts.json"
DEPLOYMENT = "model_deployment.json"
TUNING = "auto_tuning_records.json"
REPORT = "phase_d_report.json"
COMPREHENSIVE = "phase_d_comprehensive_report.json"


def integrated(field: str, run_id: str = "") -> Source:
    """Of the integration stage: calibration, models, host speeds, device."""
    return Source("integration", DEPLOYMENT, field, run_id)


def host_of(field: str) -> Source:
    """Of the machine, as the integration stage described it."""
    return Source("integration", REPORT, field)


def monitored(inputs: ReportInputs, field: str, file: str = PERFORMANCE) -> Source:
    """Of the monitored run."""
    return Source("monitoring", file, field, inputs.monitoring.run_id)


def run_file(inputs: ReportInputs, file: str, field: str) -> Source:
    """Of a file in the directory of the monitored run."""
    run_id = inputs.monitoring.run_id
    return Source("monitoring", f"runs/{run_id}/{file}", field, run_id)


def tuned(field: str, run_id: str = "") -> Source:
    """Of the tuning stage."""
    return Source("tuning", TUNING, field, run_id)


def confirmed_by(field: str, run_id: str = "") -> Source:
    """Of the pairs that were measured again in the validation stage."""
    return Source("validation", TUNING, field, run_id)


def validated(field: str, run_id: str = "") -> Source:
    """Of the held-out cases."""
    return Source("validation", PERFORMANCE, field, run_id)


def reported(field: str, file: str = REPORT) -> Source:
    """Of what the report itself derived from the scraps: verdicts, counts, times."""
    return Source("report", file, field)


def sustained() -> Source:
    """Of the search for S_max."""
    return Source("integration", PERFORMANCE, "s_max")
