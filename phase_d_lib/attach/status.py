"""The state of an attached database as one record, and the account of the whole time."""

from __future__ import annotations

import time

from phase_d_lib.attach.attachment import Attachment
from phase_d_lib.attach.hostside import figures
from phase_d_lib.attach.logstate import Family, Moved
from phase_d_lib.attach.result import StallSoFar, Status, Summary, Target, now, utc
from phase_d_lib.logfile.tables import CAUSES

DATABASE_OPTIONS = (
    "max_background_jobs",
    "max_subcompactions",
    "delayed_write_rate",
    "db_write_buffer_size",
    "stats_dump_period_sec",
)
FAMILY_OPTIONS = (
    "write_buffer_size",
    "max_write_buffer_number",
    "level0_file_num_compaction_trigger",
    "level0_slowdown_writes_trigger",
    "level0_stop_writes_trigger",
    "soft_pending_compaction_bytes_limit",
    "hard_pending_compaction_bytes_limit",
    "target_file_size_base",
    "max_bytes_for_level_base",
    "max_bytes_for_level_multiplier",
    "level_compaction_dynamic_level_bytes",
    "compaction_style",
    "compression",
    "disable_auto_compactions",
)


def target_of(attachment: Attachment) -> Target:
    """Return what is watched: build, session, program, options that matter."""
    source, program = attachment.source, attachment.program
    header, options = source.header, source.options
    return Target(
        time=now(),
        database=str(source.database),
        log=str(source.log),
        product=header.product if header else None,
        version=header.version if header else options.version,
        base_version=header.base_version if header else None,
        git_sha=header.git_sha if header else None,
        compiled=header.compiled if header else None,
        session_id=header.session_id if header else None,
        opened=_utc(header.opened_s if header else None),
        read_from=_utc(attachment.log.time_range_s()[0]),
        skipped_bytes=source.skipped_bytes,
        pid=program.pid,
        process=program.note,
        options_from=source.options_from,
        database_options=_chosen(options.db, DATABASE_OPTIONS),
        family_options={name: _chosen(own, FAMILY_OPTIONS) for name, own in options.cf.items()},
    )


