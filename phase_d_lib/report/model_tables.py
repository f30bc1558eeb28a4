"""Tables about the models: what each said, of which rate, and how far off it was."""

from __future__ import annotations

from phase_d_lib.deployment import Deployment
from phase_d_lib.models.base import Prediction
from phase_d_lib.report.blocks import Table, row
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.measurement_tables import MAX_ROWS, NOT_SCORED
from phase_d_lib.report.origins import PERFORMANCE, integrated, run_file, validated
from phase_d_lib.report.particles import with_particle
from phase_d_lib.report.quantities import (
    ABSENT,
    count,
    duration_us,
    interval,
    number,
    percent,
    puts_per_s,
    seconds,
    with_interval,
)
from phase_d_lib.report.sources import Source, attribute
from phase_d_lib.report.wording import (
    BASELINE_NAMES,
    INTERVAL_SOURCES,
    OUTSIDE,
    REGIMES,
    S_MAX_SOURCES,
    STALL_REGIMES,
    STATUSES,
    TRIAL_REASONS,
    binding,
    refusal,
    verdict,
)
from phase_d_lib.smax import Trial as SMaxTrial
from phase_d_lib.validation import CaseScore, ModelScore


def model_table(inputs: ReportInputs) -> Table:
    """Every model and row to beat: errors, and the closure figure in a column of its own."""
    models = inputs.integration.record.models
    states = {state.model: (n, state) for n, state in enumerate(models)}
    validation = inputs.validation
    rows = [
        _model_row(states.get(score.model), score, validated(f"{kind}/{n}"))
        for kind, scores in (("scores", validation.scores), ("baselines", validation.baselines))
        for n, score in enumerate(scores)
    ]
    return Table.of(
        "모델|상태|교차검증 오차>|검증 오차 중앙값>|90 백분위>|최대>|채점>|실패>|장부 항등식 차이>",
        rows,
        "모델과 기준선의 오차",
    )


def _model_row(
    known: tuple[int, Deployment] | None, score: ModelScore, source: Source
) -> tuple[str, ...]:
    place, state = known or (None, None)
    crossed = percent(state.cross_validated_error_fraction if state else None)
    status = ABSENT if state is None else STATUSES[state.status]
    if state is not None and state.refusal:
        status = f"{status}: {refusal(state.refusal)}"
    return row(
        source,
        BASELINE_NAMES.get(score.model, f"`{score.model}`"),
        status,
        attribute(crossed, integrated(f"models/{place}")),
        percent(score.median_error_fraction),
        percent(score.p90_error_fraction),
        percent(score.max_error_fraction),
        count(score.cases),
        count(score.refused),
        percent(score.median_closure_error_fraction),
    )


def detail_table(inputs: ReportInputs) -> Table:
    """What else the models said: interval, amplification, stall share, what binds."""
    rows = [
        row(validated(f"scores/{n}"), *_detail_row(score))
        for n, score in enumerate(inputs.validation.scores)
        if score.cases
    ]
    return Table.of(
        "모델|90 % 예측구간 적중>|적중률의 95 % 신뢰구간>|구간 폭>|WA 오차>|정체 시간 오차>"
        "|제약 자원 적중>|정체 상태 적중>",
        rows,
        "예측구간, 쓰기 증폭, 정체의 적중",
    )


def _detail_row(score: ModelScore) -> tuple[str, ...]:
    stall = score.median_stall_error
    low_high = score.coverage_95
    return (
        f"`{score.model}`",
        _hits(score.covered, score.intervals),
        ABSENT if low_high is None else f"{100 * low_high[0]:.0f}-{100 * low_high[1]:.0f} %",
        percent(score.median_interval_width_fraction),
        percent(score.median_wa_error_fraction),
        ABSENT if stall is None else f"{100 * stall:.1f} %p",
        _hits(score.regime_hits, score.cases),
        _hits(score.stall_regime_hits, score.cases),
    )


def _hits(hits: int | None, trials: int) -> str:
    return ABSENT if hits is None else f"{count(hits)}/{count(trials)}"


