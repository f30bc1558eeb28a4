"""Result objects as tidy tables, units in the column names: what notebooks show."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version

import pandas as pd
from pydantic import BaseModel

from phase_d_lib import smax
from phase_d_lib.calibration import Calibration
from phase_d_lib.deployment import DeploymentRecord
from phase_d_lib.host import Host
from phase_d_lib.importers import GRID_COLUMNS
from phase_d_lib.models.base import Prediction
from phase_d_lib.monitor import Anomaly, ChangePoint, Loop, MonitoringResult, Trend
from phase_d_lib.rates import Estimate
from phase_d_lib.tuning.comparison import Comparison, Trial
from phase_d_lib.tuning.effects import Effects
from phase_d_lib.tuning.search import SearchResult
from phase_d_lib.validation import CaseScore, ModelScore
from phase_d_lib.validity import Verdict

_PACKAGES = ("rocksdict", "papermill", "scrapbook", "pandas", "statsmodels", "seaborn")


def calibration_table(calibration: Calibration) -> pd.DataFrame:
    """One row a measured configuration."""
    return pd.DataFrame(
        {
            "configuration": row.name,
            **_estimate(row.measured_ops_per_s, "saturation_ops_per_s"),
            "stall_fraction": row.stall_fraction,
            "write_bytes_per_user_byte": (
                row.case.amplification.background_bytes_per_user_byte
                if row.case.amplification
                else None
            ),
            "validity": _verdict(row.verdict),
        }
        for row in calibration.rows
    )


def host_table(calibration: Calibration) -> pd.DataFrame:
    """One row a measured host quantity, with the run it came from; None was not measured."""
    return pd.DataFrame(
        {
            "quantity": name,
            "value": value,
            "run_id": calibration.sources.get(name),
        }
        for name, value in calibration.host.model_dump().items()
    )


def device_table(calibration: Calibration) -> pd.DataFrame:
    """One row a measured point of the device; no rows where none was measured."""
    device = calibration.device
    return pd.DataFrame(columns=list(GRID_COLUMNS)) if device is None else device.grid.table()


def s_max_text(calibration: Calibration) -> str:
    """Trials of the search for S_max, or that there was none."""
    found = calibration.sustained
    return "S_max: not measured in this profile" if found is None else smax.table(found)


def deployment_table(record: DeploymentRecord) -> pd.DataFrame:
    """One row a model."""
    columns = [
        "model", "version", "status", "reason", "refusal", "cross_validated_error_fraction",
        "regime_error_fraction", "s_max_ratio",
    ]  # fmt: skip
    return pd.DataFrame([d.model_dump() for d in record.models])[columns]


def prediction_table(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """One row a prediction: rate, binding resource, stall share, or why the model refused."""
    columns = [
        "model", "saturation_ops_per_s", "interval_90_ops_per_s", "interval_source",
        "s_max_ops_per_s", "s_max_source", "binding", "stall_fraction", "stall_regime",
        "write_bytes_per_user_byte", "amplification_source", "inside_calibration", "refused",
    ]  # fmt: skip
    return _models(predictions, columns)


def loop_table(result: MonitoringResult) -> pd.DataFrame:
    """One row a monitoring loop."""
    return _models(result.loops, list(Loop.model_fields))


def stall_table(result: MonitoringResult) -> pd.DataFrame:
    """Seconds in each stall state and cause."""
    columns = ["cause", "kind", "seconds", "count"]
    return _models(result.stalls, columns)


def alert_table(result: MonitoringResult) -> pd.DataFrame:
    """One row an alert."""
    columns = ["kind", "severity", "cause", "start_s", "end_s", "value", "limit"]
    return _models(result.alerts, columns)


def trend_table(result: MonitoringResult) -> pd.DataFrame:
    """One row a metric: slope, significance, stability."""
    return _models(result.trends, list(Trend.model_fields))


def change_table(result: MonitoringResult) -> pd.DataFrame:
    """One row a significant step of a metric's level."""
    return _models(result.change_points, list(ChangePoint.model_fields))


