"""Tables of the report about rate, latency, stalls, models and tuning; every cell is formatted."""

from __future__ import annotations

from phase_d_lib.deployment import Deployment
from phase_d_lib.models.base import Prediction
from phase_d_lib.monitor import Alert, Loop
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.markup import Table
from phase_d_lib.report.objectives import Objective
from phase_d_lib.report.particles import with_particle
from phase_d_lib.report.quantities import (
    ABSENT,
    byte_rate,
    count,
    duration_us,
    factor,
    interval,
    number,
    option_value,
    percent,
    puts_per_s,
    rate,
    ratio,
    seconds,
    size,
)
from phase_d_lib.report.readings import confirmed, judged_stability
from phase_d_lib.report.wording import (
    ALERT_CAUSES,
    ALERT_KINDS,
    BASELINE_NAMES,
    INTERVAL_SOURCES,
    METRICS,
    OUTSIDE,
    REGIMES,
    S_MAX_SOURCES,
    SEVERITIES,
    STALL_CAUSES,
    STALL_KINDS,
    STALL_REGIMES,
    STATUSES,
    TRIAL_REASONS,
    alert_action,
    alert_value,
    binding,
    effect,
    goal,
    refusal,
    verdict,
)
from phase_d_lib.smax import Trial as SMaxTrial
from phase_d_lib.tuning.comparison import Comparison, Trial
from phase_d_lib.validation import CaseScore, ModelScore

MAX_ROWS = 24
"""Rows shown of a list that grows with the run; the rest is in the JSON files."""
NOT_SCORED = "채점하지 않음"


def objective_table(judged: tuple[Objective, ...]) -> Table:
    """The four objectives."""
    rows = [(o.title_ko, o.criterion_ko, o.evidence_ko, goal(o.met)) for o in judged]
    return Table.of("목표 | 기준 | 측정 결과 | 판정", rows)


def loop_table(inputs: ReportInputs) -> Table:
    """One row a loop, measured beside predicted."""
    valid = inputs.monitoring.result.validity.valid
    rows = [_loop_row(loop, valid) for loop in inputs.monitoring.loops[:MAX_ROWS]]
    return Table.of(
        "루프>|구간>|처리율>|p99>|p99.9>|최대>|정체 시간>|L0 파일>|WA>|예측>|오차>", rows
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
        (
            f"{row.start_s:.0f}-{row.end_s:.0f} s",
            puts_per_s(row.forecast_ops_per_s),
            interval(row.interval_90),
            puts_per_s(row.measured_ops_per_s),
            percent(row.forecast_ops_per_s / row.measured_ops_per_s - 1.0, signed=True)
            if row.measured_ops_per_s
            else ABSENT,
            factor(row.factors.throughput_factor),
            factor(row.factors.scaling_factor),
            factor(row.factors.accuracy_factor),
            "드리프트" if row.alarm else "",
        )
        for row in inputs.monitoring.followed[:MAX_ROWS]
    ]
    return Table.of(
        "구간|예측>|90 % 예측구간>|측정>|오차>|`throughput_factor`>|`scaling_factor`>"
        "|`accuracy_factor`>|경보",
        rows,
    )


def latency_table(inputs: ReportInputs) -> Table:
    """Quantiles over the window and their range over the loops."""
    whole, loops = inputs.monitoring.result.put_latency_us, inputs.monitoring.loops
    rows = []
    for name, label in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "최대")):
        values = [getattr(loop, f"put_latency_{name}_us") for loop in loops]
        known = [v for v in values if v is not None]
        rows.append(
            (
                label,
                duration_us(whole.get(name)),
                duration_us(min(known, default=None)),
                duration_us(max(known, default=None)),
            )
        )
    return Table.of("지연시간|전체 구간>|루프 최소>|루프 최대>", rows)


def trend_table(inputs: ReportInputs) -> Table:
    """Stability verdict of every metric with value and rule."""
    judged = [(t.metric, judged_stability(inputs, t)) for t in inputs.monitoring.trends]
    rows = [(METRICS.get(metric, metric), j.word, j.value, j.rule) for metric, j in judged]
    return Table.of("지표 | 판정 | 값 | 규칙", rows)