def regime_table(inputs: ReportInputs) -> Table:
    """Error of every model by the resource that was measured to bind, all cases."""
    rows = [
        row(
            validated(f"every_score/{n}/regimes/{place}"),
            BASELINE_NAMES.get(score.model, f"`{score.model}`"),
            REGIMES[part.regime],
            count(part.cases),
            count(part.refused),
            percent(part.median_error_fraction),
            percent(part.max_error_fraction),
        )
        for n, score in enumerate(inputs.validation.every_score)
        for place, part in enumerate(score.regimes)
    ]
    return Table.of(
        "모델|측정한 제약 자원|채점>|답하지 않음>|오차 중앙값>|최대>", rows, "제약 자원별 오차"
    )


def absent_regimes(inputs: ReportInputs) -> str:
    """Name the regimes no valid held-out case was in, as a subject; empty when all were seen."""
    names = ", ".join(REGIMES[regime] for regime in inputs.validation.regimes_absent)
    return with_particle(names, "이/가") if names else ""


def split_table(inputs: ReportInputs) -> Table:
    """Where the active model's error came from, case by case; the parts add up."""
    active = inputs.integration.record.active
    rows = [
        row(
            validated(f"held_out_cases/{n}/splits/{active}", case.run_id),
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
        for n, case in enumerate(inputs.validation.cases)
        if (split := case.splits.get(active or "")) is not None
    ]
    return Table.of(
        "구성|제약 자원|가장 긴 정체 상태|오차(로그)>|구조>|제어기>|슬롯·CPU>|디바이스>|나머지>",
        rows,
        "활성 모델의 오차 분해",
    )


def rate_table(inputs: ReportInputs) -> Table:
    """What each model said of both rates of the monitored configuration, before it ran."""
    rows = [
        row(
            run_file(inputs, "prediction.json", f"predictions/{n}"),
            f"`{p.model}`",
            number(p.saturation_ops_per_s),
            interval(p.interval_90_ops_per_s, ""),
            INTERVAL_SOURCES[p.interval_source],
            number(p.s_max_ops_per_s),
            S_MAX_SOURCES[p.s_max_source] if p.s_max_source else ABSENT,
            binding(p.binding) if p.binding else ABSENT,
            STALL_REGIMES.get(p.stall_regime or "", ABSENT),
            refusal(p.refused) if p.refused else ABSENT,
        )
        for n, p in enumerate(inputs.monitoring.predictions)
    ]
    return Table.of(
        "모델|포화 처리율(puts/s)>|90 % 예측구간(puts/s)>|구간의 출처|S_max(puts/s)>|S_max의 출처"
        "|제약 자원|가장 긴 정체 상태|비고",
        rows,
        "모니터링한 구성의 두 처리율, 실행 전의 예측",
    )


def s_max_table(inputs: ReportInputs) -> Table:
    """Every open-loop trial of the search for S_max."""
    found = inputs.integration.calibration.sustained
    rows = [
        row(
            Source("integration", PERFORMANCE, f"s_max/trials/{place - 1}", trial.run_id or ""),
            count(place),
            puts_per_s(trial.rate_ops_per_s),
            puts_per_s(trial.achieved_ops_per_s),
            duration_us(_microseconds(trial.put_latency_p999_ms)),
            seconds(trial.stopped_s),
            _trial_word(trial),
        )
        for place, trial in enumerate(found.trials if found else (), start=1)
    ]
    return Table.of(
        "순서>|도착률>|처리율>|p99.9>|쓰기 정지>|판정", rows, "개방형 부하로 시험한 도착률"
    )


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
    shown = [
        (n, case, prediction)
        for n, case in enumerate(cases)
        for prediction in case.predictions
        if asked <= MAX_ROWS or prediction.model == active
    ]
    rows = [
        row(validated(f"held_out_cases/{n}", case.run_id), *_case_row(case, prediction))
        for n, case, prediction in shown
    ]
    kinds = dict.fromkeys(INTERVAL_SOURCES[p.interval_source] for _, _, p in shown)
    return Table.of(
        "구성|측정(puts/s)|모델|예측(puts/s)>|오차>|90 % 예측구간(puts/s)>|제약 자원"
        "|장부 항등식(puts/s)>|비고",
        rows,
        f"검증용 구성별 예측과 실측(예측구간의 출처: {', '.join(kinds) or ABSENT})",
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
        with_interval(case.measured_ops_per_s, ""),
        f"`{prediction.model}`",
        number(predicted),
        scored if predicted else ABSENT,
        interval(prediction.interval_90_ops_per_s, ""),
        binding(prediction.binding) if prediction.binding else ABSENT,
        number(closure.saturation_ops_per_s if closure else None),
        ". ".join(notes) or ABSENT,
    )