def anomaly_table(result: MonitoringResult) -> pd.DataFrame:
    """One row a spell of samples far outside the window before them."""
    return _models(result.anomalies, list(Anomaly.model_fields))


def trial_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row a trial, in the order they ran."""
    return pd.DataFrame(
        {**trial.model_dump(exclude={"verdict"}), "validity": _verdict(trial.verdict)}
        for trial in trials
    )


def evaluation_table(search: SearchResult) -> pd.DataFrame:
    """One row a run of the search, in the order they ran."""
    left_out = {"verdict", "point", "breaches"}
    return pd.DataFrame(
        {
            **e.model_dump(exclude=left_out),
            "validity": _verdict(e.verdict),
            "breaches": "; ".join(map(str, e.breaches)),
        }
        for e in search.evaluations
    )


def effect_table(effects: Effects) -> pd.DataFrame:
    """One row a dimension set back to the default: what it does, what held the run back."""
    columns = [
        "dimension", "default", "tuned", "rate_ratio", "held_ops_per_s",
        "write_bytes_per_user_byte", "stall_fraction", "bound",
    ]  # fmt: skip
    return _models(effects.reverted, columns)


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row an option set against the default."""
    return pd.DataFrame(
        {
            "option_set": c.option_set,
            "pairs": c.pairs,
            **_estimate(c.rate_ratio, "rate_ratio"),
            **_estimate(c.held_ratio, "held_ratio"),
            "effect": c.effect,
            "breaches": "; ".join(map(str, c.breaches)),
            "memtable_bytes_ratio": c.memtable_bytes_ratio,
            "changes": c.changes,
        }
        for c in comparisons
    )


def case_table(cases: Sequence[CaseScore]) -> pd.DataFrame:
    """One row a held-out case and model: predicted, measured, closure, validity."""
    return pd.DataFrame(
        _case_row(case, prediction) for case in cases for prediction in case.predictions
    )


def _case_row(case: CaseScore, prediction: Prediction) -> dict[str, object]:
    rate = prediction.saturation_ops_per_s
    closures = {closure.model: closure.saturation_ops_per_s for closure in case.closures}
    return {
        "case": case.name,
        "model": prediction.model,
        **_estimate(case.measured_ops_per_s, "measured_ops_per_s"),
        "predicted_ops_per_s": rate,
        "error_fraction": rate / case.measured_ops_per_s.value - 1.0 if rate else None,
        "closure_ops_per_s": closures.get(prediction.model),
        "binding": prediction.binding,
        "measured_regime": case.behaviour.regime,
        "validity": _verdict(case.verdict),
    }


def score_table(scores: Sequence[ModelScore]) -> pd.DataFrame:
    """One row a model or row to beat."""
    return _models(scores, [name for name in ModelScore.model_fields if name != "regimes"])


def regime_table(scores: Sequence[ModelScore]) -> pd.DataFrame:
    """One row a model and regime."""
    return pd.DataFrame(
        {"model": score.model, **part.model_dump()} for score in scores for part in score.regimes
    )


def split_table(cases: Sequence[CaseScore]) -> pd.DataFrame:
    """One row a case and model: log error and its parts."""
    return pd.DataFrame(
        {"case": case.name, "model": model, "regime": case.behaviour.regime, **split.model_dump()}
        for case in cases
        for model, split in case.splits.items()
    )


def provenance_table(host: Host) -> pd.DataFrame:
    """Machine, engine, commit and package versions of a result."""
    rows = {
        **host.model_dump(),
        "notebook_python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }
    return pd.DataFrame({"what": list(rows), "value": [str(v) for v in rows.values()]})


def _models(rows: Sequence[BaseModel], columns: list[str]) -> pd.DataFrame:
    """Models as rows; the columns are there even when there is no row."""
    return pd.DataFrame([row.model_dump() for row in rows], columns=columns)


def _estimate(estimate: Estimate | None, name: str) -> dict[str, float | None]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _verdict(verdict: Verdict) -> str:
    return "valid" if verdict.valid else "; ".join(map(str, verdict.reasons))
