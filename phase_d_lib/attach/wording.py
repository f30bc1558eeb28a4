"""The lines of an attached monitor in words."""

from __future__ import annotations

from datetime import datetime

from phase_d_lib.attach.result import (
    Change,
    Closed,
    HostFigures,
    Line,
    LogError,
    Raised,
    StallSoFar,
    Status,
    Summary,
    Target,
    Unwatched,
)
from phase_d_lib.units import GIB, KIB, MIB

_CAUSES = {
    "memtable_limit": "memtables",
    "l0_file_limit": "level-0 files",
    "pending_bytes": "pending bytes",
}
_KINDS = {"delay": "slowdown", "stop": "write stop"}


def line_of(told: Line) -> str:
    """Return one line in words, its time in local time."""
    clock = datetime.fromisoformat(told.time).astimezone().strftime("%H:%M:%S")
    return f"{clock}  {_words(told)}"


def _words(told: Line) -> str:
    match told:
        case Target():
            return _target(told)
        case Status():
            return _status(told)
        case Summary():
            return _summary(told)
        case Raised():
            alert = told.alert
            where = f" [{told.column_family}]" if told.column_family else ""
            return (
                f"{alert.severity.upper()} {alert.kind} ({alert.cause}){where}: "
                f"{_number(alert.value)}, limit {_number(alert.limit)}. {alert.action}"
            )
        case Closed():
            where = f" [{told.column_family}]" if told.column_family else ""
            ended_s = told.alert.end_s
            lasted = "" if ended_s is None else f" after {_span(ended_s - told.alert.start_s)}"
            return f"over: {told.alert.kind} ({told.alert.cause}){where}{lasted}"
        case Change():
            return f"{told.subject}: {told.text}"
        case Unwatched():
            return f"not watched: {told.kind} ({told.cause}): {told.reason}"
        case LogError():
            return f"{told.severity.upper()} in the LOG, {told.count} so far: {told.words}"


def _target(told: Target) -> str:
    base = f" (of RocksDB {told.base_version})" if told.base_version else ""
    build = ", ".join(
        part
        for part in (
            f"{told.product or 'RocksDB'} {told.version or 'of unknown version'}{base}",
            f"git {told.git_sha[:12]}" if told.git_sha else "",
            f"built {told.compiled}" if told.compiled else "",
            f"opened {_local(told.opened)}" if told.opened else "",
        )
        if part
    )
    skipped = f", its first {_size(told.skipped_bytes)} left out" if told.skipped_bytes else ""
    process = told.process if told.pid is None else f"{told.pid} ({told.process})"
    options = [f"options by the {told.options_from}: {_pairs(told.database_options)}"]
    options += [f"[{name}] {_pairs(own)}" for name, own in told.family_options.items()]
    lines = [
        f"attached to {told.database}: {build}",
        f"process: {process}",
        f"LOG: {told.log}, read from {_local(told.read_from)}{skipped}",
        *options,
    ]
    return "\n          ".join(lines)


def _status(told: Status) -> str:
    parts = [
        _state(told),
        f"L0 {_or_unknown(told.l0_files)}"
        f" of {_or_unknown(told.l0_slowdown_trigger)}/{_or_unknown(told.l0_stop_trigger)}",
        "debt " + _size(told.pending_compaction_bytes),
        f"flush {_rate(told.flush_bytes_per_s)}, compaction"
        f" write {_rate(told.compaction_write_bytes_per_s)}"
        f" read {_rate(told.compaction_read_bytes_per_s)} in {_span(told.interval_s)}",
        *([f"users write {_rate(told.ingest_bytes_per_s)}"] if told.ingest_bytes_per_s else []),
        f"stalled since {_local(told.stalls_since)}: {_stalls(told.stalls)}",
        _process(told.pid, told.host),
        f"disk {_size(told.host.disk_free_bytes)} free of {_size(told.host.disk_total_bytes)}",
        f"steal {_share(told.host.steal_fraction)}",
        f"LOG silent {_span(told.log_silent_s)}",
        told.alert_state + (f": {', '.join(told.alerts_open)}" if told.alerts_open else ""),
    ]
    return " | ".join(parts)


def _state(told: Status) -> str:
    if told.state == "normal" or told.cause is None:
        return "no stall"
    rate = told.delayed_write_rate_bytes_per_s
    return (
        f"{_KINDS[told.state].upper()} by {_CAUSES[told.cause]} [{told.column_family}]"
        f" since {_local(told.since)}" + (f", held to {_rate(rate)}" if rate else "")
    )


def _process(pid: int | None, host: HostFigures) -> str:
    if pid is None:
        return "no process seen"
    if host.rss_bytes is None:
        return f"pid {pid}: no figures"
    used = "?" if host.process_cpu_cores is None else f"{host.process_cpu_cores:.2f}"
    return f"pid {pid}: {used} cores, {_size(host.rss_bytes)}, {_io(host)}"


def _io(host: HostFigures) -> str:
    if host.io_read_bytes_per_s is None or host.io_write_bytes_per_s is None:
        return "I/O not readable"
    return f"reads {_rate(host.io_read_bytes_per_s)} writes {_rate(host.io_write_bytes_per_s)}"


def _summary(told: Summary) -> str:
    alerts = ", ".join(f"{name} x{count}" for name, count in sorted(told.alerts.items()))
    return (
        f"attached for {_span(told.attached_s)}: stalled {_stalls(told.stalls)};"
        f" flushed {_size(told.flush_bytes)}, compactions wrote"
        f" {_size(told.compaction_write_bytes)} and read {_size(told.compaction_read_bytes)};"
        f" {told.sessions} openings; alerts: {alerts or 'none'}; at the end {told.alert_state};"
        f" this monitor used {told.own_cpu_s:.2f} s of CPU,"
        f" {100 * told.own_cpu_fraction:.2f} % of a core"
    )


def _stalls(stalls: tuple[StallSoFar, ...]) -> str:
    told = [
        f"{_CAUSES[stall.cause]} {_KINDS[stall.kind]} {_span(stall.seconds)}"
        for stall in stalls
        if stall.seconds > 0 or stall.warnings
    ]
    return ", ".join(told) or "never"


def _pairs(options: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items()) or "unknown"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def _or_unknown(value: int | None) -> str:
    return "?" if value is None else str(value)


def _local(time: str | None) -> str:
    if time is None:
        return "?"
    then = datetime.fromisoformat(time).astimezone()
    today = then.date() == datetime.now().astimezone().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def _size(value: float | None) -> str:
    if value is None:
        return "?"
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if value >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value:.0f} B"


def _rate(value: float | None) -> str:
    return f"{_size(value)}/s"


def _span(value: float | None) -> str:
    if value is None:
        return "?"
    if value < 100:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02} min"


def _share(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.1f} %"
