"""One view of a run under way: throughput, stalls, level 0, debt and alerts over one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from phase_d_lib.explore.charts import Level, Span, Strip, strips_svg
from phase_d_lib.explore.first_look import window_stalls_html
from phase_d_lib.explore.html import notice, paragraph, svg_picture, table_html
from phase_d_lib.explore.watched import Watched
from phase_d_lib.monitor import Alert
from phase_d_lib.monitor.signals import Row
from phase_d_lib.report.look import DELAY, PREDICTED, STOP
from phase_d_lib.report.quantities import count, percent, puts_per_s, rate, seconds, size
from phase_d_lib.report.wording import (
    ALERT_CAUSES,
    ALERT_KINDS,
    SEVERITIES,
    alert_action,
    alert_value,
    verdict,
)
from phase_d_lib.units import MIB

_STATES = {"healthy": "정상", "warning": "경고", "critical": "심각"}
_COLOURS = {"warning": DELAY, "critical": STOP}
_POINTS = 400
"""Most points of a trace; more are averaged in groups."""
_RECENT_S = 5.0
_OPEN_ALERTS = 6


def live_html(watched: Watched) -> str:
    """Render what is known of a run."""
    parts = [paragraph(f"{watched.phase}. {_now(watched)}".strip(), strong=True)]
    if watched.reason:
        parts.append(notice(f"원인: {watched.reason}"))
    if len(watched.rows) > 1:
        parts.append(svg_picture(_chart(watched), _alt(watched)))
    if watched.run is not None:
        parts += [_result(watched), window_stalls_html(watched.run)]
    if watched.rows:
        parts.append(_alerts(watched))
    return "".join(parts)


def _now(watched: Watched) -> str:
    if len(watched.rows) < 2 or watched.run is not None:
        return ""
    last = watched.rows[-1]
    since = [row for row in watched.rows if row["time_s"] >= last["time_s"] - _RECENT_S]
    first = since[0] if len(since) > 1 else watched.rows[-2]
    puts = (last["puts_total"] - first["puts_total"]) / (last["time_s"] - first["time_s"])
    writes = "쓰기 정지" if last["write_stopped"] else "쓰기 가능"
    return (
        f"{seconds(last['time_s'])} / {seconds(watched.spec.duration_s)}, 최근 {_RECENT_S:.0f}초 "
        f"{puts_per_s(puts)}, L0 {count(last['l0_files'])}개, "
        f"컴팩션 대기량 {size(last['pending_compaction_bytes'])}, {writes}, "
        f"상태 {_STATES[watched.book.state]}"
    )


def _result(watched: Watched) -> str:
    result = None if watched.run is None else watched.run.result
    if result is None:
        return ""
    told = (
        f"포화 처리율 {rate(result.put_rate_ops_per_s)}, 정체 시간 {percent(result.stall_fraction)}"
    )
    if watched.prediction is not None and watched.prediction.saturation_ops_per_s:
        predicted = puts_per_s(watched.prediction.saturation_ops_per_s)
        told += f", 실행 전 예측({watched.prediction.model}) {predicted}"
    return paragraph(f"{told}. 판정은 {verdict(result.validity)}입니다.")


def _alt(watched: Watched) -> str:
    return f"처리율, 정체 시간의 비율, L0 파일 수, 컴팩션 대기량, 경보의 추이. {_now(watched)}"


def _chart(watched: Watched) -> str:
    rows = thinned(watched.rows)
    end_s = watched.spec.duration_s if not watched.over else float(rows[-1]["time_s"])
    alerts = watched.book.all()
    lanes = list(dict.fromkeys(_lane(alert) for alert in alerts))
    spans = [
        Span(
            _lane(alert),
            alert.start_s,
            end_s if alert.end_s is None and watched.over else alert.end_s or rows[-1]["time_s"],
            _COLOURS[alert.severity],
        )
        for alert in alerts
    ]
    return strips_svg(_strips(watched, rows), lanes, spans, end_s)


def _strips(watched: Watched, rows: Sequence[Row]) -> list[Strip]:
    options = watched.spec.options
    times = [float(row["time_s"]) for row in rows]
    pairs = list(pairwise(rows))
    rates = [_change(a, b, "puts_total") for a, b in pairs]
    threads = watched.spec.workload.threads
    stalled = [100 * min(1.0, _change(a, b, "stall_us_total") / 1e6 / threads) for a, b in pairs]
    return [
        Strip("처리율(puts/s)", times[1:], rates, _predicted(watched), between=True),
        Strip("정체 시간의 비율(%)", times[1:], stalled, top=100.0, between=True),
        Strip(
            "L0 파일 수(개)",
            times,
            [float(row["l0_files"]) for row in rows],
            (
                Level(options.level0_slowdown_writes_trigger, "지연 기준", DELAY),
                Level(options.level0_stop_writes_trigger, "정지 기준", STOP),
            ),
        ),
        Strip(
            "컴팩션 대기량(MiB)",
            times,
            [float(row["pending_compaction_bytes"]) / MIB for row in rows],
        ),
    ]


def _change(before: Row, after: Row, counter: str) -> float:
    return float(after[counter] - before[counter]) / float(after["time_s"] - before["time_s"])


def _predicted(watched: Watched) -> tuple[Level, ...]:
    told = watched.prediction
    if told is None or told.saturation_ops_per_s is None:
        return ()
    name = f"예측({told.model})"
    return (Level(told.saturation_ops_per_s, name, PREDICTED, told.interval_90_ops_per_s),)


def thinned(rows: Sequence[Row]) -> list[Row]:
    """Leave out samples of a long run evenly; counters keep every trace a mean of what is between.

    A sample that spans no time, as the last one may, is left out too.
    """
    step = max(1, -(-len(rows) // _POINTS))
    kept = [*rows[:-1][::step], rows[-1]]
    usual_s = float(rows[-1]["time_s"] - rows[0]["time_s"]) / max(1, len(kept) - 1)
    return [kept[0]] + [
        row for before, row in pairwise(kept) if row["time_s"] - before["time_s"] > 0.2 * usual_s
    ]


def _lane(alert: Alert) -> str:
    return (
        f"{ALERT_KINDS.get(alert.kind, alert.kind)}: {ALERT_CAUSES.get(alert.cause, alert.cause)}"
    )


def _alerts(watched: Watched) -> str:
    """Open alerts while a run goes; the ones open longest when it is over."""
    end_s = float(watched.rows[-1]["time_s"])
    told = [a for a in watched.book.all() if watched.over or a.end_s is None]
    lanes: dict[str, list[Alert]] = {}
    for alert in told:
        lanes.setdefault(_lane(alert), []).append(alert)
    rows = [_alert_row(name, same, end_s) for name, same in lanes.items()]
    title = "경보" if watched.over else "지금 열린 경보"
    columns = "등급|경보|횟수>|열린 시간>|처음 값>|살펴볼 것"
    return table_html(columns, rows[:_OPEN_ALERTS], title)


def _alert_row(name: str, same: Sequence[Alert], end_s: float) -> tuple[str, ...]:
    open_s = sum((end_s if a.end_s is None else a.end_s) - a.start_s for a in same)
    first = same[0]
    return (
        SEVERITIES[first.severity],
        name,
        f"{len(same):,}회",
        seconds(open_s),
        alert_value(first),
        alert_action(first.kind),
    )
