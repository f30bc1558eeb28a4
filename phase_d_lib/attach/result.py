"""What an attached monitor tells, one frozen type a kind of line."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

from phase_d_lib.monitor.result import Alert, AlertKind, State
from phase_d_lib.specs import Frozen

Subject = Literal["process", "log", "session", "options", "rules"]


def utc(time_s: float) -> str:
    """Return epoch seconds as UTC time, ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")


def now() -> str:
    """Return the present time as `utc` writes it."""
    return utc(time.time())


class Told(Frozen):
    """Base of all lines.

    Attributes
    ----------
    time : str
        UTC, ISO 8601.
    """

    time: str


class Target(Told):
    """What is watched."""

    event: Literal["attached"] = "attached"
    database: str
    log: str
    product: str | None
    version: str | None
    base_version: str | None
    git_sha: str | None
    compiled: str | None
    session_id: str | None
    opened: str | None
    """UTC time at which the program opened the database, by the LOG."""
    read_from: str | None
    """UTC time of the first line of the LOG that was read."""
    skipped_bytes: int
    """What stands before it."""
    pid: int | None
    process: str
    """Name of the program and how it was found, or why it was not."""
    options_from: str
    database_options: dict[str, str]
    family_options: dict[str, dict[str, str]]
    """By column family, the options that decide how fast it can be written."""


class Change(Told):
    """Something about the database or its program is not as before."""

    event: Literal["change"] = "change"
    subject: Subject
    text: str


def change(subject: Subject, text: str) -> Change:
    """Return a change that is told now."""
    return Change(time=now(), subject=subject, text=text)


class Raised(Told):
    """An alert opened; its times are seconds since the monitor was attached."""

    event: Literal["alert"] = "alert"
    column_family: str | None
    """None: of the whole database or host."""
    alert: Alert


class Closed(Told):
    """An alert closed."""

    event: Literal["alert_closed"] = "alert_closed"
    column_family: str | None
    alert: Alert


class Unwatched(Told):
    """An alert rule that nothing here can tell of."""

    event: Literal["not_watched"] = "not_watched"
    kind: AlertKind
    cause: str
    reason: str


class LogError(Told):
    """An error RocksDB wrote to its LOG."""

    event: Literal["error"] = "error"
    severity: str
    words: str
    """The message without its numbers and paths."""
    count: int
    """Of this kind in all that was read."""


class HostFigures(Frozen):
    """Process, disk and machine since the status before; None where it could not be read."""

    process_cpu_cores: float | None = None
    rss_bytes: int | None = None
    io_read_bytes_per_s: float | None = None
    io_write_bytes_per_s: float | None = None
    steal_fraction: float | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None


class StallSoFar(Frozen):
    """Time in one state of the write controller."""

    cause: str
    kind: Literal["delay", "stop"]
    seconds: float
    warnings: int


class Status(Told):
    """What holds now, and what happened since the status before."""

    event: Literal["status"] = "status"
    interval_s: float
    """Span of the rates: since the status before; the first looks back by the period."""
    pid: int | None
    process: str
    log_silent_s: float | None
    """Since the last line of the LOG; None before one was read."""
    state: Literal["normal", "delay", "stop"]
    """As the LOG last told; with no program, 'normal'."""
    cause: str | None
    column_family: str | None
    since: str | None
    delayed_write_rate_bytes_per_s: int | None
    l0_files: int | None
    """Of the column family nearest to its slowdown trigger."""
    l0_slowdown_trigger: int | None
    l0_stop_trigger: int | None
    pending_compaction_bytes: int | None
    """Of the column family that owes most."""
    pending_told: str | None
    flush_bytes_per_s: float
    """By the jobs that finished in the interval, as the next two."""
    compaction_read_bytes_per_s: float
    compaction_write_bytes_per_s: float
    ingest_bytes_per_s: float | None
    """Users' writes, by the last stats dump."""
    ingest_told: str | None
    stalls: tuple[StallSoFar, ...]
    stalls_since: str | None
    host: HostFigures
    alerts_open: tuple[str, ...]
    alert_state: State


class Summary(Told):
    """The whole time attached."""

    event: Literal["summary"] = "summary"
    attached_s: float
    stalls: tuple[StallSoFar, ...]
    """While attached."""
    flush_bytes: int
    compaction_read_bytes: int
    compaction_write_bytes: int
    sessions: int
    """Openings of the database seen while attached."""
    alerts: dict[str, int]
    alert_state: State
    own_cpu_s: float
    """CPU time of the monitor since it was attached."""
    own_cpu_fraction: float
    """Of one core."""


Happening = Change | Raised | Closed | Unwatched | LogError
Line = Target | Happening | Status | Summary