class Account:
    """Makes a status of what happened since the one before, and a summary of it all.

    Parameters
    ----------
    attachment : Attachment
    period_s : float
        How far the first status looks back for bytes flushed and compacted, seconds.
    """

    def __init__(self, attachment: Attachment, period_s: float) -> None:
        self._attachment = attachment
        self._period_s = period_s
        self._start_cpu_s = time.process_time()
        self._start_moved = self._moved = attachment.log.moved
        self._start_stalls = {(s.cause, s.kind): s for s in _stalls(attachment)}
        self._host = attachment.host
        self._pid = attachment.program.pid
        self._told_s: float | None = None

    def status(self) -> Status:
        """Return what holds now and what happened since the last call."""
        attachment, log = self._attachment, self._attachment.log
        moved, interval_s = self._moved_since()
        stall = log.stalls.now
        l0_files, slowdown, stop = self._fullest()
        owing = max(log.families.values(), key=_pending, default=Family())
        status = Status(
            time=now(),
            interval_s=interval_s,
            pid=attachment.program.pid,
            process=attachment.program.note,
            log_silent_s=_age_s(log.time_range_s()[1]),
            state="normal" if stall is None else stall.kind,
            cause=stall.cause if stall else None,
            column_family=stall.column_family if stall else None,
            since=_utc(stall.since_s if stall else None),
            delayed_write_rate_bytes_per_s=(
                log.family(stall.column_family).delayed_rate_bytes_per_s
                if stall and stall.kind == "delay"
                else None
            ),
            l0_files=l0_files,
            l0_slowdown_trigger=slowdown,
            l0_stop_trigger=stop,
            pending_compaction_bytes=owing.pending_bytes,
            pending_told=_utc(owing.pending_told_s),
            flush_bytes_per_s=moved.flush / interval_s,
            compaction_read_bytes_per_s=moved.compaction_read / interval_s,
            compaction_write_bytes_per_s=moved.compaction_write / interval_s,
            ingest_bytes_per_s=log.ingest_bytes_per_s,
            ingest_told=_utc(log.ingest_told_s),
            stalls=_stalls(attachment),
            stalls_since=_utc(log.time_range_s()[0]),
            host=figures(
                self._host,
                attachment.host,
                same_process=self._pid == attachment.program.pid,
            ),
            alerts_open=attachment.watch.open_names,
            alert_state=attachment.watch.state,
        )
        self._host, self._pid = attachment.host, attachment.program.pid
        return status

    def summary(self) -> Summary:
        """Return the account of the whole time attached."""
        attachment, log = self._attachment, self._attachment.log
        attached_s = attachment.attached_s
        own_cpu_s = time.process_time() - self._start_cpu_s
        moved = log.moved - self._start_moved
        return Summary(
            time=now(),
            attached_s=attached_s,
            stalls=tuple(self._since_start(stall) for stall in _stalls(attachment)),
            flush_bytes=moved.flush,
            compaction_read_bytes=moved.compaction_read,
            compaction_write_bytes=moved.compaction_write,
            sessions=attachment.source.sessions,
            alerts=dict(attachment.watch.counts),
            alert_state=attachment.watch.state,
            own_cpu_s=own_cpu_s,
            own_cpu_fraction=own_cpu_s / attached_s,
        )

    def _moved_since(self) -> tuple[Moved, float]:
        """Return what finished jobs moved since the last status, and how long that is."""
        log, now_s = self._attachment.log, time.monotonic()
        if self._told_s is None:
            moved, interval_s = log.moved_since(time.time() - self._period_s), self._period_s
        else:
            moved, interval_s = log.moved - self._moved, now_s - self._told_s
        self._moved, self._told_s = log.moved, now_s
        return moved, max(interval_s, 1e-3)

    def _fullest(self) -> tuple[int | None, int | None, int | None]:
        """Return level-0 files, slowdown and stop trigger of the family nearest to a slowdown."""
        rows: list[tuple[float, int | None, int | None, int | None]] = []
        for name, family in self._attachment.log.families.items():
            options = self._attachment.source.options.cf.get(name, {})
            slowdown = _integer(options.get("level0_slowdown_writes_trigger"))
            stop = _integer(options.get("level0_stop_writes_trigger"))
            files = family.l0_files
            share = -1.0 if files is None else files / slowdown if slowdown else 0.0
            rows.append((share, files, slowdown, stop))
        return max(rows, key=lambda row: row[0], default=(0.0, None, None, None))[1:]

    def _since_start(self, stall: StallSoFar) -> StallSoFar:
        start = self._start_stalls[stall.cause, stall.kind]
        return stall.model_copy(
            update={
                "seconds": stall.seconds - start.seconds,
                "warnings": stall.warnings - start.warnings,
            }
        )


def _stalls(attachment: Attachment) -> tuple[StallSoFar, ...]:
    """Return time and warnings by cause and kind in all that was read.

    What holds goes on while the program is seen to run, else to the last line of the LOG.
    """
    log = attachment.log
    runs = attachment.program.process is not None
    seconds = log.stalls.seconds_until(time.time() if runs else log.time_range_s()[1])
    return tuple(
        StallSoFar(
            cause=cause,
            kind=kind,
            seconds=seconds.get((cause, kind), 0.0),
            warnings=log.warnings[cause, kind],
        )
        for cause in CAUSES
        for kind in ("delay", "stop")
    )


def _chosen(options: dict[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: options[name] for name in names if name in options}


def _pending(family: Family) -> int:
    return -1 if family.pending_bytes is None else family.pending_bytes


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _utc(time_s: float | None) -> str | None:
    known = time_s is not None and time_s == time_s and abs(time_s) < 1e11
    return utc(time_s) if known and time_s is not None else None


def _age_s(time_s: float) -> float | None:
    return max(0.0, time.time() - time_s) if time_s == time_s else None
