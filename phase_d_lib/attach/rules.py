"""The alert rules of `phase_d_lib.monitor`, on what a LOG and /proc tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from phase_d_lib.attach.result import Closed, Raised, Unwatched, now
from phase_d_lib.errors import InputError
from phase_d_lib.monitor.alerts import AlertBook
from phase_d_lib.monitor.result import Alert, InactiveRule, State
from phase_d_lib.monitor.rules import RULES
from phase_d_lib.monitor.signals import Expectations
from phase_d_lib.optionsfile import spec_of
from phase_d_lib.specs import OptionsSpec

_TRIGGERS = (
    "level0_file_num_compaction_trigger",
    "level0_slowdown_writes_trigger",
    "level0_stop_writes_trigger",
)
_LIMITS = ("soft_pending_compaction_bytes_limit", "hard_pending_compaction_bytes_limit")
_LIMITED = {"l0_files": "the level-0 triggers", "pending_compaction_bytes": "the debt limits"}
Subject = str | None
"""A column family, or None: database and host as a whole."""


def expectations_of(options: Mapping[str, str]) -> tuple[Expectations, dict[str, str]]:
    """Return what a column family is held against, and what it cannot be: column -> why.

    Parameters
    ----------
    options : mapping
        Names and values of the column family's options as RocksDB writes them.
    """
    off = {}
    if options.get("disable_auto_compactions", "").lower() in ("true", "1"):
        # RocksDB then heeds neither triggers nor limits (RecalculateWriteStallConditions).
        off = dict.fromkeys(_LIMITED, "disable_auto_compactions switches it off")
    for column, names in (("l0_files", _TRIGGERS), ("pending_compaction_bytes", _LIMITS)):
        if not all(name in options for name in names):
            off.setdefault(column, f"no options tell {_LIMITED[column]}")
    try:
        spec, _ = spec_of({name: options[name] for name in _TRIGGERS + _LIMITS if name in options})
    except InputError as error:
        off |= dict.fromkeys(_LIMITED, str(error).replace("\n", " "))
        spec = OptionsSpec()
    return Expectations(options=spec), off


class Watch:
    """One `AlertBook` a column family, one for database and host; see `observe`.

    Attributes
    ----------
    counts : Counter of str
        Alerts opened so far, by ``kind:cause``.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._books: dict[Subject, AlertBook] = {}
        self._options: dict[Subject, Mapping[str, str]] = {}
        self._expected: dict[Subject, Expectations] = {}
        self._off: dict[Subject, dict[str, str]] = {}
        self._last: dict[Subject, dict[str, Any]] = {}

    def expect(self, subject: Subject, options: Mapping[str, str]) -> list[Closed]:
        """Hold a subject against its options from now on; return the alerts that this ends."""
        if self._options.get(subject) == options:
            return []
        self._options[subject] = options
        expected, self._off[subject] = expectations_of(options)
        if self._expected.get(subject) == expected:
            return []
        ended = self.open_alerts(subject)
        self._books[subject], self._expected[subject] = AlertBook(expected), expected
        self._last.pop(subject, None)
        return [Closed(time=now(), column_family=subject, alert=alert) for alert in ended]

    def has_seen(self, subject: Subject) -> bool:
        """Whether a subject was observed since it is held against its present options."""
        return subject in self._last

    def observe(
        self, subject: Subject, columns: Mapping[str, Any], time_s: float
    ) -> list[Raised | Closed]:
        """Take a sample of a subject; return alerts it opened and closed.

        Parameters
        ----------
        subject : str or None
            Known by `expect`.
        columns : mapping
            What is known of it.
        time_s : float
            Seconds since the monitor was attached.
        """
        book, off = self._books[subject], self._off[subject]
        known = {name: value for name, value in columns.items() if name not in off}
        if self._last.get(subject) == known and book.state == "healthy":
            return []
        self._last[subject] = known
        opened = book.observe({**known, "time_s": time_s})
        self.counts.update(f"{alert.kind}:{alert.cause}" for alert in opened)
        told: list[Raised | Closed] = [
            Raised(time=now(), column_family=subject, alert=alert) for alert in opened
        ]
        told += [Closed(time=now(), column_family=subject, alert=alert) for alert in book.closed]
        book.closed.clear()  # told is kept: a monitor may run for months
        return told

    def open_alerts(self, subject: Subject) -> list[Alert]:
        """Return the alerts of a subject that are open."""
        book = self._books.get(subject)
        return [] if book is None else [alert for alert in book.all() if alert.end_s is None]

    @property
    def open_names(self) -> tuple[str, ...]:
        """Return all open alerts as ``kind:cause``, with the column family if it is not default."""
        return tuple(
            f"{alert.kind}:{alert.cause}"
            + ("" if subject in (None, "default") else f" [{subject}]")
            for subject in self._books
            for alert in self.open_alerts(subject)
        )

    @property
    def state(self) -> State:
        """Worst severity of the open alerts."""
        states = {book.state for book in self._books.values()}
        return (
            "critical" if "critical" in states else "warning" if "warning" in states else "healthy"
        )

    def unwatched(self) -> dict[tuple[str, str], Unwatched]:
        """Return the rules that no subject can be held against, by (kind, cause)."""
        inactive = [
            {(rule.kind, rule.cause): self._why(subject, rule) for rule in book.inactive}
            for subject, book in self._books.items()
            if subject in self._last
        ]
        nowhere = set.intersection(*map(set, inactive)) if inactive else set()
        # Who lacks least says best what is missing.
        reasons = {key: min((own[key] for own in inactive), key=len) for key in nowhere}
        rules = {(rule.kind, rule.cause): rule for rule in RULES}
        return {
            key: Unwatched(time=now(), kind=rules[key].kind, cause=rules[key].cause, reason=reason)
            for key, reason in sorted(reasons.items())
        }

    def _why(self, subject: Subject, rule: InactiveRule) -> str:
        return self._off[subject].get(rule.reason.removeprefix("no column "), rule.reason)
