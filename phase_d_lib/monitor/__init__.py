"""Watch a run: loops beside the prediction, alerts with cause and action, trends and changes.

One noun a module: `result` holds the types; `signals` reads one number from recent samples, `rules`
compares it with a limit, `alerts` keeps what opened; `trends`, `changes` and `anomalies` look at a
whole series; `windows` cuts loops; `watch` puts them together. `early_warning` predicts stalls.
"""

from phase_d_lib.monitor.alerts import CLOSE_AFTER_SAMPLES, AlertBook
from phase_d_lib.monitor.anomalies import anomalies
from phase_d_lib.monitor.changes import change_points
from phase_d_lib.monitor.result import (
    Alert,
    AlertKind,
    Anomaly,
    ChangePoint,
    InactiveRule,
    Loop,
    MonitoringResult,
    Severity,
    StallShare,
    State,
    Trend,
)
from phase_d_lib.monitor.rules import NEAR_FRACTION, RULES
from phase_d_lib.monitor.signals import Expectations
from phase_d_lib.monitor.trends import STABLE_CV_FRACTION, TREND_ALPHA, trend
from phase_d_lib.monitor.watch import describe, monitor, monitoring_spec, replay
from phase_d_lib.monitor.windows import loops

__all__ = [
    "CLOSE_AFTER_SAMPLES",
    "NEAR_FRACTION",
    "RULES",
    "STABLE_CV_FRACTION",
    "TREND_ALPHA",
    "Alert",
    "AlertBook",
    "AlertKind",
    "Anomaly",
    "ChangePoint",
    "Expectations",
    "InactiveRule",
    "Loop",
    "MonitoringResult",
    "Severity",
    "StallShare",
    "State",
    "Trend",
    "anomalies",
    "change_points",
    "describe",
    "loops",
    "monitor",
    "monitoring_spec",
    "replay",
    "trend",
]
