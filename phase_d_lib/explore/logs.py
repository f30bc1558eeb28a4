"""One LOG as tables: what wrote, what stalled, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phase_d_lib.errors import InputError
from phase_d_lib.explore.html import figure_picture, notice, paragraph, table_html
from phase_d_lib.explore.log_figure import log_figure
from phase_d_lib.logfile import LogTables, level_flows, read_log, stall_seconds_by_cause
from phase_d_lib.report.quantities import (
    ABSENT,
    byte_rate,
    count,
    factor,
    percent,
    seconds,
    size,
)
from phase_d_lib.report.wording import STALL_CAUSES, STALL_KINDS, with_particle

_WARNINGS = 8


def open_log(path: Path) -> LogTables:
    """Read a LOG, or all of a database's.

    Raises
    ------
    InputError
        When it can't be opened, or holds no dated line of RocksDB.
    """
    log = read_log(path)
    if not np.isfinite(log.first_time_s):
        raise InputError(f"{path}: no line with RocksDB's time in it; is this a RocksDB LOG?")
    return log


def log_html(log: LogTables) -> str:
    """Render a LOG: one sentence, four tables, one figure."""
    figure = log_figure(log)
    return "".join(
        [
            paragraph(answer(log), strong=True),
            _overview(log),
            stalls_html(log, log.first_time_s, log.last_time_s),
            _levels(log),
            _warnings(log),
            figure_picture(figure, f"LOG의 쓰기 정체, 쓰기 속도, L0 파일 수. {answer(log)}"),
        ]
    )


def answer(log: LogTables) -> str:
    """Say in one sentence how long writes were held back and by what."""
    length_s = log.last_time_s - log.first_time_s
    spent = stall_seconds_by_cause(log, log.first_time_s, log.last_time_s)
    total_s = float(spent["seconds"].sum())
    if total_s <= 0 or length_s <= 0:
        return f"{seconds(length_s)} 동안 쓰기 정체가 기록되지 않았습니다."
    longest = spent.sort_values("seconds").iloc[-1]
    cause = STALL_CAUSES.get(str(longest["cause"]), str(longest["cause"]))
    kind = STALL_KINDS.get(str(longest["kind"]), str(longest["kind"]))
    named = with_particle(f"{cause}에 따른 {kind}", "이며/며")
    return (
        f"{seconds(length_s)} 가운데 {seconds(total_s)}({percent(total_s / length_s)}) 동안 쓰기가 "
        f"정체되었고, 가장 긴 원인은 {named} {seconds(float(longest['seconds']))}입니다."
    )


def _overview(log: LogTables) -> str:
    length_s = log.last_time_s - log.first_time_s
    flushed, written = (float(t["output_bytes"].sum()) for t in (log.flushes, log.compactions))
    rows = [
        ("RocksDB 버전", log.version or "기록 없음"),
        ("기록의 길이", seconds(length_s)),
        ("줄, 이벤트", f"{count(log.lines)}줄, {count(log.event_lines)}개"),
        ("읽지 못한 줄", f"{count(log.skipped_lines)}줄"),
        ("플러시", f"{count(len(log.flushes))}회, {size(flushed)}"),
        ("컴팩션", f"{count(len(log.compactions))}회, {size(written)}"),
        ("쓰기 속도", byte_rate((flushed + written) / length_s) if length_s > 0 else ABSENT),
        (
            "(플러시 + 컴팩션) / 플러시",
            factor((flushed + written) / flushed) if flushed else ABSENT,
        ),
    ]
    return table_html("항목|값>", rows, "개요")


def stalls_html(log: LogTables, start_s: float, end_s: float) -> str:
    """Render how long writes were held back in a window, by cause; epoch seconds."""
    spent = stall_seconds_by_cause(log, start_s, end_s).sort_values("seconds", ascending=False)
    rows = [
        (
            STALL_CAUSES.get(row["cause"], row["cause"]),
            STALL_KINDS.get(row["kind"], row["kind"]),
            seconds(row["seconds"]),
            percent(row["seconds"] / (end_s - start_s)) if end_s > start_s else ABSENT,
            f"{row['count']:,}회",
        )
        for row in spent.to_dict("records")
        if row["seconds"] > 0 or row["count"]
    ]
    return table_html("원인|상태|시간>|구간에서의 비율>|LOG 경고>", rows, "정체 시간의 원인")


def _levels(log: LogTables) -> str:
    flows = level_flows(log, log.first_time_s, np.nextafter(log.last_time_s, np.inf))
    rows = [
        (
            f"L{row['level']}",
            size(row["write_bytes"]),
            size(row["read_bytes"]),
            f"{row['jobs']:,}회",
            seconds(row["busy_s"]),
        )
        for row in flows.to_dict("records")
    ]
    return table_html("출력 레벨|쓴 양>|읽은 양>|작업>|작업 시간>", rows, "레벨별 쓰기 흐름")


def _warnings(log: LogTables) -> str:
    often = sorted(log.warnings, key=lambda kind: kind.count, reverse=True)[:_WARNINGS]
    if not often:
        return ""
    names = {"warning": "경고", "error": "오류", "fatal": "치명적 오류"}
    rows = [
        (names.get(kind.severity, kind.severity), f"`{kind.kind}`", f"{kind.count:,}회")
        for kind in often
    ]
    return table_html("등급|내용|횟수>", rows, "자주 나온 경고")


def failure_html(error: Exception) -> str:
    """Render why a LOG could not be read, in one line."""
    return notice(f"LOG를 읽지 못했습니다. {error}")