def stall_table(inputs: ReportInputs) -> Table:
    """Time in each stall state by cause."""
    window_s = inputs.monitoring.ledger.window_s
    rows = [
        (
            STALL_CAUSES.get(s.cause, s.cause),
            STALL_KINDS[s.kind],
            seconds(s.seconds),
            percent(s.seconds / window_s) if window_s > 0 else ABSENT,
            f"{count(s.count)}회",
        )
        for s in sorted(inputs.monitoring.stalls, key=lambda s: -s.seconds)
    ]
    return Table.of("원인|상태|시간>|구간에서의 비율>|LOG 경고>", rows)


def level_table(inputs: ReportInputs) -> Table:
    """Write flow into each level."""
    ledger = inputs.monitoring.ledger
    rows = []
    for level in ledger.levels:
        name = "L0(플러시)" if level.level == 0 else f"L{level.level}"
        share = level.write_bytes / ledger.user_bytes if ledger.user_bytes > 0 else None
        busy = level.busy_s / ledger.window_s if ledger.window_s > 0 else None
        rows.append(
            (
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
        "레벨|쓴 양>|사용자 바이트당 쓰기>|읽은 양>|작업 수>|작업 시간>|구간에서의 비율>", rows
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
        (
            name,
            size(value),
            byte_rate(None if value is None else value / ledger.window_s),
            factor(None if value is None else value / ledger.user_bytes),
        )
        for name, value in named
        if ledger.window_s > 0 and ledger.user_bytes > 0
    ]
    return Table.of("흐름|양>|속도>|사용자 바이트당>", rows)


def alert_table(inputs: ReportInputs) -> Table:
    """Alerts by kind and cause: how often, how long, and what to look at."""
    groups: dict[tuple[str, str], list[Alert]] = {}
    for alert in inputs.monitoring.alerts:
        groups.setdefault((alert.kind, alert.cause), []).append(alert)
    end_s = inputs.monitoring.result.duration_s
    rows = [_alert_row(same, end_s) for same in groups.values()]
    return Table.of("등급|경보|횟수>|열린 시간>|처음 시작>|처음 값>|끝날 때|조치", rows)


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


def model_table(inputs: ReportInputs) -> Table:
    """Every model and row to beat: errors, and the closure figure in a column of its own."""
    states = {state.model: state for state in inputs.integration.record.models}
    scores = (*inputs.validation.scores, *inputs.validation.baselines)
    rows = [_model_row(states.get(score.model), score) for score in scores]
    return Table.of(
        "모델|상태|교차검증 오차>|검증 오차 중앙값>|90 백분위>|최대>|채점>|실패>|장부 항등식 차이>",
        rows,
    )


def _model_row(state: Deployment | None, score: ModelScore) -> tuple[str, ...]:
    status = ABSENT if state is None else STATUSES[state.status]
    if state is not None and state.refusal:
        status = f"{status}: {refusal(state.refusal)}"
    return (
        BASELINE_NAMES.get(score.model, f"`{score.model}`"),
        status,
        percent(state.cross_validated_error_fraction if state else None),
        percent(score.median_error_fraction),
        percent(score.p90_error_fraction),
        percent(score.max_error_fraction),
        count(score.cases),
        count(score.refused),
        percent(score.median_closure_error_fraction),
    )


def detail_table(inputs: ReportInputs) -> Table:
    """What else the models said: interval, amplification, stall share, what binds."""
    rows = [_detail_row(score) for score in inputs.validation.scores if score.cases]
    return Table.of(
        "모델|90 % 예측구간 적중>|적중률의 95 % 신뢰구간>|구간 폭>|WA 오차>|정체 시간 오차>"
        "|제약 자원 적중>|정체 상태 적중>",
        rows,
    )


def _detail_row(score: ModelScore) -> tuple[str, ...]:
    stall = score.median_stall_error
    low_high = score.coverage_95
    return (
        f"`{score.model}`",
        _hits(score.covered, score.intervals),
        ABSENT if low_high is None else f"{percent(low_high[0])}-{percent(low_high[1])}",
        percent(score.median_interval_width_fraction),
        percent(score.median_wa_error_fraction),
        ABSENT if stall is None else f"{number(100 * stall)}%p",
        _hits(score.regime_hits, score.cases),
        _hits(score.stall_regime_hits, score.cases),
    )


def _hits(hits: int | None, trials: int) -> str:
    return ABSENT if hits is None else f"{count(hits)}/{count(trials)}"


def regime_table(inputs: ReportInputs) -> Table:
    """Error of every model by the resource that was measured to bind, all cases."""
    rows = [
        (
            BASELINE_NAMES.get(score.model, f"`{score.model}`"),
            REGIMES[part.regime],
            count(part.cases),
            count(part.refused),
            percent(part.median_error_fraction),
            percent(part.max_error_fraction),
        )
        for score in inputs.validation.every_score
        for part in score.regimes
    ]
    return Table.of("모델|측정한 제약 자원|채점>|답하지 않음>|오차 중앙값>|최대>", rows)


def absent_regimes(inputs: ReportInputs) -> str:
    """Name the regimes no valid held-out case was in, as a subject; empty when all were seen."""
    names = ", ".join(REGIMES[regime] for regime in inputs.validation.regimes_absent)
    return with_particle(names, "이/가") if names else ""


def split_table(inputs: ReportInputs) -> Table:
    """Where the active model's error came from, case by case; the parts add up."""
    active = inputs.integration.record.active
    rows = [
        (
            f"`{case.name}`",
            REGIMES[case.behaviour.regime],
            STALL_REGIMES.get(case.behaviour.stall_regime, case.behaviour.stall_regime),
            *(
                percent(part, signed=True)
                for part in (
                    split.total_log,
                    split.geometry_log,
                    split.controller_log,
                    split.slots_cpu_log,
                    split.device_log,
                    split.unexplained_log,
                )
            ),
        )
        for case in inputs.validation.cases
        if (split := case.splits.get(active or "")) is not None
    ]
    return Table.of(
        "구성|제약 자원|가장 긴 정체 상태|오차(로그)>|구조>|제어기>|슬롯·CPU>|디바이스>|나머지>",
        rows,
    )


def rate_table(inputs: ReportInputs) -> Table:
    """What each model said of both rates of the monitored configuration, before it ran."""
    rows = [
        (
            f"`{p.model}`",
            puts_per_s(p.saturation_ops_per_s),
            interval(p.interval_90_ops_per_s),
            INTERVAL_SOURCES[p.interval_source],
            puts_per_s(p.s_max_ops_per_s),
            S_MAX_SOURCES[p.s_max_source] if p.s_max_source else ABSENT,
            binding(p.binding) if p.binding else ABSENT,
            STALL_REGIMES.get(p.stall_regime or "", ABSENT),
            refusal(p.refused) if p.refused else "",
        )
        for p in inputs.monitoring.predictions
    ]
    return Table.of(
        "모델|포화 처리율>|90 % 예측구간>|구간의 출처|S_max>|S_max의 출처|제약 자원"
        "|가장 긴 정체 상태|비고",
        rows,
    )


def s_max_table(inputs: ReportInputs) -> Table:
    """Every open-loop trial of the search for S_max."""
    found = inputs.integration.calibration.sustained
    rows = [
        (
            count(place),
            puts_per_s(trial.rate_ops_per_s),
            puts_per_s(trial.achieved_ops_per_s),
            duration_us(_microseconds(trial.put_latency_p999_ms)),
            seconds(trial.stopped_s),
            _trial_word(trial),
        )
        for place, trial in enumerate(found.trials if found else (), start=1)
    ]
    return Table.of("순서>|도착률>|처리율>|p99.9>|쓰기 정지>|판정", rows)


def _microseconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else 1e3 * milliseconds


def _trial_word(trial: SMaxTrial) -> str:
    if not trial.valid:
        return NOT_SCORED
    if trial.held:
        return "유지"
    return "미달: " + ", ".join(TRIAL_REASONS[failure.code] for failure in trial.failures)


def case_table(inputs: ReportInputs) -> Table:
    """Each model's error beside the measurement of the same case; of many, the active model's."""
    active, cases = inputs.integration.record.active, inputs.validation.cases
    asked = sum(len(case.predictions) for case in cases)
    rows = [
        _case_row(case, prediction)
        for case in cases
        for prediction in case.predictions
        if asked <= MAX_ROWS or prediction.model == active
    ]
    return Table.of(
        "구성|측정한 포화 처리율|모델|예측>|오차>|90 % 예측구간>|구간의 출처|제약 자원"
        "|장부 항등식>|비고",
        rows,
    )


def _case_row(case: CaseScore, prediction: Prediction) -> tuple[str, ...]:
    measured, predicted = case.measured_ops_per_s.value, prediction.saturation_ops_per_s
    closure = next((c for c in case.closures if c.model == prediction.model), None)
    error = predicted / measured - 1.0 if predicted and measured else None
    scored = percent(error, signed=True) if case.verdict.valid else NOT_SCORED
    notes = [] if case.verdict.valid else [verdict(case.verdict)]
    if prediction.refused:
        notes.append(refusal(prediction.refused))
    if prediction.outside:
        notes.append("측정 범위 밖: " + ", ".join(OUTSIDE.get(n, n) for n in prediction.outside))
    if len(prediction.states_ops_per_s) > 1:
        states = ", ".join(puts_per_s(state) for state in prediction.states_ops_per_s)
        notes.append(f"안정 상태 둘: {states}")
    return (
        f"`{case.name}`",
        rate(case.measured_ops_per_s),
        f"`{prediction.model}`",
        puts_per_s(predicted),
        scored if predicted else ABSENT,
        interval(prediction.interval_90_ops_per_s),
        INTERVAL_SOURCES[prediction.interval_source],
        binding(prediction.binding) if prediction.binding else ABSENT,
        puts_per_s(closure.saturation_ops_per_s if closure else None),
        ". ".join(notes),
    )


def adjustment_table(inputs: ReportInputs) -> Table:
    """Every option of every option set: from, to, kept or not."""
    default, tuning = inputs.profile.scenario.options.model_dump(), inputs.tuning
    kept = confirmed(inputs)
    rows = [
        (
            f"`{c.option_set}`",
            f"`{name}`",
            option_value(name, default[name]),
            option_value(name, value),
            "유지" if c.option_set == tuning.chosen and kept else "채택하지 않음",
        )
        for c in tuning.comparisons
        for name, value in c.changes.items()
    ]
    return Table.of("옵션 조합|파라미터|기본값>|바꾼 값>|처리", rows)


def effect_table(inputs: ReportInputs) -> Table:
    """Tuned against default, in tuning and again in validation."""
    again = inputs.validation.tuned
    rows = [_effect_row("튜닝", c) for c in inputs.tuning.comparisons]
    rows += [_effect_row("검증(재확인)", again)] if again is not None else []
    return Table.of("단계|옵션 조합|유효한 쌍>|기본값 대비 처리율|판정|규칙|멤테이블 메모리>", rows)


def _effect_row(stage: str, comparison: Comparison) -> tuple[str, ...]:
    judged = effect(comparison.effect, comparison.rate_ratio)
    return (
        stage,
        f"`{comparison.option_set}`",
        count(comparison.pairs),
        ratio(comparison.rate_ratio),
        judged.word,
        judged.rule,
        f"{factor(comparison.memtable_bytes_ratio)}배",
    )


def trial_table(trials: tuple[Trial, ...]) -> Table:
    """Every trial in the order it ran."""
    rows = [
        (
            count(t.order + 1),
            f"`{t.option_set}`",
            count(t.pair + 1),
            puts_per_s(t.put_ops_per_s),
            duration_us(t.put_latency_p999_us),
            percent(t.stall_fraction),
            factor(t.write_bytes_per_user_byte),
            "유효" if t.verdict.valid else "무효",
        )
        for t in trials
    ]
    return Table.of("순서>|옵션 조합|쌍>|처리율>|p99.9>|정체 시간>|WA>|유효성", rows)
