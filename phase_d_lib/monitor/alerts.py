"""The alerts of one run: opened at once, closed after quiet samples, kept in a file."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from phase_d_lib.monitor.result import Alert, InactiveRule, State
from phase_d_lib.monitor.rules import RULES, Rule
from phase_d_lib.monitor.signals import HISTORY_S, Expectations, Row

CLOSE_AFTER_SAMPLES = 3


class AlertBook:
    """Applies every rule to each sample and keeps the alerts, and their file.

    An alert opens with the first sample beyond its limit and closes with the third in a row that is
    back behind its closing limit, so that a value that hovers around a limit is one alert.

    Parameters
    ----------
    expected : Expectations
        What the run is held against.
    file : Path, optional
        ``alerts.jsonl``: a line when an alert opens, another when it closes; None keeps them in
        memory only.
    """

    def __init__(self, expected: Expectations, file: Path | None = None) -> None:
        self._expected, self._file = expected, file
        self._recent: deque[Row] = deque()
        self._open: dict[tuple[str, str], Alert] = {}
        self._quiet: dict[tuple[str, str], int] = {}
        self._inactive: dict[tuple[str, str], InactiveRule] = {}
        self.closed: list[Alert] = []

    def observe(self, row: Row) -> list[Alert]:
        """Take one raw sample; return the alerts it opened."""
        self._recent.append(row)
        # Two always stay: counters of a sample after a long stop are held against the one before.
        while len(self._recent) > 2 and self._recent[0]["time_s"] < row["time_s"] - HISTORY_S:
            self._recent.popleft()
        recent = list(self._recent)
        judged = (self._judge(rule, recent) for rule in RULES)
        return [alert for alert in judged if alert is not None]

    @property
    def state(self) -> State:
        """Worst severity of the open alerts; healthy without any."""
        severities = {alert.severity for alert in self._open.values()}
        return "critical" if "critical" in severities else "warning" if severities else "healthy"

    @property
    def inactive(self) -> tuple[InactiveRule, ...]:
        """Rules that could not watch the newest sample, and why."""
        return tuple(self._inactive.values())

    def all(self) -> tuple[Alert, ...]:
        """Every alert so far, by start time; those still open have no end."""
        return tuple(sorted([*self.closed, *self._open.values()], key=lambda alert: alert.start_s))

    def _judge(self, rule: Rule, recent: list[Row]) -> Alert | None:
        """Apply one rule; return the alert it opened, if any."""
        key, row = (rule.kind, rule.cause), recent[-1]
        because = rule.inactive_because(row, self._expected)
        if because is not None:
            self._inactive[key] = InactiveRule(kind=rule.kind, cause=rule.cause, reason=because)
            return None
        self._inactive.pop(key, None)
        value = rule.signal(recent, self._expected)
        if value is None:
            return None
        is_open = key in self._open
        if rule.holds(value, row, self._expected, is_open=is_open):
            self._quiet[key] = 0
            return None if is_open else self._opened(rule, value, row["time_s"])
        if is_open:
            self._quiet[key] += 1
            if self._quiet[key] >= CLOSE_AFTER_SAMPLES:
                self._close(key, row["time_s"])
        return None

    def _opened(self, rule: Rule, value: float, time_s: float) -> Alert:
        alert = Alert(
            kind=rule.kind,
            severity=rule.severity,
            cause=rule.cause,
            start_s=time_s,
            end_s=None,
            value=value,
            limit=rule.limit(self._expected) or 0.0,
            action=rule.action,
        )
        self._open[rule.kind, rule.cause] = alert
        self._write(alert)
        return alert

    def _close(self, key: tuple[str, str], time_s: float) -> None:
        alert = self._open.pop(key).model_copy(update={"end_s": time_s})
        self.closed.append(alert)
        self._write(alert)

    def _write(self, alert: Alert) -> None:
        if self._file is not None:
            with self._file.open("a") as stream:
                stream.write(alert.model_dump_json() + "\n")
