"""Tables of the monitored run: loops, latency, stability, stalls, write flow, alerts."""

from __future__ import annotations

from phase_d_lib.monitor import Alert, Loop
from phase_d_lib.report.blocks import Table, row
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import ALERTS, LOOPS, monitored
from phase_d_lib.report.quantities import (
    ABSENT,
    byte_rate,
    count,
    duration_us,
    factor,
    interval,
    number,
    percent,
    puts_per_s,
    seconds,
    size,
)
from phase_d_lib.report.readings import judged_stability
from phase_d_lib.report.sources import attribute
from phase_d_lib.report.wording import (
    ALERT_CAUSES,
    ALERT_KINDS,
    METRICS,
    SEVERITIES,
    STALL_CAUSES,
    STALL_KINDS,
    alert_action,
    alert_value,
)

MAX_ROWS = 24
"""Rows shown of a list that grows with the run; the rest is in the JSON files."""
NOT_SCORED = "채점하지 않음"


def loop_table(inputs: ReportInputs) -> Table:
    """One row a loop, measured beside predicted."""
    valid = inputs.monitoring.result.validity.valid
    rows = [
        row(monitored(inputs, f"loops/{n}/loop", LOOPS), *_loop_row(loop, valid))
        for n, loop in enumerate(inputs.monitoring.loops[:MAX_ROWS])
    ]
    return Table.of(
        "루프>|구간>|처리율>|p99>|p99.9>|최대>|정체 시간>|L0 파일>|WA>|예측>|오차>",
        rows,
        "루프별 측정과 예측",
    )


def _loop_row(loop: Loop, valid: bool) -> tuple[str, ...]:
    scored = percent(loop.error_fraction, signed=True) if valid else NOT_SCORED
    return (
        count(loop.number),
        f"{loop.start_s:.1f}-{loop.end_s:.1f} s",
        puts_per_s(loop.put_ops_per_s),
        duration_us(loop.put_latency_p99_us),
        duration_us(loop.put_latency_p999_us),
        duration_us(loop.put_latency_max_us),
        percent(loop.stall_fraction),
        number(loop.mean_l0_files),
        factor(loop.write_bytes_per_user_byte),
        puts_per_s(loop.predicted_ops_per_s),
        ABSENT if loop.error_fraction is None else scored,
    )


def followed_table(inputs: ReportInputs) -> Table:
    """v5's forecast of each window beside what came."""
    rows = [
        row(
            monitored(inputs, f"followed/{n}", LOOPS),
            f"{seen.start_s:.0f}-{seen.end_s:.0f} s",
            puts_per_s(seen.forecast_ops_per_s),
            interval(seen.interval_90),
            puts_per_s(seen.measured_ops_per_s),
            percent(seen.forecast_ops_per_s / seen.measured_ops_per_s - 1.0, signed=True)
            if seen.measured_ops_per_s
            else ABSENT,
            factor(seen.factors.throughput_factor),
            factor(seen.factors.scaling_factor),
            factor(seen.factors.accuracy_factor),
            "드리프트" if seen.alarm else ABSENT,
        )
        for n, seen in enumerate(inputs.monitoring.followed[:MAX_ROWS])
    ]
    return Table.of(
        "구간|예측>|90 % 예측구간>|측정>|오차>|`throughput_factor`>|`scaling_factor`>"
        "|`accuracy_factor`>|경보",
        rows,
        "v5의 구간별 예측과 실측",
    )


def latency_table(inputs: ReportInputs) -> Table:
    """Quantiles over the window and their range over the loops."""
    whole, loops = inputs.monitoring.result.put_latency_us, inputs.monitoring.loops
    over_loops = monitored(inputs, "loops", LOOPS)
    rows = []
    for name, label in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "최대")):
        values = [getattr(loop, f"put_latency_{name}_us") for loop in loops]
        known = [v for v in values if v is not None]
        whole_run = monitored(inputs, f"put_latency_us/{name}")
        rows.append(
            (
                label,
                attribute(duration_us(whole.get(name)), whole_run),
                *(
                    attribute(duration_us(end(known, default=None)), over_loops)
                    for end in (min, max)
                ),
            )
        )
    return Table.of("지연시간|전체 구간>|루프 최소>|루프 최대>", rows, "put 지연시간의 분위수")


def trend_table(inputs: ReportInputs) -> Table:
    """Stability verdict of every metric with value and rule."""
    judged = [(t.metric, judged_stability(inputs, t)) for t in inputs.monitoring.trends]
    rows = [(METRICS.get(metric, metric), j.word, j.value, j.rule) for metric, j in judged]
    return Table.of("지표 | 판정 | 값 | 규칙", rows, "지표별 안정성 판정")


def stall_table(inputs: ReportInputs) -> Table:
    """Time in each stall state by cause."""
    window_s = inputs.monitoring.ledger.window_s
    rows = [
        row(
            monitored(inputs, f"stalls/{n}"),
            STALL_CAUSES.get(s.cause, s.cause),
            STALL_KINDS[s.kind],
            seconds(s.seconds),
            percent(s.seconds / window_s) if window_s > 0 else ABSENT,
            f"{count(s.count)}회",
        )
        for n, s in sorted(enumerate(inputs.monitoring.stalls), key=lambda e: -e[1].seconds)
        if s.seconds > 0 or s.count
    ]
    return Table.of("원인|상태|시간>|구간에서의 비율>|LOG 경고>", rows, "쓰기 정체의 원인과 시간")


def level_table(inputs: ReportInputs) -> Table:
    """Write flow into each level."""
    ledger = inputs.monitoring.ledger
    rows = []
    for n, level in enumerate(ledger.levels):
        name = "L0(플러시)" if level.level == 0 else f"L{level.level}"
        share = level.write_bytes / ledger.user_bytes if ledger.user_bytes > 0 else None
        busy = level.busy_s / ledger.window_s if ledger.window_s > 0 else None
        rows.append(
            row(
                monitored(inputs, f"ledger/levels/{n}"),
                name,
                size(level.write_bytes),
                factor(share),
                size(level.read_bytes),
                count(level.jobs),
                seconds(level.busy_s),
                percent(busy),
            )
        )
    return Table.of(
        "레벨|쓴 양>|사용자 바이트당 쓰기>|읽은 양>|작업 수>|작업 시간>|구간에서의 비율>",
        rows,
        "레벨별 쓰기 흐름",
    )


def ledger_table(inputs: ReportInputs) -> Table:
    """Where the bytes went, per user byte."""
    ledger = inputs.monitoring.ledger
    named = [
        ("WAL", ledger.wal_bytes),
        ("플러시", ledger.flush_write_bytes),
        ("컴팩션 쓰기", ledger.compaction_write_bytes),
        ("컴팩션 읽기", ledger.compaction_read_bytes),
        ("디바이스 쓰기(/proc)", ledger.device_write_bytes),
        ("디바이스 읽기(/proc)", ledger.device_read_bytes),
    ]
    rows = [
        row(
            monitored(inputs, "ledger"),
            name,
            size(value),
            byte_rate(None if value is None else value / ledger.window_s),
            factor(None if value is None else value / ledger.user_bytes),
        )
        for name, value in named
        if ledger.window_s > 0 and ledger.user_bytes > 0
    ]
    return Table.of("흐름|양>|속도>|사용자 바이트당>", rows, "쓰기 장부")


def alert_table(inputs: ReportInputs) -> Table:
    """Alerts by kind and cause: how often, how long, and what to look at."""
    groups: dict[tuple[str, str], list[Alert]] = {}
    for alert in inputs.monitoring.alerts:
        groups.setdefault((alert.kind, alert.cause), []).append(alert)
    end_s = inputs.monitoring.result.duration_s
    source = monitored(inputs, "alerts", ALERTS)
    rows = [row(source, *_alert_row(same, end_s)) for same in groups.values()]
    return Table.of("등급|경보|횟수>|열린 시간>|처음 시작>|처음 값>|끝날 때|조치", rows, "경보")


def _alert_row(same: list[Alert], end_s: float) -> tuple[str, ...]:
    first = same[0]
    open_s = sum((end_s if a.end_s is None else a.end_s) - a.start_s for a in same)
    cause = ALERT_CAUSES.get(first.cause, first.cause)
    return (
        SEVERITIES[first.severity],
        f"{ALERT_KINDS.get(first.kind, first.kind)}: {cause}",
        f"{count(len(same))}회",
        seconds(open_s),
        seconds(first.start_s),
        alert_value(first),
        "열림" if any(a.end_s is None for a in same) else "닫힘",
        alert_action(first.kind),
    )
